"""The demo's segments over the real year are those of a plain recomputation, at every moment of it.

The receipts go the way of the product, with stores in memory and without its servers: read as tills
send them, decided, encoded, folded by the profiles that decide, whose transitions the read model of
members folds. The recomputation shares nothing with it (`tests/e2e/recomputed.py`).

Of 40 households; with `REGULARS_LONG_TESTS=1` of all 2,469, which takes some minutes.
"""

import os
from bisect import bisect_right
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache

import msgspec
import pytest

from deploy.demo.dataset import load
from deploy.demo.definitions import SEGMENTS
from services.interaction.domain.facts import decide_fact
from services.interaction.handlers.incoming.hot import hot_receipt
from services.segment.engine.profile import Profile
from services.segment.engine.stepping import Engine
from services.segment.projections import profiles_v2
from services.segment.projections.members import Interval, Member, members_v2
from services.segment.queries.members import logged_at
from services.segment.rules.reading import parse_rule
from services.segment.rules.ruleset import LiveRule, RuleSet
from shared.clock import ManualClock
from shared.envelope import Causation, Placed, encode
from shared.events.contract import show_moment
from shared.identifiers import IdentifierRules
from shared.memory import MemoryDocuments, MemoryParking
from shared.progress import Progress
from shared.projection import Stepped
from shared.projector import Errands, Folder, SteppedFolder
from shared.testing import LoggedRecord
from tests.e2e.recomputed import AS_OF, Expected, Membership, expected

LONG = "REGULARS_LONG_TESTS"
HOUSEHOLDS = None if LONG in os.environ else 40
if LONG in os.environ:
    pytestmark = pytest.mark.timeout(3600)
BEFORE = datetime(2016, 12, 1, tzinfo=UTC)
TOPIC = "interaction.events.v1"
BATCH = 500
SECOND = timedelta(seconds=1)
IMPORT = "year"
DATES = (
    *(datetime(2017, month, 1, tzinfo=UTC) for month in (2, 3, 4, 5, 7, 9, 11)),
    datetime(2017, 6, 15, 17, 30, tzinfo=UTC),
    datetime(2017, 12, 24, 12, tzinfo=UTC),
    AS_OF,
)


@dataclass(slots=True)
class Rules:
    """Implements `SteppedSource`: the demo's segments, all defined at one moment."""

    at: datetime
    number: int = 1
    stepped: Stepped[Profile] = field(init=False)

    def __post_init__(self) -> None:
        live = {
            name: LiveRule(1, parse_rule(each["rule"]), self.at, f"segment-{name}@1", "chain")
            for name, each in SEGMENTS.items()
        }
        self.stepped = profiles_v2(Engine(RuleSet(1, live, self.at, {}, (self.at,))))

    async def refresh(self) -> None:
        """There is nothing newer."""


@dataclass(slots=True)
class Owner:
    """The owner of the one partition, and who reads what it logs."""

    rules: Rules
    documents: MemoryDocuments = field(default_factory=MemoryDocuments)
    folder: SteppedFolder[Profile] = field(init=False)
    errands: Errands[Profile] = field(init=False)

    def __post_init__(self) -> None:
        projection = self.rules.stepped.projection
        self.folder = SteppedFolder(
            projection, self.documents, MemoryParking(), None,
            source=self.rules, stepped_documents=self.documents, clock=ManualClock(AS_OF),
            service="segment", append_deadline=timedelta(hours=1),
        )  # fmt: skip
        passed = AS_OF + SECOND
        told = [
            Progress(topic.split(".", 1)[0], passed, passed, {topic: {0: 0}})
            for topic in projection.topics
        ]
        self.errands = Errands(self.folder, projection.topics, lambda: told)

    async def fold(self, records: Sequence[LoggedRecord]) -> None:
        for begin in range(0, len(records), BATCH):
            await self.folder.fold(records[begin : begin + BATCH])

    async def pass_the_end(self) -> None:
        """Live what the import has brought."""
        while not await self.errands.pass_barrier(end_of_import(), {}):
            pass

    async def wake(self) -> None:
        """Let everything happen that was due by the end of the year."""
        while await self.errands.run_slice([0], {}):
            pass

    async def members(self) -> dict[tuple[str, int], Member]:
        """By segment and household."""
        documents = MemoryDocuments()
        reader = Folder(members_v2, documents, MemoryParking())
        for commit in self.documents.commits.commits:
            key = commit.key.encode()
            log = [LoggedRecord("topic", 0, 0, key, text.encode()) for text in commit.events]
            await reader.fold(log)
        found = [msgspec.convert(raw, Member) for raw in documents.everything()]
        return {(each.segment, int(each.customer)): each for each in found}


