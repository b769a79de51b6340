"""The sending policy carried out by dispatchers on memory twins: waits, slots, other channels."""

import asyncio
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from services.notify.channels import Accepted, NotTaken, Outgoing, Receipt, Rejected
from services.notify.domain import MESSAGE, RecordReport, Stage, message_id, message_stream
from services.notify.domain.message import MessageCommand
from services.notify.handlers.books.policies import PolicyBook
from services.notify.handlers.campaigns.requests import Request, define, pause, start, stop
from services.notify.handlers.campaigns.scheduling import Occasion, schedule
from services.notify.handlers.sending.dispatcher import Dispatcher
from services.notify.handlers.sending.pacing import Pacing
from shared.envelope import Causation
from shared.events.campaign import Broadcast
from shared.events.contract import EventData
from shared.events.customer import (
    ConsentGiven,
    ConsentWithdrawn,
    CustomerChanged,
    Evidence,
    Identifier,
    IdentifierAdded,
)
from shared.events.sending import Cap, QuietHours, SendingPolicyDefined
from shared.execute import Command
from shared.testing.channels import ScriptedChannel
from tests.unit.test_notify_dispatcher import CAMPAIGN, DAY, DEFINED, GIVEN, NOW, Desk, answering

HOUR = timedelta(hours=1)
NIGHT = QuietHours(begin="21:00", end="09:00")
WHY = Causation("c", "cause", 1)
"""NOW is a midnight in UTC: within the night."""


async def policy(
    desk: Desk, quiet: tuple[QuietHours, ...] = (), caps: tuple[Cap, ...] = ()
) -> None:
    book = PolicyBook(desk.writer())
    definition = SendingPolicyDefined(quiet=quiet, caps=caps)
    await book.define(f"p{definition!r}", definition, NOW, lambda _version: None)


async def another(desk: Desk, name: str, priority: int) -> None:
    """One more running campaign."""
    definition = DEFINED.model_copy(update={"campaign": name, "priority": priority})
    writer = desk.writer()
    await define(writer, Request(f"d{name}", name, NOW), definition, lambda _version: None)
    await start(writer, Request(f"s{name}", name, NOW), name)


async def due(desk: Desk, campaign: str, customer: str, occurrence: str = "lapsed@1") -> str:
    await schedule(desk.writer(), [Occasion(campaign, customer, occurrence, "email", WHY)])
    await desk.fold()
    return message_id(campaign, customer, occurrence)


async def work(desk: Desk, *dispatchers: Dispatcher) -> None:
    """Let them work side by side until nothing moves any more."""
    await desk.fold()
    before = -1
    while len(desk.store.commits) != before:
        before = len(desk.store.commits)
        fresh = dispatchers or (await desk.dispatcher(),)
        await asyncio.gather(*(each.step() for each in fresh))
        await desk.fold()


def until(desk: Desk, moment: datetime) -> None:
    """Let time pass; everything up to then has been read."""
    desk.clock.advance(moment - desk.clock.moment)
    desk.reached = desk.clock.moment - timedelta(seconds=1)


def addresses(desk: Desk) -> list[str]:
    return [message.address for message in desk.channel.taken]


async def test_a_message_of_the_night_waits_for_the_exact_moment() -> None:
    desk = await Desk.opened()
    await policy(desk, quiet=(NIGHT,))
    await desk.customer("anna", GIVEN)
    await desk.schedule("anna")
    desk.know_all()
    await work(desk)
    (waiting,) = desk.queue.everything()
    assert (waiting["until"], waiting["reason"]) == (NOW + 9 * HOUR, "quiet_hours")
    until(desk, NOW + 9 * HOUR - timedelta(milliseconds=1))
    await work(desk)
    assert addresses(desk) == []
    until(desk, NOW + 9 * HOUR)
    await work(desk)
    assert addresses(desk) == ["anna@x.example"]


