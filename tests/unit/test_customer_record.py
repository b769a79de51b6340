"""The record of a customer, contact points and consents: what changes, and what is refused."""

from datetime import timedelta

from services.customer.domain.commands import (
    AddIdentifier,
    ChangeIdentifier,
    ChangeRecord,
    ConfirmFields,
    GiveConsent,
    NewIdentifier,
    RemoveIdentifier,
    WithdrawConsent,
)
from services.customer.domain.customer import CUSTOMER
from services.customer.domain.identifying import CLAIMS
from shared.decider import NewEvent
from shared.events.care import FieldsConfirmed, StatusChanged
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
from shared.events.merging import CustomerErased, CustomerMerged
from shared.eventstore import Claim, ClaimChange
from shared.identifiers import KnownIdentifier
from shared.testing import DAY, given

PHONE = KnownIdentifier("phone", "p1", "+4930123456")
HOME = Identifier(kind="phone", hash="p1", epoch=1, value="+4930123456")
WORK = Identifier(kind="phone", hash="p2", epoch=1, value="+4930123457", preferred=True)
ANNA = CustomerRegistered(
    surname="Ivanova",
    workplace="bakery",
    home_branch="12",
    custom={"pets": 2, "vip": True},
    identifiers=(HOME, WORK),
)


def changing(cleared: tuple[str, ...] = (), **fields: object) -> ChangeRecord:
    record = RecordFields.model_validate(fields)
    return ChangeRecord(customer="anna", at=DAY, fields=record, cleared=cleared)


def test_only_what_differs_is_recorded() -> None:
    command = changing(surname="Petrova", workplace="bakery", custom={"pets": 2, "vip": False})
    given(CUSTOMER, [ANNA]).when(command).then(
        [NewEvent(CustomerChanged(surname="Petrova", custom={"vip": False}), DAY, "12")]
    )


def test_a_change_that_changes_nothing_appends_nothing() -> None:
    same = changing(("address", "custom.shoes"), surname="Ivanova", custom={"pets": 2})
    given(CUSTOMER, [ANNA]).when(same).then_nothing()


def test_yes_and_one_are_not_the_same_value() -> None:
    given(CUSTOMER, [ANNA]).when(changing(custom={"vip": 1})).then(
        [CustomerChanged(custom={"vip": 1})]
    )


def test_fields_can_be_emptied() -> None:
    command = changing(("workplace", "custom.pets"))
    cleared = CustomerChanged(cleared=("custom.pets", "workplace"))
    given(CUSTOMER, [ANNA]).when(command).then([cleared])
    given(CUSTOMER, [ANNA, cleared]).when(command).then_nothing()
    record = CUSTOMER.fold([ANNA, cleared]).record
    assert (record.workplace, record.custom) == (None, {"vip": True})


def test_who_moves_to_another_branch_does_so_there() -> None:
    moved = CustomerChanged(home_branch="13")
    given(CUSTOMER, [ANNA]).when(changing(home_branch="13")).then([NewEvent(moved, DAY, "13")])


def test_a_change_rests_on_the_version_that_was_seen() -> None:
    command = changing(city="Kazan")
    seen = ChangeRecord(customer="anna", at=DAY, fields=command.fields, if_match=frozenset({1}))
    given(CUSTOMER, [ANNA]).when(seen).then([CustomerChanged(city="Kazan")])
    # The status made it version 2.
    history = [ANNA, StatusChanged(status="active")]
    given(CUSTOMER, history).when(seen).then_refused("precondition-failed")


def test_who_was_merged_names_the_survivor_and_who_was_erased_says_so() -> None:
    merged = [ANNA, CustomerMerged(merge="m", survivor="boris")]
    refusal = given(CUSTOMER, merged).when(changing(city="Kazan")).then_refused("merged")
    assert refusal.extra == {"survivor": "boris", "merged": "anna"}
    erased = [ANNA, CustomerErased(erase="e", reason="request")]
    given(CUSTOMER, erased).when(changing(city="Kazan")).then_refused("erased")


def test_an_erased_customer_is_nobody_any_more() -> None:
    state = CUSTOMER.fold([ANNA, CustomerErased(erase="e", reason="request")])
    assert (state.record, state.identifiers) == (RecordFields(), {})
    assert (state.registered, state.erased, state.version) == (True, True, 2)


def test_a_family_phone_makes_no_claim_and_takes_none_away() -> None:
    shared = NewIdentifier(known=PHONE, shared=True)
    taken = {PHONE.claim_id: Claim(PHONE.claim_id, "boris", 1)}
    add = AddIdentifier(customer="clara", at=DAY, identifier=shared, claims=taken)
    added = IdentifierAdded(identifier=HOME.model_copy(update={"shared": True}))
    given(CUSTOMER, [CustomerRegistered()]).when(add).then([added])
    assert CLAIMS.ids(add) == []
    assert CLAIMS.changes(add, [NewEvent(added, DAY)]) == []
    remove = RemoveIdentifier(customer="clara", at=DAY, kind="phone", hash="p1", claims=taken)
    removed = IdentifierRemoved(kind="phone", hash="p1", epoch=1)
    given(CUSTOMER, [CustomerRegistered(), added]).when(remove).then([removed])
    # Boris keeps the claim that is his.
    assert CLAIMS.changes(remove, [NewEvent(removed, DAY)]) == []


