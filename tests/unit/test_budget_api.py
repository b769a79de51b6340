"""Budgets of branches over HTTP, and how much of a budget is spent: who sees and changes what."""

from collections.abc import Mapping
from datetime import UTC
from typing import Any

import httpx2
import pytest

from services.notify.api.budgets import BudgetApi
from services.notify.handlers.books.campaigns import CampaignBook
from shared.access import Authenticator, Role, issue
from shared.events.budgets import Allowance, BranchBudget
from shared.events.campaign import Budget
from shared.http import build_app
from shared.memory import MemoryApiKeys
from shared.testing import client_of
from tests.unit.test_notify_branch_budgets import BRANCH, finish, limit, of_branch, opened
from tests.unit.test_notify_dispatcher import CAMPAIGN, Desk

SECRET = bytes(32)
PATH = "/v1/branch-budgets"
BUDGETS = {"budgets": [{"branch": BRANCH, "per_day": {"messages": 2}, "per_month": {"cost": 100}}]}


async def _ready() -> Mapping[str, bool | str]:
    return {}


async def caller(desk: Desk, role: Role, *branches: str) -> httpx2.AsyncClient:
    keys = MemoryApiKeys()
    text, stored = issue(SECRET, title="test", roles=[role], branches=branches or None)
    await keys.add(stored)
    writer = desk.writer()
    api = BudgetApi(writer, CampaignBook(desk.store), UTC, "EUR")
    app = build_app(
        title="test",
        service="notify",
        routers=[api.router()],
        authenticator=Authenticator(keys, SECRET),
        readiness=_ready,
    )
    return client_of(app, text)


async def test_budgets_are_defined_as_a_whole_by_who_has_seen_what_stood() -> None:
    owner = await caller(await opened(), Role.OWNER)
    assert (await owner.get(PATH)).json() == {"version": 0, "currency": "EUR", "budgets": []}
    first = await owner.put(PATH, json=BUDGETS)
    assert (first.status_code, first.headers["ETag"]) == (200, '"1"')
    (shown,) = first.json()["budgets"]
    assert shown["branch"] == BRANCH
    assert shown["per_day"]["messages"] == 2
    assert shown["per_month"]["cost"] == 100
    assert (await owner.put(PATH, json={"budgets": []})).status_code == 428
    changed = await owner.put(PATH, json={"budgets": []}, headers={"If-Match": '"1"'})
    assert changed.json()["version"] == 2


@pytest.mark.parametrize(
    ("budget", "field"),
    [
        ({"branch": "b"}, "budgets.0"),
        ({"branch": "b", "per_day": {}}, "budgets.0.per_day"),
        ({"branch": "b", "per_day": {"cost": 0}}, "budgets.0.per_day.cost"),
        ({"branch": "b b", "per_day": {"cost": 1}}, "budgets.0.branch"),
    ],
)
async def test_a_budget_that_is_none_is_refused_by_its_field(
    budget: Mapping[str, Any], field: str
) -> None:
    owner = await caller(await opened(), Role.OWNER)
    answer = await owner.put(PATH, json={"budgets": [budget]})
    assert answer.status_code == 422
    assert [each["field"] for each in answer.json()["errors"]] == [field]


async def test_a_branch_sees_what_it_has_spent_and_nothing_of_others() -> None:
    desk = await opened(
        "anna", "boris", per_day=Allowance(messages=5), per_month=Allowance(cost=100)
    )
    await finish(desk)
    manager = await caller(desk, Role.MANAGER, BRANCH)
    shown = (await manager.get(f"{PATH}/{BRANCH}")).json()
    # Two messages of one segment at 7.
    assert shown["spent_today"] == {"messages": 2, "cost": 14}
    assert shown["spent_this_month"] == {"messages": 2, "cost": 14}
    assert (shown["day"], shown["month"]) == ("2018-01-02", "2018-01")
    assert (shown["per_day"]["messages"], shown["per_month"]["cost"]) == (5, 100)
    assert (await manager.get(f"{PATH}/b-2")).status_code == 403
    assert (await manager.get(PATH)).status_code == 403
    assert (await manager.put(PATH, json=BUDGETS)).status_code == 403


async def test_a_branch_without_a_budget_has_no_limit_and_nothing_counted() -> None:
    desk = await opened("anna")
    await limit(desk, BranchBudget(branch="other", per_day=Allowance(messages=1)))
    await finish(desk)
    shown = (await (await caller(desk, Role.OWNER)).get(f"{PATH}/{BRANCH}")).json()
    assert (shown["per_day"], shown["spent_today"]) == (None, {"messages": 0, "cost": 0})


async def test_a_campaign_shows_how_much_of_its_budget_is_spent() -> None:
    definition = of_branch(budget=Budget(messages=3, per_day=2))
    desk = await opened("anna", "boris", definition=definition)
    await finish(desk)
    owner = await caller(desk, Role.OWNER)
    shown = (await owner.get(f"/v1/campaigns/{CAMPAIGN}/budget")).json()
    assert (shown["messages"], shown["today"], shown["left"], shown["used_up"]) == (2, 2, 0, False)
    assert shown["budget"]["messages"] == 3
    assert (await owner.get("/v1/campaigns/none/budget")).status_code == 404


async def test_a_campaign_without_a_budget_may_send_any_number() -> None:
    owner = await caller(await opened(), Role.OWNER)
    shown = (await owner.get(f"/v1/campaigns/{CAMPAIGN}/budget")).json()
    assert (shown["budget"], shown["left"], shown["messages"]) == (None, None, 0)
