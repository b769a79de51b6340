"""What this service holds of a person: one answer to whoever asks what is known of them."""

from collections.abc import Sequence
from dataclasses import dataclass

from services.interaction.domain.held import held
from services.interaction.domain.misuse import misuse_stream
from services.interaction.domain.points.ledger import ledger_stream
from services.interaction.domain.streams import stream_of
from services.interaction.queries.trees import Trees
from shared.decider import Refused, not_found
from shared.disclosure import Disclosure, events_of
from shared.execute import Writer
from shared.readmodel import Questions

_KIND = "customer"


@dataclass(frozen=True, slots=True)
class Access:
    """Questions to all that is held of a person: facts, points, suspicions, tasks."""

    writer: Writer
    trees: Trees
    tasks: Questions

    async def of(self, customer: str) -> Disclosure:
        """All that is held. Raises `Refused`: 404 for nobody, 410 for somebody erased."""
        tree = await self.trees.of(customer)
        if tree is None:
            raise not_found(_KIND, customer)
        if tree.erased:
            raise Refused("erased", 410, "The customer was erased.")
        tasks = await self.tasks.find(
            {"customer": {"$in": list(tree.customers)}}, fields={"versions": 1}
        )
        streams = [
            name(each)
            for each in tree.customers
            for name in (stream_of, ledger_stream, misuse_stream)
        ]
        streams += sorted({stream for task in tasks for stream in task.get("versions", {})})
        streams += await self._adopted(tree.customers)
        return Disclosure(tree.customers, await events_of(self.writer, streams))

    async def _adopted(self, customers: Sequence[str]) -> Sequence[str]:
        """The streams of somebody unknown who turned out to be one of these.

        What was adopted while they were one with somebody else is that one's after they parted.
        """
        own = await self.writer.store.read([stream_of(each) for each in customers])
        adopted = {
            name for stream, commits in own.items() for name in held(stream, commits).adopted
        }
        left = await self.writer.store.read(sorted(adopted))
        return sorted(
            name
            for name, commits in left.items()
            if (closed := held(name, commits).closed) is not None and closed.to in customers
        )
