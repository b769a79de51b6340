"""Companies: what may be decided of them, what is refused, and what the list has of them."""

from collections.abc import Mapping
from dataclasses import replace

import msgspec
import pytest

from services.customer.domain.company import (
    COMPANY,
    COMPANY_CLAIMS,
    MAX_CONTACTS,
    ArchiveCompany,
    ChangeCompany,
    Command,
    RegisterCompany,
    RemoveContact,
    RestoreCompany,
    SetContact,
    stream_of,
)
from services.customer.projections.companies import (
    COMPANIES,
    WHOLE_CHAIN,
    CompanyDocument,
    Contact,
)
from shared.decider import NewEvent, Refused
from shared.envelope import Causation, Placed, decode_light, encode
from shared.events.company import (
    CompanyArchived,
    CompanyChanged,
    CompanyContactRemoved,
    CompanyContactSet,
    CompanyFields,
    CompanyRegistered,
    CompanyRestored,
)
from shared.events.contract import EventData
from shared.eventstore import Claim, ClaimChange
from shared.http.preconditions import precondition_of
from shared.projection import Event
from shared.testing import DAY, given

NORDWIND = CompanyFields(name="Nordwind", tax_id="DE1", branch="12")
BEGUN = CompanyRegistered(fields=NORDWIND)
ANNA = CompanyContactSet(customer="anna", position="buyer", decides=True)
STALE = precondition_of('"7"').require_of


def claim_of(tax_id: str) -> str:
    return f"tax|{tax_id}"


def registering(fields: CompanyFields = NORDWIND) -> RegisterCompany:
    return RegisterCompany(company="c", at=DAY, hashed=claim_of, fields=fields)


def changing(*cleared: str, seen: str | None = "DE1", **fields: str) -> ChangeCompany:
    return ChangeCompany(
        company="c",
        at=DAY,
        hashed=claim_of,
        fields=CompanyFields.model_validate(fields),
        cleared=cleared,
        seen=seen,
    )


def of_branch_13(branch: str | None) -> None:
    if branch != "13":
        raise Refused("out-of-scope", 403, "Not yours.")


def owned(tax_id: str, company: str, epoch: int = 1) -> Mapping[str, Claim]:
    return {claim_of(tax_id): Claim(claim_of(tax_id), stream_of(company), epoch)}


def test_a_company_is_registered_once() -> None:
    given(COMPANY).when(registering()).then([NewEvent(BEGUN, DAY, "12")])
    given(COMPANY, [BEGUN]).when(registering()).then_refused("company-exists")
    given(COMPANY).when(registering(CompanyFields())).then_refused("invalid", "name")


def test_a_tax_id_of_another_company_is_refused_and_names_the_owner() -> None:
    taken = replace(registering(), claims=owned("DE1", "other"))
    refusal = given(COMPANY).when(taken).then_refused("tax-id-taken")
    assert refusal.extra == {"owner": "other"}
    begun = given(COMPANY, [BEGUN])
    change = replace(changing(tax_id="DE2"), claims=owned("DE2", "other"))
    begun.when(change).then_refused("tax-id-taken")
    free = {claim_of("DE2"): Claim(claim_of("DE2"), None, 3)}
    begun.when(replace(change, claims=free)).then(
        [CompanyChanged(fields=CompanyFields(tax_id="DE2"))]
    )


def test_a_change_tells_what_is_different_and_nothing_else() -> None:
    begun = given(COMPANY, [BEGUN])
    begun.when(changing(name="Nordwind", industry="catering")).then(
        [CompanyChanged(fields=CompanyFields(industry="catering"))]
    )
    begun.when(changing("branch", "size")).then([CompanyChanged(cleared=("branch",))])
    begun.when(changing(name="Nordwind")).then_nothing()
    begun.when(changing("name")).then_refused("invalid", "name")
    begun.when(changing(name="X", seen=None)).then_refused("outdated")
    begun.when(replace(changing(name="X"), rests_on=STALE)).then_refused("precondition-failed")


@pytest.mark.parametrize(
    "command",
    [
        changing(name="X"),
        SetContact(company="c", at=DAY, customer="anna"),
        RemoveContact(company="c", at=DAY, customer="anna"),
        ArchiveCompany(company="c", at=DAY),
        RestoreCompany(company="c", at=DAY),
    ],
)
def test_what_is_not_there_or_of_another_branch_is_not_touched(command: Command) -> None:
    given(COMPANY).when(command).then_refused("not-found")
    local = replace(command, may_touch=of_branch_13)
    given(COMPANY, [BEGUN]).when(local).then_refused("out-of-scope")


def test_a_company_goes_to_no_branch_that_the_caller_may_not_touch() -> None:
    theirs = CompanyRegistered(fields=NORDWIND.model_copy(update={"branch": "13"}))
    begun = given(COMPANY, [theirs])
    begun.when(replace(changing(branch="12"), may_touch=of_branch_13)).then_refused("out-of-scope")
    begun.when(replace(changing("branch"), may_touch=of_branch_13)).then_refused("out-of-scope")
    local = replace(registering(), may_touch=of_branch_13)
    given(COMPANY).when(local).then_refused("out-of-scope")


