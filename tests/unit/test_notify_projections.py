"""The read models of notify: folds that no repetition and no order between topics changes."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import msgspec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given as where
from hypothesis import settings
from hypothesis import strategies as st

from services.notify.domain import BUCKETS, Stage
from services.notify.projections import (
    CAMPAIGN_FIGURES,
    QUEUE,
    RECIPIENTS,
    Contact,
    Membership,
    MessageFigures,
    QueuedMessage,
    Recipient,
)
from shared.clock import ManualClock
from shared.decider import NewEvent
from shared.events.care import BlacklistingEnded, CustomerBlacklisted
from shared.events.contract import EventData
from shared.events.customer import (
    ConsentGiven,
    ConsentWithdrawn,
    CustomerChanged,
    CustomerRegistered,
    Evidence,
    Identifier,
    IdentifierAdded,
    IdentifierChanged,
    IdentifierRemoved,
    RecordFields,
)
from shared.events.merging import (
    Blacklisting,
    ConsentState,
    CustomerAbsorbed,
    CustomerErased,
    CustomerMerged,
    MergeReverted,
    ReleasedIdentifier,
)
from shared.events.notification import (
    MessageDeferred,
    MessageFailed,
    MessageHeldOut,
    MessageScheduled,
    MessageSending,
    MessageSent,
    MessageSuppressed,
    MessageUncertain,
)
from shared.events.segment import Cause, SegmentEntered, SegmentExited
from shared.execute import Writer
from shared.keyring import Keyring
from shared.memory import MemoryDocuments, MemoryEventStore, MemoryKeyStore, MemoryParking
from shared.projection import Document, Projection
from shared.projector import Folder
from shared.testing import DAY, Log, logs_of, readings
from shared.testing.facts import tell

DocumentT = TypeVar("DocumentT", bound=Document)
ANNA, BORIS = "anna", "boris"
CAMPAIGN = "we-miss-you"
HISTORY = Cause(kind="history", import_id="i")
EVIDENCE = Evidence(source="till")
KEYRING = Keyring(MemoryKeyStore(), AESGCM(bytes(32)))
TAKEN = datetime(2026, 11, 1, 12, 0, 0, 250_000, tzinfo=UTC)
"""When Kafka took a record, in system time: another year than the chain's."""


async def logged(*streams: tuple[str, str, Sequence[EventData]]) -> Sequence[Log]:
    """The logs of streams, each with its key and events, in that order."""
    store = MemoryEventStore()
    writer = Writer(store, KEYRING, ManualClock(DAY), "test")
    for stream, key, events in streams:
        await tell(writer, stream, key, [NewEvent(event, DAY) for event in events])
    return logs_of(store.commits)


async def folded(projection: Projection[DocumentT], batches: Sequence[Log]) -> list[DocumentT]:
    """All documents after the batches, at `rev` 0 and by id."""
    documents, parking = MemoryDocuments(), MemoryParking()
    folder: Folder[DocumentT] = Folder(projection, documents, parking, KEYRING)
    for batch in batches:
        await folder.fold(batch)
    assert await parking.count() == 0
    found = [
        msgspec.convert({**raw, "rev": 0}, projection.document) for raw in documents.everything()
    ]
    return sorted(found, key=lambda document: document.id)


def email(name: str) -> Identifier:
    return Identifier(kind="email", hash=f"hash of {name}", epoch=1, value=f"{name}@example.com")


CUSTOMER = (
    CustomerRegistered(
        name="Anna",
        language="ru",
        identifiers=(email("anna"), Identifier(kind="card", hash="c", epoch=1, value="A1")),
    ),
    ConsentGiven(topic="marketing", channel="email", evidence=EVIDENCE),
    ConsentGiven(topic="news", channel="email", contact="hash of new", evidence=EVIDENCE),
    IdentifierAdded(identifier=email("new")),
    IdentifierRemoved(kind="email", hash="hash of anna", epoch=1),
    ConsentWithdrawn(topic="marketing", channel="email", evidence=EVIDENCE),
)
MEMBERSHIP = (
    SegmentEntered(segment="lapsed", definition=1, cause=HISTORY),
    SegmentEntered(segment="coupon", definition=1, cause=HISTORY),
    SegmentExited(segment="lapsed", definition=1, cause=HISTORY),
)


