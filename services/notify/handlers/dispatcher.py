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

from services.notify.channels import (
    Accepted,
    Channel,
    NotTaken,
    Outgoing,
    Receipt,
    Rejected,
    Unknown,
)
from services.notify.channels.several import provider_of
from services.notify.domain import (
    BeginSending,
    Defer,
    FallBack,
    MessageCommand,
    Postpone,
    RecordFailed,
    RecordSent,
    RecordUncertain,
)
from services.notify.domain.handing import ADDRESSED
from services.notify.domain.ledger import ReturnSlot
from services.notify.handlers.book import CampaignBook
from services.notify.handlers.buckets import Buckets
from services.notify.handlers.examining import CONTACT_KINDS, Examination, Plan
from services.notify.handlers.limiting import BranchZones, Limiting, nowhere
from services.notify.handlers.pacing import Pacing
from services.notify.handlers.policies import PolicyBook
from services.notify.handlers.reading import OpenMessages, People, Round
from services.notify.handlers.recording import Entry, got_in, record
from services.notify.handlers.writing import Stationery
from services.notify.projections import QueuedMessage
from shared.decider import Refused
from shared.eventstore import StoreUnavailable
from shared.execute import Outcome, Writer

HAND_OVER_SECONDS = 10.0
"""From the check of a consent to the end of the hand-over."""
OVERTIME_SECONDS = 1.0
"""What a channel may be late by before it is given up: it keeps deadlines by itself."""
POLL_SECONDS = 0.5
RETRY_SECONDS = 0.5
PAGE = 500
LEAST_PART = 4
"""Of a batch, a quarter is for each list at the least."""
MAX_OFFERS = 2_000
CONCURRENT = 50
ENDING_SECONDS = 15.0

log = structlog.stdlib.get_logger(__name__)


