"""Tables of cut points: what divides a base, what a score answers, and how they reach the rules.

Money is in minor units; days count from 1 January 2026.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import msgspec
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from services.segment.api.tables import TableApi
from services.segment.domain import References, rule_set, segment_stream
from services.segment.domain.tables import (
    DAY,
    DefineTable,
    SetCutPoints,
    cut_points,
    evolve,
    table_stream,
    tables,
)
from services.segment.engine.profile import Profile
from services.segment.engine.reported import Recorded
from services.segment.engine.stepping import HORIZON, Engine
from services.segment.handlers.definitions import load_rules
from services.segment.handlers.tables import CutPointCount, TableSchedule
from services.segment.queries.profiles import Profiles
from services.segment.queries.scoring import Scoring, Tables
from services.segment.rules.language.tree import reads
from services.segment.rules.reading import InvalidRule, parse_rule
from services.segment.rules.ruleset import RuleSet
from services.segment.rules.sentences.tree import describe
from services.segment.rules.tables import Cuts, Figures
from shared.access import Authenticator, Role, issue
from shared.clock import ManualClock
from shared.decider import Refused
from shared.envelope import Causation, Envelope, Light, Placed, decode, encode
from shared.events.contract import EventData
from shared.events.segment import CutPointsSet, SegmentDefined, TableDefined
from shared.execute import Writer
from shared.http import build_app
from shared.jobs import Checkpoint, Jobs
from shared.keyring import Keyring
from shared.memory import (
    MemoryApiKeys,
    MemoryDocuments,
    MemoryEventStore,
    MemoryJobs,
    MemoryKeyStore,
)
from shared.projection import Event
from shared.testing import client_of, given
from shared.testing.collections import MemoryQuestions
from shared.wording import Languages

START = datetime(2026, 1, 1, tzinfo=UTC)
ENGLISH = Languages().wording("en")
BEHAVIOUR = tables(timedelta(days=400))
QUANTILES = TableDefined(table="chain", title="Chain", look_back="P90D", by="key-1")
FIXED = TableDefined(
    table="chain", title="Chain", look_back="P90D", by="key-1",
    recency=(7, 14, 30, 60), frequency=(2, 3, 4, 5), monetary=(100, 200, 300, 400),
)  # fmt: skip
SECRET = bytes(32)
Json = Any


def day(number: float) -> datetime:
    return START + timedelta(days=number)


def define(**changes: Json) -> DefineTable:
    command: dict[str, Any] = {"name": "chain", "title": "Chain", "look_back": "P90D"}
    command |= {"at": START, "by": "key-1"}
    return DefineTable(**(command | changes))


def figures(*spent: int) -> Sequence[Figures]:
    """One customer for each sum: the n-th bought n times, the last time n days ago."""
    return [Figures(n * DAY, n, total) for n, total in enumerate(spent, start=1)]


# What divides a base


def test_a_base_of_ten_is_divided_into_five_pairs() -> None:
    base = figures(*range(100, 1100, 100))
    cuts = cut_points("chain", base)
    # ⌈10·i/5⌉ = 2, 4, 6, 8: the first values after those ranks are the 3rd, 5th, 7th and 9th.
    assert (cuts.recency, cuts.frequency) == ((3, 5, 7, 9), (3, 5, 7, 9))
    assert cuts.monetary == (300, 500, 700, 900)
    scale = Cuts([days * DAY for days in cuts.recency], cuts.frequency, cuts.monetary)
    cells = [scale.scores(each).cell for each in base]
    assert cells == ["511", "511", "422", "422", "333", "333", "244", "244", "155", "155"]


def test_percentiles_say_how_many_percent_stand_below() -> None:
    cuts = cut_points("chain", figures(*range(200)))
    # Of 200 sums, 0 to 199, the p-th cut is the first after ⌈2·p⌉: the sum 2·p.
    assert cuts.spent == tuple(2 * percent for percent in range(1, 100))
    assert len(cuts.receipts) == len(cuts.average) == 99


def test_equal_values_stand_together_and_one_customer_stands_above_nobody() -> None:
    assert cut_points("chain", figures(7, 7, 7, 7, 7)).monetary == (7, 7, 7, 7)
    assert cut_points("chain", figures(7)).monetary == (8, 8, 8, 8)
    assert cut_points("chain", []).monetary == (1, 1, 1, 1)


def test_an_age_is_rounded_up_to_days() -> None:
    base = [Figures(hours * DAY // 24, 1, 1) for hours in (1, 30, 60)]
    # ⌈3·i/5⌉ = 1, 2, 2, 3: 30 hours, 60 hours twice, and one more than the last.
    assert cut_points("chain", base).recency == (2, 3, 3, 3)


# The life of a table


def test_a_table_is_defined_and_the_same_again_is_nothing() -> None:
    given(BEHAVIOUR).when(define()).then([QUANTILES])
    given(BEHAVIOUR, [QUANTILES]).when(define(by="key-2")).then_nothing()
    fixed = define(fixed=((7, 14, 30, 60), (2, 3, 4, 5), (100, 200, 300, 400)))
    given(BEHAVIOUR, [QUANTILES]).when(fixed).then([FIXED])


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"name": "Chain"}, "name"),
        ({"title": " "}, "title"),
        ({"look_back": "P1M"}, "look_back"),
        ({"look_back": "P401D"}, "look_back"),
        ({"every": "PT59M"}, "every"),
        ({"every": "weekly"}, "every"),
        ({"fixed": ((7, 3, 30, 60), (2, 3, 4, 5), (1, 2, 3, 4))}, "fixed.recency"),
        ({"fixed": ((1, 3, 30, 60), (2, 3, 4, 5), (1, 2, 3))}, "fixed.monetary"),
    ],
)
def test_what_cannot_be_a_table_is_refused_by_its_field(
    changes: Mapping[str, Json], path: str
) -> None:
    given(BEHAVIOUR).when(define(**changes)).then_refused("invalid", path)


def test_cut_points_are_set_once_and_only_for_the_definition_that_was_counted() -> None:
    base = figures(100, 200)
    cut = SetCutPoints("chain", 1, base, START)
    expected = cut_points("chain", base)
    given(BEHAVIOUR, [QUANTILES]).when(cut).then([expected])
    given(BEHAVIOUR, [QUANTILES, expected]).when(cut).then_nothing()
    given(BEHAVIOUR, [QUANTILES, FIXED]).when(cut).then_nothing()
    given(BEHAVIOUR).when(cut).then_refused("not-found")


def test_another_look_back_forgets_the_cut_points_and_another_title_does_not() -> None:
    cut = cut_points("chain", figures(100, 200))
    renamed = QUANTILES.model_copy(update={"title": "All"})
    shorter = QUANTILES.model_copy(update={"look_back": "P30D"})
    assert BEHAVIOUR.fold([QUANTILES, cut, renamed]).cut == cut
    assert BEHAVIOUR.fold([QUANTILES, cut, shorter]).cut is None


def test_a_foreign_event_in_the_stream_is_a_fault() -> None:
    segment = SegmentDefined(segment="s", definition=1, title="S", rule={})
    with pytest.raises(TypeError, match="does not belong"):
        evolve(BEHAVIOUR.initial(), segment)


# What reaches the rules

RULE = {"kind": "rfm", "table": "chain", "score": "frequency", "compare": {"op": ">=", "value": 5}}


def logged(data: EventData, stream: str, version: int, at: float) -> Envelope:
    why = Causation(correlation=f"{stream}-{version}")
    return decode(encode(Placed(data, "segment", stream, version, day(at), day(at), why)))


def rules_of(*cuts: CutPointsSet) -> RuleSet:
    """A segment of day 0, a table of day 1, and cut points of the days from 2 on."""
    segment = SegmentDefined(segment="loyal", definition=1, title="Loyal", rule=RULE)
    events = [
        logged(segment, segment_stream("loyal"), 1, 0),
        logged(QUANTILES, table_stream("chain"), 1, 1),
        *(logged(cut, table_stream("chain"), 2 + n, 2 + n) for n, cut in enumerate(cuts)),
    ]
    return rule_set([*reversed(events), *events])


def bought(version: int, at: float, total: int = 100) -> Event:
    light = Light(
        "interaction.receipt_recorded.v1", "interaction-c1", version, day(at), day(at),
        msgspec.Raw(b""), "c1", correlationid="till",
    )  # fmt: skip
    return Event(light, Recorded(f"{version}", total, 0), 0)


def cut_at(frequency: int) -> CutPointsSet:
    return cut_points("chain", []).model_copy(update={"frequency": (1, 1, 1, frequency)})


def test_cut_points_are_part_of_the_numbered_rule_set() -> None:
    rules = rules_of(cut_at(3))
    assert (rules.number, rules.at) == (3, day(2))
    assert rules.rules["loyal"].defined_at == day(2)
    assert rules.surroundings.tables["chain"].look_back == 90 * DAY
    # Without cut points nobody has a score.
    assert rules_of().surroundings.tables["chain"].cuts is None


def test_new_cut_points_ask_those_whom_they_concern_and_are_the_cause() -> None:
    profile: Profile | None = None
    before = Engine(rules_of(cut_at(3)))
    for version in (1, 2):
        profile, events = before.step(profile, bought(version, 2.5))
        assert not events
    assert profile is not None
    # Two receipts are enough from day 3 on.
    _, (entered,) = Engine(rules_of(cut_at(3), cut_at(2))).revise(profile, START)
    assert (entered.time, entered.data.type) == (day(3), "segment.entered.v1")
    assert entered.causation is not None
    assert entered.causation.causation == "table-chain@3"


def test_between_two_settings_a_score_falls_when_a_receipt_leaves_the_look_back() -> None:
    engine = Engine(rules_of(cut_at(2)))
    profile, _ = engine.step(None, bought(1, 5))
    profile, (entered,) = engine.step(profile, bought(2, 6))
    assert entered.time == day(6)
    # The look-back is 90 days: the receipt of day 5 leaves at 95, and one is left of two.
    assert profile.due_at == day(95)
    _, (exited,) = engine.wake(profile, day(96))
    assert (exited.time, exited.data.type) == (day(95), "segment.exited.v1")


# The language


def test_they_look_at_receipts() -> None:
    assert reads(parse_rule(RULE)) == {"receipts"}


@pytest.mark.parametrize(
    ("rule", "sentence"),
    [
        (RULE, "frequency ≥ 5 in chain"),
        (
            {"kind": "rfm_cell", "table": "chain", "cells": ["555", "554"]},
            "RFM cell 555 or 554 in chain",
        ),
        (
            {
                "kind": "percentile",
                "table": "chain",
                "of": "spent",
                "compare": {"op": ">=", "value": 90},
            },
            "percentile of the amount spent ≥ 90 in chain",
        ),
    ],
)
def test_every_form_has_a_sentence(rule: Json, sentence: str) -> None:
    assert describe(parse_rule(rule), ENGLISH) == sentence


@pytest.mark.parametrize(
    ("rule", "path"),
    [
        ({**RULE, "compare": {"op": ">=", "value": 6}}, "rule.compare.value"),
        ({**RULE, "score": "love"}, "rule.score"),
        ({"kind": "rfm_cell", "table": "chain", "cells": ["506"]}, "rule.cells[0]"),
        (
            {
                "kind": "percentile",
                "table": "chain",
                "of": "spent",
                "compare": {"op": "<", "value": 101},
            },
            "rule.compare.value",
        ),
    ],
)
def test_what_is_wrong_is_named_with_its_path(rule: Json, path: str) -> None:
    with pytest.raises(InvalidRule) as refused:
        parse_rule(rule)
    assert [error.field for error in refused.value.errors] == [path]


def test_a_rule_names_a_table_that_there_is() -> None:
    References({}, ["chain"]).require("loyal", parse_rule(RULE))
    with pytest.raises(Refused) as refused:
        References({}, []).require("loyal", parse_rule(RULE))
    assert [error.field for error in refused.value.errors] == ["rule.table"]


# Over HTTP


@dataclass(slots=True)
class Town:
    """A segment service on memory, whose jobs are carried out on demand."""

    store: MemoryEventStore = field(default_factory=MemoryEventStore)
    keys: MemoryApiKeys = field(default_factory=MemoryApiKeys)
    profiles: MemoryDocuments = field(default_factory=MemoryDocuments)
    jobs: MemoryJobs = field(default_factory=MemoryJobs)
    clock: ManualClock = field(default_factory=lambda: ManualClock(day(10)))
    writer: Writer = field(init=False)

    def __post_init__(self) -> None:
        keyring = Keyring(MemoryKeyStore(), AESGCM(bytes(32)))
        self.writer = Writer(self.store, keyring, self.clock, "segment")

    @property
    def scoring(self) -> Scoring:
        return Scoring(Profiles(MemoryQuestions(self.profiles)))

    async def knows(self, customer: str, receipts: int, total: int) -> None:
        """So many receipts of a total each, a day apart, up to day 9."""
        profile, engine = None, Engine(RuleSet(0, {}))
        for version in range(1, receipts + 1):
            profile, _ = engine.step(profile, bought(version, 9 - receipts + version, total))
        stored = msgspec.structs.replace(profile or Profile(id="", rules=0), id=customer, rev=1)
        await self.profiles.write([msgspec.to_builtins(stored, builtin_types=(datetime, bytes))])

    async def works(self) -> int:
        """Begin what the schedule says, and carry out all jobs; how many there were."""
        await TableSchedule(Tables(self.writer), Jobs(self.jobs, self.clock), self.clock).look()
        kind = CutPointCount(self.writer, Tables(self.writer), self.scoring, self.clock, HORIZON)
        done = 0
        for job in await self.jobs.active([kind.name]):
            if job.position == 0 and job.total is None:
                await kind.run(job, Checkpoint(self.jobs, job))
                done += 1
        return done

    async def caller(self, role: Role = Role.OWNER, *branches: str) -> httpx2.AsyncClient:
        text, stored = issue(SECRET, title="test", roles=[role], branches=branches or None)
        await self.keys.add(stored)
        api = TableApi(
            self.writer, Tables(self.writer), self.scoring,
            Jobs(self.jobs, self.clock), self.clock, HORIZON,
        )  # fmt: skip
        app = build_app(
            title="test",
            service="segment",
            routers=[api.router()],
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


CHAIN = {"title": "Chain", "look_back": "P90D", "every": "P7D"}


async def test_a_base_is_divided_at_once_and_again_each_period(
    town: Town, owner: httpx2.AsyncClient
) -> None:
    for number in range(1, 6):
        await town.knows(f"c{number}", number, 100 * number)
    assert (await owner.put("/v1/rfm/chain", json=CHAIN)).status_code == 200
    assert (await owner.get("/v1/rfm/chain")).json()["cuts"] is None
    assert await town.works() == 1
    shown = (await owner.get("/v1/rfm/chain")).json()
    # The n-th has n receipts of 100·n: the sums are 100, 400, 900, 1,600 and 2,500.
    assert shown["cuts"] == {
        "recency": [1, 1, 1, 1], "frequency": [2, 3, 4, 5], "monetary": [400, 900, 1600, 2500],
    }  # fmt: skip
    assert (shown["base"], shown["version"], shown["fixed"]) == (5, 2, False)
    assert (await load_rules(town.store)).surroundings.tables["chain"].cuts is not None
    await town.works()
    assert (await owner.get("/v1/rfm/chain")).json()["version"] == 2  # nothing was otherwise
    await town.knows("c6", 6, 100)
    town.clock.moment = day(17)
    assert await town.works() == 1
    assert (await owner.get("/v1/rfm/chain")).json()["base"] == 6


async def test_cells_tell_customers_and_turnover_over_any_look_back(
    town: Town, owner: httpx2.AsyncClient
) -> None:
    for number in range(1, 6):
        await town.knows(f"c{number}", number, 100 * number)
    await owner.put("/v1/rfm/chain", json=CHAIN)
    await town.works()
    table = (await owner.get("/v1/rfm/chain/table")).json()
    assert (table["customers"], table["turnover"]) == (5, 100 + 400 + 900 + 1600 + 2500)
    cells = {each["cell"]: (each["customers"], each["turnover"]) for each in table["items"]}
    assert sorted(cell[1:] for cell in cells) == ["11", "22", "33", "44", "55"]
    short = (await owner.get("/v1/rfm/chain/table", params={"look_back": "P2D"})).json()
    # Within the last two days, up to day 10, each bought once, on day 9.
    assert (short["customers"], short["turnover"]) == (5, 1500)
    nobody = (await owner.get("/v1/rfm/chain/table", params={"branch": "77"})).json()
    assert (nobody["customers"], nobody["items"]) == (0, [])
    wrong = await owner.get("/v1/rfm/chain/table", params={"look_back": "P1M"})
    assert wrong.status_code == 422


async def test_a_customer_stands_somewhere_in_each_table(
    town: Town, owner: httpx2.AsyncClient
) -> None:
    for number in range(1, 6):
        await town.knows(f"c{number}", number, 100 * number)
    await owner.put("/v1/rfm/chain", json=CHAIN)
    await town.works()
    (item,) = (await owner.get("/v1/customers/c5/rfm")).json()["items"]
    assert (item["table"], item["receipts"], item["spent"]) == ("chain", 5, 2500)
    assert (item["frequency"], item["monetary"]) == (5, 5)
    # Four of five stand below.
    assert item["percentile_spent"] == 80
    assert (await owner.get("/v1/customers/nobody/rfm")).status_code == 404


async def test_anew_on_demand_is_a_job_that_is_begun_once(owner: httpx2.AsyncClient) -> None:
    await owner.put("/v1/rfm/chain", json=CHAIN)
    key = {"Idempotency-Key": "again"}
    first = await owner.post("/v1/rfm/chain/recompute", headers=key)
    second = await owner.post("/v1/rfm/chain/recompute", headers=key)
    assert (first.status_code, first.json()) == (202, second.json())
    await owner.put("/v1/rfm/other", json=CHAIN)
    assert (await owner.post("/v1/rfm/other/recompute", headers=key)).status_code == 422
    assert (await owner.post("/v1/rfm/gone/recompute")).status_code == 404


async def test_a_changed_table_needs_what_it_rests_on_and_readers_change_nothing(
    town: Town, owner: httpx2.AsyncClient
) -> None:
    await owner.put("/v1/rfm/chain", json=CHAIN)
    changed = {**CHAIN, "look_back": "P30D"}
    assert (await owner.put("/v1/rfm/chain", json=changed)).status_code == 428
    rests = {"If-Match": '"1"'}
    assert (await owner.put("/v1/rfm/chain", json=changed, headers=rests)).status_code == 200
    assert [each["name"] for each in (await owner.get("/v1/rfm")).json()["items"]] == ["chain"]
    async with await town.caller(Role.READER) as reader:
        assert (await reader.put("/v1/rfm/other", json=CHAIN)).status_code == 403
    async with await town.caller(Role.OWNER, "12") as branch:
        assert (await branch.get("/v1/rfm/chain")).status_code == 403
