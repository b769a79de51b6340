"""The page for marketers: every line of its examples is lived by a dispatcher, at its moment."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from services.notify.api.delivery import Delivery
from services.notify.api.policy import PolicyInput
from services.notify.channels import Accepted, Outgoing, Receipt, Rejected
from services.notify.domain.reasons import SUPPRESSED
from services.notify.handlers.books.policies import PolicyBook
from services.notify.handlers.campaigns.requests import Request, define, pause, resume, start, stop
from services.notify.handlers.campaigns.scheduling import Occasion, schedule
from shared.envelope import Causation
from shared.events.contract import EventData
from shared.events.customer import (
    ConsentGiven,
    ConsentWithdrawn,
    CustomerChanged,
    Identifier,
    IdentifierAdded,
)
from shared.testing.channels import ScriptedChannel
from tests.unit.test_notify_dispatcher import BAD, DEFINED, Desk, answering

PAGE = Path(__file__).resolve().parents[2] / "docs" / "how-sending-decides.md"
TEXT = PAGE.read_text(encoding="utf-8")
EXAMPLE = re.compile(
    r"^## (?P<title>\d+\..*?)$.*?^```json\n(?P<rule>.*?)^```$"
    r".*?^\| --- \|[^\n]*\n(?P<lines>(?:\|[^\n]*\n)+)",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Line:
    """One line of an example's table."""

    at: datetime
    what: str
    messages: str


@dataclass(frozen=True)
class Example:
    """One example of the page."""

    title: str
    policy: Mapping[str, Any]
    campaigns: Mapping[str, Mapping[str, Any]]
    lines: Sequence[Line]


