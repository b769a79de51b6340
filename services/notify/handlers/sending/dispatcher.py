"""The dispatcher: takes open messages of its buckets, decides, hands over, writes down.

A batch is: look (campaigns, how far the readers are, recipients), append what was decided, hand
over what this process appended itself, append the results. The appends settle every race; the
leases and what is kept in memory here only spare work. Killed anywhere, a message is found again by
its state: still scheduled, or begun without a result.
"""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo

import structlog

from services.notify.channels import Channel
from services.notify.channels.doors import doors_of
from services.notify.channels.several import provider_of
from services.notify.domain import BeginSending, FallBack, MessageCommand, Postpone
from services.notify.domain.coupons import TAKEN
from services.notify.domain.handing import ADDRESSED
from services.notify.handlers.books.campaigns import CampaignBook
from services.notify.handlers.books.coupon_pools import PoolBook, Stock
from services.notify.handlers.books.policies import PolicyBook
from services.notify.handlers.books.senders import SenderBook
from services.notify.handlers.books.suppression import note
from services.notify.handlers.budgets.spending import Spending
from services.notify.handlers.coupons.saying import Coupons
from services.notify.handlers.deciding.charging import Tariff
from services.notify.handlers.deciding.examining import Examination
from services.notify.handlers.deciding.plans import Plan
from services.notify.handlers.deciding.stepping import LookAtSteps, no_series
from services.notify.handlers.letters.desk import letters_of
from services.notify.handlers.letters.writing import Stationery
from services.notify.handlers.recipients.merged import Merged
from services.notify.handlers.recipients.preferences import SILENT, Heard, LastLook, heeding
from services.notify.handlers.recipients.reading import OpenMessages, People
from services.notify.handlers.sending.buckets import Buckets
from services.notify.handlers.sending.finding import POLL_SECONDS, Finding
from services.notify.handlers.sending.halting import Halts
from services.notify.handlers.sending.handing_over import HandingOver
from services.notify.handlers.sending.limiting import BranchZones, Limiting, nowhere
from services.notify.handlers.sending.pacing import Pacing
from services.notify.handlers.sending.recording import Entry, got_in, record
from services.notify.handlers.sending.results import (
    attempt_of,
    given_back,
    refused_addresses,
    result_of,
)
from services.notify.projections import QueuedMessage
from shared.decider import Refused
from shared.eventstore import StoreUnavailable
from shared.execute import Outcome, Writer
from shared.watched import watched

HAND_OVER_SECONDS = 10.0
"""From the check of a consent to the end of the hand-over."""
RETRY_SECONDS = 0.5
ENDING_SECONDS = 15.0

log = structlog.stdlib.get_logger(__name__)


