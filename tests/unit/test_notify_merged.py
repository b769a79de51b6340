"""A person is told once of an occasion, under whichever of the ids that were merged."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import pytest

from services.notify.channels import Accepted, NotTaken, Outgoing, Receipt, Rejected
from services.notify.domain import (
    BeginSending,
    handing,
    message_id,
    message_stream,
)
from services.notify.domain.handing import STRAND, Step, Strand
from services.notify.handlers.sending.dispatcher import Dispatcher
from services.notify.projections import QueuedMessage, Recipient
from services.notify.queries import Queue, Recipients
from shared.events.campaign import CampaignDefined, OnDate
from shared.events.contract import EventData
from shared.events.merging import CustomerAbsorbed, CustomerMerged, MergeReverted
from shared.events.notification import (
    MessageFailed,
    MessageScheduled,
    MessageSending,
    MessageSent,
    MessageSuppressed,
)
from shared.testing.collections import MemoryQuestions
from tests.unit.test_notify_dispatcher import CAMPAIGN, DEFINED, GIVEN, NOW, Desk
from tests.unit.test_sending_policy import addresses, due, work

BIRTHDAY = DEFINED.model_copy(update={"trigger": OnDate(field="birth_date", at="09:00")})
YEAR = "birth_date@2018"
ABSORBED = CustomerAbsorbed(merge="m1", other="boris")
MERGED = CustomerMerged(merge="m1", survivor="anna")


async def opened(definition: CampaignDefined = BIRTHDAY) -> Desk:
    desk = await Desk.opened(definition=definition)
    for name in ("anna", "boris"):
        await desk.customer(name, GIVEN)
    return desk


async def merge(desk: Desk) -> None:
    await desk.customer("boris", MERGED)
    await desk.customer("anna", ABSORBED)
    desk.know_all()


async def outcome(desk: Desk, customer: str, occurrence: str = YEAR) -> tuple[str, str | None]:
    await desk.fold()
    wanted = message_id(CAMPAIGN, customer, occurrence)
    (found,) = [raw for raw in desk.queue.everything() if raw["_id"] == wanted]
    return found["stage"], found.get("reason")


async def test_who_was_told_under_another_id_is_not_told_again() -> None:
    desk = await opened()
    await due(desk, CAMPAIGN, "boris", YEAR)
    desk.know_all()
    await work(desk)
    await merge(desk)
    await due(desk, CAMPAIGN, "anna", YEAR)
    desk.know_all()
    await work(desk)
    assert addresses(desk) == ["boris@x.example"]
    assert await outcome(desk, "anna") == ("suppressed", "already_told")


async def test_an_entering_has_no_equal_under_another_id() -> None:
    desk = await opened(DEFINED)
    await due(desk, CAMPAIGN, "boris", "lapsed@1")
    desk.know_all()
    await work(desk)
    await merge(desk)
    await due(desk, CAMPAIGN, "anna", "lapsed@1")
    desk.know_all()
    await work(desk)
    assert addresses(desk) == ["boris@x.example", "anna@x.example"]


async def test_what_was_told_to_a_record_that_was_merged_before_counts_too() -> None:
    """Boris became Anna, and then Anna became Clara."""
    desk = await opened()
    await desk.customer("clara", GIVEN)
    await due(desk, CAMPAIGN, "boris", YEAR)
    desk.know_all()
    await work(desk)
    await merge(desk)
    await desk.customer("anna", CustomerMerged(merge="m2", survivor="clara"))
    await desk.customer("clara", CustomerAbsorbed(merge="m2", other="anna"))
    await due(desk, CAMPAIGN, "clara", YEAR)
    desk.know_all()
    await work(desk)
    assert await outcome(desk, "clara") == ("suppressed", "already_told")


async def test_once_a_merge_is_reverted_both_are_told_by_themselves() -> None:
    desk = await opened()
    await due(desk, CAMPAIGN, "boris", YEAR)
    desk.know_all()
    await work(desk)
    await merge(desk)
    await desk.customer("anna", MergeReverted(merge="m1", other="boris", role="survivor"))
    await desk.customer("boris", MergeReverted(merge="m1", other="anna", role="loser"))
    await due(desk, CAMPAIGN, "anna", YEAR)
    desk.know_all()
    await work(desk)
    assert addresses(desk) == ["boris@x.example", "anna@x.example"]


async def test_what_reached_nobody_under_another_id_does_not_count() -> None:
    desk = await opened()

    async def rejected_for_boris(message: Outgoing) -> Receipt:
        return Rejected("550") if message.address.startswith("boris") else Accepted("r")

    desk.channel.answer = rejected_for_boris
    await due(desk, CAMPAIGN, "boris", YEAR)
    desk.know_all()
    await work(desk)
    assert await outcome(desk, "boris") == ("failed", None)
    await merge(desk)
    await due(desk, CAMPAIGN, "anna", YEAR)
    desk.know_all()
    await work(desk)
    assert await outcome(desk, "anna") == ("sent", None)


@pytest.mark.parametrize(
    ("receipt", "expected"),
    [(Accepted("r"), ("suppressed", "already_told")), (NotTaken("refused"), ("sent", None))],
)
async def test_a_hand_over_that_is_under_way_is_waited_for(
    receipt: Receipt, expected: tuple[str, str | None]
) -> None:
    desk = await opened()
    await due(desk, CAMPAIGN, "boris", YEAR)
    desk.know_all()
    begun, answer = asyncio.Event(), asyncio.Event()

    async def slow_for_boris(message: Outgoing) -> Receipt:
        if message.address.startswith("boris"):
            begun.set()
            await answer.wait()
            return receipt
        return Accepted("r")

    desk.channel.answer = slow_for_boris
    frozen = asyncio.create_task((await desk.dispatcher()).step())
    await begun.wait()
    await merge(desk)
    await due(desk, CAMPAIGN, "anna", YEAR)
    desk.know_all()
    await work(desk)
    assert await outcome(desk, "anna") == ("scheduled", None)
    answer.set()
    await frozen
    await work(desk)
    assert await outcome(desk, "anna") == expected


async def test_nothing_goes_out_before_the_merge_is_read_at_the_other_id_as_well() -> None:
    """A look at Boris may be under way that knows nothing of the merge."""
    desk = await opened()
    await due(desk, CAMPAIGN, "anna", YEAR)
    await merge(desk)
    behind = NOW
    reached = {"anna": desk.reached, "boris": behind}
    await work(desk, await desk.dispatcher(reached=reached.get))
    assert await outcome(desk, "anna") == ("scheduled", None)
    await work(desk)
    assert await outcome(desk, "anna") == ("sent", None)


@dataclass(frozen=True, slots=True)
class Unaware:
    """The recipients as they were before the merge."""

    people: Recipients
    before: Mapping[str, Recipient]

    async def load(self, customers: Collection[str]) -> Mapping[str, Recipient]:
        return {name: self.before[name] for name in customers if name in self.before}

    async def standing_still(self, customers: Collection[str]) -> set[str]:
        return await self.people.standing_still(customers)

    async def shared(self, hashes: Collection[str]) -> set[str]:
        return await self.people.shared(hashes)


@dataclass(frozen=True, slots=True)
class Alone:
    """Of the queue, what is one customer's."""

    queue: Queue
    customer: str

    async def open(
        self, buckets: Collection[int], after: str, limit: int
    ) -> Sequence[QueuedMessage]:
        found = await self.queue.open(buckets, after, limit)
        return [each for each in found if each.customer == self.customer]

    async def woken(
        self, buckets: Collection[int], at: datetime, after: str, limit: int
    ) -> Sequence[QueuedMessage]:
        return await self.queue.woken(buckets, at, after, limit)

    async def of_customers(
        self, customers: Collection[str], at: datetime
    ) -> Sequence[QueuedMessage]:
        return await self.queue.of_customers(customers, at)