async def people() -> Sequence[Log]:
    return await logged(
        (f"customer-{ANNA}", ANNA, CUSTOMER), (f"membership-{ANNA}", ANNA, MEMBERSHIP)
    )


async def test_a_recipient_is_what_must_be_known_to_send() -> None:
    assert await folded(RECIPIENTS, await people()) == [
        Recipient(
            id=ANNA,
            versions={f"customer-{ANNA}": 6, f"membership-{ANNA}": 3},
            registered=True,
            name="Anna",
            language="ru",
            contacts=[Contact("email", "hash of new", "new@example.com")],
            consents={"news|email|hash of new": True},
            agreed={"news|email|hash of new": DAY},
            withdrawals={"marketing|email": DAY},
            memberships=[Membership("coupon", DAY, 2)],
            registered_at=DAY,
            days=[f"registered|{DAY:%m-%d}"],
        )
    ]


async def test_staff_is_known_as_staff() -> None:
    staff = CustomerRegistered(internal=True)
    (found,) = await folded(RECIPIENTS, await logged((f"customer-{ANNA}", ANNA, [staff])))
    assert found.internal


async def test_memberships_may_be_read_before_the_customer() -> None:
    (log,) = await people()
    memberships_first = [*log[6:], *log[:6]]
    assert await folded(RECIPIENTS, [memberships_first]) == await folded(RECIPIENTS, [log])


async def test_a_lost_event_of_a_customer_parks_the_customer() -> None:
    """It might have been a withdrawal."""
    (log,) = await people()
    parking = MemoryParking()
    folder: Folder[Recipient] = Folder(RECIPIENTS, MemoryDocuments(), parking, KEYRING)
    await folder.fold([log[0], *log[2:]])
    parked = await parking.parked([0])
    assert parked[0].reason == "version 2 is missing before 3"
    # The customer's events 3 … 6 and the memberships behind them.
    assert len(parked) == 7


# --- Merges and erases ---------------------------------------------------------------------------


def given(contact: str | None = None) -> ConsentState:
    return ConsentState(
        topic="news", channel="email", contact=contact, given=True, evidence=EVIDENCE
    )


def no_word(contact: str | None = None) -> ConsentState:
    return ConsentState(topic="news", channel="email", contact=contact)


KNOWN = CustomerRegistered(name="Anna", identifiers=(email("anna"),))
ABSORBED = CustomerAbsorbed(
    merge="m",
    other=BORIS,
    identifiers=(email("boris").model_copy(update={"epoch": 2, "preferred": True}),),
    consents=(given(), given("hash of boris")),
    fields=RecordFields(surname="Orlova", name=None),
    blacklist=Blacklisting(),
)
PARTED = MergeReverted(
    merge="m",
    other=BORIS,
    role="survivor",
    released=(ReleasedIdentifier(kind="email", hash="hash of boris", epoch=3),),
    consents=(no_word(), no_word("hash of boris")),
    cleared=("surname", "blacklist"),
)


async def recipient_of(*events: EventData) -> Recipient:
    (found,) = await folded(RECIPIENTS, await logged((f"customer-{ANNA}", ANNA, events)))
    return found


async def test_a_survivor_can_be_reached_by_what_it_absorbed_and_no_more_when_they_part() -> None:
    merged = await recipient_of(KNOWN, ABSORBED)
    assert [each.hash for each in merged.contacts] == ["hash of anna", "hash of boris"]
    assert (merged.surname, merged.name, merged.blacklisted) == ("Orlova", "Anna", True)
    assert merged.consents == {"news|email|": True, "news|email|hash of boris": True}
    parted = await recipient_of(KNOWN, ABSORBED, PARTED)
    assert replace_versions(parted) == replace_versions(await recipient_of(KNOWN))


