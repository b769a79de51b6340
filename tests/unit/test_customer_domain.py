"""Customers: what may happen to one, and which claims change with it."""

import asyncio
from collections.abc import Mapping

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from services.customer.domain.absorbing import Standing
from services.customer.domain.commands import (
    AddIdentifier,
    Command,
    GiveConsent,
    NewIdentifier,
    Register,
    RemoveIdentifier,
    WithdrawConsent,
)
from services.customer.domain.customer import CUSTOMER
from services.customer.domain.identifying import CLAIMS, MAX_IDENTIFIERS
from services.customer.handlers.customers import Request, carry_out_all, registration
from shared.clock import ManualClock
from shared.decider import NewEvent, Refused
from shared.events.customer import (
    ConsentGiven,
    ConsentWithdrawn,
    CustomerRegistered,
    Evidence,
    Identifier,
    IdentifierAdded,
    IdentifierRemoved,
)
from shared.events.imports import ImportBegun
from shared.eventstore import Claim, ClaimChange
from shared.execute import Done, Writer
from shared.identifiers import KnownIdentifier
from shared.keyring import Keyring
from shared.memory import MemoryEventStore, MemoryKeyStore
from shared.testing import DAY, given

EMAIL = KnownIdentifier("email", "e1", "anna@example.com")
CARD = KnownIdentifier("card", "c1", "A1")
EVIDENCE = Evidence(source="till", wording="2017-1")
GIVEN = ConsentGiven(topic="marketing", channel="email", evidence=EVIDENCE)
WITHDRAWN = ConsentWithdrawn(topic="marketing", channel="email", evidence=EVIDENCE)
ANNA = CustomerRegistered(surname="Ivanova", home_branch="12")


def owned(known: KnownIdentifier, owner: str | None, epoch: int) -> Mapping[str, Claim]:
    return {known.claim_id: Claim(known.claim_id, owner, epoch)}


def at_epoch(known: KnownIdentifier, epoch: int) -> Identifier:
    return Identifier(kind=known.kind, hash=known.hash, epoch=epoch, value=known.value)


def new(*identifiers: KnownIdentifier) -> tuple[NewIdentifier, ...]:
    return tuple(NewIdentifier(known=each) for each in identifiers)


def registering(
    *identifiers: KnownIdentifier, claims: Mapping[str, Claim] | None = None
) -> Register:
    return Register(
        customer="anna", at=DAY, person=ANNA, identifiers=new(*identifiers), claims=claims or {}
    )


def adding(known: KnownIdentifier, claims: Mapping[str, Claim] | None = None) -> AddIdentifier:
    return AddIdentifier(
        customer="anna", at=DAY, identifier=NewIdentifier(known=known), claims=claims or {}
    )


def test_who_registers_is_known_by_new_identifiers_and_has_agreed() -> None:
    command = Register(
        customer="anna", at=DAY, person=ANNA, identifiers=new(EMAIL, CARD), consents=(GIVEN,)
    )
    # A value that nobody ever had begins at epoch 1. All of it happened at the home branch.
    identifiers = (at_epoch(EMAIL, 1), at_epoch(CARD, 1))
    given(CUSTOMER).when(command).then(
        [
            NewEvent(ANNA.model_copy(update={"identifiers": identifiers}), DAY, "12"),
            NewEvent(GIVEN, DAY, "12"),
        ]
    )


def test_nobody_registers_twice() -> None:
    given(CUSTOMER, [ANNA]).when(registering()).then_refused("already-registered")


def test_an_identifier_of_somebody_else_is_refused_and_its_owner_named_apart() -> None:
    command = registering(EMAIL, claims=owned(EMAIL, "boris", 1))
    refusal = given(CUSTOMER).when(command).then_refused("identifier-taken")
    assert refusal.extra == {"owner": "boris"}
    assert "boris" not in f"{refusal} {refusal.detail}"
    command_to_add = adding(EMAIL, owned(EMAIL, "boris", 1))
    given(CUSTOMER, [ANNA]).when(command_to_add).then_refused("identifier-taken")


def test_an_identifier_that_was_given_up_is_free_at_the_next_epoch() -> None:
    # Epoch 1: somebody; 2: nobody; so 3 is Anna's.
    given(CUSTOMER, [ANNA]).when(adding(EMAIL, owned(EMAIL, None, 2))).then(
        [NewEvent(IdentifierAdded(identifier=at_epoch(EMAIL, 3)), DAY, "12")]
    )


def test_an_identifier_that_the_customer_has_is_not_added_again() -> None:
    history = [ANNA, IdentifierAdded(identifier=at_epoch(EMAIL, 1))]
    given(CUSTOMER, history).when(adding(EMAIL, owned(EMAIL, "anna", 1))).then_nothing()
    registered = ANNA.model_copy(update={"identifiers": (at_epoch(CARD, 1),)})
    given(CUSTOMER, [registered]).when(adding(CARD, owned(CARD, "anna", 1))).then_nothing()


def test_a_customer_has_a_limited_number_of_identifiers() -> None:
    cards = [KnownIdentifier("card", str(n), str(n)) for n in range(MAX_IDENTIFIERS)]
    registered = ANNA.model_copy(update={"identifiers": tuple(at_epoch(card, 1) for card in cards)})
    given(CUSTOMER, [registered]).when(adding(EMAIL)).then_refused("too-many-identifiers")
    removed = IdentifierRemoved(kind="card", hash="0", epoch=1)
    given(CUSTOMER, [registered, removed]).when(adding(EMAIL)).then(
        [IdentifierAdded(identifier=at_epoch(EMAIL, 1))]
    )