def alone(desk: Desk, customer: str) -> Alone:
    return Alone(Queue(MemoryQuestions(desk.queue)), customer)


async def unaware(desk: Desk, customer: str) -> Dispatcher:
    """Has looked at a customer before the merge, and has not acted yet."""
    people = Recipients(MemoryQuestions(desk.people), MemoryQuestions(desk.parked))
    before = await people.load([customer])
    return await desk.dispatcher(recipients=Unaware(people, before), queue=alone(desk, customer))


@pytest.mark.parametrize("first", ["unaware", "aware", "both"])
async def test_of_two_messages_under_way_while_the_merge_comes_one_goes_out(first: str) -> None:
    desk = await opened()
    for name in ("anna", "boris"):
        await due(desk, CAMPAIGN, name, YEAR)
    late = await unaware(desk, "boris")
    await merge(desk)
    aware = await desk.dispatcher(queue=alone(desk, "anna"))
    order = {"unaware": [late, aware], "aware": [aware, late]}
    if first == "both":
        await asyncio.gather(late.step(), aware.step())
    else:
        for each in order[first]:
            await each.step()
    desk.clock.advance(timedelta(seconds=3))
    desk.know_all()
    await work(desk)
    assert len(desk.channel.taken) == 1
    assert all(count == 1 for count in desk.outcomes().values())


def strand(*events: EventData) -> Strand:
    return STRAND.fold(events)


def about(customer: str) -> dict[str, str]:
    return {"message": message_id(CAMPAIGN, customer, YEAR), "campaign": CAMPAIGN}


def scheduled(customer: str) -> MessageScheduled:
    return MessageScheduled.model_validate(
        {**about(customer), "occurrence": YEAR, "channel": "email"}
    )


def sending(customer: str) -> MessageSending:
    return MessageSending.model_validate({**about(customer), "contact": "h", "attempt": "a"})


BEGIN = Step(
    BeginSending(message=message_id(CAMPAIGN, "anna", YEAR), at=NOW, contact="h", attempt="a1"),
    beside=(message_id(CAMPAIGN, "boris", YEAR),),
)


@pytest.mark.parametrize(
    ("there", "begins", "replaced"),
    [
        ((), True, False),
        ((scheduled("boris"),), True, True),
        ((scheduled("boris"), sending("boris")), False, False),
        (
            (scheduled("boris"), sending("boris"), MessageSent.model_validate(about("boris"))),
            False,
            False,
        ),
        (
            (scheduled("boris"), sending("boris"), MessageFailed(**about("boris"), code="c")),
            True,
            False,
        ),
    ],
)
def test_a_hand_over_begins_only_in_the_place_of_what_has_not_begun(
    there: tuple[EventData, ...],
    begins: bool,  # noqa: FBT001 - a column of the table
    replaced: bool,  # noqa: FBT001 - a column of the table
) -> None:
    mine, other = (message_stream(message_id(CAMPAIGN, name, YEAR)) for name in ("anna", "boris"))
    states = {mine: strand(scheduled("anna")), other: strand(*there)}
    given = handing.decide(BEGIN, states, {})
    assert bool(given.get(mine)) is begins
    said = [event.data for event in given.get(other, ())]
    assert said == ([MessageSuppressed(**about("boris"), reason="merged")] if replaced else [])