@cache
def sent() -> Sequence[bytes]:
    """The receipts of the year in the order of time, as tills send them."""
    items = sorted(load(HOUSEHOLDS).receipts(), key=lambda item: item["time"])
    return [msgspec.json.encode(item) for item in items]


@cache
def receipts(history: str | None) -> Sequence[LoggedRecord]:
    """Their events, of one partition; with the import, if it is one.

    Without, each was recorded when it happened; with it, all of them at the end of the year.
    """
    rules, versions = IdentifierRules(bytes(32)), dict[str, int]()
    log = []
    for offset, item in enumerate(sent()):
        read = hot_receipt(item)
        assert read is not None
        assert read.identifier is not None
        household = read.identifier.value
        versions[household] = version = versions.get(household, 0) + 1
        (decided,) = decide_fact(read.sent(rules, AS_OF).command, None)
        placed = Placed(
            data=decided.data, service="interaction", stream=f"interaction-{household}",
            version=version, time=decided.time, recorded=AS_OF if history else decided.time,
            causation=Causation("chain", history=history), subject=household,
            branch=decided.branch,
        )  # fmt: skip
        log.append(LoggedRecord(TOPIC, 0, offset, household.encode(), encode(placed).encode()))
    return log


def end_of_import() -> LoggedRecord:
    now = show_moment(AS_OF)
    value = (
        f'{{"type":"import.ended.v1","stream":"import-{IMPORT}","streamversion":2,"time":"{now}",'
        f'"recordedtime":"{now}","data":{{"import_id":"{IMPORT}","facts":1}}}}'
    )
    stamp = int(AS_OF.timestamp() * 1_000)
    return LoggedRecord(TOPIC, 0, 0, IMPORT.encode(), value.encode(), stamp)


async def lived_as_it_came() -> Owner:
    owner = Owner(Rules(BEFORE))
    await owner.fold(receipts(None))
    return owner


async def lived_at_the_end_of_its_import() -> Owner:
    owner = Owner(Rules(AS_OF - SECOND))
    await owner.fold(receipts(IMPORT))
    assert owner.documents.commits.commits == []
    await owner.pass_the_end()
    return owner


def moments_of(member: Member | None) -> Membership:
    """When the household entered and left, up to the end of the year."""
    intervals: Sequence[Interval] = [] if member is None else member.intervals
    return Membership(
        [each.entered for each in intervals if each.entered <= AS_OF],
        [each.exited for each in intervals if each.exited <= AS_OF],
    )


@pytest.fixture(scope="module")
def right() -> Expected:
    """What the files say."""
    return expected(HOUSEHOLDS)


@pytest.mark.parametrize("live", [lived_as_it_came, lived_at_the_end_of_its_import])
async def test_members_entered_and_exited_are_those_of_a_plain_recomputation(
    live: Callable[[], Awaitable[Owner]], right: Expected
) -> None:
    owner = await live()
    await owner.wake()
    members = await owner.members()
    for segment, lives in right.memberships.items():
        of_segment = {who: each for (name, who), each in members.items() if name == segment}
        for date in DATES:
            inside = {who for who, each in of_segment.items() if logged_at(each, date)}
            intervals = [each for member in of_segment.values() for each in member.intervals]
            entered = sum(each.entered <= date for each in intervals)
            exited = sum(each.exited <= date for each in intervals)
            assert inside == set(right.members(segment, date)), (segment, date)
            assert entered == sum(bisect_right(each.entered, date) for each in lives.values())
            assert exited == sum(bisect_right(each.exited, date) for each in lives.values())
        for household, life in lives.items():
            assert moments_of(of_segment.get(household)) == life, (segment, household)
