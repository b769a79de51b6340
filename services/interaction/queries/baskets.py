"""Baskets as the service's own commits have them, each receipt once.

A receipt is recorded by one event of one stream, whoever's it is; when facts change hands, other
events say so, which are passed over here. So however facts move, each receipt is met once. A
receipt that was voided is told as such, before or after it. Returns are not asked about: what was
brought back was bought together all the same.
"""

from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

import msgspec

from services.interaction.domain.affinity import Baskets
from shared.envelope import decode_light, glimpse_type
from shared.events.interaction import ReceiptRecorded, ReceiptVoided
from shared.readmodel import Questions

STREAMS = ("interaction-", "unknown-")
"""How the streams begin that receipts are recorded in: of customers, and of who is not known."""
PAGE = 1_000
"""Names of streams that are asked for at once."""
READ_AT_ONCE = 50
"""Streams: a customer of a grocer has some hundred receipts a year."""
LAST = "\U0010ffff"
_RECORDED, _VOIDED = ReceiptRecorded.type.encode(), ReceiptVoided.type.encode()


class Line(msgspec.Struct, gc=False):
    """What is read of a line; a quantity below zero gives something back."""

    product: str
    quantity: str = ""

    @property
    def bought(self) -> bool:
        """Whether it was given to the customer."""
        return not self.quantity.startswith("-")


class Receipt(msgspec.Struct, gc=False):
    """What is read of `interaction.receipt_recorded`."""

    fact: str
    lines: list[Line]

    def products(self) -> set[str]:
        """What was bought."""
        return {line.product for line in self.lines if line.bought}


class Voided(msgspec.Struct, gc=False):
    """What is read of `interaction.receipt_voided`."""

    receipt: str


_receipt = msgspec.json.Decoder(Receipt).decode
_voided = msgspec.json.Decoder(Voided).decode


@dataclass(frozen=True, slots=True)
class Receipts:
    """All receipts of the chain; `commits` is the collection that events are stored in."""

    commits: Questions

    async def pages(self) -> AsyncIterator[Sequence[str]]:
        """The events of all facts, a page at a time. Raises `StoreUnavailable`."""
        for first, last in _ranges():
            async for streams in self._streams(first, last):
                for begin in range(0, len(streams), READ_AT_ONCE):
                    some = streams[begin : begin + READ_AT_ONCE]
                    commits = await self.commits.find(
                        {"stream": {"$in": some}}, fields={"events": 1}
                    )
                    yield [text for commit in commits for text in commit["events"]]

    async def _streams(self, first: str, last: str) -> AsyncIterator[list[str]]:
        """The names of the streams of a range, a page at a time."""
        after: str | None = first
        while after is not None:
            found = await self.commits.find(
                {"stream": {"$gt": after, "$lt": last}, "seq": 1},
                fields={"stream": 1},
                sort=[("stream", 1)],
                limit=PAGE,
            )
            names = [commit["stream"] for commit in found]
            if names:
                yield names
            after = names[-1] if len(names) == PAGE else None


def _ranges() -> Iterator[tuple[str, str]]:
    """Small ranges of names that together hold all: most go on with hexadecimal digits.

    SecantusDB reads a range to its end for each page of it. A name that is a cut itself belongs to
    the range before it.
    """
    for beginning in STREAMS:
        cuts = [beginning, *(f"{beginning}{number:02x}" for number in range(1, 256))]
        ends = [*(f"{cut}\x00" for cut in cuts[1:]), beginning + LAST]
        yield from zip(cuts, ends, strict=True)


def take_up(baskets: Baskets, texts: Sequence[str]) -> None:
    """Add the receipts that the events record, and take off those that they void."""
    for text in texts:
        value = text.encode()
        kind = glimpse_type(value)
        if kind == _RECORDED:
            at, data = _read(value)
            receipt = _receipt(data)
            baskets.add(receipt.fact, at, receipt.products())
        elif kind == _VOIDED:
            baskets.void(_voided(_read(value)[1]).receipt)


def _read(value: bytes) -> tuple[datetime, msgspec.Raw]:
    light = decode_light(value)
    return light.time, light.data
