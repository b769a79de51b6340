"""What customers decided by links, as this service's own store has it at the moment of sending.

It is read twice: with everything else before it is decided, and once more between the recording of
a hand-over and its beginning. So every hand-over has a look that comes after its `sending`, and a
withdrawal that was acknowledged before that look is in it: nothing begins after it.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import msgspec
import structlog

from services.notify.domain.preference import PREFIX, Preferences, Word, preferences_stream
from services.notify.handlers.recipients.merged import absorptions
from services.notify.handlers.recipients.reading import People
from services.notify.projections import Recipient
from shared.envelope import decode
from shared.events import EVENT_TYPES
from shared.events.preferences import PreferenceGiven, PreferenceWithdrawn
from shared.eventstore import Commit, EventStore, StoreUnavailable
from shared.freshness import Freshness

OLDEST_SECONDS = 0.05
"""How old the last look may be when a hand-over begins: a slow batch looks again."""
SILENT = Preferences()

log = structlog.stdlib.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Heard:
    """The words of customers; who has said nothing is left out."""

    store: EventStore

    async def of(self, customers: Collection[str]) -> dict[str, Preferences]:
        """Those of the customers' own streams. Raises `StoreUnavailable`."""
        if not customers:
            return {}
        found = await self.store.read([preferences_stream(each) for each in sorted(customers)])
        return {
            stream.removeprefix(PREFIX): preferences_of(stream, commits)
            for stream, commits in found.items()
        }

    async def with_merged(
        self, people: People, recipients: Mapping[str, Recipient], own: Mapping[str, Preferences]
    ) -> Mapping[str, Preferences]:
        """The same with what was said by records that are part of them by now. Raises as `of` does.

        Of those who have said nothing it is noted: by their links something may be said yet.
        """
        others: list[tuple[str, str]] = []
        await absorptions(people, recipients, lambda root, each: others.append((root, each.other)))
        theirs = await self.of({other for _, other in others})
        joined = dict(own)
        for root, other in others:
            words = theirs.get(other, Preferences(versions={preferences_stream(other): 0}))
            joined[root] = joined.get(root, SILENT).joined(words)
        return joined


def preferences_of(stream: str, commits: Sequence[Commit]) -> Preferences:
    """What a stream comes to."""
    said = SILENT
    for word, at in said_in(commits):
        said = said.heard(word, at)
    return Preferences(said.refusals, {stream: commits[-1].version})


def said_in(commits: Sequence[Commit]) -> Iterator[tuple[Word, datetime]]:
    """The words in commits, each with its moment by the chain's clock."""
    for commit in commits:
        for text in commit.events:
            envelope = decode(text)
            data = EVENT_TYPES[envelope.type].model_validate_json(bytes(envelope.data))
            if isinstance(data, PreferenceWithdrawn | PreferenceGiven):
                yield data, datetime.fromisoformat(envelope.time)


def heeding(recipient: Recipient, said: Preferences) -> Recipient:
    """The recipient without the consents that the customer has withdrawn by a link."""
    gone: dict[str, datetime] = {}
    kept = dict(recipient.consents)
    for key, given in recipient.consents.items():
        topic, channel, _ = key.split("|", 2)
        if given and said.refused(topic, channel, recipient.agreed.get(key)):
            del kept[key]
            gone[f"{topic}|{channel}"] = said.refusals[topic, channel].at
    if not gone:
        return recipient
    withdrawals = dict(recipient.withdrawals)
    for about, at in gone.items():
        withdrawals[about] = max(at, withdrawals.get(about, at))
    return msgspec.structs.replace(recipient, consents=kept, withdrawals=withdrawals)


@dataclass(slots=True)
class LastLook:
    """Whether customers of a batch have said something since it was decided."""

    store: EventStore
    said: Mapping[str, Preferences]
    customers: Collection[str]
    _moved: set[str] = field(default_factory=set)
    _freshness: Freshness = field(init=False)

    def __post_init__(self) -> None:
        """Nothing is looked at yet."""
        self._freshness = Freshness(self._read, OLDEST_SECONDS)

    async def is_silent(self, customer: str) -> bool:
        """Whether nothing new was said; False also where that cannot be told in time."""
        try:
            await self._freshness.ensure()
        except (StoreUnavailable, TimeoutError) as failure:
            log.warning("last look failed", reason=type(failure).__name__)
            return False
        return customer not in self._moved

    async def _read(self) -> None:
        known = {customer: self._known(customer) for customer in sorted(self.customers)}
        heads = await self.store.heads([name for names in known.values() for name in names])
        for customer, versions in known.items():
            for stream, version in versions.items():
                head = heads.get(stream)
                if head is not None and head.version != version:
                    self._moved.add(customer)

    def _known(self, customer: str) -> Mapping[str, int]:
        own = {preferences_stream(customer): 0}
        return {**own, **self.said.get(customer, SILENT).versions}