@pytest.mark.parametrize(
    ("fields", "hours"),
    [
        # Nine in Tokyo is midnight in UTC: NOW.
        ({"time_zone": "Asia/Tokyo"}, 0),
        # Nine in Moscow is six in UTC.
        ({"home_branch": "moscow"}, 6),
        ({"time_zone": "Asia/Tokyo", "home_branch": "moscow"}, 0),
        ({"time_zone": "Nowhere/Land", "home_branch": "moscow"}, 6),
        # A directory of the zones, and no zone: it must not end the dispatcher.
        ({"time_zone": "Europe", "home_branch": "moscow"}, 6),
        # The chain's zone is Berlin: nine is eight in UTC.
        ({}, 8),
    ],
)
async def test_hours_are_quiet_by_the_clock_of_the_customer_the_branch_or_the_chain(
    fields: dict[str, str], hours: int
) -> None:
    desk = await Desk.opened()
    await policy(desk, quiet=(NIGHT,))
    await desk.customer(
        "anna", GIVEN, *([CustomerChanged.model_validate(fields)] if fields else [])
    )
    await desk.schedule("anna")
    desk.know_all()

    async def branches() -> dict[str, str]:
        return {"moscow": "Europe/Moscow"}

    berlin = ZoneInfo("Europe/Berlin")
    await work(desk, await desk.dispatcher(zone=berlin, branches=branches))
    (message,) = desk.queue.everything()
    expected = None if hours == 0 else NOW + hours * HOUR
    assert message.get("until") == expected


async def test_a_message_that_would_be_too_old_in_the_morning_expires() -> None:
    desk = await Desk.opened(definition=DEFINED.model_copy(update={"max_age": "PT8H"}))
    await policy(desk, quiet=(NIGHT,))
    await desk.customer("anna", GIVEN)
    await desk.schedule("anna")
    desk.know_all()
    await work(desk)
    assert await desk.reasons() == ["expired"]


async def test_service_messages_go_out_at_night_without_consent_and_beyond_caps() -> None:
    desk = await Desk.opened(
        definition=DEFINED.model_copy(update={"purpose": "service", "holdout_percent": 100})
    )
    await policy(desk, quiet=(NIGHT,), caps=(Cap(most=1, within="P1D"),))
    await desk.customer("anna")
    await desk.schedule("anna", version=1)
    await desk.schedule("anna", version=2)
    desk.know_all()
    await work(desk)
    assert addresses(desk) == ["anna@x.example"] * 2


async def test_a_cap_lets_the_third_of_a_week_wait_until_the_first_has_left_it() -> None:
    desk = await Desk.opened()
    await policy(desk, caps=(Cap(most=2, within="P7D"),))
    await desk.customer("anna", GIVEN)
    for version in (1, 2, 3):
        await desk.schedule("anna", version=version)
    desk.know_all()
    sent_at = desk.clock.moment
    await work(desk)
    assert len(desk.channel.taken) == 2
    (waiting,) = [each for each in desk.queue.everything() if each["stage"] == "scheduled"]
    assert (waiting["until"], waiting["reason"]) == (sent_at + 7 * DAY, "cap")
    until(desk, sent_at + 7 * DAY)
    await work(desk)
    assert len(desk.channel.taken) == 3


async def test_a_campaign_may_drop_what_a_cap_keeps_back() -> None:
    desk = await Desk.opened(definition=DEFINED.model_copy(update={"caps": "drop"}))
    await policy(desk, caps=(Cap(most=1, within="P7D"),))
    await desk.customer("anna", GIVEN)
    for version in (1, 2):
        await desk.schedule("anna", version=version)
    desk.know_all()
    await work(desk)
    assert sorted(map(str, await desk.reasons())) == ["None", "cap"]


async def test_two_dispatchers_on_one_customer_never_exceed_a_cap() -> None:
    """Both hold all buckets and see the same queue; the ledger lets one message in."""
    desk = await Desk.opened()
    await policy(desk, caps=(Cap(most=3, within="P7D"),))
    for name in ("anna", "boris"):
        await desk.customer(name, GIVEN)
        for version in range(6):
            await desk.schedule(name, version=version + 1)
    desk.know_all()
    one, two = await desk.dispatcher(), await desk.dispatcher()
    await work(desk, one, two)
    assert sorted(addresses(desk)) == ["anna@x.example"] * 3 + ["boris@x.example"] * 3
    assert len({message.id for message in desk.channel.taken}) == 6


