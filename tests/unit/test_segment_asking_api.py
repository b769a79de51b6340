"""Explanations and previews over HTTP, on memory."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, cast

import httpx2
import msgspec
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from services.segment.api.explaining import ExplainingApi
from services.segment.api.previewing import PreviewApi
from services.segment.api.speaking import Speech
from services.segment.domain import (
    ArchiveSegment,
    DefineSegment,
    HoldWave,
    TakeBack,
    segment_stream,
    segments,
)
from services.segment.domain import Command as Asked
from services.segment.engine.profile import Membership, Profile
from services.segment.engine.reported import Recorded
from services.segment.engine.stepping import HORIZON, Engine
from services.segment.handlers.definitions import load_rules
from services.segment.projections.members import FOREVER, Because, Interval, Member, member_id
from services.segment.queries.definitions import Definitions
from services.segment.queries.lists import standing_lists
from services.segment.queries.members import Members
from services.segment.queries.profiles import Profiles
from services.segment.queries.rules import PresentRules
from services.segment.rules.happened import Details, Happened, pack
from services.segment.rules.instants import instant
from services.segment.rules.language.kinds import NUMBER_OF_KIND
from services.segment.rules.ruleset import RuleSet
from shared.access import Authenticator, Role, issue
from shared.clock import ManualClock
from shared.envelope import Causation, Light
from shared.execute import Command as Execution
from shared.execute import Writer
from shared.http import build_app
from shared.keyring import Keyring
from shared.memory import MemoryApiKeys, MemoryDocuments, MemoryEventStore, MemoryKeyStore
from shared.projection import Event
from shared.testing import client_of
from shared.testing.collections import MemoryQuestions

SECRET = bytes(32)
NOW = datetime(2026, 6, 15, tzinfo=UTC)
HOUR = timedelta(hours=1)
COUNT = {"kind": "receipts", "aggregate": "count"}
COUNTED = {**COUNT, "compare": {"op": ">=", "value": 1}}
RECENT = {**COUNT, "within": "P30D", "compare": {"op": ">=", "value": 1}}
Json = Any


@dataclass(slots=True)
class Town:
    """A segment service on memory, without its worker."""

    store: MemoryEventStore = field(default_factory=MemoryEventStore)
    keys: MemoryApiKeys = field(default_factory=MemoryApiKeys)
    profiles: MemoryDocuments = field(default_factory=MemoryDocuments)
    members: MemoryDocuments = field(default_factory=MemoryDocuments)
    writer: Writer = field(init=False)

    def __post_init__(self) -> None:
        keyring = Keyring(MemoryKeyStore(), AESGCM(bytes(32)))
        self.writer = Writer(self.store, keyring, ManualClock(NOW), "segment")

    async def defines(self, name: str, rule: Json, **how: Json) -> None:
        stream, told = segment_stream(name), f"{name} {rule}"
        command = DefineSegment(name, name, rule, NOW, **how)
        await self.writer.one(
            segments(HORIZON),
            Execution[Asked](told, told, stream, stream, command, Causation(correlation=name)),
        )

    async def does(self, name: str, command: Asked) -> None:
        stream = segment_stream(name)
        asked = Execution[Asked](
            "later", "later", stream, stream, command, Causation(correlation=name)
        )
        await self.writer.one(segments(HORIZON), asked)

    async def knows(self, customer: str, *days_ago: float, **state: Json) -> None:
        profile = None
        engine = Engine(RuleSet(0, {}))
        for version, days in enumerate(sorted(days_ago, reverse=True), start=1):
            time = NOW - timedelta(days=days)
            light = Light(
                "interaction.receipt_recorded.v1", f"interaction-{customer}", version, time, time,
                msgspec.Raw(b""), customer,
            )  # fmt: skip
            profile, _ = engine.step(profile, Event(light, Recorded(f"{version}", 100, 0), 0))
        profile = profile or Profile(id=customer, rules=0)
        stored = msgspec.structs.replace(profile, rev=1, **state)
        await self.profiles.write([msgspec.to_builtins(stored, builtin_types=(datetime, bytes))])

    async def logs(self, customer: str, segment: str, days_ago: float) -> None:
        interval = Interval(NOW - timedelta(days=days_ago), FOREVER, 1, Because("time"), 1)
        member = Member(
            id=member_id(segment, customer),
            rev=1,
            segment=segment,
            customer=customer,
            current=True,
            intervals=[interval],
        )
        await self.members.write([msgspec.to_builtins(member, builtin_types=(datetime,))])

    async def caller(self, role: Role = Role.OWNER, *branches: str) -> httpx2.AsyncClient:
        text, stored = issue(SECRET, title="test", roles=[role], branches=branches or None)
        await self.keys.add(stored)
        definitions, clock = Definitions(self.writer), ManualClock(NOW)
        profiles = Profiles(MemoryQuestions(self.profiles))
        members = Members(cast("Any", MemoryQuestions(self.members)))
        explaining = ExplainingApi(
            definitions=definitions,
            members=members,
            profiles=profiles,
            rules=PresentRules(
                partial(load_rules, self.store), partial(standing_lists, self.store)
            ),
            speech=Speech.read(),
            clock=clock,
            horizon=HORIZON,
        )
        previewing = PreviewApi(
            definitions=definitions,
            profiles=profiles,
            rules=PresentRules(
                partial(load_rules, self.store), partial(standing_lists, self.store)
            ),
            speech=Speech.read(),
            clock=clock,
            horizon=HORIZON,
            zone=UTC,
        )
        app = build_app(
            title="test",
            service="segment",
            routers=[explaining.router(), previewing.router()],
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


async def why(client: httpx2.AsyncClient, path: str, **asked: str) -> Json:
    answer = await client.get(f"/v1/customers/{path}", params=asked)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def lines(client: httpx2.AsyncClient, body: Json) -> list[Json]:
    answer = await client.post("/v1/segments/preview", json=body)
    assert answer.status_code == 200, answer.text
    return [json.loads(line) for line in answer.text.splitlines()]


async def test_why_a_customer_is_in_a_segment(town: Town, owner: httpx2.AsyncClient) -> None:
    await town.defines("recent", RECENT)
    await town.knows("anna", 40, 20, 5)
    await town.logs("anna", "recent", 40)
    said = await why(owner, "anna/explanations/recent")
    assert said["logged"] == {
        "inside": True,
        "since": "2026-05-06T00:00:00.000Z",
        "definition": 1,
    }
    rule = said["rule"]
    assert (rule["true"], rule["value"], rule["of"]) == (True, 2, 2)
    assert rule["until"] == "2026-07-10T00:00:00.000Z"  # 5 days ago + 30 days
    assert rule["behind"][0] == {
        "event": "interaction-anna@3",
        "time": "2026-06-10T00:00:00.000Z",
        "total": 100,
    }
    assert said["sentence"] == rule["sentence"] == "bought within 30 days"


async def test_why_not_at_an_earlier_moment(town: Town, owner: httpx2.AsyncClient) -> None:
    await town.defines("recent", RECENT)
    await town.knows("anna", 40, 5)
    said = await why(owner, "anna/explanations/recent", at="2026-06-09T00:00:00Z")
    assert said["logged"] == {"inside": False, "since": None, "definition": None}
    assert (said["rule"]["true"], said["rule"]["value"]) == (False, 0)
    assert said["rule"]["since"] == "2026-06-05T00:00:00.000Z"  # 40 days ago + 30 days


async def test_a_rule_that_is_not_saved_is_explained_too(
    town: Town, owner: httpx2.AsyncClient
) -> None:
    await town.knows("anna", 40, 5)
    answer = await owner.post("/v1/customers/anna/explanations", json={"rule": RECENT})
    assert answer.status_code == 200, answer.text
    assert answer.json()["logged"] is None
    assert answer.json()["rule"]["value"] == 1


async def test_what_cannot_be_explained_is_refused(town: Town, owner: httpx2.AsyncClient) -> None:
    await town.defines("recent", RECENT)
    assert (await owner.get("/v1/customers/anna/explanations/recent")).status_code == 404
    await town.knows("anna", 5)
    assert (await owner.get("/v1/customers/anna/explanations/none")).status_code == 404
    later = await owner.get(
        "/v1/customers/anna/explanations/recent", params={"at": "2026-06-16T00:00:00Z"}
    )
    assert later.json()["errors"][0]["field"] == "at"
    wrong = await owner.post("/v1/customers/anna/explanations", json={"rule": {"kind": "x"}})
    assert wrong.json()["errors"][0]["field"] == "rule.kind"
    # The moment is asked for in the query: in the body it would be passed over.
    misplaced = {"rule": RECENT, "at": "2026-06-14T00:00:00Z"}
    answer = await owner.post("/v1/customers/anna/explanations", json=misplaced)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "at")
    async with await town.caller(Role.OWNER, "12") as of_a_branch:
        path = "/v1/customers/anna/explanations/recent"
        assert (await of_a_branch.get(path)).status_code == 403


@pytest.mark.parametrize("path", ["segments/preview", "customers/anna/explanations"])
async def test_a_rule_that_is_not_saved_names_only_what_there_is(
    town: Town, owner: httpx2.AsyncClient, path: str
) -> None:
    await town.knows("anna", 5)
    named = {"kind": "not", "clause": {"kind": "segment", "segment": "recent"}}
    table = {"kind": "rfm_cell", "table": "none", "cells": ["555"]}
    for rule, place in ((named, "rule.clause.segment"), (table, "rule.table")):
        answer = await owner.post(f"/v1/{path}", json={"rule": rule})
        assert answer.status_code == 422, answer.text
        assert [each["field"] for each in answer.json()["errors"]] == [place]
    # What is defined a moment later is there at once.
    await town.defines("recent", RECENT)
    assert (await owner.post(f"/v1/{path}", json={"rule": named})).status_code == 200


async def test_a_merged_customer_is_left_out(town: Town, owner: httpx2.AsyncClient) -> None:
    await town.defines("recent", RECENT)
    await town.knows("anna", 5, away=True)
    assert (await why(owner, "anna/explanations/recent"))["left_out"] == "merged"


async def test_who_does_not_keep_what_a_segment_looks_back_to_is_not_asked_yet(
    town: Town, owner: httpx2.AsyncClient
) -> None:
    await town.defines("ever", {**RECENT, "within": "P900D"})
    await town.defines("recent", RECENT)
    lost = instant(NOW - timedelta(days=400))
    # One has taken up the definitions, one has not heard of them yet, one has let go of nothing.
    await town.knows("anna", 5, rules=2, forgets=True, lost=lost, lacks=["ever"])
    await town.knows("boris", 5, forgets=True, lost=lost)
    await town.knows("clara", 5)
    found = [
        (await why(owner, f"{customer}/explanations/{name}"))["left_out"]
        for name in ("ever", "recent")
        for customer in ("anna", "boris", "clara")
    ]
    lacking, later = "rebuilding", "evaluating"
    assert found == [lacking, lacking, later, None, later, later]


async def test_a_definition_on_trial_is_not_asked_of_who_does_not_keep_enough_either(
    town: Town, owner: httpx2.AsyncClient
) -> None:
    await town.defines("ever", RECENT)
    await town.defines("ever", {**RECENT, "within": "P900D"}, large=True)
    await town.knows("anna", 5, rules=2, forgets=True, lost=0, lacks=["ever#2"])
    assert (await why(owner, "anna/explanations/ever"))["left_out"] == "rebuilding"


@pytest.mark.parametrize(
    ("after", "why_not"),
    [
        (ArchiveSegment("recent", NOW), "archived"),
        (DefineSegment("recent", "recent", COUNTED, NOW, large=True), "trial"),
        (HoldWave("recent", 1, 9, 10, NOW - HOUR, NOW), "held"),
        (TakeBack("recent", "owner", NOW, underway=True), "stopped"),
        (DefineSegment("recent", "recent", RECENT, NOW), None),
    ],
)
async def test_what_is_true_of_a_customer_whom_nobody_asks_is_told_with_the_reason(
    town: Town, owner: httpx2.AsyncClient, after: Asked, why_not: str | None
) -> None:
    await town.defines("recent", RECENT)
    await town.knows("anna", 5, rules=1)
    await town.does("recent", after)
    said = await why(owner, "anna/explanations/recent")
    assert (said["logged"]["inside"], said["rule"]["true"]) == (False, True)
    assert said["left_out"] == why_not


async def test_a_preview_begins_at_once_and_is_exact_in_the_end(
    town: Town, owner: httpx2.AsyncClient
) -> None:
    await town.defines("big", {**COUNT, "compare": {"op": ">=", "value": 2}})
    member = Membership(NOW, 1, 1)
    await town.knows("anna", 45, 5, memberships={"big": member})
    await town.knows("boris", 45)
    await town.knows("clara", 100, 80, memberships={"big": member})
    await town.knows("dora", 5, away=True)
    first, *_, last = await lines(owner, {"rule": RECENT, "beside": ["big"]})
    assert (first["exact"], first["done"], first["of"]) == (False, 0, 4)
    assert (last["exact"], last["done"], last["count"]) == (True, 4, 1)
    assert last["sample"] == ["anna"]
    # Of the two in `big`, one was here within 30 days.
    assert last["overlaps"] == [{"segment": "big", "members": 2, "both": 1}]
    months = {each["at"][:7]: each["members"] for each in last["months"]}
    assert len(months) == 12
    # 45 days before 15 June is 1 May; 80 and 100 days before are 27 and 7 March.
    assert (months["2026-06"], months["2026-05"], months["2026-04"]) == (0, 2, 1)
    assert months["2026-03"] == 0


async def test_a_preview_of_what_is_no_rule_is_refused(owner: httpx2.AsyncClient) -> None:
    answer = await owner.post("/v1/segments/preview", json={"rule": {"kind": "all"}})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "rule.clauses"
    beside = {"rule": RECENT, "beside": ["none"]}
    assert (await owner.post("/v1/segments/preview", json=beside)).status_code == 404


async def test_a_segment_inside_a_rule_is_asked_by_its_own_rule(
    town: Town, owner: httpx2.AsyncClient
) -> None:
    await town.defines("recent", RECENT)
    await town.knows("anna", 40, 5)
    rule = {"kind": "not", "clause": {"kind": "segment", "segment": "recent"}}
    path, asked = "/v1/customers/anna/explanations", {"rule": rule}
    now = (await owner.post(path, json=asked)).json()
    assert now["rule"]["true"] is False
    # Nobody bought from 40 days ago + 30 days until 5 days ago.
    assert now["rule"]["since"] == "2026-06-10T00:00:00.000Z"
    assert now["rule"]["clauses"][0]["sentence"] == "is in segment recent"


async def test_messages_of_campaigns_are_previewed_and_explained(
    town: Town, owner: httpx2.AsyncClient
) -> None:
    message = Happened(
        instant(NOW - timedelta(days=5)), 2, NUMBER_OF_KIND["notifications"], 7,
        packed=pack(Details(state="opened", campaign="spring", message="m")),
    )  # fmt: skip
    await town.knows("anna", 40, happened={"notifications": [message]})
    await town.knows("boris", 40)
    where = {"state": ["opened"], "campaign": ["spring"]}
    rule = {**RECENT, "kind": "notifications", "where": where}
    *_, last = await lines(owner, {"rule": rule})
    assert (last["exact"], last["count"], last["sample"]) == (True, 1, ["anna"])
    path = "/v1/customers/anna/explanations"
    explained = (await owner.post(path, json={"rule": rule})).json()["rule"]
    said = "opened a message of a campaign within 30 days of campaign spring"
    assert explained["sentence"] == said
    assert [each["event"] for each in explained["behind"]] == ["message-m@2"]
