"""Facts that wait for somebody to become known, and how far read models have come."""

from collections.abc import Collection as Several
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from shared.mongo import Collection


@dataclass(frozen=True, slots=True)
class WaitingStreams:
    """Questions to `waiting`."""

    collection: Collection

    async def under(self, claims: Several[str]) -> Mapping[str, frozenset[str]]:
        """The streams that wait under any of the identifiers, with all that they wait under."""
        if not claims:
            return {}
        found = await self.collection.find({"ids": {"$in": sorted(claims)}}, fields={"ids": 1})
        return {each["_id"]: frozenset(each["ids"]) for each in found}


async def behind(
    collection: Collection, wanted: Mapping[str, tuple[str, int]]
) -> Mapping[str, tuple[str, int]]:
    """Those documents that do not have this version of this stream yet, as they were asked for."""
    found: dict[str, Mapping[str, Any]] = {
        each["_id"]: each.get("versions", {})
        for each in await collection.find({"_id": {"$in": sorted(wanted)}}, fields={"versions": 1})
    }
    return {
        name: (stream, version)
        for name, (stream, version) in wanted.items()
        if found.get(name, {}).get(stream, 0) < version
    }
