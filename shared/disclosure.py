"""What streams tell of a person, to that person: every event, with personal texts in the clear.

It is read from the log itself, so that nothing is left out by a read model that has no use for it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from shared.envelope import Envelope, decode
from shared.events import EVENT_TYPES
from shared.events.contract import Path, pii_paths
from shared.events.moving import FactsMoved, FactWithdrawn
from shared.execute import Writer
from shared.keyring import key_ids, unseal

Json = Any


@dataclass(frozen=True, slots=True)
class Disclosure:
    """All that is held; `customers` are those who are one person, the living one first."""

    customers: Sequence[str]
    events: Sequence[Mapping[str, Json]]


async def events_of(writer: Writer, streams: Sequence[str]) -> list[Mapping[str, Json]]:
    """The events of the streams, in their order: id, type, both times, branch, and data.

    What was sealed with a key that was erased is left out. Raises `MissingKey`.
    """
    commits = await writer.store.read(streams)
    envelopes = [
        decode(text)
        for stream in streams
        for commit in commits.get(stream, ())
        for text in commit.events
    ]
    datas = [msgspec.json.decode(each.data) for each in envelopes]
    sealed = [
        part
        for envelope, data in zip(envelopes, datas, strict=True)
        for part in _sealed(envelope.type, data)
    ]
    wanted = {key for data, paths in sealed for key in key_ids(data, paths)}
    keys = await writer.keyring.get(wanted) if wanted else {}
    for data, paths in sealed:
        unseal(data, paths, keys)
    return [_told(*each) for each in zip(envelopes, datas, strict=True)]


def _sealed(kind: str, data: dict[str, Json]) -> Iterator[tuple[dict[str, Json], Sequence[Path]]]:
    """Where personal texts are: in the event, and in facts that it tells of whole."""
    yield data, pii_paths(EVENT_TYPES[kind])
    moved = data["facts"] if kind == FactsMoved.type else []
    for fact in [data["withdrawn"]] if kind == FactWithdrawn.type else moved:
        yield fact["data"], pii_paths(EVENT_TYPES[fact["type"]])


def _told(envelope: Envelope, data: Mapping[str, Json]) -> Mapping[str, Json]:
    return {
        "id": envelope.id,
        "type": envelope.type,
        "time": envelope.time,
        "recordedtime": envelope.recordedtime,
        "branch": envelope.branch,
        "data": data,
    }