async def test_the_higher_priority_takes_the_last_slot_and_among_equals_the_older() -> None:
    desk = await Desk.opened()
    await another(desk, "urgent", priority=9)
    await policy(desk, caps=(Cap(most=2, within="P7D"),))
    await desk.customer("anna", GIVEN)
    older = await due(desk, CAMPAIGN, "anna", "lapsed@1")
    desk.clock.advance(HOUR)
    await due(desk, CAMPAIGN, "anna", "lapsed@2")
    urgent = await due(desk, "urgent", "anna")
    desk.know_all()
    await work(desk)
    assert [message.id for message in desk.channel.taken] == [urgent, older]


async def test_a_batch_that_holds_only_the_lower_one_still_lets_the_higher_one_go_first() -> None:
    desk = await Desk.opened()
    await another(desk, "urgent", priority=9)
    await policy(desk, caps=(Cap(most=1, within="P7D"),))
    await desk.customer("anna", GIVEN)
    await due(desk, CAMPAIGN, "anna")
    desk.clock.advance(HOUR)
    urgent = await due(desk, "urgent", "anna")
    desk.know_all()
    await work(desk, await desk.dispatcher(_pacing=Pacing(size=1)))
    assert [message.id for message in desk.channel.taken] == [urgent]


async def test_a_failed_or_deferred_attempt_gives_its_slot_back() -> None:
    for receipt in (Rejected("550"), NotTaken("refused")):
        desk = await Desk.opened(answering(receipt))
        await policy(desk, caps=(Cap(most=1, within="P7D"),))
        await desk.customer("anna", GIVEN)
        await desk.schedule("anna", version=1)
        desk.know_all()
        await work(desk)
        desk.channel.answer = answering(Accepted())
        await desk.schedule("anna", version=2)
        desk.know_all()
        await work(desk)
        # The first of them has the slot no longer.
        assert Stage.SENT in await desk.stages()


async def test_of_two_customers_with_one_address_a_broadcast_takes_one() -> None:
    broadcast = DEFINED.model_copy(update={"trigger": Broadcast(segment="all")})
    desk = await Desk.opened(definition=broadcast)
    family = Identifier(kind="email", hash="h", epoch=1, value="family@x.example", shared=True)
    for name in ("anna", "boris"):
        await desk.customer(name, GIVEN, IdentifierAdded(identifier=family), email=False)
        await due(desk, CAMPAIGN, name, "run-1")
    desk.know_all()
    await work(desk, await desk.dispatcher(), await desk.dispatcher())
    assert addresses(desk) == ["family@x.example"]
    assert sorted(map(str, await desk.reasons())) == ["None", "duplicate_address"]


async def test_each_run_of_a_broadcast_reaches_a_shared_address_again() -> None:
    broadcast = DEFINED.model_copy(update={"trigger": Broadcast(segment="all")})
    desk = await Desk.opened(definition=broadcast)
    family = Identifier(kind="email", hash="h", epoch=1, value="family@x.example", shared=True)
    await desk.customer("anna", GIVEN, IdentifierAdded(identifier=family), email=False)
    for occurrence in ("run-1", "run-2"):
        await due(desk, CAMPAIGN, "anna", occurrence)
    desk.know_all()
    await work(desk)
    assert addresses(desk) == ["family@x.example"] * 2


