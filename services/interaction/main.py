"""`python -m services.interaction --role api|worker|relay|all`: builds everything, then runs."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

from fastapi import APIRouter
from faststream.kafka import KafkaBroker
from pydantic import AfterValidator, Field

from services.interaction.api import FactApi, ImportApi, TotalsApi
from services.interaction.api.call_lists import CallListApi
from services.interaction.api.file_imports import FileImportApi
from services.interaction.api.inbox import InboxApi
from services.interaction.api.moves import MoveApi
from services.interaction.api.points import PointsApi, PointsDesk
from services.interaction.api.product_categories import ProductCategoryApi
from services.interaction.api.products import ProductApi
from services.interaction.api.recommendations import RecommendationApi
from services.interaction.api.tasks import TaskApi
from services.interaction.api.tills import TillApi
from services.interaction.api.timeline import TimelineApi
from services.interaction.consumers import PROJECTIONS, points, replies
from services.interaction.consumers import inbox as topic_inbox
from services.interaction.consumers import tasks as task_requests
from services.interaction.consumers.identity import Identity
from services.interaction.consumers.inbox import WaitingRoom
from services.interaction.consumers.reacting import Reactions, Subscription
from services.interaction.domain.affinity import Measure
from services.interaction.domain.days import zone_name
from services.interaction.handlers.call_lists import CallLists
from services.interaction.handlers.facts import Recorder
from services.interaction.handlers.importing import DryRun, FactFiles, Reverting, Source
from services.interaction.handlers.inbox import Inbox, Patience
from services.interaction.handlers.inbox_replaying import Replaying
from services.interaction.handlers.inbox_sealing import Sealer
from services.interaction.handlers.incoming.schema import schema as inbox_schema
from services.interaction.handlers.intake import Intake
from services.interaction.handlers.misuse import TellMisuse
from services.interaction.handlers.moves import Mover
from services.interaction.handlers.points.due import TellDue
from services.interaction.handlers.points.following import Following
from services.interaction.handlers.points.ledgers import Ledgers
from services.interaction.handlers.points.rules import PointsRulesBook
from services.interaction.handlers.recommending import Recommending, Schedule
from services.interaction.handlers.returns import Returns
from services.interaction.handlers.task_following import TaskFollowing, TaskHandOvers, TaskTimers
from services.interaction.handlers.task_planning import Planner
from services.interaction.handlers.task_rules import TaskGrounds
from services.interaction.handlers.tasks import Tasks
from services.interaction.projections.agenda import AGENDA
from services.interaction.projections.identifiers import IDENTIFIERS
from services.interaction.projections.points import POINTS
from services.interaction.projections.products import PRODUCTS
from services.interaction.projections.staff import STAFF
from services.interaction.projections.task_owners import TASK_OWNERS
from services.interaction.projections.task_sources import CALLEES, DEAL_DUTIES
from services.interaction.projections.tills import TILLS
from services.interaction.projections.timeline import TIMELINE
from services.interaction.projections.totals import MISUSE_LIMIT, totals_of
from services.interaction.projections.waiting import WAITING
from services.interaction.queries.access import Access
from services.interaction.queries.agenda import Agenda
from services.interaction.queries.baskets import Receipts
from services.interaction.queries.customers import Customers, Owners
from services.interaction.queries.imports import Imports
from services.interaction.queries.points import PointsEntries
from services.interaction.queries.product_categories import CategoryBook
from services.interaction.queries.products import Products
from services.interaction.queries.recommendations import INDEXES, RECOMMENDATIONS, Recommendations
from services.interaction.queries.staff import Staff
from services.interaction.queries.task_owners import TaskOwners, TaskSources
from services.interaction.queries.tills import Tills
from services.interaction.queries.timeline import Timeline
from services.interaction.queries.totals import Totals
from services.interaction.queries.trees import Trees
from services.interaction.queries.waiting import WaitingStreams
from shared.access import Kind
from shared.files import Files
from shared.http.disclosing import DisclosureApi
from shared.identifiers import IdentifierRules
from shared.importing import INDEXES as DRAFT_INDEXES
from shared.importing import ImportList
from shared.importing import Imports as FileImports
from shared.jobs import AnyKind, JobApi, Jobs
from shared.kafka import DEAD_LETTERS, INBOX, KafkaDeadLetters
from shared.mongo import MongoDocuments, MongoLeases, MongoWaitingPlace
from shared.mongo.events import COMMITS
from shared.process import Kernel, Parts, Reports, Role, WaysIn, assemble, start
from shared.settings import Settings
from shared.wording import Languages

SERVICE = "interaction"
FILE_IMPORTS = "file_imports"
GRACE_SECONDS = 15.0
SECONDS_OF_A_DAY = 24 * 3600.0
LOCALES = Path(__file__).parent / "locales"


class InteractionSettings(Settings):
    """The interaction service's own settings.

    `zone` (IANA name) is the one in whose days figures are counted, the same as long as the chain
    lives. A customer with more than `misuse_limit` receipts on one of them is suspected of misuse.
    Of the facts in the inbox whose customer or receipt is not there yet, `inbox_waiting_most` wait
    for it at once, each for `inbox_waiting_days`.
    """

    zone: Annotated[str, AfterValidator(zone_name)] = "UTC"
    misuse_limit: int = Field(default=MISUSE_LIMIT, ge=1)
    inbox_waiting_days: float = Field(default=7, gt=0)
    inbox_waiting_most: int = Field(default=100_000, ge=1)


async def build(settings: InteractionSettings, role: Role) -> Parts:
    """Construct the service for a role."""
    kernel = await Kernel.build(settings, SERVICE)
    imports = Imports(kernel.writer)
    customers = Customers(kernel.documents(IDENTIFIERS).collection)
    trees = Trees(customers.collection)
    rules = IdentifierRules(kernel.hmac_secret, settings.phone_region)
    categories = CategoryBook(kernel.writer)
    products = Products(kernel.documents(PRODUCTS).collection, categories)
    jobs = await kernel.jobs()
    files = await kernel.files()
    recommending = await _recommending(kernel)
    intake = Intake(
        Recorder(kernel.writer, customers.owners, products.of),
        Returns(kernel.writer),
        rules,
        kernel.clock,
    )
    mover = Mover(kernel.writer, trees.customers, kernel.clock)
    identity = Identity(
        mover,
        customers.owners,
        WaitingStreams(kernel.documents(WAITING).collection),
        customers.collection,
    )
    agenda = _agenda(kernel, settings, customers, jobs)
    desk = _points(kernel, customers)
    following = points.subscription(Following(desk.ledgers, desk.book))
    dead = KafkaDeadLetters(kernel.kafka, INBOX, DEAD_LETTERS)
    inbox = await _inbox(kernel, settings, intake, customers.owners, dead)
    answers = replies.subscription(intake.recorder, kernel.keyring, kernel.clock)
    subscriptions = [*identity.subscriptions(), *agenda.subscriptions, following, answers]
    reactions = _reactions(kernel, [*subscriptions, topic_inbox.subscription(inbox)])
    file_imports, file_kinds = await _file_imports(kernel, settings.zone, intake, files, jobs)
    importing = ImportApi(kernel.writer, imports, kernel.clock)
    totalled = totals_of(ZoneInfo(settings.zone), settings.misuse_limit)
    totals = TotalsApi(
        customers,
        Totals(kernel.documents(totalled).collection),
        kernel.writer,
        kernel.clock,
    )

    async def counts() -> Mapping[str, int]:
        timers = await kernel.due_timers(AGENDA) + await kernel.due_timers(POINTS)
        return {"due_timers": timers}

    async def notes() -> Mapping[str, str]:
        return {"open imports": str(len(await imports.open()))}

    facts = FactApi(intake).router()
    parts = await assemble(
        kernel,
        role,
        title="Regulars: interactions",
        routers=[
            facts,
            InboxApi(
                Replaying(dead, MongoLeases(kernel.database), kernel.owner), inbox.place
            ).router(),
            MoveApi(mover, customers).router(),
            (await _access(kernel, trees)).router(),
            importing.router(),
            file_imports.router(),
            totals.router(),
            TillApi(Tills(kernel.documents(TILLS).collection)).router(),
            PointsApi(desk).router(),
            _timeline(kernel, settings, trees).router(),
            # Before single products: their ids may hold a slash.
            RecommendationApi(
                recommending.known, products, customers.owners, kernel.store, jobs, kernel.clock
            ).router(),
            ProductApi(kernel.writer, products, kernel.clock).router(),
            ProductCategoryApi(categories, kernel.clock).router(),
            *agenda.routers,
            JobApi(jobs).router(),
        ],
        projectors=[await kernel.projector(projection) for projection in (*PROJECTIONS, totalled)],
        worker_tasks=[
            reactions.run,
            WaitingRoom(inbox, MongoLeases(kernel.database), kernel.owner).run,
            files.run,
            kernel.sweeper(totalled, TellMisuse(kernel.writer)).run,
            kernel.sweeper(POINTS, TellDue(desk.ledgers)).run,
            kernel.job_runner(jobs, [*file_kinds, recommending, *agenda.kinds]).run,
            *agenda.worker_tasks,
            Schedule(jobs, kernel.clock, timedelta(hours=settings.recommendations_hours)).run,
        ],
        reports=Reports(counts=counts, notes=notes, readers=reactions.readers),
        ways_in=WaysIn(bounded=[facts], topics={INBOX: inbox_schema()}),
    )
    parts.closing = (dead.close, *parts.closing)
    return parts


async def _access(kernel: Kernel, trees: Trees) -> DisclosureApi:
    tasks = kernel.documents(AGENDA).collection
    access = Access(kernel.writer, trees, tasks)
    return DisclosureApi("facts", Kind.FACT, access.of, await kernel.reveals(), kernel.clock)


async def _inbox(
    kernel: Kernel,
    settings: InteractionSettings,
    intake: Intake,
    owners: Owners,
    dead: KafkaDeadLetters,
) -> Inbox:
    place = MongoWaitingPlace(kernel.database, topic_inbox.WAITING)
    await place.create_indexes()
    return Inbox(
        intake,
        kernel.store.known,
        owners,
        place,
        dead,
        Sealer(settings.master_key()),
        Patience(settings.inbox_waiting_most, settings.inbox_waiting_days * SECONDS_OF_A_DAY),
    )


def _reactions(kernel: Kernel, subscriptions: Sequence[Subscription]) -> Reactions:
    broker = KafkaBroker(kernel.kafka.bootstrap, graceful_timeout=GRACE_SECONDS, logger=None)
    return Reactions(broker, kernel.kafka, subscriptions)


@dataclass(frozen=True, slots=True)
class _Agenda:
    """What tasks bring to the process."""

    routers: Sequence[APIRouter]
    subscriptions: Sequence[Subscription]
    worker_tasks: Sequence[Callable[[], Awaitable[None]]]
    kinds: Sequence[AnyKind]


def _agenda(
    kernel: Kernel, settings: InteractionSettings, customers: Customers, jobs: Jobs
) -> _Agenda:
    secret, writer, clock = kernel.hmac_secret, kernel.writer, kernel.clock
    grounds = TaskGrounds(writer, Staff(kernel.documents(STAFF).collection), settings.zone)
    tasks = Tasks(writer, grounds)
    agenda = Agenda(kernel.documents(AGENDA).collection, kernel.keyring)
    owners = TaskOwners(kernel.documents(TASK_OWNERS).collection)
    sources = TaskSources(
        kernel.documents(DEAL_DUTIES).collection, kernel.documents(CALLEES).collection
    )
    return _Agenda(
        routers=[
            TaskApi(tasks, agenda, owners, customers, clock, secret).router(),
            CallListApi(jobs, agenda, grounds, clock, secret).router(),
        ],
        subscriptions=[task_requests.subscription(Planner(tasks, owners, sources))],
        worker_tasks=[
            TaskFollowing(writer, grounds, owners).run,
            TaskHandOvers(writer, grounds, agenda).run,
            kernel.sweeper(AGENDA, TaskTimers(writer, grounds).settle).run,
        ],
        kinds=[CallLists(tasks, owners, sources)],
    )


def _points(kernel: Kernel, customers: Customers) -> PointsDesk:
    return PointsDesk(
        ledgers=Ledgers(kernel.writer),
        book=PointsRulesBook(kernel.writer),
        owners=customers.owners,
        entries=PointsEntries(kernel.documents(POINTS).collection),
        clock=kernel.clock,
        secret=kernel.hmac_secret,
    )


def _timeline(kernel: Kernel, settings: InteractionSettings, trees: Trees) -> TimelineApi:
    return TimelineApi(
        trees,
        Timeline(kernel.documents(TIMELINE).collection, kernel.keyring, kernel.clock),
        Languages.read(LOCALES),
        settings.currency,
        ZoneInfo(settings.zone),
    )


async def _file_imports(
    kernel: Kernel, zone: str, intake: Intake, files: Files, jobs: Jobs
) -> tuple[FileImportApi, Sequence[AnyKind]]:
    drafts = MongoDocuments(kernel.database, FILE_IMPORTS)
    await drafts.create_indexes(DRAFT_INDEXES)
    source = Source(drafts, files, intake.recorder, intake.rules, kernel.clock, zone)
    api = FileImportApi(
        FileImports(drafts, files, jobs, kernel.clock, FactFiles()), ImportList(drafts.collection)
    )
    return api, [Reverting(source), DryRun(source)]


async def _recommending(kernel: Kernel) -> Recommending:
    documents = MongoDocuments(kernel.database, RECOMMENDATIONS)
    await documents.create_indexes(INDEXES)
    return Recommending(
        Receipts(kernel.database.collection(COMMITS)),
        documents,
        Recommendations(documents.collection),
        kernel.clock,
        Measure(kernel.settings.recommendations_half_life_days),
    )


def main() -> None:
    """Run the service."""
    start(SERVICE, InteractionSettings, build)