@dataclass(slots=True)
class Dispatcher:
    """One dispatcher.

    `reached` gives W of `customer.events` for a customer as far as `recipients` has applied it, and
    `members_reached` that of all its topics; `refused` the customers whose events Kafka refused;
    `secret` is the salt of the holdout. `zone` is the chain's, `branches` gives those of branches.
    `steps` looks at the series of messages; `telling` are channels that tell of deliveries,
    `tariff` is what the chain pays them.
    """

    writer: Writer
    book: CampaignBook
    buckets: Buckets
    queue: OpenMessages
    recipients: People
    channels: Mapping[str, Channel]
    reached: Callable[[str], datetime | None]
    refused: Callable[[], Collection[str]]
    secret: bytes = field(repr=False)
    stationery: Stationery = field(default_factory=Stationery)
    members_reached: Callable[[str], datetime | None] | None = None
    zone: tzinfo = UTC
    branches: BranchZones = nowhere
    steps: LookAtSteps = no_series
    telling: Collection[str] = frozenset()
    tariff: Tariff = field(default_factory=Tariff)
    hand_over_seconds: float = HAND_OVER_SECONDS
    halts: Halts = field(init=False)
    _news: asyncio.Event = field(default_factory=asyncio.Event)
    _pacing: Pacing = field(default_factory=Pacing)
    _abandoned: dict[str, str] = field(default_factory=dict)
    _unanswered: dict[str, str] = field(default_factory=dict)
    _finding: Finding = field(init=False)
    _limiting: Limiting = field(init=False)
    _spending: Spending = field(init=False)
    _coupons: Coupons = field(init=False)
    _senders: SenderBook = field(init=False)

    def __post_init__(self) -> None:
        """The policy is read from the store that is written to."""
        clock = self.writer.clock
        self.halts = Halts(self.book, clock)
        self._finding = Finding(self.queue, self.buckets, self._pacing, clock)
        policies = PolicyBook(self.writer)
        self._limiting = Limiting(policies, doors_of(self.channels), self.branches, self.zone)
        self._spending = Spending.of(self.writer, self.zone)
        stock = Stock(self.writer, self.buckets.owner)
        self._senders = SenderBook(self.writer)
        self._coupons = Coupons(PoolBook(self.writer), stock, self.zone, self.secret)

    def offer(self, messages: Sequence[QueuedMessage]) -> None:
        """Take messages that were scheduled here just now; the queue has them a moment later."""
        self._finding.offer(messages)
        self.wake()

    def wake(self) -> None:
        """There may be something to do."""
        self._news.set()

    async def run(self) -> None:
        """Work until cancelled; the batch in hand is finished first."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(watched(self.buckets.run()))
                group.create_task(watched(self._work()))
        finally:
            try:
                await self.buckets.leave()
            except StoreUnavailable as failure:
                log.info("leases left to expire", reason=str(failure))

    async def _work(self) -> None:
        while True:
            step = asyncio.ensure_future(self._careful_step())
            try:
                worked = await asyncio.shield(step)
            except asyncio.CancelledError:
                await asyncio.wait([step], timeout=ENDING_SECONDS)
                step.cancel()
                raise
            if not worked:
                await self._wait()

    async def _careful_step(self) -> bool:
        try:
            await self.buckets.let_go()
            return await self.step()
        except StoreUnavailable as failure:
            log.warning("dispatcher waits", reason=str(failure))
            await asyncio.sleep(RETRY_SECONDS)
            return False

    async def _wait(self) -> None:
        try:
            async with asyncio.timeout(POLL_SECONDS):
                await self._news.wait()
        except TimeoutError:
            return
        self._news.clear()

    async def step(self) -> bool:
        """One batch; True when there may be more to do at once. Raises `StoreUnavailable`."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        found, more = await self._finding.batch()
        if not found:
            return more
        found = [*found, *await self._competing(found)]
        examination = await self._examine(found, began + self.hand_over_seconds)
        plans = []
        for message in examination.ordered(found):
            plan = examination.plan(message)
            if plan is not None and self._may_go(plan):
                plans.append(plan)
                continue
            self._pacing.pause(message.id)
            if plan is not None:
                examination.take_back(plan)
        may_go = await self._spending.take(examination, plans)
        mine = await self._append(may_go)
        results: Sequence[MessageCommand] = ()
        sending = [plan for plan in mine if plan.outgoing is not None]
        if sending:
            customers = {each.message.customer for each in sending}
            look = LastLook(self.writer.store, examination.limits.said, customers)
            results = await self._send(sending, HandingOver(self.channels, look, self.halts))
            self._pacing.took(loop.time() - began)
        begun = {each.message.id for each in mine}
        await self._spending.give_back(examination, may_go, begun, results)
        return more

    async def _competing(self, found: Sequence[QueuedMessage]) -> Sequence[QueuedMessage]:
        """What else the same customers are to get by now: where there are caps it may go first."""
        if not await self._limiting.capped():
            return []
        customers, known = {each.customer for each in found}, {each.id for each in found}
        others = await self.queue.of_customers(customers, self.writer.clock.now())
        return [each for each in others if each.id not in known and self._pacing.is_due(each.id)]

    async def _examine(self, found: Sequence[QueuedMessage], deadline: float) -> Examination:
        """Look at everything anew; how far the reader is comes before what it has read."""
        letters = await letters_of(self.writer, found)
        campaigns = {**await self.book.fresh(), **letters.entries}
        customers = {message.customer for message in found}
        reached = {customer: self.reached(customer) for customer in customers}
        members_reached = self.members_reached or self.reached
        members = {customer: members_reached(customer) for customer in customers}
        now = self.writer.clock.system_now()
        heard = Heard(self.writer.store)
        recipients, still, own = await asyncio.gather(
            self.recipients.load(customers),
            self.recipients.standing_still(customers),
            heard.of(customers),
        )
        said = await heard.with_merged(self.recipients, recipients, own)
        recipients = {
            customer: heeding(each, said.get(customer, SILENT))
            for customer, each in recipients.items()
        }
        limits = await self._limiting.of(campaigns, found, recipients, self.recipients.shared)
        limits.said, limits.waits = said, letters.waits
        merged = Merged(self.writer, self.recipients, self.reached)
        return Examination(
            campaigns=campaigns,
            recipients=recipients,
            reached=reached,
            withheld=frozenset(still.union(self.refused())),
            deduplicates={name: each.deduplicates for name, each in self.channels.items()},
            secret=self.secret,
            now=now,
            at=self.writer.clock.now(),
            deadline=deadline,
            abandoned=self._abandoned,
            unanswered=self._unanswered,
            stationery=self.stationery,
            limits=limits,
            members_reached=members,
            steps=await self.steps(found),
            coupons=await self._coupons.of(campaigns, found, self.writer.clock.now()),
            senders=await self._senders.fresh(),
            elsewhere=await merged.of(campaigns, found, recipients),
            budgets=await self._spending.campaigns.of(campaigns, found),
            charging=await self._spending.charging(self.tariff, campaigns, found, recipients),
            tells=self._tells,
        )

    def _tells(self, way: str, address: str) -> bool:
        """Whether who takes messages for the address tells of deliveries."""
        channel = self.channels.get(way)
        return channel is not None and provider_of(channel, address).name in self.telling

    def _may_go(self, plan: Plan) -> bool:
        """Whether the channel can be tried now; what is not handed over needs none."""
        if plan.outgoing is None:
            return True
        provider = self._provider(plan)
        return provider is not None and self._pacing.admits(provider.name, provider.per_second)

    def _provider(self, plan: Plan) -> Channel | None:
        """Whom it is handed to: what fails at one provider is no other's fault."""
        channel = self.channels.get(plan.message.channel)
        if channel is None or plan.outgoing is None:
            return None
        return provider_of(channel, plan.outgoing.address)

    async def _append(self, plans: Sequence[Plan]) -> Sequence[Plan]:
        """Append what was decided; gives the plans that got in, for only those are carried out."""
        if not plans:
            return []
        for plan in plans:
            if isinstance(plan.command, BeginSending):
                self._abandoned[plan.message.id] = plan.command.attempt
        entries = [
            Entry(plan.message, plan.command, plan.slot, plan.claim, plan.beside, plan.coupons)
            for plan in plans
        ]
        outcomes = await record(self.writer, entries)
        mine = []
        for plan, outcome in zip(plans, outcomes, strict=True):
            self._rest_after(plan, outcome)
            self._unanswered.pop(plan.message.id, None)
            if not isinstance(plan.command, BeginSending) or not got_in(outcome):
                self._abandoned.pop(plan.message.id, None)
            if got_in(outcome):
                mine.append(plan)
        return mine

    def _rest_after(self, plan: Plan, outcome: Outcome) -> None:
        """When to look at it again, should the queue show it still."""
        message, command = plan.message.id, plan.command
        if isinstance(outcome, Refused) and outcome.type == ADDRESSED:
            self._limiting.is_duplicate(message)
        elif isinstance(outcome, Refused) and outcome.type == TAKEN:
            self._coupons.is_taken(outcome.extra["occasion"])
        elif isinstance(command, Postpone):
            self._pacing.settle(message, (command.until - command.at).total_seconds())
        elif isinstance(command, FallBack) or (
            isinstance(command, BeginSending) and not got_in(outcome)
        ):
            # It goes on by another channel, or somebody else has begun it or taken its slot.
            self._pacing.pause(message)
        else:
            self._pacing.settle(message)

    async def _send(self, plans: Sequence[Plan], handing: HandingOver) -> Sequence[MessageCommand]:
        """Hand over, and write down what came of it, however long the store is away."""
        receipts = await asyncio.gather(*(handing.of(plan) for plan in plans))
        results, at = [], self.writer.clock.now()
        for plan, receipt in zip(plans, receipts, strict=True):
            self._abandoned.pop(plan.message.id, None)
            to = self._provider(plan)
            self._pacing.note(plan.message, receipt, None if to is None else to.name)
            again = self.channels[plan.message.channel].deduplicates is not None
            result = result_of(plan, receipt, at, deduplicates=again)
            if result is None:
                self._unanswered[plan.message.id] = attempt_of(plan)
                continue
            results.append(Entry(plan.message, result, given_back(plan, result)))
            if isinstance(result, FallBack):
                self._pacing.pause(plan.message.id)
        while True:
            try:
                await note(self.writer, refused_addresses(plans, receipts, at))
                await record(self.writer, results)
            except StoreUnavailable as failure:
                log.warning("results wait", count=len(results), reason=str(failure))
                await asyncio.sleep(RETRY_SECONDS)
            else:
                return [entry.command for entry in results]
