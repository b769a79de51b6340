"""The dispatcher: takes open messages of its buckets, decides, hands over, writes down.

A batch is: look (campaigns, how far the readers are, recipients), append what was decided, hand
over what this process appended itself, append the results. The appends settle every race; the
leases and what is kept in memory here only spare work. Killed anywhere, a message is found again by
its state: still scheduled, or begun without a result.
"""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

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
    MESSAGE,
    BeginSending,
    Defer,
    HoldOut,
    MessageCommand,
    RecordFailed,
    RecordSent,
    RecordUncertain,
    Schedule,
    Stage,
    Suppress,
    message_stream,
)
from services.notify.handlers.book import CampaignBook
from services.notify.handlers.buckets import Buckets
from services.notify.handlers.examining import Examination, Plan
from services.notify.handlers.pacing import Pacing
from services.notify.handlers.writing import Stationery
from services.notify.projections import QueuedMessage, Recipient
from shared import telemetry
from shared.envelope import Causation, event_id
from shared.eventstore import StoreUnavailable, body_hash
from shared.execute import Command as Execution
from shared.execute import Done, Outcome, Writer

HAND_OVER_SECONDS = 10.0
"""From the check of a consent to the end of the hand-over."""
OVERTIME_SECONDS = 1.0
"""What a channel may be late by before it is given up: it keeps deadlines by itself."""
POLL_SECONDS = 0.5
RETRY_SECONDS = 0.5
PAGE = 500
MAX_OFFERS = 2_000
CONCURRENT = 50
ENDING_SECONDS = 15.0

log = structlog.stdlib.get_logger(__name__)


class OpenMessages(Protocol):
    """The queue."""

    async def open(
        self, buckets: Collection[int], after: str, limit: int
    ) -> Sequence[QueuedMessage]:
        """Open messages of the buckets in their turn, those after a turn."""
        ...


class People(Protocol):
    """The recipients."""

    async def load(self, customers: Collection[str]) -> Mapping[str, Recipient]:
        """Those of the customers that are known of."""
        ...

    async def standing_still(self, customers: Collection[str]) -> set[str]:
        """Those of the customers of whom an event is parked."""
        ...


@dataclass(slots=True)
class Dispatcher:
    """One dispatcher.

    `reached` gives W of `customer.events` for a customer as far as `recipients` has applied it;
    `refused` the customers whose events Kafka refused; `secret` is the salt of the holdout.
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
    hand_over_seconds: float = HAND_OVER_SECONDS
    _offers: dict[str, QueuedMessage] = field(default_factory=dict)
    _news: asyncio.Event = field(default_factory=asyncio.Event)
    _pacing: Pacing = field(default_factory=Pacing)
    _abandoned: dict[str, str] = field(default_factory=dict)
    _unanswered: dict[str, str] = field(default_factory=dict)
    _after: str = ""
    _looked_at: float = float("-inf")

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
        examination = await self._examine(found, began + self.hand_over_seconds)
        plans = []
        for message in found:
            plan = examination.plan(message)
            if plan is None or not self._may_go(plan):
                self._pacing.pause(message.id)
            else:
                plans.append(plan)
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
        page = await self.queue.open(mine, self._after, PAGE)
        offers = {message.id for message in offered}
        due = [
            message
            for message in page
            if message.id not in offers and self._pacing.is_due(message.id)
        ]
        batch = due[: limit - len(offered)]
        if len(batch) < len(due):
            self._after, more = (batch[-1].due if batch else self._after), True
        else:
            more = len(page) == PAGE
            self._after = page[-1].due if more else ""
        return [*offered, *batch], more

    async def _examine(self, found: Sequence[QueuedMessage], deadline: float) -> Examination:
        """Look at everything anew; how far the reader is comes before what it has read."""
        campaigns = await self.book.fresh()
        customers = {message.customer for message in found}
        reached = {customer: self.reached(customer) for customer in customers}
        now = self.writer.clock.system_now()
        recipients, still = await asyncio.gather(
            self.recipients.load(customers), self.recipients.standing_still(customers)
        )
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
        outcomes = await self._many([(plan.message, plan.command) for plan in plans])
        mine = []
        for plan, outcome in zip(plans, outcomes, strict=True):
            self._pacing.settle(plan.message.id)
            self._unanswered.pop(plan.message.id, None)
            if not isinstance(plan.command, BeginSending) or not _got_in(outcome):
                self._abandoned.pop(plan.message.id, None)
            if _got_in(outcome):
                mine.append(plan)
        return mine

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
                results.append((plan.message, result))
        while True:
            try:
                await self._many(results)
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
        attempt = plan.command.attempt if isinstance(plan.command, BeginSending) else ""
        match receipt:
            case Accepted(reference=reference):
                return RecordSent(message=message, at=at, attempt=attempt, reference=reference)
            case Rejected(code=code):
                return RecordFailed(message=message, at=at, attempt=attempt, code=code)
            case NotTaken(reason=reason, code=code):
                return Defer(message=message, at=at, attempt=attempt, reason=reason, code=code)
            case Unknown():
                if self.channels[plan.message.channel].deduplicates is not None:
                    self._unanswered[message] = attempt
                    return None
                return RecordUncertain(message=message, at=at, attempt=attempt)

    async def _many(
        self, wanted: Sequence[tuple[QueuedMessage, MessageCommand]]
    ) -> Sequence[Outcome]:
        commands = [_execution(message, command) for message, command in wanted]
        outcomes = await self.writer.many(MESSAGE, commands)
        for (_, command), outcome in zip(wanted, outcomes, strict=True):
            if _got_in(outcome):
                telemetry.MESSAGES.labels(_counted_as(command)).inc()
        return outcomes


def _got_in(outcome: Outcome) -> bool:
    """Whether the command was appended by this dispatcher.

    A repeated one counts: its id holds an attempt that nobody else has.
    """
    return isinstance(outcome, Done) and outcome.changed


def _execution(message: QueuedMessage, command: MessageCommand) -> Execution[MessageCommand]:
    kind = type(command).__name__
    attempt = getattr(command, "attempt", "")
    command_id = f"{kind}|{command.message}|{attempt}"
    stream = message_stream(command.message)
    return Execution(
        id=command_id,
        hash=body_hash(command_id),
        stream=stream,
        key=message.customer,
        body=command,
        causation=Causation(message.correlation, event_id(stream, 1), message.depth + 1),
        subject=message.customer,
    )


def _counted_as(command: MessageCommand) -> str:
    """The name of the outcome in metrics."""
    match command:
        case BeginSending():
            return Stage.SENDING
        case RecordSent():
            return Stage.SENT
        case RecordFailed():
            return Stage.FAILED
        case RecordUncertain():
            return Stage.UNCERTAIN
        case Defer():
            return "deferred"
        case Suppress():
            return Stage.SUPPRESSED
        case HoldOut():
            return Stage.HELD_OUT
        case Schedule():
            return Stage.SCHEDULED
