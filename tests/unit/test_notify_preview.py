"""Previews over HTTP, on memory: what a customer would get, shown to who may see it."""

from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import Any

import httpx2
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from services.notify.api import PreviewApi
from services.notify.handlers.books.campaigns import CampaignBook
from services.notify.handlers.campaigns.requests import Request, define
from services.notify.projections import Recipient
from shared.access import Authenticator, Role, issue
from shared.clock import ManualClock
from shared.events.campaign import CampaignDefined
from shared.execute import Writer
from shared.http import build_app
from shared.keyring import Keyring
from shared.memory import MemoryApiKeys, MemoryEventStore, MemoryKeyStore
from shared.testing import client_of

SECRET = bytes(32)
NOW = datetime(2018, 1, 2, tzinfo=UTC)
MAIL = (
    "<mjml><mj-body><mj-section><mj-column><mj-text>Dear {{ customer.name }}, "
    "<a href='https://shop.example/'>come</a>"
    " or <a href='{{ links.unsubscribe }}'>leave</a></mj-text>"
    "</mj-column></mj-section></mj-body></mjml>"
)
DEFINITION: dict[str, Any] = {
    "campaign": "we-miss-you",
    "title": "We miss you",
    "trigger": {"kind": "on_entering", "segment": "lapsed-30"},
    "channel": "email",
    "topic": "marketing",
    "template": {
        "subject": "Hello {{ customer.name }}",
        "text": "Dear {{ customer.name }}",
        "mjml": MAIL,
        "language": "en",
        "versions": [{"language": "ru", "channel": "sms", "text": "Привет, {{ customer.name }}"}],
    },
    "start": "2018-01-01T00:00:00Z",
    "holdout_percent": 0,
}
PEOPLE = {
    "anna": Recipient(id="anna", registered=True, name="Anna", language="ru-RU"),
    "nobody": Recipient(id="nobody", registered=True),
    "gone": Recipient(id="gone", removed=True),
    "unseen": Recipient(id="unseen"),
}


class Known:
    """Those who are known here."""

    async def load(self, customers: Collection[str]) -> Mapping[str, Recipient]:
        return {each: PEOPLE[each] for each in customers if each in PEOPLE}


async def _ready() -> dict[str, Any]:
    return {}


async def _asked(
    body: dict[str, Any],
    *,
    roles: Collection[Role] = (Role.OWNER,),
    branches: tuple[str, ...] | None = None,
    name: str = "we-miss-you",
    public_url: str | None = "https://chain.example",
    change: dict[str, Any] | None = None,
) -> httpx2.Response:
    store, clock = MemoryEventStore(), ManualClock(NOW)
    writer = Writer(store, Keyring(MemoryKeyStore(), AESGCM(bytes(32))), clock, "notify")
    definition = CampaignDefined.model_validate(DEFINITION | (change or {}))
    await define(writer, Request("define", DEFINITION, NOW), definition, lambda _version: None)
    before = await store.names("")
    keys = MemoryApiKeys()
    text, stored = issue(SECRET, title="test", roles=list(roles), branches=branches)
    await keys.add(stored)
    app = build_app(
        title="test",
        service="notify",
        routers=[PreviewApi(CampaignBook(store), Known(), SECRET, None, public_url).router()],
        authenticator=Authenticator(keys, SECRET),
        readiness=_ready,
    )
    async with client_of(app, text) as client:
        answer = await client.post(f"/v1/campaigns/{name}/preview", json=body)
    assert await store.names("") == before
    return answer


async def test_a_customer_is_shown_what_the_mail_would_say() -> None:
    found = (await _asked({"customer": "anna"})).json()
    html = found.pop("html")
    assert found == {
        "channel": "email",
        "variant": None,
        "language": "en",
        "version_channel": None,
        "subject": "Hello Anna",
        "text": "Dear Anna",
        "segments": None,
        "missing": [],
    }
    assert "Dear Anna" in html
    # Links are shown as they lead: nobody counts who looks at a preview.
    assert 'href="https://shop.example/"' in html
    assert 'href="https://chain.example/m/preview"' in html


async def test_an_sms_is_shown_with_what_it_costs_in_its_own_version() -> None:
    found = (await _asked({"customer": "anna", "channel": "sms"})).json()
    assert found["text"] == "Привет, Anna"
    assert (found["language"], found["version_channel"]) == ("ru", "sms")
    # Twelve letters, of which six are beyond the default alphabet: one message of 70 at most.
    assert found["segments"] == {"alphabet": "ucs-2", "units": 12, "count": 1}
    assert found["html"] is None


async def test_what_is_missing_is_named() -> None:
    found = (await _asked({"customer": "nobody"})).json()
    assert found["missing"] == ["customer.name"]
    assert (found["subject"], found["text"], found["html"]) == (None, None, None)


async def test_links_of_messages_need_an_address_to_lead_to() -> None:
    found = (await _asked({"customer": "anna"}, public_url=None)).json()
    assert found["missing"] == ["links.unsubscribe"]
    assert found["text"] is None


@pytest.mark.parametrize("customer", ["gone", "unseen", "stranger"])
async def test_there_is_nothing_to_show_of_who_is_not_there(customer: str) -> None:
    answer = await _asked({"customer": customer})
    assert answer.status_code == 404


async def test_there_is_nothing_to_show_of_a_campaign_that_is_not_there() -> None:
    assert (await _asked({"customer": "anna"}, name="other")).status_code == 404


@pytest.mark.parametrize(
    ("roles", "branches"),
    [((Role.CASHIER,), None), ((Role.OWNER,), ("center",)), ((Role.MANAGER,), ("center",))],
)
async def test_a_preview_is_for_who_sees_the_whole_chain(
    roles: tuple[Role, ...], branches: tuple[str, ...] | None
) -> None:
    answer = await _asked({"customer": "anna"}, roles=roles, branches=branches)
    assert answer.status_code == 403
    assert "Anna" not in answer.text


async def test_what_is_asked_wrongly_is_refused_by_its_field() -> None:
    answer = await _asked({"customer": "anna", "to": "anna@shop.example"})
    assert answer.status_code == 422


async def test_a_variant_is_shown_that_is_asked_for_else_the_customers_own() -> None:
    words = {"subject": "Other words", "text": "Hello"}
    variants = [
        {"name": "a", "weight": 1, "template": DEFINITION["template"]},
        # By these weights nearly everybody gets the second one.
        {"name": "b", "weight": 1_000, "template": words},
    ]
    change = {"variants": variants}
    own = (await _asked({"customer": "anna"}, change=change)).json()
    assert (own["variant"], own["subject"]) == ("b", "Other words")
    other = (await _asked({"customer": "anna", "variant": "a"}, change=change)).json()
    assert (other["variant"], other["subject"]) == ("a", "Hello Anna")
    refused = await _asked({"customer": "anna", "variant": "c"}, change=change)
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["field"] == "variant"


async def test_codes_of_coupons_are_samples_that_nobody_has() -> None:
    words = {"subject": "For you", "text": "{{ coupon.code }} {{ referral.code }}"}
    change = {"template": words, "coupon": "spring"}
    found = (await _asked({"customer": "anna"}, change=change)).json()
    assert (found["text"], found["missing"]) == ("SPRING-K7QM2XNPB K7QM2XNPB", [])