def test_an_identifier_is_removed_once_at_the_epoch_at_which_it_was_claimed() -> None:
    remove = RemoveIdentifier(
        customer="anna", at=DAY, kind="email", hash="e1", claims=owned(EMAIL, "anna", 3)
    )
    removed = IdentifierRemoved(kind="email", hash="e1", epoch=3)
    added = IdentifierAdded(identifier=at_epoch(EMAIL, 3))
    given(CUSTOMER, [ANNA, added]).when(remove).then([NewEvent(removed, DAY, "12")])
    given(CUSTOMER, [ANNA, added, removed]).when(remove).then_nothing()
    given(CUSTOMER, [ANNA]).when(remove).then_nothing()


def test_every_word_about_a_consent_is_recorded() -> None:
    give = GiveConsent(customer="anna", at=DAY, consent=GIVEN)
    withdraw = WithdrawConsent(customer="anna", at=DAY, withdrawn=WITHDRAWN)
    given(CUSTOMER, [ANNA]).when(give).then([NewEvent(GIVEN, DAY, "12")])
    given(CUSTOMER, [ANNA, GIVEN]).when(give).then([GIVEN])
    given(CUSTOMER, [ANNA, GIVEN]).when(withdraw).then([NewEvent(WITHDRAWN, DAY, "12")])
    given(CUSTOMER, [ANNA]).when(withdraw).then([WITHDRAWN])


@pytest.mark.parametrize(
    "command",
    [
        adding(EMAIL),
        RemoveIdentifier(customer="anna", at=DAY, kind="email", hash="e1"),
        GiveConsent(customer="anna", at=DAY, consent=GIVEN),
        WithdrawConsent(customer="anna", at=DAY, withdrawn=WITHDRAWN),
    ],
    ids=lambda command: type(command).__name__,
)
def test_nothing_can_be_done_with_a_customer_who_is_not_there(command: Command) -> None:
    given(CUSTOMER).when(command).then_refused("not-found")


def test_the_fold_knows_who_agreed_to_what() -> None:
    key = ("marketing", "email", "")
    assert CUSTOMER.fold([ANNA, GIVEN]).consents == {key: Standing(given=True, evidence=EVIDENCE)}
    after = CUSTOMER.fold([ANNA, GIVEN, WITHDRAWN]).consents
    assert after == {key: Standing(given=False, evidence=EVIDENCE)}


def test_an_event_of_another_kind_is_a_mistake() -> None:
    with pytest.raises(TypeError, match=r"import\.begun"):
        CUSTOMER.fold([ImportBegun(import_id="i", title="t")])


def test_claims_change_as_the_events_say() -> None:
    register_both = registering(EMAIL, CARD, claims=owned(CARD, None, 2))
    assert CLAIMS.ids(register_both) == ["email|e1", "card|c1"]
    # The e-mail was never claimed (epoch 0 before), the card is free since epoch 2.
    assert CLAIMS.changes(register_both, CUSTOMER.decide(register_both, CUSTOMER.initial())) == [
        ClaimChange("email|e1", 0, "anna"),
        ClaimChange("card|c1", 2, "anna"),
    ]
    remove = RemoveIdentifier(
        customer="anna", at=DAY, kind="email", hash="e1", claims=owned(EMAIL, "anna", 1)
    )
    removed = NewEvent(IdentifierRemoved(kind="email", hash="e1", epoch=1), DAY)
    assert CLAIMS.ids(remove) == ["email|e1"]
    assert CLAIMS.changes(remove, [removed]) == [ClaimChange("email|e1", 1, None)]
    consent = GiveConsent(customer="anna", at=DAY, consent=GIVEN)
    assert CLAIMS.ids(consent) == ()
    assert CLAIMS.changes(consent, [NewEvent(GIVEN, DAY)]) == []


def writer() -> Writer:
    keyring = Keyring(MemoryKeyStore(), AESGCM(bytes(32)))
    return Writer(MemoryEventStore(), keyring, ManualClock(DAY), "customer")


def newcomer(command: str, *identifiers: KnownIdentifier) -> tuple[Request, Command]:
    request = Request(command, command, DAY)
    return request, registration(request, registering(*identifiers))


async def test_within_a_batch_the_first_one_gets_the_identifier() -> None:
    outcomes = await carry_out_all(writer(), [newcomer("a", EMAIL), newcomer("b", EMAIL)])
    assert isinstance(outcomes[0], Done)
    assert isinstance(outcomes[1], Refused)
    assert outcomes[1].type == "identifier-taken"


async def test_of_writers_who_register_the_same_identifier_at_once_one_wins() -> None:
    shared = writer()
    results = await asyncio.gather(
        *(carry_out_all(shared, [newcomer(f"c{n}", EMAIL, CARD)]) for n in range(8))
    )
    outcomes = [outcome for (outcome,) in results]
    assert sum(isinstance(outcome, Done) for outcome in outcomes) == 1
    refusals = [outcome for outcome in outcomes if isinstance(outcome, Refused)]
    assert {refusal.type for refusal in refusals} == {"identifier-taken"}
    # One customer: one registration, and one claim of each identifier, at its first epoch.
    assert len(await shared.store.names("customer-")) == 1
    claims = await shared.store.claims([EMAIL.claim_id, CARD.claim_id])
    assert [claim.epoch for claim in claims.values()] == [1, 1]
