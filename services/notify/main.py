"""`python -m services.notify --role api|worker|relay|all`: builds everything, then runs."""

import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from faststream.kafka import KafkaBroker

from services.notify.api import CampaignApi, MessageApi, PolicyApi, PreviewApi, SteeringApi
from services.notify.channels import Channel
from services.notify.channels.registry import Ground, built
from services.notify.consumers import Triggers, topics_of, trigger_group, triggered
from services.notify.handlers import (
    Anniversaries,
    Audiences,
    Buckets,
    Calendars,
    CampaignBook,
    Dispatcher,
    Finishing,
    Occasion,
    schedule,
)
from services.notify.handlers.confirming import Audience
from services.notify.handlers.examining import CONTACT_KINDS
from services.notify.handlers.policies import PolicyBook
from services.notify.handlers.writing import Stationery
from services.notify.projections import CAMPAIGN_FIGURES, PLACES, QUEUE, RECIPIENTS
from services.notify.queries import Figures, Places, Queue, Recipients
from services.notify.settings import NotifySettings
from shared.kafka import GroupReach, partition_of
from shared.mongo import MongoLeases
from shared.mongo.parking import PARKED
from shared.process import Kernel, Parts, Reports, Role, assemble, start
from shared.settings import Settings
from shared.wording import Languages

__all__ = ["NotifySettings", "build", "main", "stationery_of"]

SERVICE = "notify"
CUSTOMERS = ("customer.events.v1",)
CHANNELS = frozenset({"email"})
GRACE_SECONDS = 15.0
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
    counting = await kernel.projector(CAMPAIGN_FIGURES)
    placing = await kernel.projector(PLACES)
    reach = GroupReach(
        kernel.kafka,
        reader.group,
        RECIPIENTS.topics,
        settings.partitions,
        kernel.progress,
    )
    channels = built(settings, Ground(time.time, kernel.hmac_secret))
    dispatcher = _dispatcher(
        kernel,
        book=book,
        queue=queue,
        recipients=recipients,
        reach=reach,
        channels=channels,
        zone=settings.zone,
    )
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
    anniversaries = Anniversaries(
        writer=kernel.writer,
        book=book,
        leases=MongoLeases(kernel.database),
        owner=kernel.owner,
        recipients=recipients,
        branches=Places(kernel.documents(PLACES).collection).zones,
        zone=settings.zone,
        passed=lambda moment: reach.passed(moment, RECIPIENTS.topics),
        scheduled=dispatcher.offer,
    )
    finishing = Finishing(kernel.writer, book, queue)
    api = CampaignApi(
        writer=kernel.writer,
        book=book,
        figures=Figures(kernel.documents(CAMPAIGN_FIGURES).collection),
        clock=kernel.clock,
        channels=CHANNELS.union(channels).intersection(CONTACT_KINDS),
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
            MessageApi(queue, Languages.read(LOCALES)).router(),
            PolicyApi(PolicyBook(kernel.writer), kernel.clock).router(),
            PreviewApi(book, recipients, settings.currency).router(),
        ],
        projectors=[reader, queueing, counting, placing],
        worker_tasks=[
            book.follow,
            reach.run,
            triggers.run,
            audiences.run,
            dispatcher.run,
            finishing.run,
            anniversaries.run,
            Calendars(kernel.writer, book, settings.zone).run,
        ],
        reports=_reports(book, queue, "email" in channels),
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
        stationery=stationery_of(kernel.settings),
        members_reached=members_reached,
        zone=zone,
        branches=Places(kernel.documents(PLACES).collection).zones,
    )


def stationery_of(settings: Settings) -> Stationery:
    """What all messages are written with.

    Without links of their own: nothing answers below `/m/`, and neither a target nor a way out may
    lead nowhere.
    """
    return Stationery(currency=settings.currency)


def _reports(book: CampaignBook, queue: Queue, has_email: bool) -> Reports:  # noqa: FBT001 - one yes or no
    async def counts() -> Mapping[str, int]:
        entries = (await book.now()).values()
        gathering = sum(entry.campaign.gathering for entry in entries)
        return {"open_messages": await queue.count_open() + gathering}

    async def readers() -> Mapping[str, tuple[str, ...]]:
        running = triggered(list((await book.now()).values()))
        return {trigger_group(name): topics_of(entry) for name, entry in running.items()}

    async def notes() -> Mapping[str, str]:
        return {} if has_email else {"email": "no REGULARS_SMTP_URL: its messages wait"}

    return Reports(counts=counts, readers=readers, notes=notes)


def main() -> None:
    """Run the service."""
    start(SERVICE, NotifySettings, build)
