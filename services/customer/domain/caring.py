"""How the chain sees a customer: tags, categories, status, who looks after them, notes."""

from collections.abc import Sequence
from typing import assert_never

from services.customer.domain.commands import (
    PERSON,
    Archive,
    AssignResponsible,
    AttachDocument,
    Blacklist,
    ChangeCategories,
    ChangeTags,
    LiftBlacklisting,
    RemoveDocument,
    RemoveNote,
    RequestMessage,
    RequestTask,
    Restore,
    SetDiscount,
    SetStatus,
    WriteNote,
)
from services.customer.domain.state import Customer
from shared.decider import NewEvent, Refused, invalid
from shared.events import care
from shared.events.contract import EventData

MAX_TAGS = 200
MAX_NOTES = 1_000
MAX_DOCUMENTS = 100

CareCommand = (
    ChangeTags
    | ChangeCategories
    | SetDiscount
    | SetStatus
    | Blacklist
    | LiftBlacklisting
    | AssignResponsible
    | WriteNote
    | RemoveNote
    | AttachDocument
    | RemoveDocument
    | Archive
    | Restore
    | RequestTask
    | RequestMessage
)


def decide(command: CareCommand, state: Customer) -> Sequence[NewEvent]:
    """The events of a command on a living customer; none when things are so already."""
    data = _data(command, state)
    return [] if data is None else [NewEvent(data, command.at, state.record.home_branch)]


def _data(command: CareCommand, state: Customer) -> EventData | None:
    match command:
        case ChangeTags():
            return _tags(command, state)
        case ChangeCategories():
            return _categories(command, state)
        case SetDiscount(giver=giver, discount=discount):
            if state.discounts.get(giver) == discount:
                return None
            return care.DiscountChanged(by=giver, discount=discount)
        case SetStatus():
            return _status(command, state)
        case Blacklist() | LiftBlacklisting():
            return _blacklist(command, state)
        case AssignResponsible():
            return _responsible(command, state)
        case Archive() | Restore():
            return _archive(command, state)
        case RequestTask(task=wanted) | RequestMessage(message=wanted):
            return wanted
        case _:
            return _attachment(command, state)


def _archive(
    command: Archive | Restore, state: Customer
) -> care.CustomerArchived | care.CustomerRestored | None:
    if isinstance(command, Archive):
        return None if state.archived else care.CustomerArchived(by=command.giver)
    return care.CustomerRestored(by=command.giver) if state.archived else None


def _tags(command: ChangeTags, state: Customer) -> care.TagsChanged | None:
    added = command.add - state.tags
    removed = (command.remove - command.add) & state.tags
    if len(state.tags | added) - len(removed) > MAX_TAGS:
        raise _too_many("tags", MAX_TAGS)
    if not added and not removed:
        return None
    return care.TagsChanged(added=tuple(sorted(added)), removed=tuple(sorted(removed)))


def _categories(command: ChangeCategories, state: Customer) -> care.CategoriesChanged | None:
    given = {(each, command.giver) for each in command.give} - state.categories
    taken = command.withdraw - command.give
    withdrawn = {
        (category, by)
        for category, by in state.categories
        if category in taken and command.giver in (PERSON, by)
    }
    if not given and not withdrawn:
        return None
    return care.CategoriesChanged(given=_grants(given), withdrawn=_grants(withdrawn))


def _grants(pairs: set[tuple[str, str]]) -> tuple[care.Grant, ...]:
    return tuple(care.Grant(category=category, by=by) for category, by in sorted(pairs))


def _status(command: SetStatus, state: Customer) -> care.StatusChanged | None:
    if command.status == state.status:
        return None
    command.may_follow(state.status)
    return care.StatusChanged(status=command.status, previous=state.status, reason=command.reason)


def _blacklist(
    command: Blacklist | LiftBlacklisting, state: Customer
) -> care.CustomerBlacklisted | care.BlacklistingEnded | None:
    if isinstance(command, LiftBlacklisting):
        return None if state.blacklist is None else care.BlacklistingEnded(cause="lifted")
    if command.until is not None and command.until <= command.at:
        raise invalid("until", "a moment that is still to come")
    wanted = care.CustomerBlacklisted(reason=command.reason, until=command.until)
    return None if wanted == state.blacklist else wanted


def _responsible(command: AssignResponsible, state: Customer) -> care.ResponsibleAssigned | None:
    if command.instead_of is not None and command.instead_of != state.responsible:
        return None
    if command.employee == state.responsible:
        return None
    return care.ResponsibleAssigned(employee=command.employee, previous=state.responsible)


def _attachment(
    command: WriteNote | RemoveNote | AttachDocument | RemoveDocument, state: Customer
) -> EventData | None:
    match command:
        case WriteNote(note=note, text=text):
            if state.notes.get(note) == text:
                return None
            if note not in state.notes and len(state.notes) >= MAX_NOTES:
                raise _too_many("notes", MAX_NOTES)
            return care.NoteAdded(note=note, text=text, by=command.by)
        case RemoveNote(note=note):
            return care.NoteRemoved(note=note) if note in state.notes else None
        case AttachDocument(document=document):
            if document.document in state.documents:
                return None
            if len(state.documents) >= MAX_DOCUMENTS:
                raise _too_many("documents", MAX_DOCUMENTS)
            return document
        case RemoveDocument(document=name):
            return care.DocumentRemoved(document=name) if name in state.documents else None
        case _:
            assert_never(command)


def _too_many(what: str, most: int) -> Refused:
    return Refused(
        f"too-many-{what}",
        422,
        f"The customer has too many {what}.",
        f"at most {most}; remove one first",
    )
