"""Campaigns over HTTP: what is defined is shown, what is wrong is named, and who may do what."""

from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest

from services.notify.main import NotifySettings, build
from shared.access import Role
from shared.testing import LocalChain

Json = Any
CAMPAIGN: Json = {
    "title": "We miss you",
    "trigger": {"kind": "on_entering", "segment": "lapsed-30"},
    "channel": "email",
    "topic": "marketing",
    "template": {"subject": "We miss you", "text": "Hello {{ customer.name | default: 'you' }}"},
    "start": "2017-12-01T00:00:00+01:00",
    "holdout_percent": 10,
}
NOTHING = {"sent": 0, "suppressed": {}, "holdout": 0, "failed": 0, "uncertain": 0, "open": 0}


@pytest.fixture
async def owner(chain: LocalChain) -> AsyncIterator[httpx2.AsyncClient]:
    """The HTTP side alone, as its owner calls it: nothing reads or sends."""
    async with chain.running(build, chain.settings(NotifySettings), "api") as client:
        yield client


def problem(answer: httpx2.Response) -> tuple[int, str, list[str]]:
    body = answer.json()
    fields = [error["field"] for error in body.get("errors", [])]
    return answer.status_code, body["type"].removeprefix("urn:regulars:problem:"), fields


async def test_what_was_defined_is_shown_and_defining_it_again_changes_nothing(
    owner: httpx2.AsyncClient,
) -> None:
    first = await owner.put("/v1/campaigns/we-miss-you", json=CAMPAIGN)
    assert (first.status_code, first.headers["ETag"]) == (200, '"1"')
    again = await owner.put("/v1/campaigns/we-miss-you", json=CAMPAIGN)
    assert (again.status_code, again.headers["ETag"]) == (200, '"1"')
    shown = await owner.get("/v1/campaigns/we-miss-you")
    assert shown.json() == {
        **CAMPAIGN,
        "name": "we-miss-you",
        "version": 1,
        "state": "draft",
        "run": 0,
        "gathering": False,
        "start": "2017-11-30T23:00:00.000Z",
        "template": {
            **CAMPAIGN["template"],
            **dict.fromkeys(("mjml", "language", "versions", "defaults")),
        },
        **dict.fromkeys(("owner", "branch", "end", "max_age", "fallback_after", "budget")),
        **dict.fromkeys(("attribution_days", "variants", "home_sender", "coupon")),
        "purpose": "advertising",
        "priority": 5,
        "while_member": False,
        "fallback": [],
        "caps": "wait",
        "figures": NOTHING,
    }
    assert shown.headers["ETag"] == '"1"'
    await owner.put("/v1/campaigns/another", json=CAMPAIGN)
    page = (await owner.get("/v1/campaigns", params={"limit": 1})).json()
    assert [each["name"] for each in page["items"]] == ["another"]
    rest = await owner.get("/v1/campaigns", params={"cursor": page["next_cursor"]})
    assert ([each["name"] for each in rest.json()["items"]]) == ["we-miss-you"]
    assert rest.json()["next_cursor"] is None


async def test_the_sending_policy_is_one_and_changed_by_whoever_has_seen_it(
    owner: httpx2.AsyncClient,
) -> None:
    path = "/v1/sending-policy"
    nothing = await owner.get(path)
    assert (nothing.json()["version"], nothing.json()["caps"]) == (0, [])
    night = {"quiet": [{"begin": "21:00", "end": "09:00"}], "caps": [{"most": 2, "within": "P7D"}]}
    first = await owner.put(path, json=night)
    assert (first.status_code, first.headers["ETag"], first.json()["version"]) == (200, '"1"', 1)
    assert problem(await owner.put(path, json={})) == (428, "precondition-required", [])
    changed = await owner.put(path, json={}, headers={"If-Match": '"1"'})
    assert (changed.status_code, changed.json()["quiet"]) == (200, [])
    wrong = {"caps": [{"most": 1, "within": "P1M"}]}
    refused = await owner.put(path, json=wrong, headers={"If-Match": '"2"'})
    assert problem(refused) == (422, "invalid", ["caps.0.within"])


async def test_a_campaign_is_started_and_stopped_and_what_nobody_has_seen_is_not_replaced(
    owner: httpx2.AsyncClient,
) -> None:
    path = "/v1/campaigns/we-miss-you"
    assert problem(await owner.post(f"{path}/start")) == (404, "not-found", [])
    assert problem(await owner.get(path)) == (404, "not-found", [])
    await owner.put(path, json=CAMPAIGN)
    started = await owner.post(f"{path}/start", json={})
    assert started.json() == {"name": "we-miss-you", "version": 2, "repeated": False}
    assert (await owner.get(path)).json()["state"] == "running"
    other = {**CAMPAIGN, "title": "Come back"}
    unseen = await owner.put(path, json=other)
    assert (problem(unseen), unseen.json()["etag"]) == ((428, "precondition-required", []), '"2"')
    old = {"If-Match": '"1"'}
    assert problem(await owner.put(path, json=other, headers=old))[:2] == (
        412,
        "precondition-failed",
    )
    seen = {"If-Match": '"2"'}
    assert problem(await owner.put(path, json=other, headers=seen))[1] == "campaign-running"
    assert (await owner.post(f"{path}/stop")).json()["version"] == 3
    assert (await owner.put(path, json=other, headers={"If-Match": '"3"'})).is_success
    assert (await owner.get(path)).json()["title"] == "Come back"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"trigger": {"kind": "never"}}, "trigger"),
        ({"trigger": {"kind": "broadcast", "segment": "No Such"}}, "trigger.segment"),
        ({"channel": "sms"}, "channel"),
        ({"topic": "Marketing!"}, "topic"),
        ({"start": "2017-12-01T00:00:00"}, "start"),
        ({"holdout_percent": 101}, "holdout_percent"),
        ({"template": {"subject": "s", "text": "{{ customer.phone }}"}}, "template.text"),
        ({"budget": 3}, "budget"),
    ],
)
async def test_what_is_wrong_is_named(owner: httpx2.AsyncClient, change: Json, field: str) -> None:
    answer = await owner.put("/v1/campaigns/we-miss-you", json={**CAMPAIGN, **change})
    assert problem(answer) == (422, "invalid", [field])
    wrong_name = await owner.put("/v1/campaigns/We_Miss", json=CAMPAIGN)
    assert problem(wrong_name) == (422, "invalid", ["name"])


async def test_campaigns_belong_to_the_whole_chain_and_to_those_who_may(
    chain: LocalChain, owner: httpx2.AsyncClient
) -> None:
    async def asked(method: str, path: str, key: str) -> int:
        headers = {"Authorization": f"Bearer {key}"}
        body = CAMPAIGN if method == "PUT" else None
        return (await owner.request(method, path, headers=headers, json=body)).status_code

    reader, cashier = await chain.key(Role.READER), await chain.key(Role.CASHIER)
    branch = await chain.key(Role.MANAGER, branches=["12"])
    campaigns, one, messages = "/v1/campaigns", "/v1/campaigns/a", "/v1/messages"
    assert [await asked("GET", path, reader) for path in (campaigns, messages)] == [200, 200]
    assert [await asked("GET", path, cashier) for path in (campaigns, messages)] == [403, 403]
    assert [await asked("GET", path, branch) for path in (campaigns, one, messages)] == [403] * 3
    assert [await asked("PUT", one, key) for key in (reader, cashier, branch)] == [403] * 3
    manager = await chain.key(Role.MANAGER)
    assert await asked("PUT", one, manager) == 200
    assert [await asked("POST", f"{one}/start", key) for key in (reader, branch)] == [403] * 2
