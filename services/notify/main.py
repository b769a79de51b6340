"""`python -m services.notify --role api|worker|relay|all`: builds everything, then runs."""

import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from faststream.kafka import KafkaBroker

from services.notify.api import (
    CallbackApi,
    CampaignApi,
    FiguresApi,
    MessageApi,
    PolicyApi,
    PreviewApi,
    SteeringApi,
)
from services.notify.api.budgets import BudgetApi
from services.notify.api.communication_map import MapApi
from services.notify.api.coupon_routes import coupon_routers
from services.notify.api.letters import LetterApi
from services.notify.api.links import PER_ADDRESS, PER_LINK, LinkApi
from services.notify.api.series import SeriesApi
from services.notify.api.suppressions import SuppressionApi
from services.notify.api.trials import TrialApi
from services.notify.channels import Channel
from services.notify.channels.doors import doors_of
from services.notify.channels.hearing import hearers, telling
from services.notify.channels.origins import ORIGINS
from services.notify.channels.registry import Ground, built
from services.notify.consumers import Triggers, topics_of, trigger_group, triggered
from services.notify.consumers.journeys import ENTRIES_GROUP, SIGNS_GROUP
from services.notify.consumers.receipts import Redemptions
from services.notify.consumers.series import series_work
from services.notify.consumers.signs import TOPICS as SERIES_TOPICS
from services.notify.content import LinkTokens
from services.notify.handlers.books.campaigns import CampaignBook
from services.notify.handlers.books.policies import PolicyBook
from services.notify.handlers.books.series import SeriesBook
from services.notify.handlers.campaigns.anniversaries import Anniversaries
from services.notify.handlers.campaigns.audience import Audiences
from services.notify.handlers.campaigns.calendars import Calendars
from services.notify.handlers.campaigns.confirming import Audience
from services.notify.handlers.campaigns.finishing import Finishing
from services.notify.handlers.campaigns.scheduling import Occasion, schedule
from services.notify.handlers.deciding.charging import tariff_of
from services.notify.handlers.deciding.stepping import Stepping
from services.notify.handlers.letters.desk import LetterDesk
from services.notify.handlers.letters.trials import TrialSending, leading_nowhere
from services.notify.handlers.letters.writing import Stationery
from services.notify.handlers.recipients.dates import Dates
from services.notify.handlers.recipients.held import Held
from services.notify.handlers.returns.choices import Choices
from services.notify.handlers.returns.hearing import Hearing
from services.notify.handlers.returns.links import Links
from services.notify.handlers.returns.mailbox import mail_reading
from services.notify.handlers.sending.buckets import Buckets
from services.notify.handlers.sending.dispatcher import Dispatcher
from services.notify.projections import (
    CAMPAIGN_EFFECTS,
    PLACES,
    QUEUE,
    RECIPIENTS,
    campaign_figures_of,
)
from services.notify.projections.coupons import COUPONS
from services.notify.projections.journeys import JOURNEYS
from services.notify.projections.segments import SEGMENTS
from services.notify.projections.suppressions import SUPPRESSIONS
from services.notify.queries import Effects, Figures, Journeys, Places, Queue, Recipients
from services.notify.queries.segments import Segments
from services.notify.queries.suppressions import Suppressions
from services.notify.settings import NotifySettings
from shared.access import Kind
from shared.floods import Floods
from shared.http.disclosing import DisclosureApi
from shared.identifiers import IdentifierRules
from shared.kafka import GroupReach, partition_of
from shared.mongo import MongoLeases, MongoWaitingPlace
from shared.mongo.parking import PARKED
from shared.process import Kernel, Parts, Reports, Role, assemble, start
from shared.settings import Settings
from shared.wording import Languages

__all__ = ["NotifySettings", "build", "main", "stationery_of"]

SERVICE = "notify"
CUSTOMERS = ("customer.events.v1",)
CHANNELS = frozenset({"email"})
GRACE_SECONDS = 15.0
LATE_REPORTS = "late_reports"
LOCALES = Path(__file__).parent / "locales"


