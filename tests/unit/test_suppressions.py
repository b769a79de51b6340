"""The suppression list: what puts an address on it, who takes it off, and what is ever shown."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from services.notify.api.suppressions import SuppressionApi
from services.notify.channels import Accepted, Outgoing, Receipt, Rejected
from services.notify.domain import BeginSending, Stage
from services.notify.domain.suppression import (
    ADDRESS,
    AddressCommand,
    NoteFailure,
    Patience,
    ReleaseAddress,
    SuppressAddress,
)
from services.notify.handlers.books.suppression import note, suppressed
from services.notify.handlers.deciding.plans import Plan
from services.notify.handlers.sending.results import refused_addresses
from services.notify.projections import QueuedMessage
from services.notify.projections.suppressions import SUPPRESSIONS, Suppression
from services.notify.queries.suppressions import Suppressions
from shared.access import Authenticator, Role, issue
from shared.clock import ManualClock
from shared.decider import NewEvent
from shared.events.suppression import AddressFailed, AddressReleased, AddressSuppressed
from shared.execute import Writer
from shared.http import build_app
from shared.identifiers import IdentifierRules
from shared.keyring import Keyring
from shared.memory import (
    MemoryApiKeys,
    MemoryDocuments,
    MemoryEventStore,
    MemoryKeyStore,
    MemoryParking,
)
from shared.projector import Folder
from shared.testing import client_of, given, logs_of
from shared.testing.collections import MemoryQuestions

Json = Any
NOW = datetime(2018, 1, 2, tzinfo=UTC)
SECRET = bytes(32)
RULES = IdentifierRules(SECRET)
KEYRING = Keyring(MemoryKeyStore(), AESGCM(bytes(32)))
MAIL = RULES.known("email", "anna@example.com", "value").hash
BOUNCED = AddressSuppressed(contact="h", reason="bounced", channel="email", message="m-3")
TWO = Patience(2, timedelta(days=30))


def failed(message: str, at: datetime = NOW) -> AddressFailed:
    return AddressFailed(contact="h", channel="email", message=message, at=at)


def fails(message: str, at: datetime = NOW, patience: Patience = TWO) -> NoteFailure:
    return NoteFailure(contact="h", at=at, channel="email", message=message, patience=patience)


def suppress(**more: Json) -> SuppressAddress:
    return SuppressAddress(contact="h", at=NOW, **{"reason": "complained", **more})


def test_an_address_is_put_on_the_list_once() -> None:
    complained = AddressSuppressed(contact="h", reason="complained", message="m-1")
    given(ADDRESS).when(suppress(message="m-1")).then([complained])
    given(ADDRESS, [BOUNCED]).when(suppress()).then_nothing()


def test_after_so_many_failures_within_so_long_an_address_is_bad() -> None:
    given(ADDRESS).when(fails("m-1")).then([failed("m-1")])
    first = failed("m-1")
    # The second of two within thirty days.
    bad = AddressSuppressed(contact="h", reason="bounced", channel="email", message="m-2")
    given(ADDRESS, [first]).when(fails("m-2")).then([failed("m-2"), bad])
    # The same message again is no second failure, and a month later the first is forgotten.
    given(ADDRESS, [first]).when(fails("m-1")).then_nothing()
    later = NOW + timedelta(days=30)
    given(ADDRESS, [first]).when(fails("m-2", later)).then([failed("m-2", later)])
    given(ADDRESS, [BOUNCED]).when(fails("m-9")).then_nothing()
    at_once = fails("m-1", patience=Patience(1))
    assert len(ADDRESS.decide(at_once, ADDRESS.initial())) == 2


def test_a_person_releases_an_address_and_the_count_begins_anew() -> None:
    release = ReleaseAddress(contact="h", at=NOW, by="anna", note="It works again")
    released = AddressReleased(contact="h", by="anna", note="It works again")
    history = [failed("m-1"), failed("m-2"), BOUNCED]
    given(ADDRESS, history).when(release).then([NewEvent(released, NOW)])
    given(ADDRESS, [*history, released]).when(release).then_refused("not-found")
    given(ADDRESS).when(release).then_refused("not-found")
    given(ADDRESS, [*history, released]).when(fails("m-3")).then([failed("m-3")])
    again: AddressCommand = suppress()
    assert len(ADDRESS.decide(again, ADDRESS.fold([*history, released]))) == 1


async def test_what_a_channel_calls_a_bad_address_is_put_on_the_list_once() -> None:
    store = MemoryEventStore()
    writer = Writer(store, KEYRING, ManualClock(NOW), "notify")
    message = QueuedMessage(
        id="m",
        campaign="c",
        customer="anna",
        occurrence="1",
        channel="sms",
        bucket=1,
        turn="1|m",
        due="1|m",
        recorded=NOW,
        scheduled_at=NOW,
        changed_at=NOW,
        stage=Stage.SCHEDULED,
        correlation="c",
        depth=1,
    )
    out = Outgoing("m", "+4930", "s", "t", NOW, 1.0)

    def plan(contact: str) -> Plan:
        begin = BeginSending(message="m", at=NOW, contact=contact, attempt="a", channel="sms")
        return Plan(message, begin, out)

    plans = [plan("h-bad"), plan("h-refused"), plan("h-good")]
    receipts: list[Receipt] = [Rejected("21211", address=True), Rejected("too-long"), Accepted()]
    found = refused_addresses(plans, receipts, NOW)
    for _ in range(2):
        await note(writer, found)
    assert await suppressed(store, ["h-bad", "h-refused", "h-good"]) == {"h-bad"}
    assert len(store.commits) == 1
    assert await suppressed(store, []) == set()


class List:
    """The service as far as the list goes."""

    def __init__(self) -> None:
        self.store, self.documents = MemoryEventStore(), MemoryDocuments()
        self.writer = Writer(self.store, KEYRING, ManualClock(NOW), "notify")

    async def fold(self) -> None:
        folder: Folder[Suppression] = Folder(SUPPRESSIONS, self.documents, MemoryParking(), KEYRING)
        for log in logs_of(self.store.commits):
            await folder.fold(log)


@pytest.fixture
def listed() -> List:
    return List()


async def _ready() -> dict[str, Any]:
    return {}


async def clients(listed: List, role: Role) -> httpx2.AsyncClient:
    keys = MemoryApiKeys()
    text, stored = issue(SECRET, title="test", roles=[role], branches=None)
    await keys.add(stored)
    questions = Suppressions(MemoryQuestions(listed.documents))
    api = SuppressionApi(listed.writer, questions, RULES, ManualClock(NOW))
    app = build_app(
        title="test",
        service="notify",
        routers=[api.router()],
        authenticator=Authenticator(keys, SECRET),
        readiness=_ready,
    )
    return client_of(app, text)


@pytest.fixture
async def owner(listed: List) -> AsyncIterator[httpx2.AsyncClient]:
    async with await clients(listed, Role.OWNER) as client:
        yield client


ADDRESS_SENT = {"kind": "email", "value": " Anna@Example.com ", "note": "Asked Anna on the phone"}


async def test_an_address_is_added_by_hand_shown_by_its_hash_and_released(
    listed: List, owner: httpx2.AsyncClient
) -> None:
    answer = await owner.post("/v1/suppressions", json=ADDRESS_SENT)
    assert (answer.status_code, answer.json()) == (201, {"contact": MAIL, "version": 1})
    assert await suppressed(listed.store, [MAIL]) == {MAIL}
    # Whoever puts it there twice, has it there once.
    again = await owner.post("/v1/suppressions", json=ADDRESS_SENT)
    assert again.json()["version"] == 1
    await listed.fold()
    (shown,) = (await owner.get("/v1/suppressions")).json()["items"]
    assert (shown["contact"], shown["reason"], shown["since"]) == (
        MAIL,
        "by_hand",
        "2018-01-02T00:00:00.000Z",
    )
    assert shown["by"]
    # Neither the address nor what was noted is in the clear anywhere.
    recorded = json.dumps([each.events for each in listed.store.commits])
    assert "nna" not in recorded + json.dumps(list(map(str, listed.documents.everything())))

    released = await owner.delete(f"/v1/suppressions/{MAIL}", params={"note": "It works again"})
    assert (released.status_code, released.json()["version"]) == (200, 2)
    assert await suppressed(listed.store, [MAIL]) == set()
    await listed.fold()
    assert (await owner.get("/v1/suppressions")).json()["items"] == []
    gone = await owner.delete(f"/v1/suppressions/{MAIL}", params={"note": "Once more"})
    assert gone.status_code == 404


async def test_the_list_is_paged_and_narrowed_by_reason(
    listed: List, owner: httpx2.AsyncClient
) -> None:
    for name in ("anna", "boris", "clara"):
        await owner.post("/v1/suppressions", json={"kind": "email", "value": f"{name}@x.example"})
    await listed.fold()
    first = (await owner.get("/v1/suppressions", params={"limit": 2})).json()
    rest = await owner.get("/v1/suppressions", params={"limit": 2, "cursor": first["next_cursor"]})
    found = [each["contact"] for page in (first, rest.json()) for each in page["items"]]
    assert (len(found), len(set(found)), rest.json()["next_cursor"]) == (3, 3, None)
    for reason, number in (("by_hand", 3), ("bounced", 0)):
        page = await owner.get("/v1/suppressions", params={"reason": reason})
        assert len(page.json()["items"]) == number


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"kind": "email", "value": "nobody"}, "value"),
        ({"kind": "phone", "value": "12"}, "value"),
        ({"kind": "card", "value": "A1"}, "kind"),
        ({"kind": "email", "value": "a@x.example", "reason": "bounced"}, "reason"),
    ],
)
async def test_what_is_no_address_is_refused_by_its_field(
    owner: httpx2.AsyncClient, body: dict[str, str], field: str
) -> None:
    answer = await owner.post("/v1/suppressions", json=body)
    assert answer.status_code == 422
    assert [each["field"] for each in answer.json()["errors"]] == [field]


async def test_a_release_says_why(owner: httpx2.AsyncClient) -> None:
    assert (await owner.delete(f"/v1/suppressions/{MAIL}")).status_code == 422
    refused = await owner.delete("/v1/suppressions/anna", params={"note": "why"})
    assert refused.status_code == 422


async def test_who_only_reads_changes_nothing(listed: List) -> None:
    async with await clients(listed, Role.READER) as reader:
        assert (await reader.get("/v1/suppressions")).status_code == 200
        assert (await reader.post("/v1/suppressions", json=ADDRESS_SENT)).status_code == 403
        released = await reader.delete(f"/v1/suppressions/{MAIL}", params={"note": "why"})
        assert released.status_code == 403
    async with await clients(listed, Role.CASHIER) as cashier:
        assert (await cashier.get("/v1/suppressions")).status_code == 403
