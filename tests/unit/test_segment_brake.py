"""The wave brake on memory: what is counted, what is held, and what a person's yes lets go on."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import httpx2
import msgspec
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from structlog.testing import capture_logs

from services.segment.api import DefinitionApi, Speech, Standings, SteeringApi
from services.segment.domain import Brake
from services.segment.engine.profile import Profile
from services.segment.engine.reported import Recorded
from services.segment.engine.stepping import HORIZON, Engine
from services.segment.handlers.braking import BrakeWatch
from services.segment.handlers.definitions import load_rules
from services.segment.handlers.trials import TrialCount, trial_job
from services.segment.projections.members import Because, Transition
from services.segment.projections.waves import WAVES
from services.segment.queries.brake import Base, Evaluations, Movements
from services.segment.queries.definitions import Definitions
from services.segment.queries.members import Figures
from services.segment.queries.profiles import Profiles
from services.segment.rules.ruleset import RuleSet
from shared.access import Authenticator, Role, issue
from shared.clock import ManualClock
from shared.envelope import Light
from shared.events.segment import SegmentEntered, SegmentExited
from shared.execute import Writer
from shared.http import build_app
from shared.jobs import JobRunner, Jobs, kinds_by_name
from shared.keyring import Keyring
from shared.memory import (
    MemoryApiKeys,
    MemoryDocuments,
    MemoryEventStore,
    MemoryJobs,
    MemoryKeyStore,
    MemoryLeases,
)
from shared.projection import Event
from shared.testing import client_of
from shared.testing.collections import MemoryQuestions

SECRET = bytes(32)
NOW = datetime(2026, 6, 15, tzinfo=UTC)
HOUR = timedelta(hours=1)
COUNT = {"kind": "receipts", "aggregate": "count"}
BOUGHT = {**COUNT, "compare": {"op": ">=", "value": 1}}
TWICE = {**COUNT, "compare": {"op": ">=", "value": 2}}
Json = Any


@dataclass(frozen=True, slots=True)
class NoMembers:
    """Figures of segments that nobody is in."""

    async def figures(self) -> dict[str, Figures]:
        return {}


@dataclass(slots=True)
class Town:
    """A segment service on memory with a base of its own, beyond ten customers braked at 20 %."""

    store: MemoryEventStore = field(default_factory=MemoryEventStore)
    keys: MemoryApiKeys = field(default_factory=MemoryApiKeys)
    profiles: MemoryDocuments = field(default_factory=MemoryDocuments)
    waves: MemoryDocuments = field(default_factory=MemoryDocuments)
    notes: MemoryDocuments = field(default_factory=MemoryDocuments)
    clock: ManualClock = field(default_factory=lambda: ManualClock(NOW))
    brake: Brake = field(default_factory=lambda: Brake(20, 10, HOUR))
    jobs: Jobs = field(init=False)
    writer: Writer = field(init=False)

    def __post_init__(self) -> None:
        keyring = Keyring(MemoryKeyStore(), AESGCM(bytes(32)))
        self.writer = Writer(self.store, keyring, self.clock, "segment")
        self.jobs = Jobs(MemoryJobs(), self.clock)

    @property
    def definitions(self) -> Definitions:
        return Definitions(self.writer)

    @property
    def standings(self) -> Standings:
        return Standings(
            self.store,
            Base(MemoryQuestions(self.profiles)),
            Movements(MemoryQuestions(self.waves)),
            Evaluations(self.notes),
            self.jobs.store,
        )

    @property
    def trials(self) -> TrialCount:
        profiles = Profiles(MemoryQuestions(self.profiles))
        return TrialCount(
            self.writer,
            self.definitions,
            profiles,
            self.jobs.store,
            self.clock,
            HORIZON,
            self.brake,
        )

    @property
    def watch(self) -> BrakeWatch:
        standings = self.standings
        return BrakeWatch(
            self.writer, standings.base, standings.movements,
            standings.evaluations, self.jobs, MemoryLeases(self.clock), "me", self.clock, HORIZON,
            self.brake,
        )  # fmt: skip

    async def look(self) -> None:
        """What a worker does in a second, and its jobs."""
        await self.watch.look()
        runner = JobRunner(
            self.jobs.store,
            MemoryLeases(self.clock),
            self.clock,
            kinds_by_name([self.trials]),
            "me",
        )
        await runner.look()
        await runner.settle()

    async def knows(self, customer: str, receipts: int, **state: Json) -> None:
        """A customer with so many receipts, a day apart."""
        profile: Profile | None = None
        engine = Engine(RuleSet(0, {}))
        for version in range(1, receipts + 1):
            time = NOW - timedelta(days=30 - version)
            light = Light(
                "interaction.receipt_recorded.v1", f"interaction-{customer}", version, time, time,
                msgspec.Raw(b""), customer,
            )  # fmt: skip
            profile, _ = engine.step(profile, Event(light, Recorded(f"{version}", 100, 0), 0))
        profile = profile or Profile(id=customer, rules=0, clock=NOW)
        stored = msgspec.structs.replace(profile, rev=1, **state)
        await self.profiles.write([msgspec.to_builtins(stored, builtin_types=(datetime, bytes))])

    async def base(self, *receipts: int) -> None:
        """Customers with so many receipts each."""
        for number, count in enumerate(receipts):
            await self.knows(f"c{number:03}", count)

    async def revised(self) -> None:
        """What the owners of partitions do with everybody."""
        engine = Engine(await load_rules(self.store))
        for raw in self.profiles.everything():
            after, _ = engine.revise(msgspec.convert(raw, Profile), self.clock.now())
            after.rev += 1
            await self.profiles.write([msgspec.to_builtins(after, builtin_types=(datetime, bytes))])

    async def members(self, segment: str) -> list[str]:
        return [
            raw["_id"]
            for raw in self.profiles.everything()
            if segment in raw.get("memberships", {})
        ]

    async def moves(self, segment: str, customers: Sequence[str], kind: str = "event") -> None:
        """Transitions that are recorded now, as they come from Kafka."""
        for customer in customers:
            light = Light(
                SegmentEntered.type, f"membership-{customer}", 1, self.clock.now(),
                self.clock.now(), msgspec.Raw(b""), customer,
            )  # fmt: skip
            event = Event(light, Transition(segment, 1, Because(kind)), 0)
            target = WAVES.target(event)
            if isinstance(target, str):
                after = WAVES.apply(None, event)
                after.rev = 1
                await self.waves.write([msgspec.to_builtins(after, builtin_types=(datetime,))])

    async def caller(self, role: Role = Role.OWNER, *branches: str) -> httpx2.AsyncClient:
        text, stored = issue(SECRET, title="test", roles=[role], branches=branches or None)
        await self.keys.add(stored)
        shared: Json = {
            "writer": self.writer, "definitions": self.definitions, "clock": self.clock,
            "horizon": HORIZON, "standings": self.standings, "brake": self.brake,
            "speech": Speech.read(),
        }  # fmt: skip
        defining = DefinitionApi(members=cast("Any", NoMembers()), **shared)
        steering = SteeringApi(**shared)
        app = build_app(
            title="test",
            service="segment",
            routers=[defining.router(), steering.router()],
            authenticator=Authenticator(self.keys, SECRET),
            readiness=self._readiness,
        )
        return client_of(app, text)

    async def _readiness(self) -> Json:
        return {}


@pytest.fixture
def town() -> Town:
    """An empty town."""
    return Town()


@pytest.fixture
async def owner(town: Town) -> AsyncIterator[httpx2.AsyncClient]:
    """Somebody who may do all."""
    async with await town.caller() as client:
        yield client


async def define(client: httpx2.AsyncClient, rule: Json, title: str = "A") -> None:
    seen = await client.get("/v1/segments/a")
    tag = {"If-Match": seen.headers["ETag"]} if seen.status_code == 200 else {}
    body = {"title": title, "rule": rule}
    answer = await client.put("/v1/segments/a", json=body, headers=tag)
    assert answer.status_code == 200, answer.text


async def post(client: httpx2.AsyncClient, path: str, **keywords: Json) -> httpx2.Response:
    return await client.post(f"/v1/segments/a/{path}", **keywords)


async def shown(client: httpx2.AsyncClient) -> Json:
    return (await client.get("/v1/segments/a")).json()


# A new definition


async def test_few_customers_are_asked_at_once(town: Town, owner: httpx2.AsyncClient) -> None:
    await town.base(*[1] * 9)
    await define(owner, BOUGHT)
    found = await shown(owner)
    assert (found["stands"], found["trial"], found["held"]) == (1, None, None)
    assert found["evaluation"] == {"stage": "evaluating", "done": 0, "of": 9, "finished_at": None}
    await town.revised()
    assert len(await town.members("a")) == 9


async def test_a_definition_that_moves_few_enough_stands_after_the_count(
    town: Town, owner: httpx2.AsyncClient
) -> None:
    await town.base(*[0] * 8, 1, 1)
    await define(owner, BOUGHT)
    found = await shown(owner)
    assert (found["stands"], found["trial"]) == (None, 1)
    assert found["evaluation"] == {"stage": "counting", "done": 0, "of": 10, "finished_at": None}
    await town.look()
    # Two of ten are 20 %, and no more than that.
    found = await shown(owner)
    assert (found["stands"], found["trial"], found["held"]) == (1, None, None)


async def test_one_that_moves_more_waits_for_a_yes_and_nobody_moves(
    town: Town, owner: httpx2.AsyncClient
) -> None:
    await town.base(*[0] * 7, 1, 1, 1)
    await define(owner, BOUGHT)
    with capture_logs() as logs:
        await town.look()
    assert [line["alarm"] for line in logs if line["log_level"] == "error"] == ["segment-held"]
    found = await shown(owner)
    assert found["held"] == {
        "why": "definition", "base": 10, "entering": 3, "leaving": 0, "moved": None, "since": None,
    }  # fmt: skip
    await town.revised()
    assert await town.members("a") == []
    assert (await post(owner, "release")).status_code == 200
    await town.revised()
    assert len(await town.members("a")) == 3
    assert (await shown(owner))["stands"] == 1


async def test_who_would_leave_counts_too_and_who_can_be_in_none_does_not(
    town: Town, owner: httpx2.AsyncClient
) -> None:
    await town.base(*[1] * 9)
    await define(owner, BOUGHT)
    await town.revised()
    for number, state in enumerate(({"away": True}, {"crowded": True}, {"removed": True})):
        await town.knows(f"d{number}", 2, **state)
    await define(owner, TWICE)
    await town.look()
    held = (await shown(owner))["held"]
    assert (held["base"], held["entering"], held["leaving"]) == (9, 0, 9)


async def test_a_count_that_was_killed_goes_on_where_it_was(
    town: Town, owner: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.segment.handlers.trials.RANGE", 2)
    await town.base(1, 1, 1, 0, 0, 0, 0, 0, 0, 0)
    await define(owner, BOUGHT)
    await town.watch.look()
    job = await town.jobs.store.get(trial_job("a", 1))
    assert job is not None
    clock, leases = town.clock, MemoryLeases(town.clock)
    first = JobRunner(town.jobs.store, leases, clock, kinds_by_name([town.trials]), "first")
    await first.look()
    while (await town.jobs.store.get(job.id)).position < 4:  # type: ignore[union-attr] # it is there
        await asyncio.sleep(0)
    for task in first._running.values():  # noqa: SLF001 - as a kill ends it: without a word
        task.cancel()
    await asyncio.sleep(0)
    clock.advance(timedelta(minutes=5))
    second = JobRunner(town.jobs.store, leases, clock, kinds_by_name([town.trials]), "second")
    await second.look()
    await second.settle()
    held = (await shown(owner))["held"]
    assert (held["entering"], held["base"]) == (3, 10)
    done = await town.jobs.store.get(job.id)
    assert done is not None
    assert done.position == 10


async def test_what_is_half_evaluated_is_stopped_and_moved_back(
    town: Town, owner: httpx2.AsyncClient
) -> None:
    await town.base(*[1] * 5, *[2] * 4)
    await define(owner, BOUGHT)
    await town.revised()
    await town.look()
    assert (await shown(owner))["evaluation"]["stage"] == "finished"
    assert (await post(owner, "evaluation/stop")).status_code == 409
    town.clock.advance(HOUR)
    await define(owner, TWICE, "B")
    engine = Engine(await load_rules(town.store))
    half = town.profiles.everything()[0]
    after, left = engine.revise(msgspec.convert(half, Profile), town.clock.now())
    assert [event.data.type for event in left] == [SegmentExited.type]
    after.rev += 1
    await town.profiles.write([msgspec.to_builtins(after, builtin_types=(datetime, bytes))])
    found = await shown(owner)
    assert found["evaluation"] == {"stage": "evaluating", "done": 1, "of": 9, "finished_at": None}
    assert (await post(owner, "evaluation/stop")).status_code == 200
    town.clock.advance(HOUR)
    await town.revised()
    assert len(await town.members("a")) == 9
    found = await shown(owner)
    assert (found["stands"], found["title"]) == (1, "A")


async def test_the_end_of_an_evaluation_is_noted_once(
    town: Town, owner: httpx2.AsyncClient
) -> None:
    await town.base(1)
    await define(owner, BOUGHT)
    await town.look()
    assert (await shown(owner))["evaluation"]["finished_at"] is None
    await town.revised()
    await town.look()
    town.clock.advance(HOUR)
    await town.look()
    evaluation = (await shown(owner))["evaluation"]
    assert evaluation == {
        "stage": "finished", "done": 1, "of": 1, "finished_at": "2026-06-15T00:00:00Z",
    }  # fmt: skip


# Versions


async def test_versions_are_told_with_their_sentence_time_and_author(
    town: Town, owner: httpx2.AsyncClient
) -> None:
    await define(owner, BOUGHT)
    town.clock.advance(HOUR)
    await define(owner, TWICE, "B")
    items = (await owner.get("/v1/segments/a/versions")).json()["items"]
    assert [(each["definition"], each["title"], each["stands"]) for each in items] == [
        (2, "B", True),
        (1, "A", False),
    ]
    assert [each["at"] for each in items] == ["2026-06-15T01:00:00Z", "2026-06-15T00:00:00Z"]
    assert items[0]["by"] == items[1]["by"]
    assert items[0]["by"]
    assert items[0]["rule"] == TWICE
    assert "2" in items[0]["sentence"]


@pytest.mark.parametrize(
    ("asked", "accepted", "sentence"),
    [
        ({}, "", "bought at least once"),
        ({"language": "ru"}, "", "покупка была хотя бы раз"),
        ({}, "ru-RU, en;q=0.5", "покупка была хотя бы раз"),
        ({"language": "en"}, "ru", "bought at least once"),
    ],
)
async def test_a_rule_is_said_in_the_language_of_who_asks(
    owner: httpx2.AsyncClient, asked: dict[str, str], accepted: str, sentence: str
) -> None:
    await define(owner, BOUGHT)
    wanted: Json = {"params": asked, "headers": {"Accept-Language": accepted}}
    one = (await owner.get("/v1/segments/a", **wanted)).json()
    (listed,) = (await owner.get("/v1/segments", **wanted)).json()["items"]
    assert (one["sentence"], listed["sentence"]) == (sentence, sentence)


async def test_an_old_version_is_restored_by_who_has_seen_the_present_one(
    town: Town, owner: httpx2.AsyncClient
) -> None:
    del town
    await define(owner, BOUGHT)
    await define(owner, TWICE, "B")
    assert (await post(owner, "restore", json={"definition": 1})).status_code == 428
    seen = {"If-Match": '"2"'}
    assert (await post(owner, "restore", json={"definition": 7}, headers=seen)).status_code == 422
    assert (await post(owner, "restore", json={"definition": 1}, headers=seen)).status_code == 200
    found = await shown(owner)
    assert (found["definition"], found["title"], found["rule"]) == (3, "A", BOUGHT)


@pytest.mark.parametrize("path", ["release", "evaluation/stop"])
async def test_only_who_may_write_the_whole_chain_says_yes_or_stop(town: Town, path: str) -> None:
    for caller in (await town.caller(Role.READER), await town.caller(Role.OWNER, "b1")):
        async with caller as client:
            assert (await post(client, path)).status_code == 403


async def test_nothing_is_there_to_release(town: Town, owner: httpx2.AsyncClient) -> None:
    del town
    assert (await post(owner, "release")).status_code == 404
    await define(owner, BOUGHT)
    assert (await post(owner, "release")).json()["type"].endswith("nothing-held")


# Waves


async def lived(town: Town, owner: httpx2.AsyncClient) -> None:
    """Ten customers in peace, and a rule that stands."""
    await define(owner, BOUGHT)
    await town.base(*[0] * 10)
    town.clock.advance(HOUR)


async def test_a_wave_of_events_is_held_beyond_the_share(
    town: Town, owner: httpx2.AsyncClient
) -> None:
    await lived(town, owner)
    await town.moves("a", ["c000", "c001"])
    await town.look()
    assert (await shown(owner))["held"] is None
    await town.moves("a", ["c002"], "time")
    with capture_logs() as logs:
        await town.look()
    assert [line["alarm"] for line in logs if line["log_level"] == "error"] == ["segment-held"]
    found = await shown(owner)
    assert found["held"] == {
        "why": "wave", "moved": 3, "base": 10, "since": "2026-06-15T00:00:00Z",
        "entering": None, "leaving": None,
    }  # fmt: skip
    assert dict((await load_rules(town.store)).rules) == {}


async def test_a_history_a_merge_and_a_definition_are_no_wave(
    town: Town, owner: httpx2.AsyncClient
) -> None:
    await lived(town, owner)
    for kind in ("history", "merge", "definition"):
        await town.moves("a", [f"{kind}-{number}" for number in range(5)], kind)
    await town.look()
    assert (await shown(owner))["held"] is None


async def test_what_moved_before_the_period_does_not_count(
    town: Town, owner: httpx2.AsyncClient
) -> None:
    await lived(town, owner)
    await town.moves("a", ["c000", "c001"])
    town.clock.advance(HOUR)
    await town.moves("a", ["c002", "c003"])
    await town.look()
    assert (await shown(owner))["held"] is None


async def test_a_yes_lets_go_on_and_does_not_count_again_what_it_let_through(
    town: Town, owner: httpx2.AsyncClient
) -> None:
    await lived(town, owner)
    await town.moves("a", ["c000", "c001", "c002"])
    await town.look()
    assert (await shown(owner))["held"]["moved"] == 3
    town.clock.advance(timedelta(seconds=1))
    assert (await post(owner, "release")).status_code == 200
    await town.look()
    found = await shown(owner)
    assert (found["held"], found["stands"]) == (None, 1)
    await town.moves("a", ["c003", "c004", "c005"])
    await town.look()
    town.clock.advance(timedelta(seconds=1))
    await town.moves("a", ["c006", "c007", "c008"])
    await town.look()
    assert (await shown(owner))["held"]["moved"] == 3


async def test_few_customers_make_no_wave(town: Town, owner: httpx2.AsyncClient) -> None:
    await define(owner, BOUGHT)
    await town.base(*[0] * 9)
    await town.moves("a", [f"c00{number}" for number in range(9)])
    await town.look()
    assert (await shown(owner))["held"] is None


def test_a_share_of_a_hundred_holds_nothing() -> None:
    assert not Brake(100, 1, HOUR).watches(1_000_000)
    assert Brake(99, 1, HOUR).watches(1)
