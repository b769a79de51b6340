"""What can be done with facts and imports: load, decide, append, and nothing else."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from services.interaction.domain.imports import IMPORTS, import_stream_of
from services.interaction.domain.receipts import RECEIPTS, RecordReceipt, customer_of, stream_of
from shared.decider import Refused
from shared.envelope import Causation
from shared.execute import Command, Outcome, Writer

Owners = Callable[[Collection[str]], Awaitable[Mapping[str, str]]]
"""Gives the customer of each `<kind>|<hash>` (or `customer|<id>`) that finds one."""

UNKNOWN_CUSTOMER = Refused(
    "unknown-customer",
    409,
    "Nobody is known by this.",
    "register the customer first; just after a registration, send the same again a little later",
)


@dataclass(frozen=True, slots=True)
class SentReceipt:
    """A receipt as it was sent: whom it names (`<kind>|<hash>` or `customer|<id>`), and its hash.

    The hash covers the fact as its source sees it: neither whom the identifier finds today, nor the
    import that brought it, nor what is computed.
    """

    receipt: RecordReceipt
    who: str
    hash: str


async def record_receipts(
    writer: Writer, owners: Owners, sent: Sequence[SentReceipt], import_id: str | None = None
) -> Sequence[Outcome]:
    """Record receipts, each with its own outcome; `import_id` marks them as history.

    What was recorded before is answered as it was then, also when nobody is found by its identifier
    any more, or its import has ended since.
    """
    customers, closed = await asyncio.gather(
        owners({each.who for each in sent}), _closed(writer, import_id)
    )
    barred = [each.receipt.id for each in sent if closed or each.who not in customers]
    known = await writer.store.known(barred) if barred else {}
    commands: list[Command[RecordReceipt]] = []
    refusals: list[Refused | None] = []
    for each in sent:
        recorded = known.get(each.receipt.id)
        customer = customers.get(each.who)
        if recorded is not None:
            customer = customer_of(recorded.stream)
        elif closed or customer is None:
            refusals.append(closed or UNKNOWN_CUSTOMER)
            continue
        refusals.append(None)
        commands.append(_recording(each, customer, import_id))
    outcomes = iter(await writer.many(RECEIPTS, commands, stateless=True) if commands else [])
    return [refusal or next(outcomes) for refusal in refusals]


async def _closed(writer: Writer, import_id: str | None) -> Refused | None:
    """Why no fact may name the import, if so."""
    if import_id is None:
        return None
    state, _ = await writer.state(IMPORTS, import_stream_of(import_id))
    if state.open:
        return None
    why = "has ended" if state.begun else "was never begun"
    return Refused(
        "import-not-open", 409, "The import is not open.", f"the import {import_id} {why}"
    )


def _recording(sent: SentReceipt, customer: str, import_id: str | None) -> Command[RecordReceipt]:
    command_id = sent.receipt.id
    return Command(
        id=command_id,
        hash=sent.hash,
        stream=stream_of(customer),
        key=customer,
        body=sent.receipt,
        causation=Causation(correlation=command_id, history=import_id),
        subject=customer,
    )
