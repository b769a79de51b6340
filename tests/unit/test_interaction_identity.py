"""Whoever becomes known gets what waits for them, whatever else came in the same batch."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from services.interaction.consumers.identity import Identity
from services.interaction.queries.waiting import WaitingStreams
from shared.envelope import Causation
from shared.records import RawRecord
from shared.testing.reading import LoggedRecord


@dataclass(slots=True)
class Adoptions:
    """Notes who is given what."""

    given: list[tuple[str, str]] = field(default_factory=list)

    async def adopt(self, stream: str, customer: str, _why: Causation) -> None:
        """Note it."""
        self.given.append((stream, customer))


class CaughtUp:
    """A read model that has everything."""

    async def find(self, where: Mapping[str, Any], **_more: object) -> Sequence[Mapping[str, Any]]:
        """The documents that are asked for, at a version that none reaches."""
        return [{"_id": each, "versions": {each: 100}} for each in where["_id"]["$in"]]


def fact(version: int, *claims: str) -> RawRecord:
    """A page that somebody looked at who is known by these."""
    first, *others = ({"kind": "card", "hash": each} for each in claims)
    value = {
        "specversion": "1.0",
        "id": f"unknown-1@{version}",
        "source": "/interaction",
        "type": "interaction.page_viewed.v1",
        "time": "2026-01-01T00:00:00.000Z",
        "recordedtime": "2026-01-01T00:00:00.000Z",
        "stream": "unknown-1",
        "streamversion": version,
        "correlationid": "c",
        "causationid": "c",
        "causedepth": 0,
        "data": {"fact": str(version), "identified_by": first, "also": others},
    }
    return LoggedRecord(
        "interaction.events.v1", 0, version, b"unknown-1", msgspec.json.encode(value)
    )


async def test_facts_of_one_stream_in_one_batch_are_asked_for_by_all_that_came_with_them() -> None:
    mover: Any = Adoptions()

    async def owners(ids: Collection[str]) -> Mapping[str, str]:
        """Only the second identifier of the first fact finds anybody."""
        return {each: "anna" for each in ids if each == "card|known"}

    caught_up: Any = CaughtUp()
    identity = Identity(mover, owners, WaitingStreams(caught_up), caught_up)
    await identity.facts([fact(1, "new", "known"), fact(2, "new")])
    assert mover.given == [("unknown-1", "anna")]
