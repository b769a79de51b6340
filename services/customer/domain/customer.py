"""What may happen to a customer, and what follows from it: the decider of its stream.

Somebody who was merged answers no command: the refusal names the survivor, where the caller asks
again. Somebody who was erased answers none for good.
"""

from collections.abc import Sequence

from services.customer.domain import caring, identifying, record
from services.customer.domain.commands import (
    AddIdentifier,
    ChangeIdentifier,
    ChangeRecord,
    Command,
    ConfirmFields,
    DismissDuplicate,
    GiveConsent,
    Register,
    RemoveDocument,
    RemoveIdentifier,
    RemoveNote,
    WithdrawConsent,
)
from services.customer.domain.state import Customer, evolve
from shared.decider import Decider, NewEvent, Refused, invalid, not_found
from shared.events.merging import DuplicateDismissed

MERGED = "merged"
"""Type of the refusal that names the survivor."""


def decide(command: Command, state: Customer) -> Sequence[NewEvent]:
    """The events that follow from a command, or its refusal."""
    if isinstance(command, Register):
        return record.register(command, state)
    if not (state.merged is not None and not state.erased and _stays(command)):
        require_living(command.customer, state)
    require_version(command.if_match, state)
    match command:
        case ChangeRecord():
            return record.change(command, state)
        case AddIdentifier():
            return identifying.add(command, state)
        case ChangeIdentifier():
            return identifying.change_identifier(command, state)
        case RemoveIdentifier():
            return identifying.remove(command, state)
        case GiveConsent():
            return record.give_consent(command, state)
        case WithdrawConsent():
            return record.withdraw_consent(command, state)
        case ConfirmFields():
            return record.confirm(command, state)
        case _:
            return _of_care(command, state)


def _of_care(command: DismissDuplicate | caring.CareCommand, state: Customer) -> Sequence[NewEvent]:
    if isinstance(command, DismissDuplicate):
        return _dismiss(command, state)
    return caring.decide(command, state)


def _dismiss(command: DismissDuplicate, state: Customer) -> Sequence[NewEvent]:
    if command.other == command.customer:
        raise invalid("other", "another customer")
    if command.other in state.dismissed:
        return []
    data = DuplicateDismissed(other=command.other, by=command.by)
    return [NewEvent(data, command.at, state.record.home_branch)]


def _stays(command: Command) -> bool:
    """Whether it is about what a merge leaves where it was written."""
    return isinstance(command, RemoveNote | RemoveDocument)


def require_living(customer: str, state: Customer) -> None:
    """Raise `Refused` for a customer that is not there, was erased, or was merged."""
    if not state.registered:
        kind = "customer"
        raise not_found(kind, customer)
    if state.erased:
        raise Refused("erased", 410, "The customer was erased.")
    if state.merged is not None:
        raise Refused(
            MERGED,
            409,
            "The customer was merged into another one.",
            f"ask for {state.merged.survivor}",
            extra={"survivor": state.merged.survivor, "merged": customer},
        )


def require_version(versions: frozenset[int] | None, state: Customer) -> None:
    """Raise `Refused` (412) when a change rests on another version."""
    if versions is not None and state.version not in versions:
        raise Refused(
            "precondition-failed",
            412,
            "It has changed in the meantime.",
            "read it again, and decide again",
            extra={"etag": f'"{state.version}"'},
        )


CUSTOMER: Decider[Command, Customer] = Decider(Customer, decide, evolve)