def replace_versions(recipient: Recipient) -> Recipient:
    return msgspec.structs.replace(recipient, versions={})


async def test_a_loser_is_known_as_merged_until_they_part() -> None:
    merged = CustomerMerged(merge="m", survivor=BORIS)
    assert (await recipient_of(KNOWN, merged)).merged == BORIS
    back = MergeReverted(merge="m", other=BORIS, role="loser", identifiers=(email("anna"),))
    parted = await recipient_of(KNOWN, merged, back)
    assert replace_versions(parted) == replace_versions(await recipient_of(KNOWN))


async def test_of_who_was_erased_nothing_is_left_for_good() -> None:
    erased = CustomerErased(erase="e", reason="request")
    late = ConsentGiven(topic="news", channel="email", evidence=EVIDENCE)
    for history in ((KNOWN, erased), (KNOWN, ABSORBED, erased, late)):
        found = await recipient_of(*history)
        assert replace_versions(found) == Recipient(id=ANNA, removed=True)


async def test_a_withdrawal_for_one_contact_point_leaves_the_others() -> None:
    consent = ConsentGiven(topic="news", channel="email", evidence=EVIDENCE)
    withdrawn = ConsentWithdrawn(
        topic="news", channel="email", contact="hash of new", evidence=EVIDENCE
    )
    added = IdentifierAdded(identifier=email("new"))
    found = await recipient_of(KNOWN, added, consent, withdrawn)
    reached = [each.hash for each in found.contacts if found.may_reach(each, "news", "email")]
    assert reached == ["hash of anna"]
    assert found.wants("news", "email")
    for_all = ConsentWithdrawn(topic="news", channel="email", evidence=EVIDENCE)
    assert (await recipient_of(KNOWN, consent, withdrawn, for_all)).consents == {}


async def test_what_is_known_of_a_contact_point_and_of_the_record_is_followed() -> None:
    found = await recipient_of(
        KNOWN,
        IdentifierAdded(identifier=email("new").model_copy(update={"preferred": True})),
        IdentifierChanged(kind="email", hash="hash of anna", state="bad", preferred=True),
        CustomerChanged(surname="Orlova", internal=True, cleared=("name",)),
        CustomerBlacklisted(reason="rude"),
    )
    assert [(each.hash, each.state, each.preferred) for each in found.contacts] == [
        ("hash of anna", "bad", True),
        ("hash of new", None, None),
    ]
    assert (found.surname, found.name, found.internal) == ("Orlova", None, True)
    assert found.blacklisted
    over = await recipient_of(KNOWN, CustomerBlacklisted(), BlacklistingEnded(cause="lifted"))
    assert not over.blacklisted


# --- Messages ------------------------------------------------------------------------------------


def message(name: str, *events: type[EventData]) -> tuple[str, str, list[EventData]]:
    more: dict[type[EventData], dict[str, Any]] = {
        MessageScheduled: {"occurrence": "lapsed@1", "channel": "email"},
        MessageSending: {"contact": "hash", "attempt": "a1"},
        MessageDeferred: {"attempt": "a1", "reason": "refused", "code": "451"},
        MessageSuppressed: {"reason": "no_consent"},
        MessageFailed: {"code": "550"},
    }
    datas = [
        kind.model_validate({"message": name, "campaign": CAMPAIGN, **more.get(kind, {})})
        for kind in events
    ]
    return f"message-{name}", ANNA if name < "m4" else BORIS, datas


