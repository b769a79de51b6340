"""An address from which messages come back is a bad contact point of the customer, once."""

from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from services.customer.consumers.bouncing import react
from services.customer.handlers.bouncing import Bouncing
from services.notify.domain.suppression import address_stream
from shared.clock import ManualClock
from shared.decider import NewEvent
from shared.events.customer import (
    CustomerRegistered,
    Identifier,
    IdentifierChanged,
    IdentifierRemoved,
)
from shared.events.merging import CustomerErased, CustomerMerged
from shared.events.suppression import AddressReleased, AddressSuppressed, SuppressedFor
from shared.execute import Writer
from shared.keyring import Keyring
from shared.memory import MemoryEventStore, MemoryKeyStore
from shared.testing import DAY
from shared.testing.facts import records_of, tell

MAIL = Identifier(kind="email", hash="h-mail", epoch=1, value="anna@example.com")
PHONE = Identifier(kind="phone", hash="h-phone", epoch=1, value="+4930123456")
ANNA = CustomerRegistered(name="Anna", identifiers=(MAIL, PHONE))
BAD = IdentifierChanged(kind="email", hash="h-mail", state="bad")
KEYRING = Keyring(MemoryKeyStore(), AESGCM(bytes(32)))


def found(
    reason: SuppressedFor = "bounced", customer: str | None = "anna", contact: str = "h-mail"
) -> AddressSuppressed:
    return AddressSuppressed(
        contact=contact, reason=reason, channel="email", message="m", customer=customer
    )


class Desk:
    """The customer service, and what notify has found out."""

    def __init__(self) -> None:
        self.clock = ManualClock(DAY)
        self.customers, self.notify = MemoryEventStore(), MemoryEventStore()
        self.writer = Writer(self.customers, KEYRING, self.clock, "customer")

    async def customer(self, name: str, *events: object) -> None:
        told = [NewEvent(each, DAY) for each in events]  # type: ignore[arg-type]  # events of any kind
        await tell(self.writer, f"customer-{name}", name, told)

    async def find(self, *events: AddressSuppressed | AddressReleased) -> None:
        writer = Writer(self.notify, KEYRING, self.clock, "notify")
        stream = address_stream(events[0].contact)
        await tell(writer, stream, stream, [NewEvent(each, DAY) for each in events])

    async def hear(self) -> None:
        """All that notify has said, from the first."""
        await react(Bouncing(self.writer), records_of(self.notify.commits, self.clock.moment))

    async def changes(self, name: str = "anna") -> list[object]:
        """What the record says beside the registration."""
        events, _ = (await self.writer.histories([f"customer-{name}"]))[f"customer-{name}"]
        return [each for each in events if isinstance(each, IdentifierChanged)]


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.mark.parametrize("reason", ["bounced", "rejected"])
async def test_a_contact_point_that_does_not_work_is_bad(desk: Desk, reason: SuppressedFor) -> None:
    await desk.customer("anna", ANNA)
    await desk.find(found(reason))
    for _ in range(2):
        await desk.hear()
    assert await desk.changes() == [BAD]


@pytest.mark.parametrize("reason", ["complained", "unsubscribed", "by_hand"])
async def test_what_a_person_wants_says_nothing_of_the_address(
    desk: Desk, reason: SuppressedFor
) -> None:
    await desk.customer("anna", ANNA)
    await desk.find(found(reason))
    await desk.hear()
    assert await desk.changes() == []


async def test_who_sets_it_right_is_not_overruled_by_what_is_read_again(desk: Desk) -> None:
    await desk.customer("anna", ANNA)
    await desk.find(found())
    await desk.hear()
    right = IdentifierChanged(kind="email", hash="h-mail", state="verified")
    await desk.customer("anna", right)
    desk.clock.advance(timedelta(hours=1))
    await desk.hear()
    assert await desk.changes() == [BAD, right]


async def test_it_goes_with_the_record_to_whoever_it_was_merged_into(desk: Desk) -> None:
    await desk.customer("anna", ANNA, CustomerMerged(survivor="boris", merge="m-1"))
    await desk.customer("boris", CustomerRegistered(name="Boris", identifiers=(MAIL,)))
    await desk.find(found())
    await desk.hear()
    assert await desk.changes("boris") == [BAD]


async def test_what_is_not_there_any_more_is_passed_over(desk: Desk) -> None:
    await desk.customer("anna", ANNA, IdentifierRemoved(kind="email", hash="h-mail", epoch=2))
    await desk.customer("clara", ANNA, CustomerErased(erase="e", reason="request"))
    for event in (found(), found(customer="clara", contact="h-2"), found(customer="nobody")):
        await desk.find(event)
    await desk.find(found(customer=None, contact="h-3"))
    await desk.hear()
    assert await desk.changes() == []
