"""Receipts as tills send them, the same in every run.

Sizes follow the year of real receipts that the demo reads: 9.4 lines on average, the most of them
small. What is measured reads these bytes, so they are what the kernel itself would have written; a
test compares them with `shared.envelope.encode`.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import msgspec

from services.interaction.domain.facts import RecordFact
from services.interaction.domain.facts import fact_id as fact_of
from services.interaction.domain.streams import stream_of
from shared.envelope import SPEC_VERSION, Causation, Envelope, event_id
from shared.events.contract import show_moment
from shared.events.hot import HotReceipt
from shared.events.interaction import ReceiptLine, ReceiptRecorded
from shared.eventstore import body_hash
from shared.execute import Command
from shared.ids import derived_id

BEGIN = datetime(2017, 1, 1, 8, tzinfo=UTC)
APART = timedelta(seconds=37)
MORE_LINES = 8.4
"""Lines beyond the first, on average."""
MOST_LINES = 100
BRANCHES_OF_A_CUSTOMER = 3
DISTINCT = 1_000
"""Baskets that are made anew; the log repeats them under other ids."""

_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Basket:
    """What is in a receipt: data that lacks ids, its JSON from the total on, and lines as sent."""

    data: HotReceipt
    rest: bytes
    sent: bytes


@dataclass(frozen=True, slots=True)
class LoggedEvent:
    """An event as Kafka holds it."""

    key: bytes
    value: bytes


def customer_id(number: int) -> str:
    """The id of a customer."""
    return derived_id("benchmark-customer", str(number))


def card_of(number: int) -> str:
    """The card of a customer."""
    return f"BENCH{number:08d}"


def fact_id(number: int) -> str:
    """An id as long as that of a fact, and cheaper."""
    return f"{number:08x}-0000-5000-8000-000000000000"


def _line(chance: random.Random) -> ReceiptLine:
    return ReceiptLine(
        product=str(chance.randint(800_000, 18_000_000)),
        quantity=Decimal(chance.choice((1, 1, 1, 1, 2, 3))),
        amount=chance.randint(50, 1_500),
        discount=chance.randint(10, 200) if chance.random() < 0.5 else None,
        coupon=chance.randint(25, 100) if chance.random() < 0.02 else None,
    )


def basket(chance: random.Random) -> Basket:
    """A basket of random size."""
    count = min(MOST_LINES, 1 + round(chance.expovariate(1 / MORE_LINES)))
    lines = tuple(_line(chance) for _ in range(count))
    text = recorded(lines, "", "").json_bytes()
    sent = [
        {**line.model_dump(exclude_none=True), "quantity": int(line.quantity)} for line in lines
    ]
    data = msgspec.json.decode(text, type=HotReceipt)
    return Basket(data, text[text.index(b'"total"') :], _encode(sent))


def recorded(lines: tuple[ReceiptLine, ...], fact: str, source_id: str) -> ReceiptRecorded:
    """The data of the event that a basket gives."""
    return ReceiptRecorded(
        fact=fact,
        source="pos",
        source_id=source_id,
        total=sum(line.amount for line in lines),
        coupon_lines=sum(1 for line in lines if line.coupon),
        lines=lines,
    )


@dataclass(slots=True)
class ReceiptLog:
    """An endless log: the customers take turns, each with `per_turn` receipts in a row.

    So a batch touches a document for every `per_turn` events, wherever it is cut, as long as it is
    shorter than a round over all customers; the log of other customers differs in nothing else.
    """

    customers: int
    per_turn: int = 4
    seed: int = 2017
    _baskets: Sequence[Basket] = field(init=False)
    _ids: Sequence[str] = field(init=False)
    _versions: list[int] = field(init=False)
    _number: int = 0

    def __post_init__(self) -> None:
        """Make the baskets, the same for every log of the seed."""
        chance = random.Random(self.seed)
        self._baskets = [basket(chance) for _ in range(DISTINCT)]
        self._ids = [customer_id(number) for number in range(self.customers)]
        self._versions = [0] * self.customers

    def take(self, count: int) -> list[LoggedEvent]:
        """The next events of the log."""
        return [self._event(*place) for place in self._places(count)]

    def _places(self, count: int) -> Iterator[tuple[int, int]]:
        """The number of each event, and the customer whose turn it is."""
        for _ in range(count):
            yield self._number, self._number // self.per_turn % self.customers
            self._number += 1

    def _event(self, number: int, customer: int) -> LoggedEvent:
        self._versions[customer] += 1
        version, owner = self._versions[customer], self._ids[customer]
        time = show_moment(BEGIN + number * APART)
        source_id, branch = str(number), branch_of(customer, version)
        command_id = f"pos|{branch}|{source_id}"
        head = f'{{"fact":"{fact_id(number)}","source":"pos","source_id":"{source_id}",'.encode()
        stream = stream_of(owner)
        value = _encode(
            Envelope(
                specversion=SPEC_VERSION,
                id=event_id(stream, version),
                source="regulars/interaction",
                type=ReceiptRecorded.type,
                time=time,
                recordedtime=time,
                stream=stream,
                streamversion=version,
                correlationid=command_id,
                subject=owner,
                branch=branch,
                data=msgspec.Raw(head + self._baskets[number % DISTINCT].rest),
            )
        )
        return LoggedEvent(owner.encode(), value)

    def items(self, count: int) -> list[bytes]:
        """The same receipts as tills send them: JSON, the customer named by a card."""
        return [self._item(*place) for place in self._places(count)]

    def _item(self, number: int, customer: int) -> bytes:
        self._versions[customer] += 1
        branch = branch_of(customer, self._versions[customer])
        time = show_moment(BEGIN + number * APART)
        head = (
            f'{{"source":"pos","source_id":"{number}","branch":"{branch}","time":"{time}",'
            f'"identifier":{{"kind":"card","value":"{card_of(customer)}"}},"lines":'
        )
        return head.encode() + self._baskets[number % DISTINCT].sent + b"}"

    def commands(self, count: int) -> list[Command[RecordFact]]:
        """The commands whose events would be next in the log."""
        return [self._command(*place) for place in self._places(count)]

    def _command(self, number: int, customer: int) -> Command[RecordFact]:
        self._versions[customer] += 1
        owner, time = self._ids[customer], BEGIN + number * APART
        branch, source_id = branch_of(customer, self._versions[customer]), str(number)
        data = self._baskets[number % DISTINCT].data.with_values(
            fact=fact_of("pos", branch, source_id), source="pos", source_id=source_id
        )
        body = RecordFact(data=data, branch=branch, time=time, now=time)
        return Command(
            id=body.id,
            hash=body_hash(body.id),
            stream=stream_of(owner),
            key=owner,
            body=body,
            causation=Causation(correlation=body.id),
            subject=owner,
        )


def branch_of(customer: int, version: int) -> str:
    """Where a customer's receipt is from: the nearest shops in turn."""
    return f"store-{customer % 400 + version % BRANCHES_OF_A_CUSTOMER}"