async def build(settings: NotifySettings, role: Role) -> Parts:
    """Construct the service for a role."""
    kernel = await Kernel.build(settings, SERVICE)
    book = CampaignBook(kernel.store)
    queue = Queue(kernel.documents(QUEUE).collection)
    recipients = Recipients(
        kernel.documents(RECIPIENTS).collection, kernel.database.collection(PARKED)
    )
    reader = await kernel.projector(RECIPIENTS)
    queueing = await kernel.projector(QUEUE)
    campaign_figures = campaign_figures_of(settings.zone)
    counting = await kernel.projector(campaign_figures)
    attributing = await kernel.projector(CAMPAIGN_EFFECTS)
    figures = Figures(kernel.documents(campaign_figures).collection)
    effects = Effects(kernel.documents(CAMPAIGN_EFFECTS).collection)
    segmenting = await kernel.projector(SEGMENTS)
    segments = Segments(kernel.documents(SEGMENTS).collection)
    placing = await kernel.projector(PLACES)
    series = SeriesBook(kernel.store)
    journeying = await kernel.projector(JOURNEYS)
    journeys = Journeys(kernel.documents(JOURNEYS).collection)
    reach = GroupReach(
        kernel.kafka,
        reader.group,
        RECIPIENTS.topics,
        settings.partitions,
        kernel.progress,
    )
    ground = Ground(time.time, kernel.hmac_secret)
    channels = built(settings, ground)
    dispatcher = _dispatcher(
        kernel,
        book=book,
        queue=queue,
        recipients=recipients,
        reach=reach,
        channels=channels,
        zone=settings.zone,
    )
    dispatcher.steps = Stepping(series, journeys).of
    dispatcher.halts.series = series.now
    dispatcher.telling = telling(settings)
    dispatcher.tariff = tariff_of(settings)
    queueing.folder.on_folded = dispatcher.wake

    async def schedule_here(occasions: Sequence[Occasion]) -> None:
        dispatcher.offer(await schedule(kernel.writer, occasions))

    triggers = Triggers(
        KafkaBroker(kernel.kafka.bootstrap, graceful_timeout=GRACE_SECONDS, logger=None),
        kernel.kafka,
        book,
        schedule_here,
    )
    audiences = Audiences(
        writer=kernel.writer,
        book=book,
        leases=MongoLeases(kernel.database),
        owner=kernel.owner,
        recipients=recipients,
        passed=lambda moment: reach.passed(moment, RECIPIENTS.topics),
        scheduled=dispatcher.offer,
    )
    dates = Dates(
        MongoLeases(kernel.database),
        kernel.owner,
        recipients,
        Places(kernel.documents(PLACES).collection).zones,
        settings.zone,
    )
    beginnings, journeying_work = series_work(
        kernel,
        series=series,
        journeys=journeys,
        recipients=recipients,
        people=reach,
        dates=dates,
        zone=settings.zone,
    )
    anniversaries = Anniversaries(
        writer=kernel.writer,
        book=book,
        dates=dates,
        passed=lambda moment: reach.passed(moment, RECIPIENTS.topics),
        scheduled=dispatcher.offer,
        series=beginnings.look,
    )
    rules = IdentifierRules(kernel.hmac_secret, settings.phone_region)
    late = MongoWaitingPlace(kernel.database, LATE_REPORTS)
    await late.create_indexes()
    hearing = Hearing.of(kernel.writer, rules, queue, recipients, place=late, settings=settings)
    finishing = Finishing(kernel.writer, book, queue)
    couponing = await kernel.projector(COUPONS)
    redemptions = Redemptions(
        KafkaBroker(kernel.kafka.bootstrap, graceful_timeout=GRACE_SECONDS, logger=None),
        kernel.kafka,
        kernel.writer,
    )
    api = CampaignApi(
        writer=kernel.writer,
        book=book,
        figures=figures,
        clock=kernel.clock,
        channels=CHANNELS.union(channels),
        telling=frozenset(ORIGINS[name].way for name in telling(settings)),
    )
    parts = await assemble(
        kernel,
        role,
        title="Regulars: campaigns and messages",
        routers=[
            api.router(),
            SteeringApi(
                kernel.writer,
                kernel.clock,
                Audience(book, recipients, settings.broadcast_unconfirmed),
            ).router(),
            FiguresApi(book, figures, effects, Languages.read(LOCALES)).router(),
            MapApi(book, series, figures, effects, segments).router(),
            MessageApi(queue, kernel.store, Languages.read(LOCALES)).router(),
            PolicyApi(PolicyBook(kernel.writer), kernel.clock).router(),
            BudgetApi(kernel.writer, book, settings.zone, settings.currency).router(),
            *coupon_routers(
                kernel.writer,
                kernel.documents(COUPONS).collection,
                recipients,
                settings.zone,
                kernel.hmac_secret,
            ),
            SeriesApi(kernel.writer, series, book, journeys, kernel.clock).router(),
            SuppressionApi(
                kernel.writer,
                Suppressions(kernel.documents(SUPPRESSIONS).collection),
                rules,
                kernel.clock,
            ).router(),
            CallbackApi(
                hearers(settings, ground), hearing, settings.whatsapp_verify_token
            ).router(),
            PreviewApi(
                book, recipients, kernel.hmac_secret, settings.currency, settings.public_url
            ).router(),
            TrialApi(
                TrialSending(
                    *(kernel.writer, book, recipients, channels, rules, settings.zone),
                    settings.currency,
                    leading_nowhere(settings.public_url),
                )
            ).router(),
            LetterApi(
                LetterDesk(
                    *(kernel.writer, recipients, CHANNELS.union(channels), kernel.hmac_secret),
                    dispatcher.offer,
                )
            ).router(),
            _links(kernel, book, recipients, channels).router(),
            (await _disclosing(kernel, recipients)).router(),
        ],
        projectors=[
            *(reader, queueing, counting, attributing, segmenting, placing, couponing, journeying),
            await kernel.projector(SUPPRESSIONS),
        ],
        worker_tasks=[
            book.follow,
            reach.run,
            triggers.run,
            audiences.run,
            dispatcher.run,
            finishing.run,
            hearing.run,
            *mail_reading(settings, hearing, MongoLeases(kernel.database), kernel.owner),
            anniversaries.run,
            Calendars(kernel.writer, book, settings.zone).run,
            redemptions.run,
            *journeying_work,
        ],
        reports=_reports(book, series, queue, "email" in channels),
    )
    parts.closing = (*(each.close for each in channels.values()), *parts.closing)
    return parts