async def test_while_member_sends_only_to_whoever_is_in_the_segment_still() -> None:
    desk = await Desk.opened(definition=DEFINED.model_copy(update={"while_member": True}))
    for name in ("anna", "boris"):
        await desk.customer(name, GIVEN)
    recipient = next(raw for raw in desk.people.everything() if raw["_id"] == "anna")
    member = {**recipient, "memberships": [{"segment": "lapsed", "since": NOW, "version": 1}]}
    await desk.people.write([{**member, "rev": member["rev"] + 1}])
    await desk.schedule("anna", "boris")
    desk.know_all()
    unread = await desk.dispatcher(members_reached=lambda _customer: None)
    await work(desk, unread)
    # Whether he has left is not known before the reader of memberships has passed the message.
    assert await desk.stages() == [Stage.SENT, Stage.SCHEDULED]
    await work(desk)
    assert await desk.reasons() == [None, "condition"]


async def test_a_consent_that_was_withdrawn_since_is_told_from_one_never_given() -> None:
    desk = await Desk.opened()
    evidence = Evidence(source="till")
    withdrawn = ConsentWithdrawn(topic="marketing", channel="email", evidence=evidence)
    await desk.customer("anna", GIVEN, withdrawn)
    desk.clock.advance(HOUR)
    # She withdrew an hour before it was scheduled.
    await desk.schedule("anna")
    desk.know_all()
    await work(desk)
    assert await desk.reasons() == ["no_consent"]


# --- Other channels -----------------------------------------------------------------------------

BY_SMS = ConsentGiven(topic="marketing", channel="sms", evidence=Evidence(source="till"))
PHONE = IdentifierAdded(
    identifier=Identifier(kind="phone", hash="p", epoch=1, value="+70000000001")
)
BOTH = DEFINED.model_copy(update={"fallback": ("sms",)})


async def two_ways(
    desk: Desk, *events: EventData, email: bool = True
) -> tuple[Dispatcher, ScriptedChannel[Outgoing, Receipt]]:
    async def accept(_message: Outgoing) -> Receipt:
        return Accepted()

    await desk.customer("anna", *events, email=email)
    await desk.schedule("anna")
    desk.know_all()
    sms = ScriptedChannel[Outgoing, Receipt](accept, None)
    return await desk.dispatcher(channels={"email": desk.channel, "sms": sms}), sms


@pytest.mark.parametrize(
    ("events", "email"),
    [((GIVEN, BY_SMS, PHONE), False), ((BY_SMS, PHONE), True)],
    ids=["no address", "no consent for it"],
)
async def test_the_next_channel_is_taken_where_the_first_cannot_be_used(
    events: tuple[EventData, ...], *, email: bool
) -> None:
    desk = await Desk.opened(definition=BOTH)
    dispatcher, sms = await two_ways(desk, *events, email=email)
    await work(desk, dispatcher)
    assert ([each.address for each in sms.taken], addresses(desk)) == (["+70000000001"], [])


async def test_the_channel_that_the_customer_prefers_goes_first() -> None:
    desk = await Desk.opened(definition=BOTH)
    prefers = CustomerChanged(preferred_channel="sms")
    dispatcher, sms = await two_ways(desk, GIVEN, BY_SMS, PHONE, prefers)
    await work(desk, dispatcher)
    assert (len(sms.taken), addresses(desk)) == (1, [])


async def test_a_channel_that_the_campaign_does_not_offer_is_not_taken_however_preferred() -> None:
    desk = await Desk.opened()
    prefers = CustomerChanged(preferred_channel="sms")
    dispatcher, sms = await two_ways(desk, GIVEN, BY_SMS, PHONE, prefers)
    await work(desk, dispatcher)
    assert (len(sms.taken), addresses(desk)) == (0, ["anna@x.example"])


async def test_a_hard_bounce_goes_on_by_the_next_channel_as_the_same_message() -> None:
    desk = await Desk.opened(answering(Rejected("550 5.1.1")), definition=BOTH)
    dispatcher, sms = await two_ways(desk, GIVEN, BY_SMS, PHONE)
    await work(desk, dispatcher)
    await work(desk, await desk.dispatcher(channels={"email": desk.channel, "sms": sms}))
    assert [each.id for each in sms.taken] == [each.id for each in desk.channel.taken]
    assert await desk.stages() == [Stage.SENT]
    (message,) = desk.queue.everything()
    assert (message["channel"], message["tried"]) == ("sms", ["email"])


