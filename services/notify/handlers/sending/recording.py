"""Writing down what happens with messages, each with what belongs into the same transaction."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from services.notify.domain import (
    BeginSending,
    Defer,
    FallBack,
    GiveUp,
    HoldOut,
    MessageCommand,
    Postpone,
    RecordFailed,
    RecordReport,
    RecordSent,
    RecordUncertain,
    Schedule,
    Stage,
    Suppress,
    handing,
    message_stream,
)
from services.notify.domain.coupons import IssueCoupon
from services.notify.domain.handing import STRAND, Step, Strand
from services.notify.domain.ledger import LedgerCommand, ledger_stream
from services.notify.projections import QueuedMessage
from shared import telemetry
from shared.envelope import Causation, event_id
from shared.eventstore import body_hash
from shared.execute import Done, Joint, JointDecider, Outcome, Writer

HANDING: JointDecider[Step, Strand] = JointDecider(
    STRAND, handing.decide, claim_ids=handing.claim_ids, changes=handing.changes
)

COUNTED_AS: Mapping[type[MessageCommand], str] = MappingProxyType(
    {
        Schedule: Stage.SCHEDULED,
        Postpone: "postponed",
        Suppress: Stage.SUPPRESSED,
        HoldOut: Stage.HELD_OUT,
        BeginSending: Stage.SENDING,
        RecordSent: Stage.SENT,
        RecordFailed: Stage.FAILED,
        Defer: "deferred",
        FallBack: "fell_back",
        RecordUncertain: Stage.UNCERTAIN,
        GiveUp: "given_up",
        RecordReport: "reported",
    }
)
"""The names of outcomes in metrics."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What is to be written of a message: its step, a slot of the ledger, the claim of a run.

    `beside` are the messages whose place it takes, with their customers; `coupons` are the codes
    that it says.
    """

    message: QueuedMessage
    command: MessageCommand
    slot: LedgerCommand | None = None
    claim: str | None = None
    beside: Mapping[str, str] = field(default_factory=dict)
    coupons: tuple[IssueCoupon, ...] = ()


async def record(writer: Writer, entries: Sequence[Entry]) -> Sequence[Outcome]:
    """Write a batch down, each whole or not at all. Raises `StoreUnavailable`."""
    if not entries:
        return []
    outcomes = await writer.jointly(HANDING, [_joint(entry) for entry in entries])
    counted = Counter(
        COUNTED_AS[type(entry.command)]
        for entry, outcome in zip(entries, outcomes, strict=True)
        if got_in(outcome)
    )
    for name, count in counted.items():
        telemetry.MESSAGES.labels(name).inc(count)
    return outcomes


def got_in(outcome: Outcome) -> bool:
    """Whether the command was appended by this dispatcher.

    A repeated one counts: its id holds an attempt that nobody else has.
    """
    return isinstance(outcome, Done) and outcome.changed


def _joint(entry: Entry) -> Joint[Step]:
    message, command = entry.message, entry.command
    stream, customer = message_stream(command.message), message.customer
    streams: dict[str, str | None] = {stream: customer}
    ledger = None
    if entry.slot is not None:
        ledger = ledger_stream(customer)
        streams[ledger] = customer
    streams |= {message_stream(other): whose for other, whose in entry.beside.items()}
    streams |= dict.fromkeys((each.stream for each in entry.coupons), customer)
    command_id = f"{type(command).__name__}|{command.message}|{_of(command)}"
    return Joint(
        id=command_id,
        hash=body_hash(command_id),
        streams=streams,
        body=Step(
            command, ledger, entry.slot, entry.claim, tuple(entry.beside), coupons=entry.coupons
        ),
        causation=Causation(message.correlation, event_id(stream, 1), message.depth + 1),
    )


def _of(command: MessageCommand) -> str:
    """What tells a command of its kind from another one on the same message."""
    match command:
        case Postpone(until=until):
            return until.isoformat()
        case FallBack(channel=channel, attempt=attempt):
            return attempt or channel
        case GiveUp(channel=channel):
            return channel
        case RecordReport(channel=channel, what=what):
            return f"{channel}|{what}"
        case _:
            return str(getattr(command, "attempt", ""))