def test_customers_speak_for_a_company_and_stop() -> None:
    anna = SetContact(company="c", at=DAY, customer="anna", position="buyer", decides=True)
    given(COMPANY, [BEGUN]).when(anna).then([ANNA])
    known = given(COMPANY, [BEGUN, ANNA])
    known.when(anna).then_nothing()
    known.when(replace(anna, position="director")).then(
        [ANNA.model_copy(update={"position": "director"})]
    )
    gone = CompanyContactRemoved(customer="anna")
    known.when(RemoveContact(company="c", at=DAY, customer="anna")).then([gone])
    survivor = RemoveContact(company="c", at=DAY, customer="boris", others=frozenset({"anna"}))
    known.when(survivor).then([gone])
    given(COMPANY, [BEGUN, ANNA, gone]).when(
        RemoveContact(company="c", at=DAY, customer="anna")
    ).then_nothing()
    crowd: list[EventData] = [
        BEGUN, *(CompanyContactSet(customer=f"c{each}") for each in range(MAX_CONTACTS))
    ]  # fmt: skip
    given(COMPANY, crowd).when(anna).then_refused("too-many")


def test_an_archived_company_is_restored_before_it_changes() -> None:
    archive = ArchiveCompany(company="c", at=DAY)
    restore = RestoreCompany(company="c", at=DAY)
    begun = given(COMPANY, [BEGUN])
    begun.when(archive).then([CompanyArchived()])
    begun.when(restore).then_nothing()
    begun.when(replace(archive, rests_on=STALE)).then_refused("precondition-failed")
    gone = given(COMPANY, [BEGUN, CompanyArchived()])
    gone.when(archive).then_nothing()
    gone.when(changing(name="X")).then_refused("archived")
    gone.when(restore).then([CompanyRestored()])


def test_the_new_tax_id_is_taken_and_the_old_one_let_go() -> None:
    def changes(command: Command, *events: EventData) -> list[ClaimChange]:
        return list(COMPANY_CLAIMS.changes(command, [NewEvent(each, DAY) for each in events]))

    assert COMPANY_CLAIMS.ids(registering()) == ["tax|DE1"]
    assert changes(registering(), BEGUN) == [ClaimChange("tax|DE1", 0, "company-c")]
    another = changing(tax_id="DE2")
    assert COMPANY_CLAIMS.ids(another) == ["tax|DE1", "tax|DE2"]
    ours = COMPANY_CLAIMS.given(another, owned("DE1", "c", epoch=4))
    changed = CompanyChanged(fields=CompanyFields(tax_id="DE2"))
    assert changes(ours, changed) == [
        ClaimChange("tax|DE1", 4, None),
        ClaimChange("tax|DE2", 0, "company-c"),
    ]
    cleared = COMPANY_CLAIMS.given(changing("tax_id"), owned("DE1", "c", epoch=4))
    assert changes(cleared, CompanyChanged(cleared=("tax_id",))) == [
        ClaimChange("tax|DE1", 4, None)
    ]
    renamed = CompanyChanged(fields=CompanyFields(name="X"))
    assert changes(changing(name="X"), renamed) == []
    archive = ArchiveCompany(company="c", at=DAY)
    assert (COMPANY_CLAIMS.ids(archive), changes(archive, CompanyArchived())) == ((), [])


def test_a_company_is_the_fold_of_its_events() -> None:
    folded = COMPANY.fold(
        [
            BEGUN,
            CompanyChanged(fields=CompanyFields(size="small"), cleared=("tax_id",)),
            ANNA,
            CompanyArchived(),
        ]
    )
    assert folded.fields == CompanyFields(name="Nordwind", size="small", branch="12")
    assert (folded.version, folded.archived, folded.contacts) == (4, True, {"anna": ANNA})


def event(version: int, data: EventData) -> Event:
    """An event of the company's stream as the projection gets it."""
    text = encode(
        Placed(
            data=data,
            service="customer",
            stream=stream_of("c"),
            version=version,
            time=DAY,
            recorded=DAY,
            causation=Causation("test"),
        )
    )
    light = decode_light(text.encode())
    return Event(light, msgspec.json.decode(light.data, type=COMPANIES.reads[light.type]), 0)


def listed(*history: EventData) -> CompanyDocument:
    document: CompanyDocument | None = None
    for version, data in enumerate(history, 1):
        found = event(version, data)
        assert COMPANIES.target(found) == "c"
        document = COMPANIES.apply(document, found)
    assert document is not None
    return document


def test_the_list_has_what_the_stream_says() -> None:
    director = CompanyContactSet(customer="boris", position="director")
    document = listed(
        BEGUN,
        CompanyChanged(fields=CompanyFields(name="Ёлка  Nord"), cleared=("branch", "tax_id")),
        ANNA,
        director,
        CompanyContactRemoved(customer="anna"),
    )
    assert (document.name, document.sort) == ("Ёлка  Nord", "0елка nord|c")
    assert (document.branch, document.tax_id) == (WHOLE_CHAIN, None)
    assert document.contacts == [Contact("boris", "director")]
    assert listed(BEGUN, CompanyArchived()).sort == "1nordwind|c"
    assert listed(BEGUN, CompanyArchived(), CompanyRestored()).sort == "0nordwind|c"


def test_the_list_takes_no_stream_of_others_and_begins_with_a_registration() -> None:
    stranger = event(1, BEGUN)
    stranger.light = msgspec.structs.replace(stranger.light, stream="customer-1")
    assert COMPANIES.target(stranger) is None
    with pytest.raises(ValueError, match="registration"):
        COMPANIES.apply(None, event(2, ANNA))
