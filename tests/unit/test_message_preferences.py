"""What people decide by links in messages is evidence in the log of consents, in its own moment."""

from dataclasses import dataclass, field
from datetime import timedelta

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from services.customer.consumers.preferring import react
from services.customer.domain.commands import WithdrawConsent
from services.customer.domain.customer import CUSTOMER
from services.customer.handlers.preferring import Preferring
from services.notify.domain.preference import Said, preferences_stream
from shared.clock import ManualClock
from shared.decider import NewEvent
from shared.envelope import decode
from shared.events.contract import EventData
from shared.events.customer import (
    Channel,
    ConsentGiven,
    ConsentWithdrawn,
    CustomerChanged,
    CustomerRegistered,
    Evidence,
    Identifier,
)
from shared.events.merging import CustomerErased, CustomerMerged
from shared.events.preferences import (
    PreferenceGiven,
    PreferenceSource,
    PreferenceWithdrawn,
    PreferredChannelChosen,
)
from shared.execute import Writer
from shared.keyring import Keyring
from shared.memory import MemoryEventStore, MemoryKeyStore
from shared.testing import DAY, given
from shared.testing.facts import records_of, tell

HOUR = timedelta(hours=1)
MAIL = Identifier(kind="email", hash="h-mail", epoch=1, value="anna@example.com")
ANNA = CustomerRegistered(name="Anna", home_branch="12", identifiers=(MAIL,))
KEYRING = Keyring(MemoryKeyStore(), AESGCM(bytes(32)))


def said(at: timedelta, *, by: str = "till", wording: str | None = None) -> Evidence:
    return Evidence(
        source=by, wording=wording, by="customer" if by != "till" else None, at=DAY + at
    )


def agreed(
    at: timedelta, contact: str | None = None, channel: Channel = "email", by: str = "till"
) -> ConsentGiven:
    return ConsentGiven(
        topic="marketing", channel=channel, contact=contact, evidence=said(at, by=by)
    )


def ended(at: timedelta, by: PreferenceSource = "one-click") -> ConsentWithdrawn:
    evidence = said(at, by=by, wording="1")
    return ConsentWithdrawn(topic="marketing", channel="email", evidence=evidence)


# --- A withdrawal that comes late -----------------------------------------------------------------


def test_a_withdrawal_that_comes_late_ends_what_is_older_and_leaves_what_is_younger() -> None:
    history = [ANNA, agreed(-HOUR), agreed(HOUR, "h-mail"), agreed(HOUR, channel="sms")]
    late = ended(timedelta(0))
    command = WithdrawConsent(customer="anna", at=DAY + HOUR, withdrawn=late)
    # The younger one is said again, with its own evidence; that of SMS is about something else.
    given(CUSTOMER, history).when(command).then([late, agreed(HOUR, "h-mail")])
    state = CUSTOMER.fold([*history, late, agreed(HOUR, "h-mail")])
    standing = {key: each.given for key, each in state.consents.items()}
    assert standing["marketing", "email", "h-mail"]
    assert not standing.get(("marketing", "email", ""), False)
    assert standing["marketing", "sms", ""]


def test_a_withdrawal_of_the_same_moment_ends_it() -> None:
    command = WithdrawConsent(customer="anna", at=DAY, withdrawn=ended(HOUR))
    given(CUSTOMER, [ANNA, agreed(HOUR, "h-mail")]).when(command).then([ended(HOUR)])


# --- The reaction ---------------------------------------------------------------------------------


@dataclass(slots=True)
class Desk:
    """The store of the customer service, and what notify has said."""

    clock: ManualClock = field(default_factory=lambda: ManualClock(DAY))
    customers: MemoryEventStore = field(default_factory=MemoryEventStore)
    notify: MemoryEventStore = field(default_factory=MemoryEventStore)

    def writer(self) -> Writer:
        return Writer(self.customers, KEYRING, self.clock, "customer")

    async def customer(self, name: str, *events: EventData) -> None:
        await tell(
            self.writer(), f"customer-{name}", name, [NewEvent(each, DAY) for each in events]
        )

    async def decide(self, word: Said, at: timedelta) -> None:
        writer = Writer(self.notify, KEYRING, self.clock, "notify")
        event = NewEvent(word, DAY + at)
        await tell(writer, preferences_stream(word.customer), word.customer, [event])

    async def hear(self) -> None:
        """All that notify has said, from the first."""
        records = records_of(self.notify.commits, self.clock.moment)
        await react(Preferring(self.writer()), records)

    async def words(self, name: str) -> list[EventData]:
        """What the log of consents says beside the registration."""
        events, _ = (await self.writer().histories([f"customer-{name}"]))[f"customer-{name}"]
        return [each for each in events if isinstance(each, ConsentGiven | ConsentWithdrawn)]