async def test_what_came_back_later_goes_on_by_the_next_channel_too() -> None:
    desk = await Desk.opened(definition=BOTH)
    dispatcher, sms = await two_ways(desk, GIVEN, BY_SMS, PHONE)
    await work(desk, dispatcher)
    (sent,) = desk.channel.taken
    at = desk.clock.moment
    report = RecordReport(message=sent.id, at=at, channel="email", what="bounced")
    told = Command[MessageCommand]("r", "r", message_stream(sent.id), "anna", report, WHY, "anna")
    await desk.writer().one(MESSAGE, told)
    desk.know_all()
    await work(desk, await desk.dispatcher(channels={"email": desk.channel, "sms": sms}))
    await work(desk, await desk.dispatcher(channels={"email": desk.channel, "sms": sms}))
    assert [each.id for each in sms.taken] == [sent.id]
    assert await desk.stages() == [Stage.SENT]


async def test_a_hard_bounce_without_another_way_is_the_end() -> None:
    desk = await Desk.opened(answering(Rejected("550 5.1.1")), definition=BOTH)
    dispatcher, _ = await two_ways(desk, GIVEN, PHONE)
    await work(desk, dispatcher)
    assert await desk.stages() == [Stage.FAILED]


async def test_what_rests_after_its_night_keeps_nothing_else_waiting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("services.notify.handlers.sending.finding.PAGE", 2)
    desk = await Desk.opened()
    await policy(desk, quiet=(NIGHT,))
    await another(desk, "news", 5)
    names = [f"c{number}" for number in range(5)]
    for name in names:
        await desk.customer(name, GIVEN)
        await due(desk, CAMPAIGN, name)
    await desk.customer("anna", GIVEN)
    desk.know_all()
    await work(desk)
    await desk.customer("anna", CustomerChanged(time_zone="Atlantic/Azores"))
    await due(desk, "news", "anna")
    desk.know_all()
    await work(desk)
    await pause(desk.writer(), Request("pause", "pause", NOW), CAMPAIGN)
    # The night of the five is over, and they wait for the campaign; that of Anna ends an hour later
    # on the Azores, behind all of them.
    until(desk, NOW + 10 * HOUR)
    dispatcher = await desk.dispatcher(_pacing=Pacing(size=2))
    while await dispatcher.step():
        pass
    assert addresses(desk) == ["anna@x.example"]


async def test_of_two_lists_neither_keeps_the_other_waiting() -> None:
    desk = await Desk.opened()
    await policy(desk, quiet=(NIGHT,))
    names = [f"c{number}" for number in range(6)]
    for name in [*names, "anna"]:
        await desk.customer(name, GIVEN)
    await desk.schedule(*names)
    desk.know_all()
    await work(desk)
    until(desk, NOW + 9 * HOUR)
    await desk.schedule("anna")
    until(desk, NOW + 9 * HOUR + timedelta(seconds=3))
    await (await desk.dispatcher(_pacing=Pacing(size=4))).step()
    # Four of those that come out of the night, and of the new ones a quarter of a batch.
    assert len(addresses(desk)) == 5
    assert "anna@x.example" in addresses(desk)


async def test_what_slept_through_a_stop_is_not_sent_though_the_campaign_runs_again() -> None:
    desk = await Desk.opened()
    await policy(desk, quiet=(NIGHT,))
    await desk.customer("anna", GIVEN)
    await desk.schedule("anna", version=1)
    desk.know_all()
    await work(desk)
    await stop(desk.writer(), Request("stop", "stop", desk.clock.moment), CAMPAIGN)
    desk.clock.advance(HOUR)
    await start(desk.writer(), Request("again", "again", desk.clock.moment), CAMPAIGN)
    await desk.schedule("anna", version=2)
    until(desk, NOW + 9 * HOUR)
    await work(desk)
    assert await desk.stages() == [Stage.SUPPRESSED, Stage.SENT]
    assert (await desk.reasons())[0] == "campaign_stopped"