def _dispatcher(
    kernel: Kernel,
    *,
    book: CampaignBook,
    queue: Queue,
    recipients: Recipients,
    reach: GroupReach,
    channels: Mapping[str, Channel],
    zone: ZoneInfo,
) -> Dispatcher:
    place = partition_of(kernel.settings.partitions)

    def reached(customer: str) -> datetime | None:
        found = reach.of(place(customer.encode()), CUSTOMERS)
        return None if found is None else found.system

    def members_reached(customer: str) -> datetime | None:
        found = reach.of(place(customer.encode()), RECIPIENTS.topics)
        return None if found is None else found.system

    def refused() -> frozenset[str]:
        records = kernel.progress.of_topics(CUSTOMERS)
        return frozenset(key for record in records if record is not None for key in record.refused)

    return Dispatcher(
        writer=kernel.writer,
        book=book,
        buckets=Buckets(MongoLeases(kernel.database), kernel.owner),
        queue=queue,
        recipients=recipients,
        channels=channels,
        reached=reached,
        refused=refused,
        secret=kernel.hmac_secret,
        stationery=stationery_of(kernel.settings, kernel.hmac_secret),
        members_reached=members_reached,
        zone=zone,
        branches=Places(kernel.documents(PLACES).collection).zones,
    )


def stationery_of(settings: Settings, secret: bytes) -> Stationery:
    """What all messages are written with: links of their own where it is said who answers them."""
    return Stationery(LinkTokens(secret), settings.public_url, settings.currency)


def _links(
    kernel: Kernel, book: CampaignBook, recipients: Recipients, channels: Mapping[str, Channel]
) -> LinkApi:
    secret = kernel.hmac_secret
    links = Links(kernel.writer, book, LinkTokens(secret), recipients, Choices(doors_of(channels)))
    return LinkApi(links, Languages.read(LOCALES), Floods(secret, PER_ADDRESS, PER_LINK))


def _reports(book: CampaignBook, series: SeriesBook, queue: Queue, has_email: bool) -> Reports:  # noqa: FBT001 - one yes or no
    async def counts() -> Mapping[str, int]:
        entries = (await book.now()).values()
        gathering = sum(entry.campaign.gathering for entry in entries)
        return {"open_messages": await queue.count_open() + gathering}

    async def readers() -> Mapping[str, tuple[str, ...]]:
        running = triggered(list((await book.now()).values()))
        begun = any(entry.course.turns for entry in (await series.now()).values())
        return {
            **{trigger_group(name): topics_of(entry) for name, entry in running.items()},
            **(dict.fromkeys((ENTRIES_GROUP, SIGNS_GROUP), SERIES_TOPICS) if begun else {}),
        }

    async def notes() -> Mapping[str, str]:
        return {} if has_email else {"email": "no REGULARS_SMTP_URL: its messages wait"}

    return Reports(counts=counts, readers=readers, notes=notes)


async def _disclosing(kernel: Kernel, recipients: Recipients) -> DisclosureApi:
    messages = kernel.documents(QUEUE).collection
    coupons = kernel.documents(COUPONS).collection
    journeys = kernel.documents(JOURNEYS).collection
    held = Held(kernel.writer, recipients, messages, journeys, coupons)
    reveals = await kernel.reveals()
    return DisclosureApi("messages", Kind.MESSAGE, held.of, reveals, kernel.clock)


def main() -> None:
    """Run the service."""
    start(SERVICE, NotifySettings, build)
