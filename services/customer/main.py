"""`python -m services.customer --role api|worker|relay|all`: builds everything, then runs."""

from collections.abc import Mapping, Sequence

from fastapi import APIRouter
from faststream.kafka import KafkaBroker

from services.customer.api import CareApi, ContactApi, CustomerApi, Desk, DocumentApi
from services.customer.api.configuration import ConfigurationApi
from services.customer.api.configuration.changing import Changing
from services.customer.api.configuration.hand_overs import HandOverApi
from services.customer.api.deals import DealApi
from services.customer.api.merging import MergingApi
from services.customer.api.pipelines import PipelineApi
from services.customer.consumers import PROJECTIONS, automation, erasing
from services.customer.consumers.care import LiveCareRules
from services.customer.consumers.reacting import Reactions
from services.customer.domain.deal_terms import Ground, ground_of
from services.customer.handlers.automation import Automating
from services.customer.handlers.configuration import ConfigurationBook
from services.customer.handlers.deal_moves import DealMoves
from services.customer.handlers.deals import Deals
from services.customer.handlers.departures import HAND_OVER, MOVE_HOME, Departures
from services.customer.handlers.erasing import Eraser
from services.customer.handlers.handing_over import FromBranch, FromEmployee, HandOver
from services.customer.projections.deal_owners import DEAL_OWNERS
from services.customer.projections.deals import DEALS
from services.customer.projections.directory import DIRECTORY
from services.customer.queries.deal_owners import DealOwners
from services.customer.queries.deals import DealBoard
from services.customer.queries.directory import Directory
from services.customer.queries.holdings import Holdings
from services.customer.queries.records import Records
from shared.identifiers import IdentifierRules
from shared.jobs import AnyKind, JobApi
from shared.process import Kernel, Parts, Reports, Role, assemble, start
from shared.settings import Settings

SERVICE = "customer"
GRACE_SECONDS = 15.0


async def build(settings: Settings, role: Role) -> Parts:
    """Construct the service for a role."""
    kernel = await Kernel.build(settings, SERVICE)
    book = ConfigurationBook(kernel.writer)
    desk = Desk(
        writer=kernel.writer,
        directory=Directory(kernel.documents(DIRECTORY).collection),
        records=Records(kernel.writer),
        book=book,
        rules=IdentifierRules(kernel.hmac_secret, settings.phone_region),
        clock=kernel.clock,
        authenticator=kernel.authenticator,
    )
    files = await kernel.files()
    jobs = await kernel.jobs()
    kinds = [*_hand_overs(kernel, desk)]
    departures = Departures(book, kernel.authenticator.keys, jobs)
    configuration = ConfigurationApi(book, kernel.clock, kernel.hmac_secret)
    eraser = Eraser(kernel.writer, files)
    care = LiveCareRules(kernel.store)
    await care.refresh()

    async def counts() -> Mapping[str, int]:
        return {"due_timers": await kernel.due_timers(care.stepped.projection)}

    return await assemble(
        kernel,
        role,
        title="Regulars: customers",
        routers=[
            CustomerApi(desk).router(),
            ContactApi(desk).router(),
            CareApi(desk).router(),
            DocumentApi(desk, files).router(),
            MergingApi(desk, eraser).router(),
            configuration.router(),
            *_deal_routers(kernel, book),
            HandOverApi(jobs).router(),
            JobApi(jobs).router(),
        ],
        projectors=[
            *[await kernel.projector(projection) for projection in PROJECTIONS],
            await kernel.stepped_projector(care),
        ],
        worker_tasks=[
            _reactions(kernel, book, eraser).run,
            care.follow,
            departures.run,
            DealMoves(kernel.writer, DealOwners(kernel.documents(DEAL_OWNERS).collection)).run,
            kernel.job_runner(jobs, kinds).run,
        ],
        reports=Reports(counts=counts, readers=_readers),
    )


def _deals(kernel: Kernel, book: ConfigurationBook) -> Deals:
    async def ground() -> Ground:
        return ground_of(await book.fresh())

    return Deals(kernel.writer, ground)


def _hand_overs(kernel: Kernel, desk: Desk) -> Sequence[AnyKind]:
    book, records, clock = desk.book, desk.records, kernel.clock
    holdings = Holdings(kernel.documents(DIRECTORY).collection, kernel.documents(DEALS).collection)
    employee = FromEmployee(kernel.writer, book, _deals(kernel, book), holdings, clock)
    branch = FromBranch(kernel.writer, book, records, holdings, clock)
    return [HandOver(HAND_OVER, employee), HandOver(MOVE_HOME, branch)]


def _deal_routers(kernel: Kernel, book: ConfigurationBook) -> Sequence[APIRouter]:
    board = DealBoard(kernel.documents(DEALS).collection, kernel.keyring)
    deals = _deals(kernel, book)
    secret = kernel.hmac_secret
    return [
        DealApi(deals, board, book, kernel.clock, secret).router(),
        PipelineApi(Changing(book, kernel.clock, secret), board).router(),
    ]


def _reactions(kernel: Kernel, book: ConfigurationBook, eraser: Eraser) -> Reactions:
    broker = KafkaBroker(kernel.kafka.bootstrap, graceful_timeout=GRACE_SECONDS, logger=None)
    return Reactions(broker, kernel.kafka, Automating(kernel.writer, book), eraser)


async def _readers() -> Mapping[str, tuple[str, ...]]:
    return {automation.GROUP: automation.TOPICS, erasing.GROUP: erasing.TOPICS}


def main() -> None:
    """Run the service."""
    start(SERVICE, Settings, build)
