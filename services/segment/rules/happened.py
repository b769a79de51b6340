"""What happened with a customer, as rules see it: small, since a profile keeps thousands of it.

Of each fact the few things that most rules ask stand in the open; all else is packed into bytes
that are read only where a rule asks for it. Products and categories come again and again, so a
packed fact holds their numbers in the profile's own list of names.
"""

from collections.abc import Iterable

import msgspec

from services.segment.rules.words import FieldValue


class Line(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """A line of a receipt or an order; names by their numbers, quantities in thousandths."""

    product: int
    amount: int
    quantity: int
    categories: tuple[int, ...]


class Details(
    msgspec.Struct,
    frozen=True,
    omit_defaults=True,
    rename={
        "source": "s", "state": "st", "channel": "ch", "employee": "em", "direction": "di",
        "till": "ti", "service": "se", "visit": "vi", "order": "or", "carrier": "ca",
        "about": "ab", "department": "de", "survey": "su", "page": "pa", "product": "p",
        "session": "ss", "code": "co", "campaign": "cm", "message": "me", "link": "li",
        "coupon": "c", "coupons": "cc", "answered": "an", "scroll": "sc", "answers": "aw",
        "lines": "l", "extra": "x",
    },
):  # fmt: skip
    """What is told of a fact beside the time, the place and its first number.

    `coupon` says whether a line has a coupon's discount other than 0; `coupons` are the codes;
    `answers` are questions and scores; `extra` are the source's own fields.
    """

    source: str | None = None
    state: str | None = None
    channel: str | None = None
    employee: str | None = None
    direction: str | None = None
    till: str | None = None
    service: str | None = None
    visit: str | None = None
    order: str | None = None
    carrier: str | None = None
    about: str | None = None
    department: str | None = None
    survey: str | None = None
    page: str | None = None
    product: str | None = None
    session: str | None = None
    code: str | None = None
    campaign: str | None = None
    message: str | None = None
    link: str | None = None
    coupon: bool = False
    coupons: tuple[str, ...] = ()
    answered: bool | None = None
    scroll: int | None = None
    answers: tuple[tuple[str, int], ...] = ()
    lines: tuple[Line, ...] = ()
    extra: dict[str, FieldValue] = {}


class Happened(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """A fact.

    `time` is the instant at which it counts: when it happened, but never after it was recorded.
    `version` is its place in the stream that told it; `kind` is its place in
    `language.kinds.FACT_KINDS`. `key` is what it is known by, and `number` the first number of its
    kind (of a receipt the total, in minor units). `packed` holds `Details`.
    """

    time: int
    version: int
    kind: int
    key: int
    branch: str | None = None
    number: int | None = None
    packed: bytes = b""


NO_DETAILS = Details()
_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder(Details).decode


def pack(details: Details) -> bytes:
    """The details as bytes; none for none."""
    packed = _pack(details)
    return b"" if packed == _NOTHING else packed


def details_of(fact: Happened) -> Details:
    """What is told of a fact."""
    return _unpack(fact.packed) if fact.packed else NO_DETAILS


_NOTHING = _pack(NO_DETAILS)


def by_time(fact: Happened) -> tuple[int, int, int]:
    """The order of facts: time, then stream version; messages have streams of their own."""
    return fact.time, fact.version, fact.key


class Names:
    """Names by their numbers; a name once given keeps its number."""

    __slots__ = ("_numbers", "all")

    def __init__(self, names: Iterable[str] = ()) -> None:
        self.all = list(names)
        self._numbers = {name: number for number, name in enumerate(self.all)}

    def number(self, name: str) -> int:
        """Its number, a new one for a new name."""
        number = self._numbers.get(name)
        if number is None:
            number = self._numbers[name] = len(self.all)
            self.all.append(name)
        return number
