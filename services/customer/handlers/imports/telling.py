"""Which events of a customer's stream are of a row, of its import, or of somebody else."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from services.customer.domain.importing.planning import names_of
from services.customer.domain.importing.undoing import Told
from services.customer.domain.state import stream_of
from shared.envelope import decode
from shared.events.contract import EventData
from shared.execute import Writer
from shared.jobs import row_command


@dataclass(frozen=True, slots=True)
class _Cause:
    correlation: str
    depth: int


@dataclass(frozen=True, slots=True)
class History:
    """A customer's events in order, each with its cause."""

    events: Sequence[EventData]
    causes: Sequence[_Cause]

    def told(self, job_id: str, row: int) -> Sequence[Told]:
        """The events as a row of a job sees them.

        What rules of the chain did because of the import has its correlation: that is of the
        import, and neither the row's nor anybody else's.
        """
        command, ours = row_command(job_id, row), row_command(job_id, 0).removesuffix("0")
        return [
            Told(
                data,
                of_row=cause.correlation == command and cause.depth == 0,
                of_import=cause.correlation.startswith(ours),
            )
            for data, cause in zip(self.events, self.causes, strict=True)
        ]

    def names(self, job_id: str, row: int) -> tuple[str, ...]:
        """The names of what a row changed."""
        told = self.told(job_id, row)
        return tuple(sorted({name for each in told if each.of_row for name in names_of(each.data)}))


async def histories_of(writer: Writer, customers: Sequence[str]) -> Mapping[str, History]:
    """The histories of customers; of a stream that grows meanwhile, what both readings had."""
    streams = [stream_of(each) for each in customers]
    if not streams:
        return {}
    commits = await writer.store.read(streams)
    opened = await writer.histories(streams)
    found = {}
    for customer, stream in zip(customers, streams, strict=True):
        envelopes = [decode(text) for commit in commits.get(stream, ()) for text in commit.events]
        causes = [_Cause(each.correlationid, each.causedepth) for each in envelopes]
        events = opened[stream][0] if stream in opened else ()
        found[customer] = History(list(events)[: len(causes)], causes)
    return found