def test_an_own_phone_does_not_become_a_shared_one_in_passing() -> None:
    command = AddIdentifier(
        customer="anna", at=DAY, identifier=NewIdentifier(known=PHONE, shared=True)
    )
    given(CUSTOMER, [ANNA]).when(command).then_refused("invalid", "shared")


def change_of(**what: object) -> ChangeIdentifier:
    return ChangeIdentifier(customer="anna", at=DAY, kind="phone", hash="p1", **what)  # type: ignore[arg-type]  # of the fields' own types


def test_a_contact_point_has_a_state_and_one_of_a_kind_is_preferred() -> None:
    bad = IdentifierChanged(kind="phone", hash="p1", state="bad")
    given(CUSTOMER, [ANNA]).when(change_of(state="bad")).then([bad])
    given(CUSTOMER, [ANNA, bad]).when(change_of(state="bad")).then_nothing()
    given(CUSTOMER, [ANNA]).when(change_of(state="unverified")).then_nothing()
    preferred = IdentifierChanged(kind="phone", hash="p1", preferred=True)
    given(CUSTOMER, [ANNA]).when(change_of(preferred=True)).then([preferred])
    state = CUSTOMER.fold([ANNA, preferred])
    assert [each.hash for each in state.identifiers.values() if each.preferred] == ["p1"]


def test_what_is_known_of_nothing_cannot_change() -> None:
    given(CUSTOMER, [CustomerRegistered()]).when(change_of(state="bad")).then_refused("not-found")


def test_adding_what_is_there_only_adds_what_is_known_of_it() -> None:
    again = NewIdentifier(known=PHONE, state="verified", label="home")
    command = AddIdentifier(customer="anna", at=DAY, identifier=again)
    given(CUSTOMER, [ANNA]).when(command).then(
        [IdentifierChanged(kind="phone", hash="p1", state="verified", label="home")]
    )


def said(hours: float) -> Evidence:
    return Evidence(source="till", at=DAY + timedelta(hours=hours))


def consent(hours: float, contact: str | None = None) -> ConsentGiven:
    return ConsentGiven(topic="news", channel="sms", contact=contact, evidence=said(hours))


def withdrawal(hours: float, contact: str | None = None) -> ConsentWithdrawn:
    return ConsentWithdrawn(topic="news", channel="sms", contact=contact, evidence=said(hours))


def test_a_consent_is_bound_to_a_contact_point_that_is_there() -> None:
    give = GiveConsent(customer="anna", at=DAY, consent=consent(0, "p1"))
    given(CUSTOMER, [ANNA]).when(give).then([consent(0, "p1")])
    elsewhere = GiveConsent(customer="anna", at=DAY, consent=consent(0, "p9"))
    given(CUSTOMER, [ANNA]).when(elsewhere).then_refused("unknown-contact")


def test_older_evidence_does_not_undo_what_was_said_later() -> None:
    late = GiveConsent(customer="anna", at=DAY, consent=consent(1))
    history = [ANNA, consent(0), withdrawal(2)]
    given(CUSTOMER, history).when(late).then_refused("consent-superseded")
    later = GiveConsent(customer="anna", at=DAY, consent=consent(3))
    given(CUSTOMER, history).when(later).then([consent(3)])
    early = WithdrawConsent(customer="anna", at=DAY, withdrawn=withdrawal(-1))
    given(CUSTOMER, [ANNA, consent(0)]).when(early).then_refused("consent-superseded")


def test_a_withdrawal_of_all_reaches_every_contact_point() -> None:
    state = CUSTOMER.fold([ANNA, consent(0), consent(1, "p1"), withdrawal(2)])
    assert [each.given for each in state.consents.values()] == [False, False]
    one = CUSTOMER.fold([ANNA, consent(0), consent(1, "p1"), withdrawal(2, "p1")])
    for_p1, for_p2 = (one.consent_at("news", "sms", number) for number in ("p1", "p2"))
    assert (for_p1 and for_p1.given, for_p2 and for_p2.given) == (False, True)


def test_a_number_that_changes_hands_ends_its_consents() -> None:
    claims = {PHONE.claim_id: Claim(PHONE.claim_id, "anna", 1)}
    remove = RemoveIdentifier(
        customer="anna", at=DAY, by="key:1", kind="phone", hash="p1", claims=claims
    )
    evidence = Evidence(source="identifier-removed", by="key:1", at=DAY)
    history = [ANNA, consent(0), consent(0, "p1")]
    removed = IdentifierRemoved(kind="phone", hash="p1", epoch=1)
    # That for any number stays; that for this one ends.
    given(CUSTOMER, history).when(remove).then(
        [
            removed,
            ConsentWithdrawn(topic="news", channel="sms", contact="p1", evidence=evidence),
        ]
    )
    assert CLAIMS.changes(remove, [NewEvent(removed, DAY)]) == [
        ClaimChange(PHONE.claim_id, 1, None)
    ]


def test_a_confirmation_is_recorded_each_time() -> None:
    command = ConfirmFields(customer="anna", at=DAY, by="key:1", fields=("email", "custom.pets"))
    confirmed = FieldsConfirmed(fields=("email", "custom.pets"), by="key:1")
    given(CUSTOMER, [ANNA, confirmed]).when(command).then([confirmed])
