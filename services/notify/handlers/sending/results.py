"""What follows from what a channel said: the result of an attempt, its slot, and its address."""

from collections.abc import Sequence
from datetime import datetime

from services.notify.channels import Accepted, NotTaken, Receipt, Rejected, Unknown
from services.notify.domain import (
    BeginSending,
    Defer,
    FallBack,
    MessageCommand,
    RecordFailed,
    RecordSent,
    RecordUncertain,
)
from services.notify.domain.ledger import ReturnSlot
from services.notify.domain.message import message_stream
from services.notify.domain.suppression import SuppressAddress
from services.notify.handlers.books.suppression import Returned
from services.notify.handlers.deciding.plans import Plan
from shared.envelope import Causation, event_id


def attempt_of(plan: Plan) -> str:
    """The name of the hand-over."""
    return plan.command.attempt if isinstance(plan.command, BeginSending) else ""


def result_of(
    plan: Plan, receipt: Receipt, at: datetime, *, deduplicates: bool
) -> MessageCommand | None:
    """What is to be written down; nothing where the channel can be asked again."""
    message, attempt = plan.message.id, attempt_of(plan)
    # That this attempt was not taken says nothing of the one whose place it took.
    in_doubt = isinstance(plan.command, BeginSending) and plan.command.instead_of is not None
    match receipt:
        case Accepted(reference=reference):
            return RecordSent(message=message, at=at, attempt=attempt, reference=reference)
        case Rejected(code=code) if plan.further:
            return FallBack(
                message=message,
                at=at,
                channel=plan.channel,
                reason="rejected",
                attempt=attempt,
                code=code,
            )
        case Rejected(code=code):
            return RecordFailed(message=message, at=at, attempt=attempt, code=code)
        case NotTaken(reason="refused") if in_doubt:
            return RecordUncertain(message=message, at=at, attempt=attempt)
        case NotTaken() if in_doubt:
            return None
        case NotTaken(reason=reason, code=code):
            return Defer(message=message, at=at, attempt=attempt, reason=reason, code=code)
        case Unknown():
            if deduplicates:
                return None
            return RecordUncertain(message=message, at=at, attempt=attempt)


def given_back(plan: Plan, result: MessageCommand) -> ReturnSlot | None:
    """The slot that is free again: nothing has reached the customer by this attempt."""
    if plan.capped and isinstance(result, RecordFailed | Defer | FallBack):
        return ReturnSlot(plan.message.id, plan.channel, result.at)
    return None


def refused_addresses(
    plans: Sequence[Plan], receipts: Sequence[Receipt], at: datetime
) -> Sequence[Returned]:
    """The addresses of which a provider says that they are bad: they get nothing more."""
    return [
        Returned(
            SuppressAddress(
                contact=plan.command.contact,
                at=at,
                reason="rejected",
                channel=plan.channel,
                message=plan.message.id,
                customer=plan.message.customer,
            ),
            Causation(
                plan.message.correlation,
                event_id(message_stream(plan.message.id), 1),
                plan.message.depth + 1,
            ),
        )
        for plan, receipt in zip(plans, receipts, strict=True)
        if isinstance(receipt, Rejected)
        and receipt.address
        and isinstance(plan.command, BeginSending)
    ]
