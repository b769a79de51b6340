"""What a message has come to, as its links need it: whose it is, and by which ways it went."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from services.notify.domain.message import message_stream
from shared.envelope import Causation, Envelope, decode
from shared.events import EVENT_TYPES
from shared.events.contract import EventData
from shared.events.customer import Channel
from shared.events.notification import MessageScheduled, MessageSending
from shared.events.single import MessageWritten
from shared.eventstore import Commit, EventStore


@dataclass(frozen=True, slots=True)
class Sent:
    """A message as its links need it.

    `ways` is each channel that it went by, with the hash of the address, the last one last. `topic`
    is there where the message itself says it; `size` counts the commits of its stream.
    """

    message: str
    customer: str
    campaign: str
    ways: dict[Channel, str]
    why: Causation
    size: int
    topic: str | None = None


async def read_sent(store: EventStore, message: str) -> Sent | None:
    """A message that was handed over; None for one that never was. Raises `StoreUnavailable`."""
    stream = message_stream(message)
    return sent_of(message, (await store.read([stream])).get(stream, ()))


def sent_of(message: str, commits: Sequence[Commit]) -> Sent | None:
    """A message that was handed over, from its stream; None for one that never was."""
    found: Sent | None = None
    for envelope in (decode(text) for commit in commits for text in commit.events):
        data = _data(envelope)
        match data:
            case MessageScheduled() | MessageWritten() if found is None:
                topic = data.topic if isinstance(data, MessageWritten) else None
                found = Sent(
                    message,
                    envelope.subject or "",
                    data.campaign,
                    {},
                    _after(envelope),
                    len(commits),
                    topic,
                )
            case MessageWritten(topic=topic) if found is not None:
                found = replace(found, topic=topic)
            case MessageSending(channel=channel, contact=contact) if found is not None:
                by = channel or _first(commits)
                ways = {name: at for name, at in found.ways.items() if name != by}
                found = replace(found, ways={**ways, by: contact}, why=_after(envelope))
            case _:
                pass
    return None if found is None or not found.ways else found


def _data(envelope: Envelope) -> EventData | None:
    """The event, where a link needs it."""
    wanted = (MessageScheduled.type, MessageWritten.type, MessageSending.type)
    if envelope.type not in wanted:
        return None
    return EVENT_TYPES[envelope.type].model_validate_json(bytes(envelope.data))


def _first(commits: Sequence[Commit]) -> Channel:
    """The channel that a message was scheduled for."""
    data = _data(decode(commits[0].events[0]))
    assert isinstance(data, MessageScheduled | MessageWritten)  # noqa: S101 - it begins so
    return data.channel


def _after(envelope: Envelope) -> Causation:
    return Causation(envelope.correlationid, envelope.id, envelope.causedepth + 1)
