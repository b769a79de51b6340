"""Static lists over HTTP, on memory: by hand, in batches, from a segment or a rule."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, cast

import httpx2
import msgspec
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from services.segment.api.list_members import ListMemberApi
from services.segment.api.lists import ListApi
from services.segment.domain import DefineSegment
from services.segment.domain.predictions import RecordFit
from services.segment.engine.reported import Recorded
from services.segment.engine.stepping import HORIZON, Engine
from services.segment.handlers import filling
from services.segment.handlers.definitions import Request, define, load_rules
from services.segment.handlers.filling import ListFill
from services.segment.handlers.lists import ListWriting
from services.segment.handlers.predicting import record
from services.segment.projections.activity import Activity, BranchActivity
from services.segment.projections.lists import LIST_MEMBERS, Told
from services.segment.projections.members import FOREVER, Because, Interval, Member, member_id
from services.segment.queries.definitions import Definitions
from services.segment.queries.lists import ListMembers, StaticLists, standing_lists
from services.segment.queries.members import Members
from services.segment.queries.predictions import Predictions, predicted
from services.segment.queries.profiles import Profiles
from services.segment.queries.rules import PresentRules
from services.segment.rules.ruleset import RuleSet
from shared.access import Authenticator, Role, issue
from shared.clock import ManualClock
from shared.decider import Refused
from shared.envelope import Light, decode_light
from shared.events.prediction import BuyingParameters, SpendingParameters
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
from shared.moments import milliseconds, with_moment
from shared.projection import Event
from shared.testing import client_of
from shared.testing.collections import MemoryQuestions

SECRET = bytes(32)
NOW = datetime(2026, 6, 15, tzinfo=UTC)
BOUGHT = {
    "kind": "receipts", "aggregate": "count", "within": "P30D",
    "compare": {"op": ">=", "value": 1},
}  # fmt: skip
Json = Any


@dataclass(slots=True)
class Desk:
    """A segment service on memory; its workers work when they are told to."""

    store: MemoryEventStore = field(default_factory=MemoryEventStore)
    clock: ManualClock = field(default_factory=lambda: ManualClock(NOW))
    people: MemoryDocuments = field(default_factory=MemoryDocuments)
    segments: MemoryDocuments = field(default_factory=MemoryDocuments)
    listed: MemoryDocuments = field(default_factory=MemoryDocuments)
    bought: MemoryDocuments = field(default_factory=MemoryDocuments)
    keys: MemoryApiKeys = field(default_factory=MemoryApiKeys)
    jobs: MemoryJobs = field(default_factory=MemoryJobs)
    writer: Writer = field(init=False)
    rules: PresentRules = field(init=False)
    profiles: Profiles = field(init=False)

    def __post_init__(self) -> None:
        keyring = Keyring(MemoryKeyStore(), AESGCM(bytes(32)))
        self.writer = Writer(self.store, keyring, self.clock, "segment")
        self.rules = PresentRules(
            partial(load_rules, self.store), partial(standing_lists, self.store)
        )
        self.profiles = Profiles(MemoryQuestions(self.people))

    async def knows(self, customer: str, days_ago: float = 400, **state: Json) -> None:
        time = NOW - timedelta(days=days_ago)
        light = Light(
            "interaction.receipt_recorded.v1", f"interaction-{customer}", 1, time, time,
            msgspec.Raw(b""), customer,
        )  # fmt: skip
        profile, _ = Engine(RuleSet(0, {})).step(None, Event(light, Recorded("f", 100, 0), 0))
        profile = msgspec.structs.replace(profile, rev=1, **state)
        await self.people.write([msgspec.to_builtins(profile, builtin_types=(datetime, bytes))])

    async def holds(self, segment: str, customer: str, since: datetime) -> None:
        interval = Interval(since, FOREVER, 1, Because("time"), 1)
        member = Member(
            id=member_id(segment, customer), rev=1, segment=segment, customer=customer,
            current=True, intervals=[interval],
        )  # fmt: skip
        await self.segments.write([msgspec.to_builtins(member, builtin_types=(datetime,))])

    async def buys(self, customer: str, *weeks_ago: float, each: int = 1000, **more: Json) -> None:
        """A customer, also of the rules, who bought so many weeks ago for so much each time."""
        packed = b""
        for weeks in weeks_ago:
            packed = with_moment(packed, milliseconds(NOW - timedelta(weeks=weeks)))
        branches = [BranchActivity("12", packed, spent=each * len(weeks_ago))] if weeks_ago else []
        activity = Activity(id=customer, rev=1, branches=branches, **more)
        await self.bought.write([msgspec.to_builtins(activity, builtin_types=(datetime, bytes))])
        await self.knows(customer)

    async def fits(self, alpha: float = 4.0) -> None:
        """Parameters of a chain whose customers come now and again, and some of whom leave."""
        command = RecordFit(
            BuyingParameters(r=1.0, alpha=alpha, a=0.8, b=2.5),
            SpendingParameters(p=6.0, q=4.0, gamma=600.0),
            customers=9, sample=9, by="owner", at=NOW,
        )  # fmt: skip
        await record(self.writer, f"fit with {alpha}", command)

    @property
    def predictions(self) -> Predictions:
        return Predictions(self.writer, MemoryQuestions(self.bought))

    async def catch_up(self) -> None:
        """Fold what was recorded from its beginning: who is on which list."""
        members: dict[str, Any] = {}
        for commit in self.store.commits:
            for text in commit.events:
                light = decode_light(text.encode())
                if light.type in LIST_MEMBERS.reads:
                    event = Event(light, msgspec.json.decode(light.data, type=Told), 0)
                    place = LIST_MEMBERS.target(event)
                    assert isinstance(place, str)
                    members[place] = LIST_MEMBERS.apply(members.get(place), event)
        stored = await self.listed.load(list(members))
        for place, member in members.items():
            member.rev = stored[place]["rev"] + 1 if place in stored else 1
            await self.listed.write([msgspec.to_builtins(member, builtin_types=(datetime,))])

    @property
    def fill(self) -> ListFill:
        members = Members(cast("Any", MemoryQuestions(self.segments)))
        writing = ListWriting(self.writer, self.profiles)
        return ListFill(
            StaticLists(self.writer), writing, members, self.profiles, self.rules, self.jobs,
            self.predictions,
        )  # fmt: skip

    async def filled(self, job: str) -> Json:
        found = await self.jobs.get(job)
        assert found is not None
        checkpoint = Checkpoint(self.jobs, found)
        await self.fill.run(found, checkpoint)
        return checkpoint.job.counts

    async def caller(self, role: Role = Role.OWNER, *branches: str) -> httpx2.AsyncClient:
        text, stored = issue(SECRET, title="test", roles=[role], branches=branches or None)
        await self.keys.add(stored)
        lists = StaticLists(self.writer)
        members = ListMembers(MemoryQuestions(self.listed))
        api = ListApi(
            writer=self.writer,
            lists=lists,
            writing=ListWriting(self.writer, self.profiles),
            members=members,
            definitions=Definitions(self.writer),
            rules=self.rules,
            predictions=self.predictions,
            jobs=Jobs(self.jobs, self.clock),
            clock=self.clock,
            horizon=HORIZON,
        )
        app = build_app(
            title="test",
            service="segment",
            routers=[api.router(), ListMemberApi(lists, members, self.clock).router()],
            authenticator=Authenticator(self.keys, SECRET),
            readiness=self._readiness,
        )
        return client_of(app, text)

    async def _readiness(self) -> Json:
        return {}


@pytest.fixture
async def desk() -> Desk:
    """Three customers, and one who was erased."""
    desk = Desk()
    for customer in ("anna", "boris", "clara"):
        await desk.knows(customer)
    await desk.knows("gone", removed=True)
    return desk


@pytest.fixture
async def owner(desk: Desk) -> AsyncIterator[httpx2.AsyncClient]:
    """Somebody who may do all, and who has begun a list."""
    async with await desk.caller() as client:
        assert (await client.put("/v1/lists/vip", json={"title": "VIP"})).status_code == 200
        yield client


async def page(client: httpx2.AsyncClient, **asked: Json) -> Json:
    answer = await client.get("/v1/lists/vip/members", params=asked)
    assert answer.status_code == 200, answer.text
    return answer.json()


def names(page: Json) -> list[str]:
    return [each["customer"] for each in page["items"]]


async def test_a_list_has_a_title_and_who_is_on_it_is_counted(
    desk: Desk, owner: httpx2.AsyncClient
) -> None:
    assert (await owner.get("/v1/lists/none")).status_code == 404
    again = await owner.put("/v1/lists/vip", json={"title": "Best"})
    assert again.status_code == 428
    renamed = await owner.put("/v1/lists/vip", json={"title": "Best"}, headers={"If-Match": '"1"'})
    assert renamed.headers["ETag"] == '"2"'
    await owner.put("/v1/lists/vip/members/anna")
    await desk.catch_up()
    seen = {"name": "vip", "title": "Best", "archived": False, "members": 1}
    assert (await owner.get("/v1/lists/vip")).json() == seen
    assert (await owner.get("/v1/lists")).json() == {"items": [seen]}


async def test_customers_are_put_on_and_taken_off_by_hand(
    desk: Desk, owner: httpx2.AsyncClient
) -> None:
    first = (await owner.put("/v1/lists/vip/members/anna")).json()
    assert first == {"customer": "anna", "version": 1, "changed": True, "repeated": False}
    again = (await owner.put("/v1/lists/vip/members/anna")).json()
    assert again["changed"] is False
    assert (await owner.put("/v1/lists/vip/members/nobody")).status_code == 404
    assert (await owner.put("/v1/lists/vip/members/gone")).status_code == 404
    desk.clock.advance(timedelta(days=2))
    off = (await owner.delete("/v1/lists/vip/members/anna")).json()
    assert (off["version"], off["changed"]) == (2, True)
    await desk.catch_up()
    assert (await page(owner))["count"] == 0
    # On a past date, by the stay of that time.
    past = await page(owner, at="2026-06-16T00:00:00Z")
    assert (past["count"], names(past)) == (1, ["anna"])
    stay = past["items"][0]["interval"]
    assert (stay["entered"], stay["left"]) == (
        "2026-06-15T00:00:00.000Z", "2026-06-17T00:00:00.000Z",
    )  # fmt: skip
    assert (stay["entered_because"]["kind"], stay["left_because"]["kind"]) == ("hand", "hand")
    history = (await owner.get("/v1/customers/anna/lists")).json()
    assert [(each["list"], each["current"]) for each in history["items"]] == [("vip", False)]


async def test_the_same_key_is_carried_out_once(owner: httpx2.AsyncClient) -> None:
    key = {"Idempotency-Key": "k"}
    await owner.put("/v1/lists/vip/members/anna", headers=key)
    again = (await owner.put("/v1/lists/vip/members/anna", headers=key)).json()
    assert (again["version"], again["repeated"]) == (1, True)


async def test_each_item_of_a_batch_has_an_answer_of_its_own(
    desk: Desk, owner: httpx2.AsyncClient
) -> None:
    items = [{"customer": who} for who in ("anna", "nobody", "boris", "anna")] + [{"who": "x"}]
    answer = await owner.post("/v1/lists/vip/members/add", json={"items": items})
    said = answer.json()["items"]
    assert [each["status"] for each in said] == [200, 404, 200, 200, 422]
    assert [each.get("id") for each in said] == ["anna", "nobody", "boris", "anna", None]
    off = await owner.post("/v1/lists/vip/members/remove", json={"items": items[:2]})
    assert [each["status"] for each in off.json()["items"]] == [200, 404]
    await desk.catch_up()
    assert names(await page(owner)) == ["boris"]
    many = {"items": [{"customer": "anna"}] * 1_001}
    assert (await owner.post("/v1/lists/vip/members/add", json=many)).status_code == 422


async def test_members_come_page_by_page_and_as_one_table(
    desk: Desk, owner: httpx2.AsyncClient
) -> None:
    for who in ("clara", "anna", "boris"):
        await owner.put(f"/v1/lists/vip/members/{who}")
    await desk.catch_up()
    first = await page(owner, limit=2)
    assert (names(first), first["count"]) == (["anna", "boris"], 3)
    last = await page(owner, limit=2, cursor=first["next_cursor"])
    assert (names(last), last["next_cursor"]) == (["clara"], None)
    table = (await owner.get("/v1/lists/vip/members/export")).text.splitlines()
    assert table[0].endswith("customer,entered,left,cause,by,job")
    assert [row.split(",")[0] for row in table[1:]] == ["anna", "boris", "clara"]
    lines = await owner.get("/v1/lists/vip/members/export", params={"format": "jsonl"})
    assert [msgspec.json.decode(line)["cause"] for line in lines.text.splitlines()] == ["hand"] * 3


async def test_nobody_is_put_on_a_list_that_is_archived(owner: httpx2.AsyncClient) -> None:
    assert (await owner.post("/v1/lists/vip/archive")).status_code == 200
    for refused in (
        await owner.put("/v1/lists/vip/members/anna"),
        await owner.post("/v1/lists/vip/members/add", json={"items": []}),
        await owner.post("/v1/lists/vip/fill", json={"rule": BOUGHT}),
    ):
        assert (refused.status_code, refused.json()["type"].rpartition(":")[2]) == (
            409, "list-archived",
        )  # fmt: skip


async def test_a_list_is_filled_with_whom_a_rule_means_now(
    desk: Desk, owner: httpx2.AsyncClient
) -> None:
    await desk.knows("dora", 5)
    await desk.knows("emil", 5, away=True)
    await desk.knows("fred", 5)
    await owner.put("/v1/lists/vip/members/fred")
    begun = await owner.post("/v1/lists/vip/fill", json={"rule": BOUGHT})
    assert begun.status_code == 202
    # It means who had bought by then, whenever it is carried out.
    desk.clock.advance(timedelta(days=60))
    assert await desk.filled(begun.json()["job"]) == {"entered": 1, "there": 1}
    await desk.catch_up()
    members = await page(owner)
    assert names(members) == ["dora", "fred"]
    because = members["items"][0]["interval"]["entered_because"]
    assert (because["kind"], because["job"]) == ("filter", begun.json()["job"])


async def test_the_key_of_a_fill_is_good_for_the_same_fill_alone(owner: httpx2.AsyncClient) -> None:
    assert (await owner.put("/v1/lists/other", json={"title": "Other"})).is_success
    key = {"Idempotency-Key": "fill"}
    paths = ("vip", "vip", "other")
    first, again, elsewhere = [
        await owner.post(f"/v1/lists/{name}/fill", json={"rule": BOUGHT}, headers=key)
        for name in paths
    ]
    assert (first.status_code, first.json()) == (202, again.json())
    other = {**BOUGHT, "compare": {"op": ">=", "value": 77}}
    for refused in (
        elsewhere,
        await owner.post("/v1/lists/vip/fill", json={"rule": other}, headers=key),
    ):
        assert (refused.status_code, refused.json()["type"].rpartition(":")[2]) == (
            422, "command-differs",
        )  # fmt: skip


async def test_a_fill_that_is_done_again_changes_nothing(
    desk: Desk, owner: httpx2.AsyncClient
) -> None:
    await desk.knows("dora", 5)
    job = (await owner.post("/v1/lists/vip/fill", json={"rule": BOUGHT})).json()["job"]
    found = await desk.jobs.get(job)
    assert found is not None
    await desk.filled(job)
    await owner.delete("/v1/lists/vip/members/dora")
    # From the beginning, as after a loss of all that the job had saved.
    fresh = MemoryJobs()
    await fresh.add(found)
    desk.jobs = fresh
    await desk.filled(job)
    await desk.catch_up()
    assert names(await page(owner)) == []


async def test_a_list_that_is_archived_while_it_is_filled_is_filled_no_further(
    desk: Desk, owner: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(filling, "RANGE", 1)
    change = ListWriting.change

    async def archiving(writing: ListWriting, *told: Json) -> Json:
        outcomes = await change(writing, *told)
        if outcomes:
            assert (await owner.post("/v1/lists/vip/archive")).status_code == 200
        return outcomes

    monkeypatch.setattr(ListWriting, "change", archiving)
    await desk.knows("dora", 5)
    await desk.knows("emil", 5)
    job = (await owner.post("/v1/lists/vip/fill", json={"rule": BOUGHT})).json()["job"]
    with pytest.raises(Refused, match="list-archived"):
        await desk.filled(job)
    await desk.catch_up()
    assert names(await page(owner)) == ["dora"]


async def test_a_list_is_filled_with_the_members_of_a_segment(
    desk: Desk, owner: httpx2.AsyncClient
) -> None:
    command = DefineSegment("buyers", "Buyers", BOUGHT, NOW)
    await define(desk.writer, HORIZON, Request("d", "d", NOW), command)
    await desk.holds("buyers", "anna", NOW - timedelta(days=3))
    await desk.holds("buyers", "boris", NOW + timedelta(days=3))
    job = (await owner.post("/v1/lists/vip/fill", json={"segment": "buyers"})).json()["job"]
    desk.clock.advance(timedelta(days=9))
    # Boris came in after it was asked.
    assert await desk.filled(job) == {"entered": 1}


WEEKLY = tuple(range(1, 30))


async def lost_and_found(desk: Desk) -> None:
    """Two who come each week, two who did and stopped half a year ago; and others."""
    await desk.buys("cheap-gone", *range(26, 40), each=300)
    await desk.buys("cheap-weekly", *WEEKLY, each=300)
    await desk.buys("dear-gone", *range(26, 40), each=9000)
    await desk.buys("dear-weekly", *WEEKLY, each=9000)
    await desk.buys("never")
    await desk.buys("staff", *range(26, 40), internal=True)
    await desk.buys("was-erased", *range(26, 40), erased=True)
    await desk.buys("was-merged", *range(26, 40), away=True)
    await desk.fits()


@pytest.mark.parametrize(
    ("prediction", "meant"),
    [
        ({"churn_risk_at_least": 0.5}, ["cheap-gone", "dear-gone"]),
        ({"churn_risk_at_most": 0.5}, ["cheap-weekly", "dear-weekly"]),
        # Once a week makes some 12 receipts in 90 days, somewhat less where some leave.
        ({"receipts_at_least": 5}, ["cheap-weekly", "dear-weekly"]),
        ({"receipts_at_least": 5, "days": 20}, []),
        ({"turnover_at_least_minor": 20_000}, ["dear-weekly"]),
        ({"churn_risk_at_most": 0.5, "turnover_at_least_minor": 20_000}, ["dear-weekly"]),
    ],
)
async def test_a_list_is_filled_with_those_of_whom_a_prediction_says_it(
    desk: Desk, owner: httpx2.AsyncClient, prediction: Json, meant: list[str]
) -> None:
    await lost_and_found(desk)
    begun = await owner.post("/v1/lists/vip/fill", json={"prediction": prediction})
    assert begun.status_code == 202, begun.text
    assert await desk.filled(begun.json()["job"]) == ({"entered": len(meant)} if meant else {})
    await desk.catch_up()
    assert names(await page(owner)) == meant


async def test_a_list_means_by_a_prediction_what_each_customer_is_told(
    desk: Desk, owner: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    await lost_and_found(desk)
    fitted = await desk.predictions.fitted()
    assert fitted is not None
    wanted = await desk.bought.load(["dear-gone", "dear-weekly"])
    risks = {
        name: 1 - found.alive
        for name, raw in wanted.items()
        if (found := predicted(msgspec.convert(raw, Activity), fitted, NOW, 90)) is not None
    }
    body = {"prediction": {"churn_risk_at_least": risks["dear-weekly"] - 1e-9,
                           "churn_risk_at_most": risks["dear-gone"] + 1e-9}}  # fmt: skip
    job = (await owner.post("/v1/lists/vip/fill", json=body)).json()["job"]
    # Also one by one, long after, and when other parameters are there by then.
    monkeypatch.setattr(filling, "RANGE", 1)
    desk.clock.advance(timedelta(weeks=30))
    await desk.fits(alpha=400.0)
    await desk.filled(job)
    await desk.catch_up()
    assert set(names(await page(owner))) >= {"dear-gone", "dear-weekly"}
    assert "never" not in names(await page(owner))


async def test_the_key_of_a_fill_by_a_prediction_is_good_for_it_alone(
    desk: Desk, owner: httpx2.AsyncClient
) -> None:
    await lost_and_found(desk)
    asked: list[Json] = [
        {"prediction": {"churn_risk_at_least": 0.5}},
        {"prediction": {"churn_risk_at_least": 0.5, "days": 90}},
        {"prediction": {"churn_risk_at_least": 0.6}},
        {"rule": BOUGHT},
    ]
    key = {"Idempotency-Key": "fill"}
    answers = [await owner.post("/v1/lists/vip/fill", json=each, headers=key) for each in asked]
    # 90 days are those that are meant where none are given.
    assert [each.status_code for each in answers] == [202, 202, 422, 422]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 422),
        ({"segment": "s", "rule": BOUGHT}, 422),
        ({"segment": "none"}, 404),
        ({"rule": {"kind": "list", "list": "none"}}, 422),
        ({"segment": "s", "prediction": {"churn_risk_at_least": 0.5}}, 422),
        ({"prediction": {}}, 422),
        ({"prediction": {"days": 30}}, 422),
        ({"prediction": {"churn_risk_at_least": 1.5}}, 422),
        ({"prediction": {"churn_risk_at_least": 0.6, "churn_risk_at_most": 0.5}}, 422),
        ({"prediction": {"churn_risk_at_least": 0.5}}, 409),  # nothing is fitted yet
    ],
)
async def test_a_fill_says_of_whom(owner: httpx2.AsyncClient, body: Json, status: int) -> None:
    assert (await owner.post("/v1/lists/vip/fill", json=body)).status_code == status


async def test_lists_are_of_the_whole_chain(desk: Desk, owner: httpx2.AsyncClient) -> None:
    del owner
    async with await desk.caller(Role.OWNER, "12") as branch:
        for asked in (
            branch.get("/v1/lists"), branch.get("/v1/lists/vip"),
            branch.get("/v1/lists/vip/members"), branch.get("/v1/lists/vip/members/export"),
            branch.get("/v1/customers/anna/lists"),
            branch.put("/v1/lists/new", json={"title": "New"}),
            branch.put("/v1/lists/vip/members/anna"),
            branch.delete("/v1/lists/vip/members/anna"),
            branch.post("/v1/lists/vip/members/add", json={"items": []}),
            branch.post("/v1/lists/vip/fill", json={"rule": BOUGHT}),
            branch.post("/v1/lists/vip/archive"),
        ):  # fmt: skip
            assert (await asked).status_code == 403
