"""The page for marketers: every line of its examples is lived by the engine, at its moment."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from services.segment.engine.profile import Profile
from services.segment.engine.stepping import Engine
from services.segment.projections.profiles import profiles_v2
from services.segment.rules.reading import parse_rule
from services.segment.rules.ruleset import LiveRule, RuleSet
from services.segment.rules.sentences.tree import describe
from shared.decider import NewEvent
from shared.envelope import Causation, Placed, decode_light, encode
from shared.events.contract import EventData
from shared.events.customer import (
    ConsentGiven,
    ConsentWithdrawn,
    CustomerChanged,
    CustomerRegistered,
)
from shared.events.deal import DealOpened, DealStageMoved, Terms
from shared.events.interaction import (
    ReceiptRecorded,
    ReceiptReturned,
    ReceiptVoided,
    VisitRecorded,
)
from shared.projection import Event
from shared.wording import Languages

PAGE = Path(__file__).resolve().parents[2] / "docs" / "how-segments-think.md"
ENGLISH = Languages().wording("en")
EXAMPLE = re.compile(
    r"^## (?P<title>\d+\..*?)$.*?^\*In words:\* (?P<sentence>.*?)$"
    r".*?^```json\n(?P<rule>.*?)^```$.*?^\| --- \|[^\n]*\n(?P<lines>(?:\|[^\n]*\n)+)",
    re.MULTILINE | re.DOTALL,
)
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Line:
    """One line of an example's table."""

    at: datetime
    what: str
    inside: bool


@dataclass(frozen=True)
class Example:
    """One example of the page."""

    title: str
    sentence: str
    rule: dict[str, Any]
    lines: Sequence[Line]


