"""`python -m services.customer --role api|worker|relay|all`: builds everything, then runs."""

import random
import time
from collections.abc import Collection as Several
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import APIRouter
from faststream.kafka import KafkaBroker

from services.customer.api import CareApi, ContactApi, CustomerApi, Desk, DocumentApi
from services.customer.api.access import AccessApi
from services.customer.api.bulk import BulkApi
from services.customer.api.companies import CompanyApi
from services.customer.api.computed import ComputedApi
from services.customer.api.configuration import ConfigurationApi
from services.customer.api.configuration.changing import Changing
from services.customer.api.configuration.hand_overs import HandOverApi
from services.customer.api.deals import DealApi
from services.customer.api.duplicates import DuplicateApi
from services.customer.api.exports import ExportApi
from services.customer.api.forms import FormApi
from services.customer.api.imports import ImportApi
from services.customer.api.list import ListApi
from services.customer.api.list_inputs import SealedCursors
from services.customer.api.list_views import list_item
from services.customer.api.merging import MergingApi
from services.customer.api.pipelines import PipelineApi
from services.customer.api.preferences import PreferenceApi
from services.customer.channels.mail import Mail
from services.customer.consumers import (
    PROJECTIONS,
    automation,
    bouncing,
    erasing,
    preferring,
    registering,
    robots,
)
from services.customer.consumers.care import LiveCareRules
from services.customer.consumers.reacting import Reactions
from services.customer.domain.configuration.chosen import Configuration
from services.customer.domain.deal_terms import Ground, ground_of
from services.customer.handlers import exports as exporting
from services.customer.handlers.automation import Automating
from services.customer.handlers.bouncing import Bouncing
from services.customer.handlers.bulk import BulkAction, Freezer, Reaching
from services.customer.handlers.calling import HttpCaller
from services.customer.handlers.companies import Companies
from services.customer.handlers.configuration import ConfigurationBook
from services.customer.handlers.deal_moves import DealMoves
from services.customer.handlers.deals import Deals
from services.customer.handlers.departures import HAND_OVER, MOVE_HOME, Departures
from services.customer.handlers.duplicates import Pairing
from services.customer.handlers.erasing import Eraser
from services.customer.handlers.exports import CustomerExport, Exports, Postman
from services.customer.handlers.form_acceptance import Acceptance
from services.customer.handlers.form_entries import FormEntries
from services.customer.handlers.forms import Forms
from services.customer.handlers.handing_over import FromBranch, FromEmployee, HandOver
from services.customer.handlers.imports import CustomerFiles, DryRun, Reverting
from services.customer.handlers.imports.reading import Source
from services.customer.handlers.list_indexes import ListIndexes
from services.customer.handlers.preferences import Preferences
from services.customer.handlers.preferring import Preferring
from services.customer.handlers.registering import Registering
from services.customer.handlers.revealing import Revealing
from services.customer.handlers.robots import Robots
from services.customer.handlers.tokens import Tokens
from services.customer.handlers.views import Views
from services.customer.handlers.webhooks import Webhooks
from services.customer.projections.companies import COMPANIES
from services.customer.projections.deal_owners import DEAL_OWNERS
from services.customer.projections.deals import DEALS
from services.customer.projections.directory import DIRECTORY, DirectoryEntry
from services.customer.projections.duplicates import Candidate, duplicates
from services.customer.queries.access import Access
from services.customer.queries.companies import CompanyList
from services.customer.queries.deal_owners import DealOwners
from services.customer.queries.deals import DealBoard
from services.customer.queries.directory import Directory
from services.customer.queries.duplicates import PAIR_INDEXES, Likely
from services.customer.queries.holdings import Holdings
from services.customer.queries.quick import QuickSearch
from services.customer.queries.records import Records
from shared.files import Files
from shared.floods import Floods
from shared.identifiers import IdentifierRules
from shared.importing import INDEXES, ImportList, Imports
from shared.jobs import AnyKind, JobApi, Jobs
from shared.mongo import MongoDocuments, MongoExpiring, MongoLeases, MongoOutbox
from shared.process import Kernel, Parts, Reports, Role, assemble, start
from shared.projection import Projection
from shared.settings import Settings

