"""The rules that care goes by, from the configuration's own streams."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from services.customer.domain.configuration.chosen import stream_of
from services.customer.engine.rules import CareRules, care_rules
from shared.envelope import decode
from shared.events import EVENT_TYPES
from shared.events.contract import EventData
from shared.eventstore import Commit, EventStore

FIELDS, AUTOMATION = stream_of("fields"), stream_of("automation")
STREAMS = (FIELDS, AUTOMATION)


async def load_care_rules(store: EventStore, read: dict[str, int]) -> CareRules | None:
    """The rules as they are; None where no stream has grown since `read`, which is brought on.

    Raises `StoreUnavailable`.
    """
    heads = {name: head.version for name, head in (await store.heads(STREAMS)).items()}
    if heads == read:
        return None
    commits = await store.read(STREAMS)
    rules = care_rules(_told(commits.get(FIELDS, ())), _told(commits.get(AUTOMATION, ())))
    read.update({name: found[-1].version for name, found in commits.items() if found})
    return rules


def _told(commits: Sequence[Commit]) -> Iterator[tuple[EventData, datetime]]:
    for commit in commits:
        for text in commit.events:
            envelope = decode(text)
            data = EVENT_TYPES[envelope.type].model_validate_json(bytes(envelope.data))
            yield data, datetime.fromisoformat(envelope.recordedtime)
