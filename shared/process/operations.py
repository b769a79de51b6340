"""What an operator does: look at parked events, have them replayed, audit the topics."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import BaseModel, Field

from shared.access import Permission, Principal
from shared.decider import not_found
from shared.http import Cursor, Limit, Page, cursor_of, position_of, principal
from shared.mongo import MongoParking
from shared.mongo.parking import PARKED
from shared.process.kernel import Kernel

Operator = Annotated[Principal, Depends(principal(Permission.OPERATIONS_RUN))]


class ParkedView(BaseModel):
    """A parked event: where it is, and why; never what it says."""

    projection: str
    topic: str
    partition: int
    offset: int
    key: str
    reason: str
    replay: bool = Field(description="its replay was asked for; the owner has not done it yet")


class ReplayInput(BaseModel):
    """Which parked events to apply again: those of a projection, or of one key of it."""

    projection: str
    key: str | None = None


class ReplayAnswer(BaseModel):
    """How many were asked for; what fails again stays parked."""

    requested: int


class AuditAnswer(BaseModel):
    """How many records the topics lacked; they have been published."""

    missing: int


@dataclass(frozen=True, slots=True)
class Operations:
    """Answers for one service; `projections` are those whose events it parks."""

    kernel: Kernel
    projections: Mapping[str, MongoParking]

    def router(self) -> APIRouter:
        """The routes `/v1/parked`, `/v1/parked/replay` and `/v1/audit`."""
        router = APIRouter(prefix="/v1", tags=["operations"])
        router.add_api_route("/parked", self.parked, methods=["GET"])
        router.add_api_route("/parked/replay", self.replay, methods=["POST"])
        router.add_api_route("/audit", self.audit, methods=["POST"])
        return router

    async def parked(
        self, _calling: Operator, limit: Limit = 100, cursor: Cursor = None
    ) -> Page[ParkedView]:
        """The parked events of this service."""
        after = position_of(cursor, str)
        found = await self.kernel.database.collection(PARKED).find(
            {} if after is None else {"_id": {"$gt": after}},
            fields={"value": 0},
            sort=[("_id", 1)],
            limit=limit + 1,
        )
        return Page[ParkedView](
            items=[
                ParkedView.model_validate(
                    {**raw, "key": raw["key"].decode("utf-8", "backslashreplace")}
                )
                for raw in found[:limit]
            ],
            next_cursor=cursor_of(found[limit - 1]["_id"]) if len(found) > limit else None,
        )

    async def replay(self, body: ReplayInput, _calling: Operator) -> ReplayAnswer:
        """Have the owners of the partitions apply parked events again, in order."""
        parking = self.projections.get(body.projection)
        if parking is None:
            raise not_found("projection", body.projection)
        key = None if body.key is None else body.key.encode()
        return ReplayAnswer(requested=await parking.request_replay(key))

    async def audit(self, _calling: Operator) -> AuditAnswer:
        """Compare all commits with the topics, and publish what is missing."""
        relay = self.kernel.relay()
        try:
            return AuditAnswer(missing=await relay.audit())
        finally:
            await relay.publisher.close()
