"""Who becomes a customer by what they did, as the chain decides."""

from collections.abc import Collection
from dataclasses import replace
from datetime import timedelta

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from services.customer.domain.configuration.registration import (
    REGISTRATION,
    DefineRegistration,
)
from services.customer.domain.customer import CUSTOMER
from services.customer.domain.state import stream_of
from services.customer.handlers.configuration import ConfigurationBook
from services.customer.handlers.configuration import Request as Asked
from services.customer.handlers.customers import new_customer_id
from services.customer.handlers.registering import DEEPEST, Registering, Stranger
from shared.clock import ManualClock
from shared.events.automation import RegistrationDefined
from shared.execute import Writer
from shared.identifiers import IdentifierRules
from shared.keyring import Keyring
from shared.memory import MemoryEventStore, MemoryKeyStore
from shared.testing import DAY, given

RULES = IdentifierRules(bytes(32))
CARD, PHONE = (
    RULES.known("card", "A1", "card"),
    RULES.known("phone", "+4930901820771", "phone"),
)
RECEIPTS = RegistrationDefined(
    facts=("receipt_recorded",), identifiers=("phone",), acquisition="till", since=DAY
)
STRANGER = Stranger(
    event="unknown-1@1",
    kind="receipt_recorded",
    stream="unknown-1",
    recorded=DAY,
    branch="12",
    correlation="pos|12|1",
    depth=0,
    known=(CARD, PHONE),
)


def test_what_is_decided_replaces_what_stood_and_the_same_again_is_nothing() -> None:
    define = DefineRegistration(RECEIPTS, DAY)
    given(REGISTRATION).when(define).then([RECEIPTS])
    later = RECEIPTS.model_copy(update={"since": DAY + timedelta(days=1)})
    given(REGISTRATION, [RECEIPTS]).when(DefineRegistration(later, DAY)).then([])
    nothing = RECEIPTS.model_copy(update={"facts": ()})
    given(REGISTRATION, [RECEIPTS]).when(DefineRegistration(nothing, DAY)).then([nothing])


FAMILY = RULES.known("phone", "+4930901820772", "phone")


async def shared(claims: Collection[str]) -> Collection[str]:
    """One phone is a family's."""
    return {FAMILY.claim_id} & set(claims)


def registering(store: MemoryEventStore) -> Registering:
    writer = Writer(
        store, Keyring(MemoryKeyStore(), AESGCM(bytes(32))), ManualClock(DAY), "customer"
    )
    return Registering(writer, ConfigurationBook(writer), shared)


async def decided(
    definition: RegistrationDefined = RECEIPTS,
) -> tuple[Registering, MemoryEventStore]:
    store = MemoryEventStore()
    work = registering(store)
    await work.book.change(
        "registration", Asked("r", "h", DAY), DefineRegistration(definition, DAY)
    )
    return work, store


async def customers(work: Registering, *strangers: Stranger) -> int:
    """How many there are after the facts were heard of, twice."""
    for _ in range(2):
        await work.react(strangers)
    return len(await work.writer.store.names("customer-"))


async def test_facts_of_one_unknown_person_make_one_customer_with_all_that_is_known() -> None:
    work, _ = await decided()
    assert await customers(work, STRANGER, replace(STRANGER, event="unknown-1@2")) == 1
    name = new_customer_id("unknown|unknown-1")
    state, _ = await work.writer.state(CUSTOMER, stream_of(name))
    assert (state.record.home_branch, state.record.acquisition) == ("12", "till")
    assert set(state.identifiers) == {CARD.claim_id, PHONE.claim_id}


async def test_nobody_is_registered_where_it_was_not_decided() -> None:
    store = MemoryEventStore()
    assert await customers(registering(store), STRANGER) == 0
    work, _ = await decided()
    for other in (
        replace(STRANGER, kind="call_recorded"),
        replace(STRANGER, recorded=DAY - timedelta(milliseconds=1)),
        replace(STRANGER, known=(CARD,)),
        replace(STRANGER, known=()),
        replace(STRANGER, depth=DEEPEST),
    ):
        assert await customers(work, other) == 0


async def test_who_has_one_of_the_identifiers_already_is_nobody_new() -> None:
    work, _ = await decided()
    assert await customers(work, STRANGER) == 1
    assert await customers(work, replace(STRANGER, stream="unknown-2", known=(PHONE,))) == 1


async def test_an_identifier_that_came_twice_is_one() -> None:
    work, _ = await decided()
    assert await customers(work, replace(STRANGER, known=(CARD, PHONE, CARD, PHONE))) == 1
    state, _ = await work.writer.state(CUSTOMER, stream_of(new_customer_id(STRANGER.command_id)))
    assert set(state.identifiers) == {CARD.claim_id, PHONE.claim_id}
    assert {each.epoch for each in state.identifiers.values()} == {1}


async def test_by_what_a_family_shares_nobody_is_registered_but_it_is_known_of_a_new_one() -> None:
    work, _ = await decided(RECEIPTS.model_copy(update={"identifiers": ()}))
    assert await customers(work, replace(STRANGER, known=(FAMILY,))) == 0
    son = replace(STRANGER, stream="unknown-2", known=(CARD, FAMILY))
    assert await customers(work, son) == 1
    state, _ = await work.writer.state(CUSTOMER, stream_of(new_customer_id(son.command_id)))
    assert {claim for claim, each in state.identifiers.items() if each.shared} == {FAMILY.claim_id}
    # Only phones make a customer here, and the one that is known is no one's own.
    strict, _ = await decided()
    assert await customers(strict, son) == 0
