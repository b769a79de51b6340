"""Receipts as most tills send them, read without their model.

Nothing comes so often and so large as receipts, and reading one by its model, hashing and writing
it takes ten times what the database needs. So the plainest of them, which are nearly all, are read
by a struct that is stricter than the model: texts that need no trimming, short decimals, moments
written in full. Whatever the struct does not take, right or wrong, the model reads: it alone says
what is a receipt and what is wrong with one that is none. What both read becomes the same event
under the same hash, byte for byte; a test holds them together over random receipts
(`tests/unit/test_hot_receipts.py`).
"""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from types import MappingProxyType
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from services.interaction.domain.facts import RecordFact, fact_id
from services.interaction.domain.receipts import coupon_lines_of, total_of
from services.interaction.handlers.facts import SentFact
from services.interaction.handlers.incoming.forms import LARGEST_AMOUNT, RESERVED_SOURCES, plain
from services.interaction.handlers.incoming.receipts import MAX_LINES
from services.interaction.projections.identifiers import own_id
from shared.clock import to_milliseconds
from shared.decider import invalid
from shared.envelope import UNREADABLE
from shared.events.contract import show_moment
from shared.events.customer import IdentifierKind
from shared.events.hot import HotIdentifier, HotLine, HotPart, HotPayment, HotReceipt
from shared.eventstore import body_hash
from shared.identifiers import IdentifierRules, KnownIdentifier

Amount = Annotated[int, Meta(ge=-LARGEST_AMOUNT, le=LARGEST_AMOUNT)]
NotNegative = Annotated[int, Meta(ge=0, le=10**9)]
REMEMBERED = 1 << 14
"""Texts and quantities that come again and again: products, branches, 1 and 2."""
SURE_DIGITS = 15
"""A number of JSON with more digits may be read in two ways."""

_TEXT = re.compile(r"[^\x00-\x1f\x7f\s](?:[^\x00-\x1f\x7f]{0,198}[^\x00-\x1f\x7f\s])?")
_BRANCH = re.compile(r"[^|\x00-\x1f\x7f\s](?:[^|\x00-\x1f\x7f]{0,98}[^|\x00-\x1f\x7f\s])?")
_SOURCE = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}", re.ASCII)
_NUMBER = re.compile(r"-?\d+(?:\.\d{1,6})?", re.ASCII)
_MOMENT = re.compile(
    r"(?:19[7-9]\d|2\d{3})-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{3})?(?:Z|[+-]\d\d:\d\d)", re.ASCII
)


class NotPlain(ValueError):  # noqa: N818 - says what it is
    """It is for the model to read."""


class SentLine(HotLine, forbid_unknown_fields=True):
    """A line within the limits of its model, but for its texts and its quantity.

    The quantity is a number or a text until it is checked, and then a text.
    """

    quantity: int | float | str  # type: ignore[assignment]  # as JSON may have it
    amount: Amount
    discount: Amount | None = None
    coupon: Amount | None = None
    coupon_match: Amount | None = None
    cost: Amount | None = None
    categories: Annotated[tuple[str, ...], Meta(min_length=1, max_length=10)] | None = None


class SentPayment(HotPayment, forbid_unknown_fields=True):
    """A payment within the limits of its model, but for its kind."""

    amount: Amount