SERVICE = "customer"
GRACE_SECONDS = 15.0
WEBHOOKS = "webhooks"
PAIRS = "duplicate_pairs"
IMPORTS = "imports"
EXPORTS = "exports"
VIEWS = "views"


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
    revealing = await _revealing(kernel)
    files = await kernel.files()
    jobs = await kernel.jobs()
    imports, import_kinds = await _imports(kernel, desk, files, jobs)
    eraser = Eraser(kernel.writer, files)
    kinds = [*_hand_overs(kernel, desk), *import_kinds, *_bulk(kernel, desk, eraser)]
    exports, export_kind = await _exports(kernel, desk, files, jobs)
    kinds.append(export_kind)
    departures = Departures(book, kernel.authenticator.keys, jobs)
    configuration = ConfigurationApi(book, kernel.clock, kernel.hmac_secret)
    candidates = duplicates(kernel.hmac_secret)
    pairing = await _pairing(kernel, candidates)
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
            # Before single customers: `/customers/count` is no customer.
            _list_api(kernel, desk, revealing).router(),
            BulkApi(desk, jobs).router(),
            CustomerApi(desk, revealing).router(),
            ContactApi(desk).router(),
            CareApi(desk).router(),
            DocumentApi(desk, files).router(),
            MergingApi(desk, eraser).router(),
            DuplicateApi(desk, pairing.likely).router(),
            AccessApi(desk, _access(kernel), revealing.reveals).router(),
            configuration.router(),
            PreferenceApi(_preferences(kernel, desk)).router(),
            FormApi(await _forms(kernel, desk)).router(),
            *_deal_routers(kernel, book),
            ComputedApi(desk).router(),
            _company_api(kernel, book).router(),
            HandOverApi(jobs).router(),
            imports.router(),
            exports.router(),
            JobApi(jobs).router(),
        ],
        projectors=[
            *[await kernel.projector(projection) for projection in PROJECTIONS],
            await kernel.projector(candidates),
            await kernel.stepped_projector(care),
            await kernel.stepped_projector(live_robots),
        ],
        worker_tasks=[
            _reactions(kernel, eraser, book, robotics, pairing.likely).run,
            care.follow,
            live_robots.follow,
            Webhooks(kernel.writer, outbox, caller, random.random).run,
            departures.run,
            pairing.run,
            DealMoves(kernel.writer, DealOwners(kernel.documents(DEAL_OWNERS).collection)).run,
            kernel.job_runner(jobs, kinds).run,
            ListIndexes(book, desk.directory).run,
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
    customers = kernel.documents(DIRECTORY).collection
    found = CompanyList(kernel.documents(COMPANIES).collection, customers)
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
        Imports(drafts, files, jobs, kernel.clock, CustomerFiles(desk.book)),
        ImportList(drafts.collection),
    )
    return api, [Reverting(source), DryRun(source)]


async def _exports(
    kernel: Kernel, desk: Desk, files: Files, jobs: Jobs
) -> tuple[ExportApi, AnyKind]:
    settings, clock = kernel.settings, kernel.clock
    log = MongoDocuments(kernel.database, EXPORTS)
    await log.create_indexes(exporting.INDEXES)
    url = settings.smtp_url
    mail = None if url is None else Mail.of(url, settings.mail_from, clock)
    address = settings.public_url or f"http://{settings.host}:{settings.port}"
    postman = Postman(mail, address)

    def shown(
        entry: DirectoryEntry, columns: Sequence[str], now: Configuration
    ) -> Mapping[str, Any]:
        return list_item(entry, columns, now, whole=True, clear=True).columns

    exports = Exports(log, log.collection, files, jobs, postman, clock)
    kind = CustomerExport(log, files, desk.directory, desk.book, postman, clock, shown)
    return ExportApi(exports, desk.book, desk.rules), kind


