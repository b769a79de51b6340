"""Facts of other services for tests: appended as they are told, and handed out as Kafka would."""

import itertools
from collections.abc import Iterable, Sequence
from datetime import datetime

from shared.decider import Decider, NewEvent
from shared.envelope import Causation
from shared.eventstore import Commit
from shared.execute import Command, Writer
from shared.testing.reading import LoggedRecord

TOLD: Decider[Sequence[NewEvent], None] = Decider(
    lambda: None, lambda events, _state: events, lambda state, _data: state
)
"""Believes everything; the streams are those of whichever service the writer is of."""

_numbers = itertools.count(1)


async def tell(writer: Writer, stream: str, key: str, events: Sequence[NewEvent]) -> None:
    """Append the events to the stream; the key is the customer whom they concern."""
    command: Command[Sequence[NewEvent]] = Command(
        id=f"told|{stream}|{next(_numbers)}",
        hash="",
        stream=stream,
        key=key,
        body=events,
        causation=Causation(correlation="told"),
        subject=key,
    )
    await writer.one(TOLD, command)


def records_of(commits: Iterable[Commit], taken: datetime) -> Sequence[LoggedRecord]:
    """All events of the commits in one partition, as if Kafka had taken them at the moment."""
    texts = ((commit, text) for commit in commits for text in commit.events)
    timestamp = int(taken.timestamp() * 1000)
    return [
        LoggedRecord("topic", 0, offset, commit.key.encode(), text.encode(), timestamp)
        for offset, (commit, text) in enumerate(texts)
    ]