def no(customer: str = "anna") -> PreferenceWithdrawn:
    return PreferenceWithdrawn(
        customer=customer,
        topic="marketing",
        channel="email",
        source="one-click",
        contact="h-mail",
        message="m",
        wording="1",
    )


def yes(contact: str | None) -> PreferenceGiven:
    return PreferenceGiven(
        customer="anna",
        topic="marketing",
        channel="email",
        source="message-page",
        contact=contact,
        wording="1",
    )


async def test_a_no_is_recorded_with_its_own_moment_source_and_wording_and_ends_all() -> None:
    desk = Desk()
    await desk.customer("anna", ANNA, agreed(-HOUR, "h-mail"))
    await desk.decide(no(), timedelta(0))
    await desk.hear()
    assert (await desk.words("anna"))[1:] == [ended(timedelta(0))]
    commit = desk.customers.commits[-1]
    assert commit.commands[0].id == "preference|preferences-anna@1"
    event = decode(commit.events[0])
    assert (event.causationid, event.causedepth) == ("preferences-anna@1", 1)


async def test_what_is_heard_again_is_recorded_once() -> None:
    desk = Desk()
    await desk.customer("anna", ANNA)
    await desk.decide(no(), timedelta(0))
    for _ in range(2):
        await desk.hear()
    assert await desk.words("anna") == [ended(timedelta(0))]


async def test_an_agreement_is_bound_to_its_address_and_counts_after_the_no_before_it() -> None:
    desk = Desk()
    await desk.customer("anna", ANNA)
    await desk.decide(no(), timedelta(0))
    await desk.decide(yes("h-mail"), HOUR)
    await desk.hear()
    again = agreed(HOUR, "h-mail", by="message-page")
    evidence = again.evidence.model_copy(update={"wording": "1"})
    assert (await desk.words("anna"))[-1] == again.model_copy(update={"evidence": evidence})


async def test_what_cannot_count_any_more_is_passed_over_and_keeps_nothing_else_back() -> None:
    desk = Desk()
    await desk.customer("anna", ANNA, agreed(2 * HOUR))
    await desk.customer("boris", ANNA)
    await desk.customer("clara", ANNA, CustomerErased(erase="e", reason="request"))
    # Newer evidence stands; the address is gone; the person was erased; nobody; and boris.
    await desk.decide(no(), timedelta(0))
    await desk.decide(yes("h-gone"), HOUR)
    await desk.decide(no("clara"), HOUR)
    await desk.decide(no("nobody"), HOUR)
    await desk.decide(no("boris"), HOUR)
    await desk.hear()
    assert await desk.words("anna") == [agreed(2 * HOUR)]
    assert await desk.words("clara") == []
    assert await desk.words("boris") == [ended(HOUR)]


async def test_a_chosen_channel_is_the_one_that_the_customer_prefers() -> None:
    desk = Desk()
    await desk.customer("anna", ANNA)
    chosen = PreferredChannelChosen(customer="anna", channel="sms", source="message-page")
    await desk.decide(chosen, timedelta(0))
    for _ in range(2):
        await desk.hear()
    events, _ = (await desk.writer().histories(["customer-anna"]))["customer-anna"]
    changes = [each for each in events if isinstance(each, CustomerChanged)]
    assert [each.preferred_channel for each in changes] == ["sms"]
    assert await desk.words("anna") == []


async def test_who_was_merged_is_told_of_at_the_survivor() -> None:
    desk = Desk()
    await desk.customer("boris", ANNA)
    await desk.customer("anna", ANNA, CustomerMerged(merge="m", survivor="boris"))
    await desk.decide(no(), timedelta(0))
    await desk.hear()
    assert await desk.words("anna") == []
    assert await desk.words("boris") == [ended(timedelta(0))]


async def test_what_cannot_be_read_keeps_nothing_back() -> None:
    desk = Desk()
    await desk.customer("anna", ANNA)
    await desk.decide(no(), timedelta(0))
    (good,) = records_of(desk.notify.commits, DAY)
    value = (good.value or b"").replace(b'"topic":"marketing"', b'"topic":7')
    await react(
        Preferring(desk.writer()),
        [type(good)("topic", 0, 0, b"anna", value, good.timestamp), good],
    )
    assert await desk.words("anna") == [ended(timedelta(0))]
