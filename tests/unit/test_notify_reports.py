"""What providers tell of messages, in any order and twice: each word once, and the log in order."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import permutations

import msgspec
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given as where
from hypothesis import settings
from hypothesis import strategies as st

from services.notify.domain import (
    MESSAGE,
    BeginSending,
    FallBack,
    GiveUp,
    Message,
    RecordReport,
    RecordSent,
    RecordUncertain,
    Stage,
)
from services.notify.domain.message import MessageCommand, Told
from services.notify.projections import QUEUE, QueuedMessage
from services.notify.projections.queue import CLOSED, WAITING
from shared.clock import ManualClock
from shared.decider import NewEvent
from shared.events.contract import EventData
from shared.events.customer import Channel
from shared.events.notification import (
    MessageClicked,
    MessageDeferred,
    MessageDelivered,
    MessageFailed,
    MessageFellBack,
    MessageOpened,
    MessageScheduled,
    MessageSending,
    MessageSent,
    MessageUncertain,
)
from shared.events.reports import MessageBounced, MessageComplained, MessageGivenUp
from shared.execute import Writer
from shared.keyring import Keyring
from shared.memory import MemoryDocuments, MemoryEventStore, MemoryKeyStore, MemoryParking
from shared.projector import Folder
from shared.testing import given, logs_of
from shared.testing.facts import tell

AT = datetime(2018, 1, 2, tzinfo=UTC)
M, C = "m-1", "spring"
SCHEDULED = MessageScheduled(message=M, campaign=C, occurrence="1", channel="sms")
SMS = MessageSending(message=M, campaign=C, contact="h-sms", attempt="a-1", channel="sms")
MAIL = MessageSending(message=M, campaign=C, contact="h-mail", attempt="a-2", channel="email")
SENT = MessageSent(message=M, campaign=C)
DELIVERED = MessageDelivered(message=M, campaign=C, channel="sms")
BOUNCED = MessageBounced(message=M, campaign=C, channel="sms", permanent=True, contact="h-sms")
CAME_BACK = MessageBounced(message=M, campaign=C, channel="sms", permanent=False, contact="h-sms")
OPENED = MessageOpened(message=M, campaign=C, channel="sms")
COMPLAINED = MessageComplained(message=M, campaign=C, channel="sms", contact="h-sms")
UNCERTAIN = MessageUncertain(message=M, campaign=C)
UNDELIVERED = MessageFellBack(message=M, campaign=C, channel="sms", reason="undelivered")

SENDING = (SCHEDULED, SMS)
TAKEN = (*SENDING, SENT)


def told(what: Told, channel: Channel = "sms", reference: str | None = None) -> RecordReport:
    return RecordReport(message=M, at=AT, channel=channel, what=what, reference=reference)


def run(commands: Sequence[MessageCommand], begun: Sequence[EventData]) -> list[EventData]:
    """All events that the commands give, one after the other."""
    events = list(begun)
    for command in commands:
        events += [each.data for each in MESSAGE.decide(command, MESSAGE.fold(events))]
    return events[len(begun) :]


def state(events: Sequence[EventData]) -> Message:
    return MESSAGE.fold(events)


@pytest.mark.parametrize(
    ("what", "event", "stage"),
    [
        ("delivered", DELIVERED, Stage.DELIVERED),
        ("opened", OPENED, Stage.DELIVERED),
        ("complained", COMPLAINED, Stage.DELIVERED),
        ("bounced", BOUNCED, Stage.BOUNCED),
        ("failed", CAME_BACK, Stage.BOUNCED),
    ],
)
def test_what_is_told_of_a_message_is_noted_once(
    what: Told, event: EventData, stage: Stage
) -> None:
    given(MESSAGE, TAKEN).when(told(what)).then([event])
    given(MESSAGE, [*TAKEN, event]).when(told(what)).then_nothing()
    assert state([*TAKEN, event]).stage is stage


@pytest.mark.parametrize("what", ["delivered", "opened", "complained", "bounced", "failed"])
def test_a_provider_that_is_faster_than_our_own_note_says_that_it_was_sent(what: Told) -> None:
    result = run([told(what, reference="g-1")], SENDING)
    assert result[0] == MessageSent(message=M, campaign=C, reference="g-1")
    assert len(result) == 2
    # The dispatcher's own note comes later, and finds it there.
    noted = RecordSent(message=M, at=AT, attempt="a-1", reference="g-1")
    given(MESSAGE, [*SENDING, *result]).when(noted).then_nothing()
    unknown = RecordUncertain(message=M, at=AT, attempt="a-1")
    given(MESSAGE, [*SENDING, *result]).when(unknown).then_nothing()


ALL: tuple[MessageCommand, ...] = (
    told("delivered"),
    told("opened"),
    told("bounced"),
    told("complained"),
    RecordSent(message=M, at=AT, attempt="a-1"),
)


@pytest.mark.parametrize("order", list(permutations(ALL)))
def test_in_every_order_the_same_is_known_in_the_end(order: Sequence[MessageCommand]) -> None:
    events = run(order, SENDING)
    # However it comes, and though all of it comes twice: one of each, and `sent` is the first.
    assert run(order, [*SENDING, *events]) == []
    assert events[0] == SENT
    assert sorted(events[1:], key=repr) == sorted(
        [DELIVERED, OPENED, BOUNCED, COMPLAINED], key=repr
    )
    assert state([*SENDING, *events]).stage is Stage.DELIVERED


@pytest.mark.parametrize("order", list(permutations(("bounced", "failed"))))
def test_that_the_address_is_bad_says_more_than_that_a_message_failed(
    order: Sequence[Told],
) -> None:
    events = run([told(what) for what in order], TAKEN)
    assert BOUNCED in events
    # "failed" says nothing new once it is known that the address is bad.
    assert len(events) == (1 if order[0] == "bounced" else 2)
    assert state([*TAKEN, *events]).stage is Stage.BOUNCED


def test_who_tells_of_what_was_uncertain_ends_the_uncertainty() -> None:
    sure = MessageSent(message=M, campaign=C, uncertain=True)
    uncertain = [*SENDING, UNCERTAIN]
    given(MESSAGE, uncertain).when(told("delivered")).then([sure, DELIVERED])
    given(MESSAGE, uncertain).when(told("bounced")).then([sure, BOUNCED])
    assert state([*uncertain, sure, DELIVERED]).stage is Stage.DELIVERED


def test_of_a_channel_by_which_it_never_went_nothing_can_be_told() -> None:
    given(MESSAGE, TAKEN).when(told("delivered", "email")).then_nothing()
    given(MESSAGE, [SCHEDULED]).when(told("delivered")).then_nothing()
    given(MESSAGE).when(told("delivered")).then_refused("not-found")


def test_who_was_reached_by_a_channel_that_was_given_up_needs_no_other_one() -> None:
    waiting = [*TAKEN, UNDELIVERED]
    given(MESSAGE, waiting).when(told("delivered")).then([SENT, DELIVERED])
    reached = state([*waiting, SENT, DELIVERED])
    assert reached.stage is Stage.DELIVERED
    begin = BeginSending(message=M, at=AT, contact="h-mail", attempt="a-2", channel="email")
    given(MESSAGE, [*waiting, SENT, DELIVERED]).when(begin).then_nothing()
    # That it came back as well changes nothing: the next channel is tried.
    given(MESSAGE, waiting).when(told("failed")).then([CAME_BACK])
    assert state([*waiting, CAME_BACK]).stage is Stage.SCHEDULED


def test_while_the_next_channel_is_tried_the_first_may_still_tell() -> None:
    trying = [*TAKEN, UNDELIVERED, MAIL]
    given(MESSAGE, trying).when(told("delivered")).then([DELIVERED])
    late = [*trying, DELIVERED]
    noted = RecordSent(message=M, at=AT, attempt="a-2")
    given(MESSAGE, late).when(noted).then([SENT])
    assert state([*late, SENT]).stage is Stage.DELIVERED
    bounced = told("bounced", "email")
    (sent, event) = run([bounced], trying)
    assert sent == SENT
    assert isinstance(event, MessageBounced)
    assert (event.channel, event.contact) == ("email", "h-mail")


def test_a_message_that_was_said_not_to_be_taken_and_arrives_is_not_sent_again() -> None:
    put_off = MessageDeferred(message=M, campaign=C, attempt="a-1", reason="refused")
    given(MESSAGE, [*SENDING, put_off]).when(told("delivered")).then([SENT, DELIVERED])


def test_what_was_refused_and_arrives_all_the_same_is_shown_as_that() -> None:
    refused = [*SENDING, MessageFailed(message=M, campaign=C, code="550")]
    given(MESSAGE, refused).when(told("delivered")).then([DELIVERED])
    assert state([*refused, DELIVERED]).stage is Stage.DELIVERED


def test_who_followed_a_link_has_read_it() -> None:
    clicked = MessageClicked(message=M, campaign=C)
    assert state([*TAKEN, clicked]).stage is Stage.DELIVERED
    # Before our own note that it was sent, it is still under way.
    assert state([*SENDING, clicked]).stage is Stage.SENDING
    assert state([*SENDING, clicked, SENT]).stage is Stage.DELIVERED


@pytest.mark.parametrize("history", [TAKEN, (*TAKEN, BOUNCED), (*TAKEN, CAME_BACK)])
def test_what_did_not_arrive_falls_back_or_is_given_up_once(history: Sequence[EventData]) -> None:
    back = FallBack(message=M, at=AT, channel="sms", reason="undelivered")
    given(MESSAGE, history).when(back).then([UNDELIVERED])
    up = GiveUp(message=M, at=AT, channel="sms", reason="undelivered")
    given_up = MessageGivenUp(message=M, campaign=C, channel="sms", reason="undelivered")
    given(MESSAGE, history).when(up).then([given_up])
    for again in (back, up):
        given(MESSAGE, [*history, given_up]).when(again).then_nothing()
        given(MESSAGE, [*history, UNDELIVERED]).when(again).then_nothing()


@pytest.mark.parametrize("history", [(*TAKEN, DELIVERED), (*TAKEN, OPENED), SENDING])
def test_what_has_arrived_or_is_under_way_does_not_fall_back(history: Sequence[EventData]) -> None:
    back = FallBack(message=M, at=AT, channel="sms", reason="undelivered")
    given(MESSAGE, history).when(back).then_nothing()
    up = GiveUp(message=M, at=AT, channel="sms", reason="bounced")
    given(MESSAGE, history).when(up).then_nothing()


def test_who_read_of_it_before_it_fell_back_does_not_take_the_same_channel_again() -> None:
    begin = BeginSending(message=M, at=AT, contact="h-sms", attempt="a-3", channel="sms")
    given(MESSAGE, [*TAKEN, UNDELIVERED]).when(begin).then_nothing()
    other = BeginSending(message=M, at=AT, contact="h-mail", attempt="a-2", channel="email")
    given(MESSAGE, [*TAKEN, UNDELIVERED]).when(other).then([MAIL])


async def queued(events: Sequence[EventData]) -> QueuedMessage:
    """The message as the queue has it after the events."""
    store = MemoryEventStore()
    keyring = Keyring(MemoryKeyStore(), AESGCM(bytes(32)))
    writer = Writer(store, keyring, ManualClock(AT), "test")
    await tell(writer, f"message-{M}", "anna", [NewEvent(event, AT) for event in events])
    documents = MemoryDocuments()
    folder: Folder[QueuedMessage] = Folder(QUEUE, documents, MemoryParking(), keyring)
    for log in logs_of(store.commits):
        await folder.fold(log)
    (raw,) = documents.everything()
    return msgspec.convert(raw, QueuedMessage)


begin_sms = BeginSending(message=M, at=AT, contact="h-sms", attempt="a-1", channel="sms")
begin_mail = BeginSending(message=M, at=AT, contact="h-mail", attempt="a-2", channel="email")
ANYTHING: tuple[MessageCommand, ...] = (
    begin_sms,
    begin_mail,
    *(
        command(message=M, at=AT, attempt=attempt)
        for command in (RecordSent, RecordUncertain)
        for attempt in ("a-1", "a-2")
    ),
    *(FallBack(message=M, at=AT, channel=by, reason="bounced") for by in ("sms", "email")),
    *(GiveUp(message=M, at=AT, channel=by, reason="bounced") for by in ("sms", "email")),
    *(
        told(what, by)
        for what in ("delivered", "opened", "bounced", "failed", "complained")
        for by in ("sms", "email")
    ),
)


@where(commands=st.lists(st.sampled_from(ANYTHING), max_size=12))
@settings(deadline=None, max_examples=150)
def test_the_queue_shows_a_message_as_its_stream_has_it(commands: list[MessageCommand]) -> None:
    events = [SCHEDULED, *run(commands, [SCHEDULED])]
    shown, now = asyncio.run(queued(events)), state(events)
    assert (shown.stage, shown.arrived, frozenset(shown.tried)) == (
        now.stage,
        now.arrived,
        now.tried,
    )
    assert shown.channel == now.channel


NEXT = AT + timedelta(hours=6)
PAID = SMS.model_copy(update={"segments": 3, "cost": 21})
PAID_AGAIN = MAIL.model_copy(update={"segments": 2, "cost": 14})
FELL_BACK = MessageFellBack(message=M, campaign=C, channel="sms", reason="undelivered")
WITH_NEXT = SMS.model_copy(update={"further": True, "next_at": NEXT})


@pytest.mark.parametrize(
    ("events", "due"),
    [
        ([SMS, SENT], CLOSED),
        ([WITH_NEXT, SENT], f"{WAITING}{int(NEXT.timestamp() * 1000):015d}|{M}"),
        ([WITH_NEXT, SENT, DELIVERED], CLOSED),
        ([WITH_NEXT, DELIVERED, SENT], CLOSED),
        ([WITH_NEXT, SENT, OPENED, BOUNCED], CLOSED),
        ([WITH_NEXT, SENT, BOUNCED], "turn"),
        ([SMS, SENT, BOUNCED], CLOSED),
        ([WITH_NEXT, SENT, UNDELIVERED], "turn"),
        (
            [
                *(WITH_NEXT, SENT, BOUNCED),
                MessageGivenUp(message=M, campaign=C, channel="sms", reason="bounced"),
            ],
            CLOSED,
        ),
    ],
)
async def test_what_has_not_arrived_comes_up_again_while_there_is_a_further_channel(
    events: Sequence[EventData], due: str
) -> None:
    shown = await queued([SCHEDULED, *events])
    assert shown.due == (shown.turn if due == "turn" else due)


@pytest.mark.parametrize(
    ("events", "cost"),
    [
        ([], (None, None)),
        ([SENT], (3, 21)),
        ([MessageUncertain(message=M, campaign=C)], (3, 21)),
        ([MessageUncertain(message=M, campaign=C), SENT], (3, 21)),
        ([MessageFailed(message=M, campaign=C, code="1")], (None, None)),
        ([SENT, FELL_BACK, PAID_AGAIN, SENT], (5, 35)),
        ([FELL_BACK, PAID_AGAIN, SENT], (2, 14)),
        ([FELL_BACK, MAIL, SENT], (None, None)),
    ],
)
async def test_the_log_has_what_was_taken_or_may_have_been(
    events: Sequence[EventData], cost: tuple[int | None, int | None]
) -> None:
    shown = await queued([SCHEDULED, PAID, *events])
    assert (shown.segments, shown.cost) == cost


async def test_a_message_is_found_by_all_that_providers_call_it() -> None:
    first, second = (SENT.model_copy(update={"reference": name}) for name in ("g-1", "q-2"))
    shown = await queued([SCHEDULED, SMS, first, UNDELIVERED, MAIL, second])
    assert shown.references == ["sms|g-1", "email|q-2"]
    assert shown.contact == "h-mail"
