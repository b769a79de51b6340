"""Documents of customers: the file is stored sealed, the customer's stream says what it is.

A file is stored for a day, kept for good just before the event is recorded, and deleted where the
event is refused. Whoever is killed in between leaves a file that nothing shows; an erase deletes it
with all others of its owner.
"""

import hashlib
from collections.abc import AsyncIterable, AsyncIterator
from dataclasses import dataclass, field
from datetime import timedelta

from services.customer.domain.commands import AttachDocument
from services.customer.domain.customer import CUSTOMER
from services.customer.handlers.customers import Request, carry_out
from shared.decider import Refused
from shared.events.care import DocumentAttached
from shared.execute import Done, Writer
from shared.files import Files
from shared.ids import derived_id

MAX_BYTES = 20 * 1024 * 1024
AT_FIRST = timedelta(days=1)
FOR_GOOD = timedelta(days=365 * 100)


@dataclass(frozen=True, slots=True)
class Upload:
    """A document as it comes in."""

    customer: str
    title: str
    media_type: str
    content: AsyncIterable[bytes]
    by: str


@dataclass(slots=True)
class _Hashed:
    """The same bytes, with their SHA-256 once they have passed."""

    content: AsyncIterable[bytes]
    sha256: "hashlib._Hash" = field(default_factory=hashlib.sha256)

    async def pieces(self) -> AsyncIterator[bytes]:
        async for piece in self.content:
            self.sha256.update(piece)
            yield piece


def owner_of(customer: str) -> str:
    """As whose the files of a customer are stored."""
    return f"customer:{customer}"


def document_id(request: Request) -> str:
    """The id of the document that a request attaches: the same each time it is sent."""
    return derived_id("document", request.command_id)


async def _require_same(writer: Writer, done: Done, document: DocumentAttached) -> None:
    """Raise `Refused` (422) where another file was attached under the same key.

    The hash of the request cannot tell: it is taken before the body has come.
    """
    state, _version = await writer.state(CUSTOMER, done.stream)
    known = state.documents.get(document.document)
    if known is not None and known.sha256 != document.sha256:
        raise Refused(
            "command-differs",
            422,
            "This id was used before for something else.",
            "send the same content again, or use another id",
        )


async def attach(writer: Writer, files: Files, request: Request, upload: Upload) -> Done:
    """Store a file and say that it belongs to the customer. Raises `Refused` (413 too)."""
    hashed = _Hashed(upload.content)
    file = await files.write(
        hashed.pieces(),
        name=upload.title,
        media_type=upload.media_type,
        owner=owner_of(upload.customer),
        keep=AT_FIRST,
        limit=MAX_BYTES,
    )
    recorded = False
    try:
        await files.keep(file, FOR_GOOD)
        document = DocumentAttached(
            document=document_id(request),
            file=file.id,
            title=upload.title,
            media_type=upload.media_type,
            size=file.size,
            sha256=hashed.sha256.hexdigest(),
            by=upload.by,
        )
        done = await carry_out(
            writer,
            request,
            AttachDocument(
                customer=upload.customer, at=request.at, by=upload.by, document=document
            ),
        )
        recorded = done.changed and not done.repeated
        if done.repeated:
            await _require_same(writer, done, document)
    finally:
        if not recorded:
            await files.delete(file.id)
    return done
