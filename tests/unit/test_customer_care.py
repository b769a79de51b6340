"""How the chain sees a customer: tags, categories, status, blacklist, who looks after them."""

from datetime import timedelta

import pytest

from services.customer.domain import caring
from services.customer.domain.commands import (
    Archive,
    AssignResponsible,
    AttachDocument,
    Blacklist,
    ChangeCategories,
    ChangeTags,
    Command,
    LiftBlacklisting,
    RemoveDocument,
    RemoveNote,
    RequestTask,
    Restore,
    SetDiscount,
    SetStatus,
    WriteNote,
)
from services.customer.domain.customer import CUSTOMER
from shared.decider import NewEvent, Refused
from shared.events import care
from shared.events.customer import CustomerRegistered
from shared.testing import DAY, given

ANNA = CustomerRegistered(home_branch="12")
GOLD_BY_PERSON = care.Grant(category="gold", by="person")
GOLD_BY_RULE = care.Grant(category="gold", by="rule:best")
CONTRACT = care.DocumentAttached(
    document="d1",
    file="f1",
    title="contract",
    media_type="application/pdf",
    size=1,
    sha256="0" * 64,
)


def categories(giver: str = "person", give: str = "", withdraw: str = "") -> ChangeCategories:
    return ChangeCategories(
        customer="anna",
        at=DAY,
        give=frozenset(give.split()),
        withdraw=frozenset(withdraw.split()),
        giver=giver,
    )


def test_tags_come_and_go_and_only_the_difference_is_recorded() -> None:
    history = [ANNA, care.TagsChanged(added=("a", "b"))]
    command = ChangeTags(customer="anna", at=DAY, add=frozenset("bc"), remove=frozenset("abz"))
    # b is there already and is asked for, so it stays; z was never there.
    changed = care.TagsChanged(added=("c",), removed=("a",))
    given(CUSTOMER, history).when(command).then([NewEvent(changed, DAY, "12")])
    given(CUSTOMER, [*history, changed]).when(command).then_nothing()


def test_tags_are_limited() -> None:
    many = tuple(f"t{n}" for n in range(caring.MAX_TAGS))
    one_more = ChangeTags(customer="anna", at=DAY, add=frozenset({"last"}))
    history = [ANNA, care.TagsChanged(added=many)]
    given(CUSTOMER, history).when(one_more).then_refused("too-many-tags")
    swap = ChangeTags(customer="anna", at=DAY, add=frozenset({"last"}), remove=frozenset({"t0"}))
    given(CUSTOMER, history).when(swap).then([care.TagsChanged(added=("last",), removed=("t0",))])


def test_what_a_person_gave_stays_when_a_rule_takes_back_its_own() -> None:
    both = care.CategoriesChanged(given=(GOLD_BY_PERSON, GOLD_BY_RULE))
    withdrawn = care.CategoriesChanged(withdrawn=(GOLD_BY_RULE,))
    rule = categories("rule:best", withdraw="gold")
    given(CUSTOMER, [ANNA, both]).when(rule).then([withdrawn])
    assert CUSTOMER.fold([ANNA, both, withdrawn]).categories == {("gold", "person")}
    given(CUSTOMER, [ANNA, both, withdrawn]).when(rule).then_nothing()


def test_a_person_takes_a_category_back_whoever_gave_it() -> None:
    both = care.CategoriesChanged(given=(GOLD_BY_PERSON, GOLD_BY_RULE))
    given(CUSTOMER, [ANNA, both]).when(categories(withdraw="gold")).then(
        [care.CategoriesChanged(withdrawn=(GOLD_BY_PERSON, GOLD_BY_RULE))]
    )


def test_a_discount_is_kept_for_each_giver() -> None:
    by_rule = care.DiscountChanged(by="rule:best", discount=1_000)
    give = SetDiscount(customer="anna", at=DAY, discount=500)
    granted = care.DiscountChanged(by="person", discount=500)
    given(CUSTOMER, [ANNA, by_rule]).when(give).then([granted])
    given(CUSTOMER, [ANNA, by_rule, granted]).when(give).then_nothing()
    take = SetDiscount(customer="anna", at=DAY, discount=None)
    gone = care.DiscountChanged(by="person")
    given(CUSTOMER, [ANNA, by_rule, granted]).when(take).then([gone])
    assert CUSTOMER.fold([ANNA, by_rule, granted, gone]).discounts == {"rule:best": 1_000}


def to_status(status: str, *, allowed: bool = True) -> SetStatus:
    def may_follow(before: str | None) -> None:
        if not allowed:
            raise Refused("off-path", 409, "The path does not lead there.", before)

    return SetStatus(customer="anna", at=DAY, status=status, may_follow=may_follow, reason="why")


