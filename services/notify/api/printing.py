"""HTTP of printed mailings: a code for each customer of an area, as a table.

There are no names and addresses in it: those leave by the export of customers alone, which the
printer joins by the customer's id.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Self

from fastapi import APIRouter
from fastapi.responses import StreamingResponse
from pydantic import Field, StringConstraints, model_validator

from services.notify.api.access import Writing, whole_chain
from services.notify.api.campaign_input import Input, Reference, Slug
from services.notify.handlers.coupons.printing import Mailing, Printing, Row
from shared.access import Kind, Permission, scope
from shared.clock import Clock
from shared.decider import invalid
from shared.events.contract import show_moment
from shared.tables.writing import Cell, CsvWriter

COLUMNS = ("customer", "city", "branch", "code", "valid_until")
City = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]


class MailingInput(Input):
    """Whom a mailing is for; its name tells it from others of the pool."""

    name: Slug
    segment: Slug | None = None
    list: Slug | None = None
    city: City | None = Field(default=None, description="in any case")
    branch: Reference | None = Field(default=None, description="the customer's home branch")

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.segment is None) == (self.list is None):
            message = "name a segment or a list"
            raise ValueError(message)
        return self


@dataclass(frozen=True, slots=True)
class PrintingApi:
    """The endpoint, on what it needs."""

    printing: Printing
    clock: Clock

    def router(self) -> APIRouter:
        """The route below `/v1/coupon-pools/{name}`."""
        router = APIRouter(prefix="/v1/coupon-pools/{name}", tags=["coupons"])
        router.add_api_route(
            "/mailings", self.mailing, methods=["POST"], response_class=StreamingResponse
        )
        return router

    async def mailing(self, name: str, body: MailingInput, calling: Writing) -> StreamingResponse:
        """A code for each customer, given as the row is written; asked again, the same codes.

        A row without a code says that none is left.
        """
        whole_chain(calling)
        calling.require(Permission.CUSTOMERS_READ)
        scope(calling, Kind.CUSTOMER).require(None)
        _, pool = await self.printing.pools.require(name)
        if pool.referring is not None:
            path, wrong = "name", "is of codes that customers recommend by"
            raise invalid(path, wrong)
        # No name has a stroke: a-b of one pool is not b of the pool a.
        mailing = Mailing(f"{name}/{body.name}", body.segment, body.list, body.city, body.branch)
        return StreamingResponse(
            _csv(self.printing.rows(pool, mailing, self.clock.now())),
            media_type="text/csv; charset=utf-8",
            headers={
                "Content-Disposition": f'attachment; filename="{name}-{body.name}.csv"',
                "Cache-Control": "no-store",
            },
        )


async def _csv(pieces: AsyncIterator[Sequence[Row]]) -> AsyncIterator[bytes]:
    with CsvWriter(COLUMNS) as table:
        yield table.add([])
        async for piece in pieces:
            yield table.add([_cells(row) for row in piece])


def _cells(row: Row) -> Sequence[Cell]:
    until = None if row.issued is None else row.issued.valid_until
    return (
        row.customer,
        row.city,
        row.branch,
        None if row.issued is None else row.issued.code,
        None if until is None else show_moment(until),
    )
