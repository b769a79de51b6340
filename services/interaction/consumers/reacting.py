"""How the reactions of this service are run: subscribed while the worker lives.

Each capability says in its own file what it reads and what follows from it; here they share one
connection.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from faststream.kafka import KafkaBroker

from shared.kafka import KafkaUrl, react_until_cancelled, subscribe
from shared.kafka.reactions import Reaction


@dataclass(frozen=True, slots=True)
class Subscription:
    """What one reaction reads, and what it does; topics and group without the chain's prefix."""

    topics: tuple[str, ...]
    group: str
    react: Reaction
    title: str
    description: str


@dataclass(frozen=True, slots=True)
class Reactions:
    """The subscriptions, and the connection that they share."""

    broker: KafkaBroker
    kafka: KafkaUrl
    subscriptions: Sequence[Subscription]

    async def run(self) -> None:
        """React until cancelled; on the way out let the batches in hand finish."""
        for each in self.subscriptions:
            subscribe(
                self.broker,
                *(self.kafka.topic(topic) for topic in each.topics),
                group=self.kafka.topic(each.group),
                react=each.react,
                title=each.title,
                description=each.description,
            )
        await react_until_cancelled(self.broker)

    async def readers(self) -> Mapping[str, tuple[str, ...]]:
        """Group → topics, for what is told of progress."""
        return {each.group: each.topics for each in self.subscriptions}
