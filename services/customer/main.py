"""`python -m services.customer --role api|worker|relay|all`: builds everything, then runs."""

import random
import time
from collections.abc import Mapping, Sequence

from fastapi import APIRouter
from faststream.kafka import KafkaBroker

from services.customer.api import CareApi, ContactApi, CustomerApi, Desk, DocumentApi
from services.customer.api.companies import CompanyApi
from services.customer.api.configuration import ConfigurationApi
from services.customer.api.configuration.changing import Changing
from services.customer.api.configuration.hand_overs import HandOverApi
from services.customer.api.deals import DealApi
from services.customer.api.imports import ImportApi
from services.customer.api.merging import MergingApi
from services.customer.api.pipelines import PipelineApi
from services.customer.api.preferences import PreferenceApi
from services.customer.consumers import PROJECTIONS, automation, erasing, robots
from services.customer.consumers.care import LiveCareRules
from services.customer.consumers.reacting import Reactions
from services.customer.domain.deal_terms import Ground, ground_of
from services.customer.handlers.automation import Automating
from services.customer.handlers.calling import HttpCaller
from services.customer.handlers.companies import Companies
from services.customer.handlers.configuration import ConfigurationBook
from services.customer.handlers.deal_moves import DealMoves
from services.customer.handlers.deals import Deals
from services.customer.handlers.departures import HAND_OVER, MOVE_HOME, Departures
from services.customer.handlers.erasing import Eraser
from services.customer.handlers.handing_over import FromBranch, FromEmployee, HandOver
from services.customer.handlers.imports import DryRun, Imports, Reverting
from services.customer.handlers.imports.reading import Source
from services.customer.handlers.preferences import Preferences
from services.customer.handlers.robots import Robots
from services.customer.handlers.tokens import Tokens
from services.customer.handlers.webhooks import Webhooks
from services.customer.projections.companies import COMPANIES
from services.customer.projections.deal_owners import DEAL_OWNERS
from services.customer.projections.deals import DEALS
from services.customer.projections.directory import DIRECTORY
from services.customer.queries.companies import CompanyList
from services.customer.queries.deal_owners import DealOwners
from services.customer.queries.deals import DealBoard
from services.customer.queries.directory import Directory
from services.customer.queries.holdings import Holdings
from services.customer.queries.imports import INDEXES, ImportList
from services.customer.queries.records import Records
from shared.files import Files
from shared.identifiers import IdentifierRules
from shared.jobs import AnyKind, JobApi, Jobs
from shared.mongo import MongoDocuments, MongoOutbox
from shared.process import Kernel, Parts, Reports, Role, assemble, start
from shared.settings import Settings

SERVICE = "customer"
GRACE_SECONDS = 15.0
WEBHOOKS = "webhooks"
IMPORTS = "imports"


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
    imports, import_kinds = await _imports(kernel, desk, files, jobs)
    kinds = [*_hand_overs(kernel, desk), *import_kinds]
    departures = Departures(book, kernel.authenticator.keys, jobs)
    configuration = ConfigurationApi(book, kernel.clock, kernel.hmac_secret)
    eraser = Eraser(kernel.writer, files)
    care = LiveCareRules(kernel.store)
    await care.refresh()
    live_robots = robots.LiveRobots(kernel.store)
    await live_robots.refresh()
    outbox = MongoOutbox(kernel.database, WEBHOOKS)
    await outbox.create_indexes()
    robotics = Robots(_deals(kernel, book), outbox)
    caller = HttpCaller(kernel.hmac_secret, time.time, settings.webhook_private_addresses)

    async def counts() -> Mapping[str, int]:
        timers = await kernel.due_timers(care.stepped.projection)
        timers += await kernel.due_timers(live_robots.stepped.projection)
        return {"due_timers": timers, "open_messages": await outbox.waiting()}

    parts = await assemble(
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
            PreferenceApi(_preferences(kernel, desk)).router(),
            *_deal_routers(kernel, book),
            _company_api(kernel, book).router(),
            HandOverApi(jobs).router(),
            imports.router(),
            JobApi(jobs).router(),
        ],
        projectors=[
            *[await kernel.projector(projection) for projection in PROJECTIONS],
            await kernel.stepped_projector(care),
            await kernel.stepped_projector(live_robots),
        ],
        worker_tasks=[
            _reactions(kernel, eraser, Automating(kernel.writer, book), robotics).run,
            care.follow,
            live_robots.follow,
            Webhooks(kernel.writer, outbox, caller, random.random).run,
            departures.run,
            DealMoves(kernel.writer, DealOwners(kernel.documents(DEAL_OWNERS).collection)).run,
            kernel.job_runner(jobs, kinds).run,
            files.run,
        ],
        reports=Reports(counts=counts, readers=_readers),
    )
    parts.closing = (caller.close, *parts.closing)
    return parts


def _deals(kernel: Kernel, book: ConfigurationBook) -> Deals:
    async def ground() -> Ground:
        return ground_of(await book.fresh())

    return Deals(kernel.writer, ground)


def _company_api(kernel: Kernel, book: ConfigurationBook) -> CompanyApi:
    companies = Companies(kernel.writer, kernel.hmac_secret)
    found = CompanyList(kernel.documents(COMPANIES).collection)
    return CompanyApi(companies, found, book, kernel.clock)


def _hand_overs(kernel: Kernel, desk: Desk) -> Sequence[AnyKind]:
    book, records, clock = desk.book, desk.records, kernel.clock
    holdings = Holdings(kernel.documents(DIRECTORY).collection, kernel.documents(DEALS).collection)
    employee = FromEmployee(kernel.writer, book, _deals(kernel, book), holdings, clock)
    branch = FromBranch(kernel.writer, book, records, holdings, clock)
    return [HandOver(HAND_OVER, employee), HandOver(MOVE_HOME, branch)]


async def _imports(
    kernel: Kernel, desk: Desk, files: Files, jobs: Jobs
) -> tuple[ImportApi, Sequence[AnyKind]]:
    drafts = MongoDocuments(kernel.database, IMPORTS)
    await drafts.create_indexes(INDEXES)
    source = Source(drafts, files, kernel.writer, desk.book, desk.rules, kernel.clock)
    api = ImportApi(
        Imports(drafts, files, jobs, desk.book, kernel.clock), ImportList(drafts.collection)
    )
    return api, [Reverting(source), DryRun(source)]


def _deal_routers(kernel: Kernel, book: ConfigurationBook) -> Sequence[APIRouter]:
    board = DealBoard(kernel.documents(DEALS).collection, kernel.keyring)
    owners = DealOwners(kernel.documents(DEAL_OWNERS).collection)
    deals = _deals(kernel, book)
    secret = kernel.hmac_secret
    return [
        DealApi(deals, board, owners, book, kernel.clock, secret).router(),
        PipelineApi(Changing(book, kernel.clock, secret), board).router(),
    ]


def _preferences(kernel: Kernel, desk: Desk) -> Preferences:
    tokens = Tokens(kernel.hmac_secret)
    return Preferences(kernel.writer, desk.records, desk.book, tokens, kernel.clock)


def _reactions(
    kernel: Kernel, eraser: Eraser, automating: Automating, robotics: Robots
) -> Reactions:
    broker = KafkaBroker(kernel.kafka.bootstrap, graceful_timeout=GRACE_SECONDS, logger=None)
    return Reactions(broker, kernel.kafka, automating, eraser, robotics)


async def _readers() -> Mapping[str, tuple[str, ...]]:
    return {each.GROUP: each.TOPICS for each in (automation, erasing, robots)}


def main() -> None:
    """Run the service."""
    start(SERVICE, Settings, build)
