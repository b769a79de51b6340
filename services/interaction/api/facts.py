"""Facts in: every kind has its address, for one and for up to 1,000; and one address takes all."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Response
from pydantic import BaseModel, Field, TypeAdapter

from services.interaction.domain.streams import customer_of
from services.interaction.handlers.incoming import ANY, KINDS, FactInput, TakeBackInput
from services.interaction.handlers.incoming.forms import Slug
from services.interaction.handlers.incoming.hot import HOT, hot_named_receipt
from services.interaction.handlers.intake import AnyItem, Intake
from shared.access import Kind, Permission, Principal, scope
from shared.decider import Refused
from shared.http import (
    BatchAnswer,
    Quick,
    RawItems,
    batch_body,
    batch_response,
    etag,
    parse_items,
    principal,
)

Writing = Annotated[Principal, Depends(principal(Permission.FACTS_WRITE))]
ImportId = Annotated[Slug | None, Query(description="the import that these facts are history of")]
AnyFact = FactInput | TakeBackInput


class RecordedFact(BaseModel):
    """The answer to a fact."""

    id: str = Field(description="of the fact, for ever")
    customer: str | None = Field(description="null while nobody is known by its identifiers")
    version: int = Field(description="of the stream of facts; pass it on as `min_version`")
    repeated: bool = Field(description="it was recorded before")


@dataclass(frozen=True, slots=True)
class FactApi:
    """The endpoints, on what they need."""

    intake: Intake

    def router(self) -> APIRouter:
        """The routes: `/v1/<kind>`, `/v1/<kind>/batch`, and `/v1/facts/batch`."""
        router = APIRouter(prefix="/v1")
        for name, kind in KINDS.items():
            self._add(router, name, TypeAdapter(kind), HOT.get(name))
            router.add_api_route(
                f"/{name}",
                self._recording(kind),
                methods=["POST"],
                status_code=201,
                tags=[name],
                summary=f"Record one of the {name}",
                description="Once for ever by the source's id.",
            )
        self._add(router, "facts", ANY, hot_named_receipt)
        return router

    def _add(
        self, router: APIRouter, name: str, kind: TypeAdapter[Any], hot: Quick[Any] | None
    ) -> None:
        router.add_api_route(
            f"/{name}/batch",
            self._recording_many(kind, hot),
            methods=["POST"],
            response_model=BatchAnswer,
            openapi_extra=batch_body(kind),
            tags=[name],
            summary=f"Record up to 1,000 {name}",
            description="Each has an outcome of its own.",
        )

    def _recording(self, kind: type[AnyFact]) -> Callable[..., Awaitable[RecordedFact]]:
        async def record(
            body: kind,  # type: ignore[valid-type]  # FastAPI reads the class that stands here
            calling: Writing,
            response: Response,
        ) -> RecordedFact:
            return await self._record(body, calling, response)

        return record

    def _recording_many(
        self, kind: TypeAdapter[Any], hot: Quick[Any] | None
    ) -> Callable[..., Awaitable[Response]]:
        async def record_batch(
            items: RawItems, calling: Writing, import_id: ImportId = None
        ) -> Response:
            return await self._record_many(parse_items(kind, items, hot), calling, import_id)

        return record_batch

    async def _record(self, body: AnyFact, calling: Principal, response: Response) -> RecordedFact:
        sent = self.intake.sent([body], scope(calling, Kind.FACT))
        ((fact, outcome),) = await self.intake.take(sent)
        if isinstance(outcome, Refused):
            raise outcome
        response.headers["ETag"] = etag(outcome.version)
        return RecordedFact(
            id=fact or "",
            customer=customer_of(outcome.stream),
            version=outcome.version,
            repeated=outcome.repeated,
        )

    async def _record_many(
        self, items: Sequence[AnyItem | Refused], calling: Principal, import_id: str | None
    ) -> Response:
        if import_id is not None:
            calling.require(Permission.IMPORTS_RUN)
        sent = self.intake.sent(items, scope(calling, Kind.FACT))
        return batch_response(await self.intake.take(sent, import_id))
