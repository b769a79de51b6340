"""How the reactions of this service are run: subscribed while the worker lives."""

from collections.abc import Sequence
from dataclasses import dataclass

from faststream.kafka import KafkaBroker

from services.customer.consumers import automation, bouncing, erasing
from services.customer.consumers import preferring as words
from services.customer.consumers import registering as strangers
from services.customer.consumers import robots as robotics
from services.customer.handlers.automation import Automating
from services.customer.handlers.bouncing import Bouncing
from services.customer.handlers.erasing import Eraser
from services.customer.handlers.preferring import Preferring
from services.customer.handlers.registering import Registering
from services.customer.handlers.robots import Robots
from shared.kafka import KafkaUrl, react_until_cancelled, subscribe
from shared.keyring import Keyring
from shared.records import RawRecord


@dataclass(frozen=True, slots=True)
class Reactions:
    """The subscriptions, and the connection that they share."""

    broker: KafkaBroker
    kafka: KafkaUrl
    automating: Automating
    eraser: Eraser
    robots: Robots
    registering: Registering
    preferring: Preferring
    bouncing: Bouncing
    keyring: Keyring

    async def run(self) -> None:
        """React until cancelled; on the way out let the batches in hand finish."""
        self._subscribe()
        await react_until_cancelled(self.broker)

    def _subscribe(self) -> None:
        async def react(records: Sequence[RawRecord]) -> None:
            await automation.react(self.automating, records)

        subscribe(
            self.broker,
            *(self.kafka.topic(topic) for topic in automation.TOPICS),
            group=self.kafka.topic(automation.GROUP),
            react=react,
            title="automation",
            description="What happens to customers becomes commands, by the chain's rules.",
        )

        async def erase(records: Sequence[RawRecord]) -> None:
            await erasing.react(self.eraser, records)

        subscribe(
            self.broker,
            *(self.kafka.topic(topic) for topic in erasing.TOPICS),
            group=self.kafka.topic(erasing.GROUP),
            react=erase,
            title="erasing",
            description="A wish to be forgotten is carried out, whatever was killed on the way.",
        )

        async def register(records: Sequence[RawRecord]) -> None:
            await strangers.react(self.registering, self.keyring, records)

        subscribe(
            self.broker,
            *(self.kafka.topic(topic) for topic in strangers.TOPICS),
            group=self.kafka.topic(strangers.GROUP),
            react=register,
            title="registering",
            description="Somebody unknown becomes a customer by what they did, if so decided.",
        )

        async def obey(records: Sequence[RawRecord]) -> None:
            await robotics.react(self.robots, records)

        subscribe(
            self.broker,
            *(self.kafka.topic(topic) for topic in robotics.TOPICS),
            group=self.kafka.topic(robotics.GROUP),
            react=obey,
            title="robots",
            description="What robots ask for is done to deals, and told to other systems.",
        )

        async def prefer(records: Sequence[RawRecord]) -> None:
            await words.react(self.preferring, records)

        subscribe(
            self.broker,
            *(self.kafka.topic(topic) for topic in words.TOPICS),
            group=self.kafka.topic(words.GROUP),
            react=prefer,
            title="preferring",
            description="What people decide by links in messages is evidence of their consents.",
        )

        async def mark(records: Sequence[RawRecord]) -> None:
            await bouncing.react(self.bouncing, records)

        subscribe(
            self.broker,
            *(self.kafka.topic(topic) for topic in bouncing.TOPICS),
            group=self.kafka.topic(bouncing.GROUP),
            react=mark,
            title="bouncing",
            description="A contact point from which messages come back for good is bad.",
        )