def _bulk(kernel: Kernel, desk: Desk, eraser: Eraser) -> Sequence[AnyKind]:
    freezer = Freezer(desk.directory, desk.book)
    return [BulkAction(kernel.writer, freezer, eraser, kernel.clock), Reaching(freezer)]


async def _revealing(kernel: Kernel) -> Revealing:
    return Revealing(await kernel.reveals(), kernel.clock, kernel.settings.contact_reveals_per_hour)


def _list_api(kernel: Kernel, desk: Desk, revealing: Revealing) -> ListApi:
    return ListApi(
        desk=desk,
        quick=QuickSearch(desk.directory, desk.rules),
        revealing=revealing,
        views=Views(MongoDocuments(kernel.database, VIEWS)),
        cursors=SealedCursors.of(kernel.hmac_secret),
    )


def _deal_routers(kernel: Kernel, book: ConfigurationBook) -> Sequence[APIRouter]:
    board = DealBoard(kernel.documents(DEALS).collection, kernel.keyring)
    owners = DealOwners(kernel.documents(DEAL_OWNERS).collection)
    deals = _deals(kernel, book)
    secret = kernel.hmac_secret
    return [
        DealApi(deals, board, owners, book, kernel.clock, secret).router(),
        PipelineApi(Changing(book, kernel.clock, secret), board).router(),
    ]


async def _forms(kernel: Kernel, desk: Desk) -> Forms:
    entries = MongoExpiring(kernel.database, "form_entries")
    await entries.create_indexes()
    secret, url = kernel.hmac_secret, kernel.settings.smtp_url
    sender = kernel.settings.mail_from
    return Forms(
        book=desk.book,
        acceptance=Acceptance(kernel.writer, desk.records, desk.rules),
        entries=FormEntries(entries, secret),
        tokens=Tokens(secret),
        floods=Floods(secret),
        rules=desk.rules,
        clock=kernel.clock,
        mail=None if url is None else Mail.of(url, sender, kernel.clock),
    )


def _preferences(kernel: Kernel, desk: Desk) -> Preferences:
    tokens = Tokens(kernel.hmac_secret)
    return Preferences(kernel.writer, desk.records, desk.book, tokens, kernel.clock)


def _access(kernel: Kernel) -> Access:
    deals, companies = kernel.documents(DEALS), kernel.documents(COMPANIES)
    return Access(kernel.writer, deals.collection, companies.collection)


async def _pairing(kernel: Kernel, candidates: Projection[Candidate]) -> Pairing:
    pairs = MongoDocuments(kernel.database, PAIRS)
    await pairs.create_indexes(PAIR_INDEXES)
    documents = kernel.documents(candidates)
    likely = Likely(documents.collection, pairs.collection)
    return Pairing(likely, documents, pairs, MongoLeases(kernel.database), kernel.owner)


def _reactions(
    kernel: Kernel, eraser: Eraser, book: ConfigurationBook, robotics: Robots, likely: Likely
) -> Reactions:
    async def shared(claims: Several[str]) -> Several[str]:
        return await likely.shared(claims, kernel.hmac_secret)

    return Reactions(
        KafkaBroker(kernel.kafka.bootstrap, graceful_timeout=GRACE_SECONDS, logger=None),
        kernel.kafka,
        Automating(kernel.writer, book),
        eraser,
        robotics,
        Registering(kernel.writer, book, shared),
        Preferring(kernel.writer),
        Bouncing(kernel.writer),
        kernel.keyring,
    )


async def _readers() -> Mapping[str, tuple[str, ...]]:
    reactions = (automation, bouncing, erasing, registering, robots, preferring)
    return {each.GROUP: each.TOPICS for each in reactions}


def main() -> None:
    """Run the service."""
    start(SERVICE, Settings, build)