class SentIdentifier(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """What the source knows of the customer."""

    kind: IdentifierKind
    value: Annotated[str, Meta(min_length=1, max_length=200)]


class Told(HotPart, kw_only=True):
    """What the hash of a receipt covers, beside whose it is and when it was."""

    branch: str
    cashier: str | None = None
    channel: str | None = None
    coupons: tuple[str, ...] | None = None
    fiscal: str | None = None
    lines: tuple[SentLine, ...]
    number: int | None = None
    order: str | None = None
    payments: tuple[SentPayment, ...] | None = None
    points_spent: int | None = None
    source: str
    source_id: str
    till: str | None = None
    tips: int | None = None


class HotReceiptInput(msgspec.Struct, kw_only=True, gc=False, forbid_unknown_fields=True):
    """A `ReceiptInput` of the plainest form; own fields of a source are for the model."""

    kind: Literal["receipt"] = "receipt"
    source: str = "pos"
    source_id: str
    branch: str
    time: str
    customer: str | None = None
    identifier: SentIdentifier | None = None
    lines: Annotated[tuple[SentLine, ...], Meta(min_length=1, max_length=MAX_LINES)]
    total: Amount | None = None
    till: str | None = None
    cashier: str | None = None
    number: NotNegative | None = None
    fiscal: str | None = None
    tips: Annotated[int, Meta(ge=0, le=LARGEST_AMOUNT)] | None = None
    payments: Annotated[tuple[SentPayment, ...], Meta(min_length=1, max_length=20)] | None = None
    coupons: Annotated[tuple[str, ...], Meta(min_length=1, max_length=100)] | None = None
    points_spent: Annotated[int, Meta(ge=1, le=10**9)] | None = None
    order: str | None = None
    channel: str | None = None

    def check(self) -> None:
        """Raise `NotPlain` where a text or a quantity is not of the plainest form."""
        _check(_is_source(self.source) and _is_branch(self.branch) and _is_text(self.source_id))
        for text in (
            self.customer,
            self.till,
            self.cashier,
            self.fiscal,
            self.order,
            self.channel,
            *(self.coupons or ()),
            *(each.kind for each in self.payments or ()),
        ):
            if text is not None:
                _texts[text]
        for line in self.lines:
            line.quantity = _quantities[line.quantity]
            _texts[line.product]
            if line.categories is not None:
                for category in line.categories:
                    _texts[category]

    def sent(self, rules: IdentifierRules, now: datetime) -> SentFact:
        """The receipt as it is recorded, as `ReceiptInput.sent` gives it. Raises `Refused`."""
        known = self._known(rules)
        who = (known[0].claim_id,) if known else ()
        if self.customer is not None:
            who = (own_id(self.customer),)
        data = HotReceipt(
            fact=fact_id(self.source, self.branch, self.source_id),
            source=self.source,
            source_id=self.source_id,
            identified_by=HotIdentifier(known[0].kind, known[0].hash) if known else None,
            total=total_of(self.lines, self.total),
            coupon_lines=coupon_lines_of(self.lines),
            lines=self.lines,
            till=self.till,
            cashier=self.cashier,
            number=self.number,
            fiscal=self.fiscal,
            tips=self.tips,
            payments=self.payments,
            coupons=self.coupons,
            points_spent=self.points_spent,
            order=self.order,
            channel=self.channel,
        )
        time = _moment(self.time)
        command = RecordFact(data=data, branch=self.branch, time=time, now=now)
        return SentFact(command, who, self._hash(who, time), known)

    def _known(self, rules: IdentifierRules) -> tuple[KnownIdentifier, ...]:
        if self.identifier is None:
            return ()
        if self.customer is not None:
            raise invalid("customer", "should be left out when `identifier` is there")
        return (rules.known(self.identifier.kind, self.identifier.value, "identifier.value"),)

    def _hash(self, who: tuple[str, ...], time: datetime) -> str:
        """As `FactInput`: over the same bytes."""
        told = Told(
            branch=self.branch,
            cashier=self.cashier,
            channel=self.channel,
            coupons=self.coupons,
            fiscal=self.fiscal,
            lines=self.lines,
            number=self.number,
            order=self.order,
            payments=self.payments,
            points_spent=self.points_spent,
            source=self.source,
            source_id=self.source_id,
            till=self.till,
            tips=self.tips,
        )
        return body_hash([told, who[0] if who else [], show_moment(time)])


class NamedHotReceiptInput(HotReceiptInput, kw_only=True):
    """The same among facts of other kinds, where each has to say what it is."""

    kind: Literal["receipt"]


_receipt = msgspec.json.Decoder(HotReceiptInput).decode
_named = msgspec.json.Decoder(NamedHotReceiptInput).decode


def hot_receipt(item: bytes) -> HotReceiptInput | None:
    """The JSON as a receipt; None when it is for the model to read."""
    return _checked(_receipt, item)


def hot_named_receipt(item: bytes) -> HotReceiptInput | None:
    """The same for one that says its kind."""
    return _checked(_named, item)


HOT: Mapping[str, Callable[[bytes], HotReceiptInput | None]] = MappingProxyType(
    {"receipts": hot_receipt}
)
"""Name of a collection of facts → what reads the plainest of them."""


def _checked(decode: Callable[[bytes], HotReceiptInput], item: bytes) -> HotReceiptInput | None:
    try:
        read = decode(item)
        read.check()
        _moment(read.time)
    except (*UNREADABLE, NotPlain):
        return None
    return read


def _check(plain_form: bool) -> None:  # noqa: FBT001 - a condition is all that there is
    if not plain_form:
        raise NotPlain


def _is_text(text: str) -> bool:
    return _TEXT.fullmatch(text) is not None


@lru_cache(maxsize=REMEMBERED)
def _is_branch(text: str) -> bool:
    return _BRANCH.fullmatch(text) is not None


@lru_cache(maxsize=REMEMBERED)
def _is_source(text: str) -> bool:
    return _SOURCE.fullmatch(text) is not None and text not in RESERVED_SOURCES


class _Remembered(dict[Any, str]):
    """What was checked before and what it became, so that what comes often is checked once.

    A table costs half of what `lru_cache` does, and there are twenty looks into it for a receipt.
    """

    def __init__(self, checked: Callable[[Any], str]) -> None:
        super().__init__()
        self._checked = checked

    def __missing__(self, given: Any) -> str:  # noqa: ANN401 - a text or a number
        """Check it. Raises `NotPlain`."""
        if len(self) >= REMEMBERED:
            self.clear()
        found = self[given] = self._checked(given)
        return found


def _text(text: str) -> str:
    _check(_is_text(text))
    return text


def _short(quantity: float | str) -> str:
    """The one form of a quantity, of few digits. Raises `NotPlain`."""
    written = str(quantity)
    _check(_NUMBER.fullmatch(written) is not None and len(written) <= SURE_DIGITS)
    return str(plain(Decimal(written)))


_texts = _Remembered(_text)
_quantities = _Remembered(_short)


@lru_cache(maxsize=1 << 11)
def _moment(text: str) -> datetime:
    """The moment. Raises `NotPlain`."""
    _check(_MOMENT.fullmatch(text) is not None)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as failure:
        raise NotPlain from failure
    return moment if moment.tzinfo is UTC else to_milliseconds(moment)