def moment(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%d %H:%M").replace(tzinfo=UTC)


def lines_of(table: str) -> list[Line]:
    rows = [[cell.strip() for cell in row.split("|")[1:-1]] for row in table.splitlines()]
    return [Line(moment(at), what, messages) for at, what, messages in rows]


EXAMPLES = [
    Example(found["title"], **json.loads(found["rule"]), lines=lines_of(found["lines"]))
    for found in EXAMPLE.finditer(TEXT)
]


@dataclass
class Life:
    """A chain in which the lines of a table happen."""

    desk: Desk
    sms: ScriptedChannel[Outgoing, Receipt]
    known: set[str] = field(default_factory=set)
    steps: int = 0

    @classmethod
    async def of(cls, example: Example) -> "Life":
        desk = await Desk.opened()
        policy = PolicyInput.model_validate(example.policy).definition()
        book = PolicyBook(desk.writer())
        await book.define("policy", policy, desk.clock.moment, lambda _version: None)
        for name, said in example.campaigns.items():
            delivery = Delivery.model_validate(said)
            definition = DEFINED.model_copy(update={"campaign": name, **dict(delivery)})
            request = Request(f"define {name}", name, desk.clock.moment)
            await define(desk.writer(), request, definition, lambda _version: None)
            await start(desk.writer(), Request(f"start {name}", name, desk.clock.moment), name)
        return cls(desk, ScriptedChannel(answering(Accepted()), None))

    def request(self) -> Request:
        self.steps += 1
        return Request(f"step {self.steps}", self.steps, self.desk.clock.moment)

    async def tell(self, name: str, *events: EventData) -> None:
        await self.desk.customer(name.lower(), *events)

    async def pass_on(self) -> None:
        """Everything so far has been read, and dispatchers work until nothing moves."""
        desk = self.desk
        await desk.fold()
        before = -1
        while len(desk.store.commits) != before:
            before = len(desk.store.commits)
            channels = {"email": desk.channel, "sms": self.sms}
            dispatcher = await desk.dispatcher(channels=channels)
            await dispatcher.step()
            await desk.fold()

    def messages(self) -> str:
        found = sorted(self.desk.queue.everything(), key=lambda raw: raw["turn"])
        return "; ".join(said(raw) for raw in found)


def said(raw: Mapping[str, Any]) -> str:
    until = raw.get("until")
    match raw["stage"]:
        case "sent":
            return f"sent by {raw['channel']}"
        case "suppressed":
            return f"not sent: {raw['reason']}"
        case "scheduled" if until is not None:
            return f"waits until {until:%Y-%m-%d %H:%M}, {raw['reason']}"
        case "scheduled":
            return "waits"
        case stage:
            return str(stage)


Found = Mapping[str, str]


def word(found: Found) -> EventData:
    kind = ConsentWithdrawn if found["word"] == "withdraws" else ConsentGiven
    words = {"topic": found["topic"], "channel": found["channel"], "evidence": {"source": "web"}}
    return kind.model_validate(words)


async def registered(life: Life, found: Found) -> None:
    await life.tell(found["who"], *([word(found)] if found["topic"] else []))


async def agreed(life: Life, found: Found) -> None:
    await life.tell(found["who"], word(found))


async def moved(life: Life, found: Found) -> None:
    await life.tell(found["who"], CustomerChanged(time_zone=found["zone"]))


async def preferred(life: Life, found: Found) -> None:
    changed = CustomerChanged.model_validate({"preferred_channel": found["channel"]})
    await life.tell(found["who"], changed)


async def called(life: Life, found: Found) -> None:
    phone = Identifier(kind="phone", hash="phone", epoch=1, value=found["phone"])
    await life.tell(found["who"], IdentifierAdded(identifier=phone))


async def spoiled(life: Life, found: Found) -> None:
    await life.tell(found["who"], BAD)


async def refused(life: Life, _found: Found) -> None:
    life.desk.channel.answer = answering(Rejected("550 5.1.1"))


async def wanted(life: Life, found: Found) -> None:
    life.steps += 1
    why = Causation("c", f"cause@{life.steps}", 1)
    occurred = moment(found["of"]) if found["of"] else None
    occasion = Occasion(
        found["campaign"],
        found["who"].lower(),
        f"lapsed@{life.steps}",
        "email",
        why,
        occurred=occurred,
    )
    await schedule(life.desk.writer(), [occasion])


async def steered(life: Life, found: Found) -> None:
    act = {"paused": pause, "resumed": resume, "stopped": stop}[found["how"]]
    await act(life.desk.writer(), life.request(), found["campaign"])


async def nothing(_life: Life, _found: Found) -> None:
    """Time passes."""


CONSENT = r"(?P<word>agrees to|withdraws) (?P<topic>\w+) by (?P<channel>\w+)"
HAPPENINGS: Sequence[tuple[str, Callable[[Life, Found], Any]]] = (
    (rf"(?P<who>\w+) registers( and {CONSENT})?", registered),
    (rf"(?P<who>\w+) {CONSENT}", agreed),
    (r"(?P<who>\w+) lives in (?P<zone>\S+)", moved),
    (r"(?P<who>\w+) prefers (?P<channel>\w+)", preferred),
    (r"(?P<who>\w+) has the phone (?P<phone>\S+)", called),
    (r"(?P<who>\w+)'s mail turns out bad", spoiled),
    (r"the mail server refuses for good", refused),
    (r"(?P<who>\w+) is to get (?P<campaign>\w+)( of (?P<of>[\d\- :]+))?", wanted),
    (r"(?P<campaign>\w+) is (?P<how>paused|resumed|stopped)", steered),
    (r"nothing", nothing),
)


async def happen(life: Life, line: Line) -> None:
    for pattern, act in HAPPENINGS:
        if found := re.fullmatch(pattern, line.what):
            await act(life, found.groupdict(default=""))
            return
    pytest.fail(f"nobody knows what happens: {line.what}")


def test_there_are_eleven_examples() -> None:
    assert [example.title.partition(".")[0] for example in EXAMPLES] == [
        str(number) for number in range(1, 12)
    ]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.title)
async def test_an_example_is_so_at_every_line(example: Example) -> None:
    life = await Life.of(example)
    desk = life.desk
    for line in example.lines:
        desk.clock.advance(line.at - desk.clock.moment)
        await happen(life, line)
        # W lies after what has just happened, at the very moment of the line.
        desk.reached = desk.clock.moment + timedelta(milliseconds=1)
        await life.pass_on()
        assert life.messages() == line.messages, line


def test_all_reasons_stand_on_the_page_with_their_sentences() -> None:
    rows = [f"| `{reason}` | {sentence} |" for reason, sentence in SUPPRESSED.items()]
    _, _, table = TEXT.partition("## All reasons")
    assert table.strip().splitlines()[2:] == rows
