"""The timeline over HTTP: who sees what, in which language, page by page."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC
from pathlib import Path
from typing import Any

import httpx2
import pytest

import services.interaction
from services.interaction.api.timeline import TimelineApi
from shared.access import Authenticator, Role, issue
from shared.events.customer import CustomerRegistered
from shared.events.interaction import CallRecorded
from shared.events.merging import CustomerErased, CustomerMerged
from shared.events.notification import MessageSent
from shared.events.segment import Cause, SegmentEntered
from shared.http import build_app
from shared.memory import MemoryApiKeys
from shared.testing import client_of
from shared.wording import Languages
from tests.unit.timelines import Shop, busy_shop, receipt

SECRET = bytes(32)
LOCALES = Path(services.interaction.__file__).parent / "locales"
PROBLEM = "urn:regulars:problem:"
Json = Any


@dataclass(slots=True)
class Desk:
    """The timeline of a shop over HTTP."""

    shop: Shop
    keys: MemoryApiKeys = field(default_factory=MemoryApiKeys)

    async def caller(self, role: Role = Role.READER, *branches: str) -> httpx2.AsyncClient:
        """A client with a key of its own; no branches: of the whole chain."""
        text, stored = issue(SECRET, title="test", roles=[role], branches=branches or None)
        await self.keys.add(stored)
        languages = Languages.read(LOCALES)
        api = TimelineApi(self.shop.trees, self.shop.timeline, languages, "USD", UTC)
        app = build_app(
            title="test",
            service="interaction",
            routers=[api.router()],
            authenticator=Authenticator(self.keys, SECRET),
            readiness=_readiness,
        )
        return client_of(app, text)


async def _readiness() -> dict[str, bool | str]:
    return {}


@pytest.fixture
async def desk() -> Desk:
    """Anna with a little of everything, also of segments and messages."""
    shop = await busy_shop()
    entered = SegmentEntered(segment="regulars", definition=1, cause=Cause(kind="time"))
    await shop.tell("membership-anna", "anna", entered, 6)
    await shop.tell("message-m", "anna", MessageSent(message="m", campaign="spring"), 7)
    await shop.read()
    return Desk(shop)


async def asked(client: httpx2.AsyncClient, customer: str = "anna", **query: Any) -> Json:  # noqa: ANN401 - any value of a query
    answer = await client.get(f"/v1/customers/{customer}/timeline", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


def kinds(page: Json) -> Sequence[str]:
    return [entry["kind"] for entry in page["items"]]


async def test_an_entry_says_what_happened_and_where_to_read_on(desk: Desk) -> None:
    page = await asked(await desk.caller(), group="purchase")
    assert page == {
        "items": [
            {
                "id": "fact|r1",
                "kind": "interaction.receipt_recorded",
                "group": "purchase",
                "time": "2017-12-01T11:30:00.000Z",
                "recorded_time": "2017-12-01T09:30:00.000Z",
                "customer": "anna",
                "branch": "12",
                "channel": None,
                "sentence": "Receipt for $123.45, 1 line",
                "text": None,
                "amount_minor": 12_345,
                "source": "/v1/facts/r1",
            }
        ],
        "next_cursor": None,
        "customer": "anna",
        "language": "en",
    }


async def test_a_fact_is_read_by_its_own_address(desk: Desk) -> None:
    client = await desk.caller()
    (entry,) = (await asked(client, kind="interaction.survey_answered"))["items"]
    assert (await client.get(entry["source"])).json() == entry
    russian = await client.get(entry["source"], params={"language": "ru"})
    assert russian.json()["sentence"] == "Ответ на опрос spring"
    nobody = await client.get("/v1/facts/none")
    assert (nobody.status_code, nobody.json()["type"]) == (404, f"{PROBLEM}not-found")
    refused = await (await desk.caller(Role.CASHIER, "13")).get(entry["source"])
    assert (refused.status_code, refused.json()["type"]) == (403, f"{PROBLEM}out-of-scope")


async def test_the_language_is_asked_for_or_accepted(desk: Desk) -> None:
    client = await desk.caller()
    path = "/v1/customers/anna/timeline?kind=customer.note_added"
    said = []
    for query, header in (("", "ru-RU,ru;q=0.9"), ("&language=en", "ru"), ("", "de"), ("", "")):
        answer = await client.get(path + query, headers={"Accept-Language": header})
        (entry,) = answer.json()["items"]
        assert entry["text"] == "Likes tea"
        said.append((entry["sentence"], answer.headers["content-language"]))
    assert said == [("Заметка", "ru"), ("Note", "en"), ("Note", "en"), ("Note", "en")]


async def test_days_in_sentences_are_those_of_the_zone(desk: Desk) -> None:
    call = CallRecorded(fact="c", source="pbx", source_id="c", direction="in", answered=True)
    await desk.shop.record("anna", call, 8)
    await desk.shop.read()
    client = await desk.caller()
    assert (await asked(client, kind="interaction.call_recorded", zone="Asia/Tokyo"))["items"]
    wrong = await client.get("/v1/customers/anna/timeline", params={"zone": "Mars/Base"})
    assert (wrong.status_code, wrong.json()["errors"][0]["field"]) == (422, "zone")


async def test_pages_go_on_where_they_ended(desk: Desk) -> None:
    client = await desk.caller()
    whole = kinds(await asked(client))
    assert len(whole) == 8
    found: list[str] = []
    cursor: str | None = None
    while True:
        page = await asked(client, limit=3, **({} if cursor is None else {"cursor": cursor}))
        found += kinds(page)
        cursor = page["next_cursor"]
        if cursor is None:
            break
        assert len(page["items"]) == 3
    assert found == whole


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"limit": 201}, "limit"),
        ({"kind": "nothing.like_it"}, "kind"),
        ({"group": "weather"}, "group.0"),
        ({"language": "de"}, "language"),
        ({"since": "yesterday"}, "since"),
        ({"cursor": "%%"}, "cursor"),
        ({"unknown": "1"}, "unknown"),
    ],
)
async def test_what_cannot_be_asked_is_named(desk: Desk, query: Json, field: str) -> None:
    client = await desk.caller()
    answer = await client.get("/v1/customers/anna/timeline", params=query)
    assert answer.status_code == 422, answer.text
    assert [error["field"] for error in answer.json()["errors"]] == [field]


async def test_filters_of_the_query(desk: Desk) -> None:
    client = await desk.caller()
    page = await asked(client, kind=["deal.won", "deal.opened"])
    assert kinds(page) == ["deal.won", "deal.opened"]
    assert kinds(await asked(client, group=["deal", "note"], branch="13")) == ["deal.won"]
    assert kinds(await asked(client, channel="web")) == ["interaction.survey_answered"]
    period = {"since": "2017-12-01T12:30:00Z", "until": "2017-12-01T13:30:00Z"}
    assert kinds(await asked(client, **period)) == ["deal.opened"]


async def test_a_key_sees_what_its_role_may_read(desk: Desk) -> None:
    assert kinds(await asked(await desk.caller(Role.READER)))[:2] == [
        "message.sent",
        "segment.entered",
    ]
    # A cashier reads customers, deals and facts, but neither segments nor campaigns.
    cashier = kinds(await asked(await desk.caller(Role.CASHIER)))
    assert len(cashier) == 6
    assert not {"message.sent", "segment.entered"} & set(cashier)


async def test_a_key_of_some_branches_sees_theirs_and_what_is_of_no_branch(desk: Desk) -> None:
    client = await desk.caller(Role.READER, "13")
    assert kinds(await asked(client)) == ["deal.won", "deal.opened"]
    # Segments and messages are of the whole chain; another branch is refused by name.
    assert kinds(await asked(client, group="segment")) == []
    refused = await client.get("/v1/customers/anna/timeline", params={"branch": "12"})
    assert (refused.status_code, refused.json()["type"]) == (403, f"{PROBLEM}out-of-scope")
    # Whom they have never seen has nothing for them.
    assert kinds(await asked(await desk.caller(Role.READER, "99"))) == []


async def test_a_merged_customer_is_answered_for_by_the_survivor(desk: Desk) -> None:
    await desk.shop.tell("customer-ben", "ben", CustomerRegistered(), 1)
    await desk.shop.record("ben", receipt("r9"), 9)
    merged = CustomerMerged(merge="m", survivor="anna", reason="twins")
    await desk.shop.tell("customer-ben", "ben", merged, 10)
    await desk.shop.read()
    client = await desk.caller()
    page = await asked(client, "ben")
    assert page == await asked(client, "anna")
    assert page["customer"] == "anna"
    assert [entry["customer"] for entry in page["items"][:3]] == ["ben", "ben", "anna"]
    assert (page["items"][0]["sentence"], page["items"][0]["text"]) == (
        "Merged into anna",
        "twins",
    )


async def test_who_was_erased_keeps_entries_without_texts(desk: Desk) -> None:
    # The key is in some cache yet: who reads that the person was erased opens nothing any more.
    await desk.shop.tell("customer-anna", "anna", CustomerErased(erase="e", reason="law"), 11)
    await desk.shop.read()
    client = await desk.caller()
    assert (await client.get("/v1/facts/s1")).json()["text"] is None
    page = await asked(client)
    assert len(page["items"]) == 9
    assert {entry["text"] for entry in page["items"]} == {None}
    assert page["items"][0]["sentence"] == "Personal data were erased (by law)"
    refused = await (await desk.caller(Role.READER, "12")).get("/v1/customers/anna/timeline")
    assert (refused.status_code, refused.json()["type"]) == (410, f"{PROBLEM}erased")


async def test_nobody_is_not_found_and_versions_are_waited_for(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = await desk.caller()
    nobody = await client.get("/v1/customers/nobody/timeline")
    assert (nobody.status_code, nobody.json()["type"]) == (404, f"{PROBLEM}not-found")
    assert (await asked(client, min_version=2))["items"]
    monkeypatch.setattr("shared.http.preconditions.WAIT_SECONDS", 0.0)
    monkeypatch.setattr("shared.http.preconditions.until.__defaults__", (0.0,))
    late = await client.get("/v1/customers/anna/timeline", params={"min_version": 3})
    assert (late.status_code, late.json()["type"]) == (503, f"{PROBLEM}not-caught-up")
