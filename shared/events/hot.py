"""Data of hot event types as msgspec structs: the bytes of the model, for a tenth of the work.

The models stay the contract, and what everybody reads. A hot type's events are recorded by the
thousand in one batch, and building and writing the model of each is most of what that costs: so
whoever records them makes this struct instead. It has the model's fields under the model's names,
in the model's order, and what it writes is byte for byte what the model writes; a test holds every
class here against its model, over random values (`tests/contract/test_hot_data.py`).

A struct checks nothing: whoever makes one has checked what goes into it.
"""

from abc import abstractmethod
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar, Self, cast

import msgspec

from shared.events.contract import EventData
from shared.events.interaction import ReceiptRecorded

_encode = msgspec.json.Encoder().encode


class HotPart(msgspec.Struct, omit_defaults=True, gc=False):
    """A value inside of hot data; None is left out. Nobody changes one that is under way."""

    def with_values(self, **values: object) -> Self:
        """The same with other values."""
        return msgspec.structs.replace(self, **values)


class HotData(HotPart):
    """The data of one hot event type; the class variables are those of the model."""

    contract_model: ClassVar[type[EventData]]
    type: ClassVar[str]

    @abstractmethod
    def holds_personal(self) -> bool:
        """Whether something in it may have to be sealed."""

    def json_bytes(self) -> bytes:
        """What is recorded, as long as nothing in it is sealed."""
        return _encode(self)

    def json_values(self) -> dict[str, Any]:
        """The same as builtin values, to be sealed in place."""
        values: dict[str, Any] = msgspec.json.decode(self.json_bytes())
        return values

    def as_data(self) -> EventData:
        """Itself, where data of an event is expected: to be recorded, and for nothing else."""
        # It has what recording asks of data; a model it is not, so `evolve` must not look at it.
        return cast("EventData", self)


class HotIdentifier(HotPart):
    """Hot `FactIdentifier`."""

    kind: str
    hash: str
    value: str | None = None


class HotLine(HotPart):
    """Hot `ReceiptLine`; its quantity is the text of the decimal, as it is written."""

    product: str
    quantity: str
    amount: int
    discount: int | None = None
    coupon: int | None = None
    coupon_match: int | None = None
    cost: int | None = None
    categories: tuple[str, ...] | None = None


class HotPayment(HotPart):
    """Hot `Payment`."""

    kind: str
    amount: int


class HotReceipt(HotData, kw_only=True):
    """Hot `ReceiptRecorded`."""

    contract_model: ClassVar[type[EventData]] = ReceiptRecorded
    type: ClassVar[str] = ReceiptRecorded.type
    fact: str
    source: str
    source_id: str
    identified_by: HotIdentifier | None = None
    also: tuple[HotIdentifier, ...] | None = None
    extra: Mapping[str, str | int | bool | tuple[str, ...]] | None = None
    total: int
    coupon_lines: int
    lines: tuple[HotLine, ...]
    till: str | None = None
    cashier: str | None = None
    number: int | None = None
    fiscal: str | None = None
    tips: int | None = None
    payments: tuple[HotPayment, ...] | None = None
    coupons: tuple[str, ...] | None = None
    points_spent: int | None = None
    order: str | None = None
    channel: str | None = None

    def holds_personal(self) -> bool:
        """As `Fact.holds_personal`."""
        known = self.identified_by
        return bool(
            self.extra
            or (known is not None and known.value is not None)
            or any(each.value is not None for each in self.also or ())
        )


HOT: Mapping[str, type[HotData]] = MappingProxyType({data.type: data for data in (HotReceipt,)})
"""Type → its hot data."""
