"""An outbox on MongoDB: a document per letter, due by the database's clock."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from pymongo import IndexModel, ReturnDocument
from pymongo.errors import BulkWriteError

from shared.ids import new_id
from shared.mongo.connection import Database, lost_indexes, translated
from shared.outbox import REMEMBERED, Letter

LONG_AGO = datetime(1, 1, 1, tzinfo=UTC)
FIELDS = tuple(name for name in Letter.__dataclass_fields__ if name != "id")


@dataclass(frozen=True, slots=True)
class MongoOutbox:
    """Implements `Outbox` in one collection; what is settled has no `due_at` any more."""

    database: Database
    name: str

    async def create_indexes(self) -> None:
        """Make sure that what is due is found, and what is settled goes in time."""
        with translated():
            await self.database.motor[self.name].create_indexes(
                [
                    IndexModel([("due_at", 1)]),
                    IndexModel(
                        [("settled_at", 1)], expireAfterSeconds=int(REMEMBERED.total_seconds())
                    ),
                ]
            )

    async def put(self, letters: Sequence[Letter]) -> None:
        """Keep the letters, due at once; one that is known already stays as it is."""
        if not letters:
            return
        now = await self.database.now()
        documents = [_document(letter, now) for letter in letters]
        with translated():
            try:
                await self.database.motor[self.name].insert_many(documents, ordered=False)
            except BulkWriteError as failure:
                lost_indexes(failure)

    async def take(self, seconds: float, limit: int) -> Sequence[Letter]:
        """Letters that are due, the earliest first."""
        now = await self.database.now()
        taken: list[Letter] = []
        while len(taken) < limit:
            with translated():
                found = await self.database.motor[self.name].find_one_and_update(
                    {"due_at": {"$gte": LONG_AGO, "$lte": now}},
                    {"$set": {"due_at": now + timedelta(seconds=seconds), "token": new_id()}},
                    sort=[("due_at", 1)],
                    return_document=ReturnDocument.AFTER,
                )
            if found is None:
                break
            taken.append(_letter(found))
        return taken

    async def postpone(self, letter: Letter, seconds: float) -> bool:
        """Count an attempt, and be due again later."""
        due = await self.database.now() + timedelta(seconds=seconds)
        change = {"$set": {"due_at": due, "token": ""}, "$inc": {"attempts": 1}}
        return await self._change(letter, change)

    async def settle(self, letter: Letter) -> bool:
        """Remember it for a month, due no more."""
        now = await self.database.now()
        return await self._change(letter, {"$set": {"settled_at": now}, "$unset": {"due_at": ""}})

    async def waiting(self) -> int:
        """How many are not settled."""
        return await self.database.collection(self.name).count({"due_at": {"$gte": LONG_AGO}})

    async def _change(self, letter: Letter, change: Mapping[str, Any]) -> bool:
        with translated():
            result = await self.database.motor[self.name].update_one(
                {"_id": letter.id, "token": letter.token, "due_at": {"$gte": LONG_AGO}}, change
            )
        return result.matched_count == 1


def _document(letter: Letter, due: datetime) -> dict[str, Any]:
    named = {name: getattr(letter, name) for name in FIELDS}
    return {"_id": letter.id, **named, "due_at": due}


def _letter(document: Mapping[str, Any]) -> Letter:
    return Letter(id=document["_id"], **{name: document[name] for name in FIELDS})
