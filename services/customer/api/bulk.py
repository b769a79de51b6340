"""Bulk actions over HTTP: they begin here, and go on as jobs (`/v1/jobs`)."""

from dataclasses import dataclass

from fastapi import APIRouter

from services.customer.api.desk import Desk, Reader, Writing, customers_of
from services.customer.domain.bulk import Bulk, DeleteAll, MessageAll, Reach, Whom
from services.customer.domain.filters import Sorting
from services.customer.handlers.bulk import BULK, REACH, params_of, require_possible
from services.customer.queries.directory import Listing, walk_of
from shared.access import Permission, Principal
from shared.http import CommandId
from shared.ids import derived_id
from shared.jobs import Jobs, JobView
from shared.jobs.api import view_of


@dataclass(frozen=True, slots=True)
class BulkApi:
    """The endpoints."""

    desk: Desk
    jobs: Jobs

    def router(self) -> APIRouter:
        """The routes."""
        router = APIRouter(prefix="/v1/customers", tags=["list"])
        router.add_api_route("/bulk", self.begin, methods=["POST"], status_code=202)
        router.add_api_route("/bulk/reach", self.reach, methods=["POST"], status_code=202)
        return router

    async def begin(self, body: Bulk, calling: Writing, command_id: CommandId) -> JobView:
        """Do something with all that are selected or found; its result is that of the job.

        Deleting needs the permission to erase, and the word; a message that to run campaigns.
        """
        if isinstance(body.action, DeleteAll):
            calling.require(Permission.CUSTOMERS_ERASE)
        if isinstance(body.action, MessageAll):
            calling.require(Permission.CAMPAIGNS_WRITE)
        require_possible(body, await self.desk.book.fresh())
        return await self._job(BULK, body, calling, command_id)

    async def reach(self, body: Reach, calling: Reader, command_id: CommandId) -> JobView:
        """Count who could be reached by a message, and by reason who not: the counts of the job."""
        return await self._job(REACH, body, calling, command_id)

    async def _job(
        self, kind: str, body: Bulk | Reach, calling: Principal, command_id: str
    ) -> JobView:
        await self._require_filter(body, calling)
        job = await self.jobs.begin(
            kind,
            calling.id,
            params_of(body, customers_of(calling)),
            job_id=derived_id("job", command_id),
            asked=body.model_dump(mode="json"),
        )
        return view_of(job)

    async def _require_filter(self, body: Whom, calling: Principal) -> None:
        """Raise `Refused` for a filter that would only fail in the job."""
        now = await self.desk.book.fresh()
        walk_of(Listing(body.filter, Sorting(), customers_of(calling), now), None)