def test_a_status_follows_the_path() -> None:
    first = care.StatusChanged(status="active", reason="why")
    given(CUSTOMER, [ANNA]).when(to_status("active")).then([first])
    given(CUSTOMER, [ANNA, first]).when(to_status("active", allowed=False)).then_nothing()
    given(CUSTOMER, [ANNA, first]).when(to_status("lapsed")).then(
        [care.StatusChanged(status="lapsed", previous="active", reason="why")]
    )
    off = to_status("new", allowed=False)
    refusal = given(CUSTOMER, [ANNA, first]).when(off).then_refused("off-path")
    assert refusal.detail == "active"


def test_a_blacklisting_has_a_reason_and_may_have_an_end() -> None:
    until = DAY + timedelta(days=90)
    command = Blacklist(customer="anna", at=DAY, reason="worn shoes", until=until)
    listed = care.CustomerBlacklisted(reason="worn shoes", until=until)
    given(CUSTOMER, [ANNA]).when(command).then([listed])
    given(CUSTOMER, [ANNA, listed]).when(command).then_nothing()
    over = Blacklist(customer="anna", at=DAY, reason="worn shoes", until=DAY)
    given(CUSTOMER, [ANNA]).when(over).then_refused("invalid", "until")
    lift = LiftBlacklisting(customer="anna", at=DAY)
    lifted = care.BlacklistingEnded(cause="lifted")
    given(CUSTOMER, [ANNA, listed]).when(lift).then([lifted])
    given(CUSTOMER, [ANNA, listed, lifted]).when(lift).then_nothing()


def test_somebody_else_looks_after_the_customer() -> None:
    first = care.ResponsibleAssigned(employee="e1")
    assign = AssignResponsible(customer="anna", at=DAY, employee="e2")
    given(CUSTOMER, [ANNA, first]).when(assign).then(
        [care.ResponsibleAssigned(employee="e2", previous="e1")]
    )
    nobody = AssignResponsible(customer="anna", at=DAY, employee=None)
    given(CUSTOMER, [ANNA]).when(nobody).then_nothing()
    # A hand-over takes only what its employee still has.
    handed = AssignResponsible(customer="anna", at=DAY, employee="e2", instead_of="e9")
    given(CUSTOMER, [ANNA, first]).when(handed).then_nothing()


def test_a_note_is_written_rewritten_and_taken_away() -> None:
    write = WriteNote(customer="anna", at=DAY, by="key:1", note="n1", text="size 38")
    added = care.NoteAdded(note="n1", text="size 38", by="key:1")
    given(CUSTOMER, [ANNA]).when(write).then([added])
    given(CUSTOMER, [ANNA, added]).when(write).then_nothing()
    remove = RemoveNote(customer="anna", at=DAY, note="n1")
    removed = care.NoteRemoved(note="n1")
    given(CUSTOMER, [ANNA, added]).when(remove).then([removed])
    given(CUSTOMER, [ANNA, added, removed]).when(remove).then_nothing()


def test_a_document_is_attached_and_taken_away_once() -> None:
    attach = AttachDocument(customer="anna", at=DAY, document=CONTRACT)
    given(CUSTOMER, [ANNA]).when(attach).then([CONTRACT])
    given(CUSTOMER, [ANNA, CONTRACT]).when(attach).then_nothing()
    remove = RemoveDocument(customer="anna", at=DAY, document="d1")
    removed = care.DocumentRemoved(document="d1")
    given(CUSTOMER, [ANNA, CONTRACT]).when(remove).then([removed])
    given(CUSTOMER, [ANNA]).when(remove).then_nothing()


@pytest.mark.parametrize(
    ("command", "history", "refusal"),
    [
        (
            WriteNote(customer="anna", at=DAY, note="last", text="t"),
            [care.NoteAdded(note=str(n), text="t") for n in range(caring.MAX_NOTES)],
            "too-many-notes",
        ),
        (
            AttachDocument(customer="anna", at=DAY, document=CONTRACT),
            [
                CONTRACT.model_copy(update={"document": f"other{n}"})
                for n in range(caring.MAX_DOCUMENTS)
            ],
            "too-many-documents",
        ),
    ],
    ids=["notes", "documents"],
)
def test_what_grows_is_limited(
    command: Command, history: list[care.NoteAdded | care.DocumentAttached], refusal: str
) -> None:
    given(CUSTOMER, [ANNA, *history]).when(command).then_refused(refusal)


def test_an_archived_record_comes_back() -> None:
    archive = Archive(customer="anna", at=DAY, giver="rule:dead")
    archived = care.CustomerArchived(by="rule:dead")
    restore = Restore(customer="anna", at=DAY)
    restored = care.CustomerRestored(by="person")
    given(CUSTOMER, [ANNA]).when(archive).then([archived])
    given(CUSTOMER, [ANNA, archived]).when(archive).then_nothing()
    given(CUSTOMER, [ANNA, archived]).when(restore).then([restored])
    given(CUSTOMER, [ANNA]).when(restore).then_nothing()


def test_a_task_is_asked_for_by_an_event() -> None:
    task = care.TaskRequested(rule="welcome", title="Call", due=DAY)
    command = RequestTask(customer="anna", at=DAY, task=task)
    given(CUSTOMER, [ANNA]).when(command).then([NewEvent(task, DAY, "12")])