LIVES = [
    message("m1", MessageScheduled),
    message("m2", MessageScheduled, MessageSuppressed),
    message("m3", MessageScheduled, MessageSending),
    message("m4", MessageScheduled, MessageSending, MessageSent),
    message("m5", MessageScheduled, MessageSending, MessageDeferred, MessageSending, MessageFailed),
    message("m6", MessageScheduled, MessageSending, MessageUncertain),
    message("m7", MessageScheduled, MessageHeldOut),
    message("m8", MessageScheduled, MessageSending, MessageDeferred),
]


async def test_the_queue_holds_every_message_and_its_turn_while_it_is_open() -> None:
    found = await folded(QUEUE, await logged(*LIVES))
    assert {each.id: (each.stage, each.reason, each.code) for each in found} == {
        "m1": (Stage.SCHEDULED, None, None),
        "m2": (Stage.SUPPRESSED, "no_consent", None),
        "m3": (Stage.SENDING, None, None),
        "m4": (Stage.SENT, None, None),
        "m5": (Stage.FAILED, None, "550"),
        "m6": (Stage.UNCERTAIN, None, None),
        "m7": (Stage.HELD_OUT, None, None),
        "m8": (Stage.SCHEDULED, "refused", "451"),
    }
    assert [each.id for each in found if each.due] == ["m1", "m3", "m8"]
    assert {each.refusals for each in found if each.id in ("m5", "m8")} == {1}
    assert all(each.customer in (ANNA, BORIS) and each.bucket < BUCKETS for each in found)
    assert [each.attempt for each in found if each.attempt] == ["a1"]


async def test_a_message_remembers_when_it_was_recorded_and_first_handed_over() -> None:
    (log,) = await logged(message("m1", MessageScheduled, MessageSending, MessageSending))
    times = [TAKEN, TAKEN + timedelta(seconds=1), TAKEN + timedelta(seconds=30)]
    records = [
        replace(record, timestamp=int(time.timestamp() * 1000))
        for record, time in zip(log, times, strict=True)
    ]
    (found,) = await folded(QUEUE, [records])
    assert (found.recorded, found.sending_since, found.sending_at) == tuple(times)
    assert found.scheduled_at == DAY
    assert found.turn == "001793534400250|m1"


def test_what_else_a_customer_is_to_get_is_found_without_looking_at_everybodys() -> None:
    # Each batch asks it where there are caps, however many wait.
    assert (("customer", 1), ("due", 1)) in QUEUE.indexes


async def test_figures_count_each_message_once() -> None:
    found = await folded(CAMPAIGN_FIGURES, await logged(*LIVES))
    assert {each.id: (each.outcome, each.reason) for each in found} == {
        "m1": ("open", None),
        "m2": ("suppressed", "no_consent"),
        "m3": ("open", None),
        "m4": ("sent", None),
        "m5": ("failed", None),
        "m6": ("uncertain", None),
        "m7": ("held_out", None),
        "m8": ("open", None),
    }
    assert {each.customer for each in found} == {ANNA, BORIS}


PEOPLE = asyncio.run(people())
MESSAGES = asyncio.run(logged(*LIVES))


@settings(max_examples=40, deadline=None)
@where(st.data())
def test_recipients_come_out_the_same_however_the_log_is_read(data: st.DataObject) -> None:
    batches = data.draw(readings(PEOPLE))
    expected = asyncio.run(folded(RECIPIENTS, PEOPLE))
    assert asyncio.run(folded(RECIPIENTS, batches)) == expected


@settings(max_examples=40, deadline=None)
@where(st.data())
def test_queue_and_figures_come_out_the_same_however_the_log_is_read(data: st.DataObject) -> None:
    batches = data.draw(readings(MESSAGES))
    queue: list[QueuedMessage] = asyncio.run(folded(QUEUE, MESSAGES))
    assert asyncio.run(folded(QUEUE, batches)) == queue
    figures: list[MessageFigures] = asyncio.run(folded(CAMPAIGN_FIGURES, MESSAGES))
    assert asyncio.run(folded(CAMPAIGN_FIGURES, batches)) == figures
