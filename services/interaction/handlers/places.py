"""Where facts are now, and appending what was decided on what was read there."""

from collections.abc import Mapping, Sequence

from services.interaction.domain.facts import FACTS
from services.interaction.domain.held import Held, held
from services.interaction.domain.moving import chunk_id, gate_id
from services.interaction.domain.streams import customer_of
from shared.decider import NewEvent, Refused
from shared.envelope import Causation
from shared.eventstore import Claim
from shared.execute import Done, Joint, JointDecider, Writer
from shared.execute.commands import MOVED_ON

Events = Mapping[str, Sequence[NewEvent]]
"""What was decided, by stream."""

UNKNOWN_FACT = Refused(
    "unknown-receipt",
    409,
    "There is no such receipt or fact yet.",
    "send it first, then this again",
)
UNDER_WAY = Refused(
    "fact-under-way",
    409,
    "The fact is just changing hands.",
    "send the same again a little later",
)


async def read(writer: Writer, stream: str) -> Held:
    """What a stream holds now."""
    commits = await writer.store.read([stream])
    return held(stream, commits.get(stream, ()))


async def locate(writer: Writer, first: str, fact: str) -> Held | None:
    """What the stream holds that has the fact; None while it is between two of them.

    `first` is the stream in which it was recorded. A fact that was withdrawn is held by none, and
    the stream is given that had it.
    """
    stream, seen = first, set[str]()
    while stream not in seen:
        seen.add(stream)
        found = await read(writer, stream)
        there = found.whereabouts(fact) or await _adopter(writer, found)
        if there == stream:
            return found
        if there is None:
            return None
        stream = there
    return None


async def _adopter(writer: Writer, left: Held) -> str | None:
    """The stream that took what somebody unknown did; None before, and for other streams.

    It need not be that of whom the stream was closed to: that one may have been merged since.
    """
    if not left.left:
        return None
    name = chunk_id(gate_id(left.stream), 0)
    known = await writer.store.known([name])
    return known[name].stream if name in known else None


def _as_decided(
    body: Events, _states: Mapping[str, None], _claims: Mapping[str, Claim]
) -> Mapping[str, Sequence[NewEvent]]:
    return body


_DECIDED: JointDecider[Events, None] = JointDecider(FACTS, _as_decided)


async def append(
    writer: Writer,
    command: str,
    digest: str,
    *,
    events: Events,
    versions: Mapping[str, int],
    why: Causation,
) -> Done | None:
    """Append what was decided on these versions; None where a stream has moved on.

    A command that is recorded is answered as it was. Raises its refusal.
    """
    joint = Joint(
        id=command,
        hash=digest,
        streams={stream: customer_of(stream) for stream in versions},
        body=events,
        causation=why,
        expected=versions,
    )
    try:
        return await writer.together(_DECIDED, joint)
    except Refused as refusal:
        if refusal.type != MOVED_ON:
            raise
        return None
