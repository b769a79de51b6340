"""December of the real year with three campaigns: the same messages, reasons and figures each time.

The receipts and the transitions that they cause (by the engine of the segment service) come hour by
hour: they set campaigns off, and what is due is sent, in whatever batches things are read and sent,
however often workers are killed before and after what they append and hand over, and records come
twice. Nothing is delivered twice on the way.

Of 40 households; with `REGULARS_LONG_TESTS=1` of all 2,469, which takes half an hour and more.
"""

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from services.notify.channels import Accepted, Outgoing, Receipt
from services.notify.consumers.occasions import occasions
from services.notify.domain import Stage
from services.notify.handlers.books.campaigns import CampaignBook
from services.notify.handlers.books.policies import PolicyBook
from services.notify.handlers.campaigns.audience import Audiences
from services.notify.handlers.campaigns.calendars import Calendars
from services.notify.handlers.campaigns.requests import Request, define, start
from services.notify.handlers.campaigns.scheduling import schedule
from services.notify.projections import QUEUE, RECIPIENTS
from services.notify.queries import Recipients
from shared.clock import ManualClock
from shared.envelope import decode_light
from shared.events.campaign import (
    CampaignDefined,
    Condition,
    OnCalendar,
    OnEntering,
    OnEvent,
    Template,
)
from shared.events.sending import Cap, QuietHours, SendingPolicyDefined
from shared.eventstore import Append
from shared.memory import MemoryEventStore, MemoryLeases, MemoryParking
from shared.projector import Folder
from shared.testing import InterceptedStore, LoggedRecord
from shared.testing.channels import ScriptedChannel
from shared.testing.collections import MemoryQuestions
from shared.testing.facts import records_of
from shared.testing.virtual_time import in_virtual_time
from tests.unit.test_notify_dispatcher import GIVEN, KEYRING, Desk, FakeChannel, accept
from tests.unit.test_segment_year import HOUSEHOLDS, lived_as_it_came, receipts

if HOUSEHOLDS is None:
    pytestmark = pytest.mark.timeout(3600)
BEGIN, END = datetime(2017, 12, 1, tzinfo=UTC), datetime(2018, 1, 2, tzinfo=UTC)
HOUR = timedelta(hours=1)
AFTER_A_KILL = timedelta(seconds=16)
"""By then a hand-over without a result is over for certain."""
TEMPLATE = Template(subject="Hello {{ customer.name }}", text="From your shop.")


def _campaign(
    name: str, trigger: OnEntering | OnEvent | OnCalendar, **more: object
) -> CampaignDefined:
    return CampaignDefined.model_validate(
        {
            "campaign": name,
            "title": name,
            "trigger": trigger,
            "channel": "email",
            "topic": "marketing",
            "template": TEMPLATE,
            "start": BEGIN,
            "holdout_percent": 10,
            **more,
        }
    )


CAMPAIGNS = (
    _campaign("we-miss-you", OnEntering(segment="lapsed-30"), while_member=True, priority=9),
    _campaign(
        "thanks",
        OnEvent(
            event="interaction.receipt_recorded.v1",
            where=(Condition(field="total", test="at_least", value=5_000),),
        ),
        caps="drop",
        max_age="PT6H",
    ),
    _campaign("fridays", OnCalendar(segment="coupon", every="week", days=(5,), at="10:00")),
)
# No two moments at which things happen are so far apart to the second: an hour is looked at as a
# whole, and a kill takes seconds.
POLICY = SendingPolicyDefined(
    quiet=(QuietHours(begin="21:00", end="09:00"),), caps=(Cap(most=2, within="P6DT12H30M"),)
)


MOST_KILLS = 5
"""In an hour: a batch of hundreds would else hardly ever end, and days would pass meanwhile."""


class Killed(BaseException):
    """The process ends here; nothing that handles errors may take it for one."""