def moment(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%d %H:%M").replace(tzinfo=UTC)


def lines_of(table: str) -> list[Line]:
    rows = [[cell.strip() for cell in row.strip("|").split("|")] for row in table.splitlines()]
    return [Line(moment(at), what, {"yes": True, "no": False}[answer]) for at, what, answer in rows]


EXAMPLES = [
    Example(found["title"], found["sentence"], json.loads(found["rule"]), lines_of(found["lines"]))
    for found in EXAMPLE.finditer(PAGE.read_text(encoding="utf-8"))
]
RULES = {"spenders": EXAMPLES[2].rule}


@dataclass
class Life:
    """A customer to whom the lines of a table happen."""

    engine: Engine
    profile: Profile | None = None
    log: list[NewEvent] = field(default_factory=list)
    versions: dict[str, int] = field(default_factory=dict)
    receipts: list[ReceiptRecorded] = field(default_factory=list)

    def tell(self, data: EventData, stream: str, time: datetime, recorded: datetime) -> None:
        self.versions[stream] = version = self.versions.get(stream, 0) + 1
        branch = self.branch
        placed = Placed(
            data, "test", stream, version, time, recorded, Causation("k"),
            subject="c1", branch=branch,
        )  # fmt: skip
        light = decode_light(encode(placed).encode())
        reads = profiles_v2(self.engine).projection.reads
        event = Event(light, msgspec.json.decode(light.data, type=reads[light.type]), 3)
        self.note(self.engine.step(self.profile, event))

    branch: str | None = None

    def note(self, outcome: tuple[Profile, Sequence[NewEvent]]) -> None:
        self.profile, events = outcome
        self.log += events

    def until(self, at: datetime) -> None:
        """Let time pass up to a moment, which counts."""
        if self.profile is not None:
            self.note(self.engine.wake(self.profile, at + timedelta(milliseconds=1)))

    @property
    def inside(self) -> set[str]:
        return set() if self.profile is None else set(self.profile.memberships)


def minor(amount: str) -> int:
    return int(Decimal(amount) * 100)


def receipt(life: Life, at: datetime, found: Mapping[str, str]) -> None:
    fact = f"receipt {len(life.receipts)}"
    total = minor(found["total"])
    data = ReceiptRecorded(
        fact=fact, source="pos", source_id=fact, total=total, coupon_lines=0, lines=()
    )
    life.receipts.append(data)
    life.branch = found["branch"] or None
    time = moment(found["time"]) if found["time"] else at
    life.tell(data, "interaction-c1", time, at)
    life.branch = None


def given_back(life: Life, at: datetime, found: Mapping[str, str]) -> None:
    of = life.receipts[-1]
    data = ReceiptReturned(
        fact="return", source="pos", source_id="2", receipt=of.fact, bought=LONG_AGO,
        total=minor(found["total"]), lines=(),
    )  # fmt: skip
    life.tell(data, "interaction-c1", at, at)


def void(life: Life, at: datetime, _found: Mapping[str, str]) -> None:
    of = life.receipts[-1]
    data = ReceiptVoided(
        fact="void",
        source="pos",
        source_id="3",
        receipt=of.fact,
        bought=LONG_AGO,
        bought_at="12",
        total=0,
        lines=(),
    )
    life.tell(data, "interaction-c1", at, at)


def visit(life: Life, at: datetime, _found: Mapping[str, str]) -> None:
    data = VisitRecorded(fact="visit", source="pos", source_id="4", visit="1", state="walked_in")
    life.tell(data, "interaction-c1", at, at)


def registered(life: Life, at: datetime, found: Mapping[str, str]) -> None:
    data = CustomerRegistered(birth_date=found["born"] or None, city=found["city"] or None)
    life.tell(data, "customer-c1", at, at)


def changed(life: Life, at: datetime, found: Mapping[str, str]) -> None:
    life.tell(CustomerChanged(city=found["city"]), "customer-c1", at, at)


def consent(life: Life, at: datetime, found: Mapping[str, str]) -> None:
    kind = ConsentGiven if found["word"] == "agrees to" else ConsentWithdrawn
    words = {"topic": found["topic"], "channel": found["channel"], "evidence": {"source": "web"}}
    data = kind.model_validate_json(json.dumps(words))
    life.tell(data, "customer-c1", at, at)


def deal_opened(life: Life, at: datetime, found: Mapping[str, str]) -> None:
    stage = found["stage"]
    data = DealOpened(deal="d1", pipeline="sales", stage=stage, terms=Terms(amount=0))
    life.tell(data, "deal-d1", at, at)


def deal_moved(life: Life, at: datetime, found: Mapping[str, str]) -> None:
    data = DealStageMoved(deal="d1", pipeline="sales", before="offer", stage=found["stage"])
    life.tell(data, "deal-d1", at, at)


def nothing(_life: Life, _at: datetime, _found: Mapping[str, str]) -> None:
    """Time passes."""


RECEIPT = (
    r"receipt of (?P<total>[\d.]+)( in branch (?P<branch>\w+))?"
    r"( that happened on (?P<time>[\d\- :]+))?"
)
HAPPENINGS: Sequence[tuple[str, Callable[[Life, datetime, Mapping[str, str]], None]]] = (
    (RECEIPT, receipt),
    (r"return of (?P<total>[\d.]+)", given_back),
    (r"void", void),
    (r"visit", visit),
    (r"registered(, born (?P<born>[\d-]+))?(, city (?P<city>\w+))?", registered),
    (r"changed, city (?P<city>\w+)", changed),
    (r"(?P<word>agrees to|withdraws) (?P<topic>\w+) by (?P<channel>\w+)", consent),
    (r"deal opened in stage (?P<stage>\w+)", deal_opened),
    (r"deal moved to stage (?P<stage>\w+)", deal_moved),
    (r"nothing", nothing),
)


def happen(life: Life, line: Line) -> None:
    for pattern, act in HAPPENINGS:
        if found := re.fullmatch(pattern, line.what):
            act(life, line.at, found.groupdict(default=""))
            return
    pytest.fail(f"nobody knows what happens: {line.what}")


def test_there_are_ten_examples() -> None:
    assert [example.title.partition(".")[0] for example in EXAMPLES] == [
        str(number) for number in range(1, 11)
    ]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.title)
def test_an_example_is_so_at_every_line(example: Example) -> None:
    live = {
        name: LiveRule(1, parse_rule(raw), LONG_AGO, f"segment-{name}@1", "chain")
        for name, raw in {**RULES, "it": example.rule}.items()
    }
    life, before = Life(Engine(RuleSet(1, live, LONG_AGO))), False
    for line in example.lines:
        happen(life, line)
        life.until(line.at)
        assert ("it" in life.inside) is line.inside, line
        if line.inside is not before:
            changes = [event for event in life.log if event.data.model_dump()["segment"] == "it"]
            assert changes[-1].time == line.at, line
        before = line.inside


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.title)
def test_an_example_is_said_as_the_product_says_it(example: Example) -> None:
    assert describe(parse_rule(example.rule), ENGLISH) == example.sentence
