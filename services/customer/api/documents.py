"""The endpoints of documents: a file comes in and goes out as it is, in the body."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import StreamingResponse

from services.customer.api.desk import Asked, Desk, Reader, discreet
from services.customer.api.inputs import Text
from services.customer.api.views import Recorded
from services.customer.domain.commands import RemoveDocument
from services.customer.handlers.documents import Upload, attach
from shared.decider import Refused, invalid, not_found
from shared.files import Files

PLAIN = "application/octet-stream"
LONGEST_TYPE = 100


@dataclass(frozen=True, slots=True)
class DocumentApi:
    """The endpoints of documents."""

    desk: Desk
    files: Files

    def router(self) -> APIRouter:
        """The routes below `/v1/customers/{customer}/documents`."""
        router = APIRouter(prefix="/v1/customers/{customer}/documents", tags=["documents"])
        body = {"required": True, "content": {PLAIN: {"schema": {"type": "string"}}}}
        router.add_api_route("", self.attach, methods=["POST"], openapi_extra={"requestBody": body})
        router.add_api_route(
            "/{document}", self.get, methods=["GET"], response_class=StreamingResponse
        )
        router.add_api_route("/{document}", self.remove, methods=["DELETE"])
        return router

    async def attach(
        self, request: Request, asking: Asked, title: Annotated[Text, Query()]
    ) -> Recorded:
        """Let a file belong to the customer; the body is the file, of at most 20 MiB."""
        await self.desk.require_scope(asking.customer, asking.calling)
        media_type = request.headers.get("content-type", PLAIN)
        if len(media_type) > LONGEST_TYPE or not media_type.isprintable():
            raise invalid("content-type", "a media type, like application/pdf")
        # The body is a stream: what was asked is told by its name and length.
        length = request.headers.get("content-length", "")
        asked = self.desk.request(asking.command_id, [asking.customer, title, media_type, length])
        upload = Upload(
            customer=(await self.desk.records.get(asking.customer)).id,
            title=title,
            media_type=media_type,
            content=request.stream(),
            by=asking.calling.id,
        )
        try:
            done = await attach(self.desk.writer, self.files, asked, upload)
        except Refused as refusal:
            raise discreet(refusal, asking.calling) from refusal
        return self.desk.answer(asking, done)

    async def get(self, customer: str, document: str, calling: Reader) -> StreamingResponse:
        """The file, always as a download."""
        found = await self.desk.seen(customer, calling)
        attached = found.document(document)
        if attached is None:
            kind = "document"
            raise not_found(kind, document)
        file = await self.files.open(attached.file)
        headers = {
            "Content-Disposition": "attachment",
            "Content-Length": str(file.size),
            "X-Content-Type-Options": "nosniff",
        }
        return StreamingResponse(
            self.files.read(file), media_type=attached.media_type, headers=headers
        )

    async def remove(self, document: str, asking: Asked) -> Recorded:
        """Take a file away from the customer, and delete it."""
        found = await self.desk.records.get(asking.customer)
        attached, holder = found.document(document), found.holder_of_document(document)
        answer = await self.desk.do(
            asking,
            document,
            lambda about: RemoveDocument(document=document, **{**about, "customer": holder}),
        )
        if attached is not None:
            await self.files.delete(attached.file)
        return answer
