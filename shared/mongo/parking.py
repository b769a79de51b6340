"""Parked events, in the database of the projection that could not apply them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pymongo.errors import BulkWriteError

from shared.mongo.connection import Collection, Database, lost_indexes, translated
from shared.readmodel import ParkedEvent

PARKED = "parked"


@dataclass(frozen=True, slots=True)
class MongoParking:
    """`{_id: "<projection>|<topic>|<partition>|<offset>", …}`."""

    database: Database
    projection: str

    @property
    def _collection(self) -> Collection:
        return self.database.collection(PARKED)

    async def create_indexes(self) -> None:
        """Make sure that the owner of a partition finds its events."""
        await self._collection.create_indexes([(("projection", 1), ("partition", 1))])

    def _id(self, event: ParkedEvent) -> str:
        return f"{self.projection}|{event.topic}|{event.partition}|{event.offset}"

    async def park(self, events: Sequence[ParkedEvent]) -> None:
        """Keep the events; one that is kept already stays as it is."""
        if not events:
            return
        documents = [
            {
                "_id": self._id(event),
                "projection": self.projection,
                "topic": event.topic,
                "partition": event.partition,
                "offset": event.offset,
                "key": event.key,
                "value": event.value,
                "timestamp": event.timestamp,
                "reason": event.reason,
                "replay": event.replay,
            }
            for event in events
        ]
        with translated():
            try:
                await self._collection.motor.insert_many(documents, ordered=False)
            except BulkWriteError as failure:
                lost_indexes(failure)

    async def parked(self, partitions: Sequence[int]) -> Sequence[ParkedEvent]:
        """All parked events of the partitions, by topic, partition and offset."""
        found = await self._collection.find(
            {"projection": self.projection, "partition": {"$in": list(partitions)}},
            sort=[("topic", 1), ("partition", 1), ("offset", 1)],
        )
        return [_event(document) for document in found]

    async def request_replay(self, key: bytes | None) -> int:
        """Ask the owner to replay the key's events (all when None); gives how many."""
        where: dict[str, Any] = {"projection": self.projection}
        if key is not None:
            where["key"] = key
        with translated():
            result = await self._collection.motor.update_many(where, {"$set": {"replay": True}})
        return result.matched_count

    async def keep(self, events: Sequence[ParkedEvent]) -> None:
        """Their replay failed: they stay, until it is asked for again."""
        if events:
            with translated():
                await self._collection.motor.update_many(
                    {"_id": {"$in": [self._id(event) for event in events]}},
                    {"$set": {"replay": False}},
                )

    async def release(self, events: Sequence[ParkedEvent]) -> None:
        """Forget events that were applied."""
        with translated():
            await self._collection.motor.delete_many(
                {"_id": {"$in": [self._id(event) for event in events]}}
            )

    async def count(self) -> int:
        """How many are parked."""
        return await self._collection.count({"projection": self.projection})


def _event(document: Mapping[str, Any]) -> ParkedEvent:
    return ParkedEvent(
        topic=document["topic"],
        partition=document["partition"],
        offset=document["offset"],
        key=document["key"],
        value=document["value"],
        timestamp=document["timestamp"],
        reason=document["reason"],
        replay=document["replay"],
    )