@dataclass(slots=True)
class Month:
    """Notify on memory twins, killed by chance; `size` is how much is read and sent at once.

    `kills` are those of all hours, `left` how often it may be killed in this one yet.
    """

    desk: Desk
    size: int
    chance: random.Random | None
    delivered: Counter[str] = field(default_factory=Counter)
    kills: int = 0
    left: int = MOST_KILLS
    _queued: int = 0

    async def live(self, told: Sequence[LoggedRecord]) -> None:
        """The month, hour by hour; `told` are receipts and transitions in their order."""
        books = PolicyBook(self.desk.writer())
        await books.define("policy", POLICY, BEGIN, lambda _version: None)
        for each in CAMPAIGNS:
            name = each.campaign
            await define(self.desk.writer(), Request(f"d{name}", name, BEGIN), each, lambda _: None)
            await start(self.desk.writer(), Request(f"s{name}", name, BEGIN), name)
        waiting, left = list(told), 0
        moment = BEGIN
        while moment < END:
            moment += HOUR
            here = left
            while left < len(waiting) and decode_light(waiting[left].value or b"").time < moment:
                left += 1
            self.desk.clock.moment = max(self.desk.clock.moment, moment)
            await self._surely(waiting[here:left])

    async def _surely(self, records: Sequence[LoggedRecord]) -> None:
        """An hour, until it is done: whoever is killed begins it anew."""
        self.left = MOST_KILLS
        while True:
            try:
                await self._hour(records)
            except Killed:
                self.kills, self.left = self.kills + 1, self.left - 1
                self.desk.clock.advance(AFTER_A_KILL)
            else:
                if not self.desk.queue.those(lambda each: each["stage"] == Stage.SENDING):
                    return
                self.desk.clock.advance(AFTER_A_KILL)

    async def _hour(self, records: Sequence[LoggedRecord]) -> None:
        store = InterceptedStore(self.desk.store, before=self._maybe, after=self._maybe)
        writer, book = self.desk.writer(store), CampaignBook(self.desk.store)
        people = Recipients(MemoryQuestions(self.desk.people), MemoryQuestions(self.desk.parked))
        reader = Folder(RECIPIENTS, self.desk.people, MemoryParking(), KEYRING)
        for begin in range(0, len(records), self.size):
            part = records[begin : begin + self.size]
            await reader.fold([each for each in part if each.topic.startswith("segment")])
            for entry in (await book.fresh()).values():
                await schedule(writer, occasions(entry, part))
        await Calendars(writer, book, UTC).turn()
        leases = MemoryLeases(self.desk.clock)
        gathering = Audiences(
            writer, book, leases, "worker", people, lambda _at: True, lambda _new: None
        )
        for entry in (await CampaignBook(self.desk.store).fresh()).values():
            await gathering.gather(entry)
        await self._send(store)

    async def _send(self, store: InterceptedStore) -> None:
        """All that is due by now: until a look finds nothing that moves."""
        while True:
            await self._fold()
            dispatcher = await self.desk.dispatcher(store)
            dispatcher._pacing.size = self.size  # noqa: SLF001 - as a machine of that speed has it
            before = len(self.desk.store.commits)
            while await dispatcher.step():
                pass
            if len(self.desk.store.commits) == before:
                return

    async def _fold(self) -> None:
        commits = self.desk.store.commits[self._queued :]
        self._queued += len(commits)
        messages = [each for each in commits if each.stream.startswith("message-")]
        folder = Folder(QUEUE, self.desk.queue, MemoryParking(), KEYRING)
        await folder.fold(records_of(messages, self.desk.clock.moment))

    async def _maybe(self, _batch: Sequence[Append]) -> None:
        if self.chance is not None and self.left > 0 and self.chance.random() < 0.05:
            raise Killed

    async def hand_over(self, message: Outgoing) -> Receipt:
        """The provider takes an id once; the process may end before and after."""
        await self._maybe(())
        self.delivered[message.id] = 1
        await self._maybe(())
        return Accepted()

    def told_of(self) -> dict[tuple[str, str, str], tuple[str, str | None]]:
        """By campaign, customer and occasion: what became of it, and why."""
        return {
            (each["campaign"], each["customer"], each["occurrence"]): (
                each["stage"],
                each.get("reason") if each["stage"] == Stage.SUPPRESSED else None,
            )
            for each in self.desk.queue.everything()
        }


async def _people(desk: Desk) -> None:
    """Everybody, with one in seven without an address and one in five who does not agree."""
    for customer in sorted({each.key.decode() for each in receipts(None)}, key=int):
        agrees = () if int(customer) % 5 == 0 else (GIVEN,)
        await desk.tell_of(customer, *agrees, email=int(customer) % 7 != 0)
    await desk.fold_customers()


async def _transitions() -> list[LoggedRecord]:
    owner = await lived_as_it_came()
    await owner.wake()
    return [
        LoggedRecord("segment.events.v1", 0, 0, commit.key.encode(), text.encode())
        for commit in owner.documents.commits.commits
        for text in commit.events
    ]


def _in_order(records: Sequence[LoggedRecord]) -> Iterator[LoggedRecord]:
    """By time; what happened at one moment stays as it came."""
    return iter(sorted(records, key=lambda each: decode_light(each.value).time))


async def _month(told: Sequence[LoggedRecord], size: int, seed: int | None) -> Month:
    channel: FakeChannel = ScriptedChannel(accept, timedelta(days=1))
    desk = Desk(MemoryEventStore(), channel, ManualClock(BEGIN), reached=END + HOUR)
    month = Month(desk, size, None if seed is None else random.Random(seed))
    channel.answer = month.hand_over
    await _people(desk)
    early = [each for each in told if decode_light(each.value).time < BEGIN]
    await Folder(RECIPIENTS, desk.people, MemoryParking(), KEYRING).fold(early)
    bought = [each for each in receipts(None) if decode_light(each.value).time >= BEGIN]
    await month.live(list(_in_order([*told[len(early) :], *bought])))
    return month


@in_virtual_time
async def test_december_gives_the_same_messages_reasons_and_figures_every_time() -> None:
    told = list(_in_order(await _transitions()))
    first = await _month(told, 400, None)
    found = first.told_of()
    stages = Counter(stage for stage, _ in found.values())
    reasons = {reason for _, reason in found.values() if reason is not None}
    # All kinds of outcomes are there, or nothing would be shown; some may wait for the morning yet.
    assert {Stage.SENT, Stage.HELD_OUT, Stage.SUPPRESSED} == set(stages) - {Stage.SCHEDULED}
    assert {"no_address", "no_consent", "cap"} <= reasons
    assert {name for name, _, _ in found} == {each.campaign for each in CAMPAIGNS}
    assert len(first.delivered) == stages[Stage.SENT]
    for size, seed in ((7, None), (1, 1), (50, 2)):
        again = await _month(told, size, seed)
        assert again.told_of() == found, (size, seed)
        assert len(again.delivered) == stages[Stage.SENT]
        assert (again.kills > 0) == (seed is not None)