@dataclass(slots=True)
class Dispatcher:
    """One dispatcher.

    `reached` gives W of `customer.events` for a customer as far as `recipients` has applied it, and
    `members_reached` that of all its topics; `refused` the customers whose events Kafka refused;
    `secret` is the salt of the holdout. `zone` is the chain's, `branches` gives those of branches.
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
    hand_over_seconds: float = HAND_OVER_SECONDS
    _offers: dict[str, QueuedMessage] = field(default_factory=dict)
    _news: asyncio.Event = field(default_factory=asyncio.Event)
    _pacing: Pacing = field(default_factory=Pacing)
    _abandoned: dict[str, str] = field(default_factory=dict)
    _unanswered: dict[str, str] = field(default_factory=dict)
    _open: Round = field(default_factory=Round)
    _woken: Round = field(default_factory=Round)
    _looked_at: float = float("-inf")
    _limiting: Limiting = field(init=False)

    def __post_init__(self) -> None:
        """The policy is read from the store that is written to."""
        policies = PolicyBook(self.writer)
        self._limiting = Limiting(policies, CONTACT_KINDS, self.branches, self.zone)

    def offer(self, messages: Sequence[QueuedMessage]) -> None:
        """Take messages that were scheduled here just now; the queue has them a moment later."""
        for message in messages[: max(0, MAX_OFFERS - len(self._offers))]:
            self._offers[message.id] = message
        self.wake()

    def wake(self) -> None:
        """There may be something to do."""
        self._news.set()

    async def run(self) -> None:
        """Work until cancelled; the batch in hand is finished first."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self.buckets.run())
                group.create_task(self._work())
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
        found, more = await self._find()
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
        mine = await self._append(plans)
        sending = [plan for plan in mine if plan.outgoing is not None]
        if sending:
            await self._send(sending)
            self._pacing.took(loop.time() - began)
        return more

    async def _find(self) -> tuple[list[QueuedMessage], bool]:
        """The next batch, new ones first; and whether there may be more."""
        mine = self.buckets.mine()
        if not mine:
            self._offers.clear()
            return [], False
        limit = self._pacing.size
        offered: list[QueuedMessage] = []
        while self._offers and len(offered) < limit:
            message = self._offers.pop(next(iter(self._offers)))
            if message.bucket in mine and self._pacing.is_due(message.id):
                offered.append(message)
        now = asyncio.get_running_loop().time()
        if offered and now - self._looked_at < POLL_SECONDS:
            return offered, True
        self._looked_at = now
        found = {message.id: message for message in offered}

        def usable(message: QueuedMessage) -> bool:
            return message.id not in found and self._pacing.is_due(message.id)

        # However much there is of one list, the other one comes to its turn too.
        least, more = max(1, limit // LEAST_PART), []
        at, woken, opened = self.writer.clock.now(), self._woken, self._open
        for page, turning in (
            (await self.queue.woken(mine, at, woken.after, PAGE), woken),
            (await self.queue.open(mine, opened.after, PAGE), opened),
        ):
            taken, left = turning.take(page, PAGE, usable, max(least, limit - len(found)))
            found |= {message.id: message for message in taken}
            more.append(left)
        return list(found.values()), any(more)

    async def _competing(self, found: Sequence[QueuedMessage]) -> Sequence[QueuedMessage]:
        """What else the same customers are to get by now: where there are caps it may go first."""
        if not await self._limiting.capped():
            return []
        customers, known = {each.customer for each in found}, {each.id for each in found}
        others = await self.queue.of_customers(customers, self.writer.clock.now())
        return [each for each in others if each.id not in known and self._pacing.is_due(each.id)]

    async def _examine(self, found: Sequence[QueuedMessage], deadline: float) -> Examination:
        """Look at everything anew; how far the reader is comes before what it has read."""
        campaigns = await self.book.fresh()
        customers = {message.customer for message in found}
        reached = {customer: self.reached(customer) for customer in customers}
        members_reached = self.members_reached or self.reached
        members = {customer: members_reached(customer) for customer in customers}
        now = self.writer.clock.system_now()
        recipients, still = await asyncio.gather(
            self.recipients.load(customers), self.recipients.standing_still(customers)
        )
        limits = await self._limiting.of(campaigns, found, recipients, self.recipients.shared)
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
        )

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
        entries = [Entry(plan.message, plan.command, plan.slot, plan.claim) for plan in plans]
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
        elif isinstance(command, Postpone):
            self._pacing.settle(message, (command.until - command.at).total_seconds())
        elif isinstance(command, BeginSending) and not got_in(outcome):
            # Somebody else has begun it, or taken the slot: that is decided anew.
            self._pacing.pause(message)
        else:
            self._pacing.settle(message)

    async def _send(self, plans: Sequence[Plan]) -> None:
        """Hand over, and write down what came of it, however long the store is away."""
        gate = asyncio.Semaphore(CONCURRENT)
        receipts = await asyncio.gather(*(self._hand_over(plan, gate) for plan in plans))
        results = []
        for plan, receipt in zip(plans, receipts, strict=True):
            self._abandoned.pop(plan.message.id, None)
            to = self._provider(plan)
            self._pacing.note(plan.message, receipt, None if to is None else to.name)
            result = self._result(plan, receipt)
            if result is not None:
                results.append(Entry(plan.message, result, _given_back(plan, result)))
        while True:
            try:
                await record(self.writer, results)
            except StoreUnavailable as failure:
                log.warning("results wait", count=len(results), reason=str(failure))
                await asyncio.sleep(RETRY_SECONDS)
            else:
                return

    async def _hand_over(self, plan: Plan, gate: asyncio.Semaphore) -> Receipt:
        outgoing = plan.outgoing
        if outgoing is None:
            return NotTaken("late")
        async with gate:
            # A process that was frozen after the check wakes here, and must not go on.
            if asyncio.get_running_loop().time() >= outgoing.deadline:
                return NotTaken("late")
            return await self._sent(plan.message.channel, outgoing)

    async def _sent(self, channel: str, outgoing: Outgoing) -> Receipt:
        try:
            async with asyncio.timeout_at(outgoing.deadline + OVERTIME_SECONDS):
                return await self.channels[channel].send(outgoing)
        except TimeoutError:
            log.warning("channel late", channel=channel, message=outgoing.id)
        except Exception:
            log.exception("channel failed", channel=channel, message=outgoing.id)
        return Unknown()

    def _result(self, plan: Plan, receipt: Receipt) -> MessageCommand | None:
        """What is to be written down; nothing where the channel can be asked again."""
        message, at = plan.message.id, self.writer.clock.now()
        command = plan.command if isinstance(plan.command, BeginSending) else None
        attempt = "" if command is None else command.attempt
        # That this attempt was not taken says nothing of the one whose place it took.
        in_doubt = command is not None and command.instead_of is not None
        match receipt:
            case Accepted(reference=reference):
                return RecordSent(message=message, at=at, attempt=attempt, reference=reference)
            case Rejected(code=code) if plan.further:
                return FallBack(
                    message=message,
                    at=at,
                    channel=plan.channel,
                    reason="rejected",
                    attempt=attempt,
                    code=code,
                )
            case Rejected(code=code):
                return RecordFailed(message=message, at=at, attempt=attempt, code=code)
            case NotTaken(reason="refused") if in_doubt:
                return RecordUncertain(message=message, at=at, attempt=attempt)
            case NotTaken() if in_doubt:
                self._unanswered[message] = attempt
                return None
            case NotTaken(reason=reason, code=code):
                return Defer(message=message, at=at, attempt=attempt, reason=reason, code=code)
            case Unknown():
                if self.channels[plan.message.channel].deduplicates is not None:
                    self._unanswered[message] = attempt
                    return None
                return RecordUncertain(message=message, at=at, attempt=attempt)


def _given_back(plan: Plan, result: MessageCommand) -> ReturnSlot | None:
    """The slot that is free again: nothing has reached the customer by this attempt."""
    if plan.capped and isinstance(result, RecordFailed | Defer | FallBack):
        return ReturnSlot(plan.message.id, plan.channel, result.at)
    return None
