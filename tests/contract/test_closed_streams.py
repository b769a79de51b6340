"""Streams that are closed, keys of their own, and versions that somebody has read before."""

from collections.abc import Mapping, Sequence

import msgspec
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from shared.clock import ManualClock
from shared.decider import Decider, NewEvent, Refused
from shared.envelope import Causation, decode
from shared.events.contract import EventData
from shared.events.interaction import CallRecorded
from shared.events.moving import StreamClosed, StreamReopened
from shared.eventstore import Claim, EventStore, Head
from shared.execute import Command, Done, Joint, JointDecider, Outcome, Writer
from shared.keyring import Keyring, KeyStore
from shared.testing import DAY

SOURCE = "interaction-1"
WHY = Causation("c")
call = CallRecorded(fact="f", source="calls", source_id="1", direction="in", answered=True)


def decide(body: EventData, _state: int) -> Sequence[NewEvent]:
    return [NewEvent(body, DAY)]


calls: Decider[EventData, int] = Decider(int, decide, lambda state, _data: state + 1)


@pytest.fixture
def writer(store: EventStore, keys: KeyStore) -> Writer:
    return Writer(store, Keyring(keys, AESGCM(bytes(32))), ManualClock(DAY), "interaction")


async def record(
    writer: Writer, command_id: str, body: EventData, *, stateless: bool = True
) -> Outcome:
    command = Command(command_id, "hash", SOURCE, "1", body, WHY, subject="1")
    (outcome,) = await writer.many(calls, [command], stateless=stateless)
    return outcome


async def close(writer: Writer) -> None:
    closing = StreamClosed(to="2", reason="merged", move="m")
    assert isinstance(await record(writer, "close", closing, stateless=False), Done)


async def test_what_is_meant_for_a_closed_stream_is_told_where_to_go(writer: Writer) -> None:
    await record(writer, "c1", call)
    await close(writer)
    refused = await record(writer, "c2", call)
    assert isinstance(refused, Refused)
    assert (refused.type, refused.extra) == ("redirected", {"to": "2"})
    # Two commits: the call and the closing.
    assert await writer.store.heads([SOURCE]) == {SOURCE: Head(2, 2, redirect="2")}


async def test_what_was_recorded_before_is_answered_as_it_was(writer: Writer) -> None:
    await record(writer, "c1", call)
    await close(writer)
    assert await record(writer, "c1", call) == Done(SOURCE, 1, repeated=True)


async def test_who_looks_at_the_history_may_write_to_a_closed_stream_and_it_stays_closed(
    writer: Writer,
) -> None:
    await close(writer)
    assert await record(writer, "c1", call, stateless=False) == Done(SOURCE, 2)
    assert (await writer.store.heads([SOURCE]))[SOURCE].redirect == "2"


async def test_a_stream_that_is_opened_again_takes_everything(writer: Writer) -> None:
    await close(writer)
    await record(writer, "open", StreamReopened(move="m"), stateless=False)
    assert await record(writer, "c1", call) == Done(SOURCE, 3)
    assert await writer.store.heads([SOURCE]) == {SOURCE: Head(3, 3)}


async def test_a_writer_sees_at_once_that_somebody_else_closed_a_stream_or_opened_it(
    store: EventStore, writer: Writer, keys: KeyStore
) -> None:
    """It remembers where streams end; whether they are closed it must not take from there."""
    other = Writer(store, Keyring(keys, AESGCM(bytes(32))), ManualClock(DAY), "interaction")
    await record(writer, "c1", call)
    await close(other)
    refused = await record(writer, "c2", call)
    assert isinstance(refused, Refused)
    assert (refused.type, refused.extra) == ("redirected", {"to": "2"})
    await record(other, "open", StreamReopened(move="m"), stateless=False)
    # The call, the closing and the opening came before.
    assert await record(writer, "c2", call) == Done(SOURCE, 4)


async def test_a_stream_without_a_customer_has_a_key_of_its_own(writer: Writer) -> None:
    said = call.model_copy(update={"text": "wants a call back"})
    command: Command[EventData] = Command(
        "c1", "h", "unknown-1", "unknown-1", said, WHY, sealed_by="unknown-1"
    )
    await writer.many(calls, [command], stateless=True)
    ((commit,),) = (await writer.store.read(["unknown-1"])).values()
    event = decode(commit.events[0])
    assert event.subject is None
    assert msgspec.json.decode(event.data)["text"].startswith("pii:v1:unknown-1:unknown-1:text:")
    histories = await writer.histories(["unknown-1"])
    assert histories["unknown-1"][0] == [said]


def both(
    _body: None, states: Mapping[str, int], _claims: Mapping[str, Claim]
) -> Mapping[str, Sequence[NewEvent]]:
    assert set(states.values()) == {0}
    return {name: [NewEvent(call, DAY)] for name in states}


async def test_a_joint_decision_may_rest_on_versions_that_were_read_before(writer: Writer) -> None:
    await record(writer, "c1", call)
    joint: Joint[None] = Joint(
        id="j",
        hash="h",
        streams={SOURCE: "1", "unknown-1": None},
        body=None,
        causation=WHY,
        expected={SOURCE: 1, "unknown-1": 0},
    )
    assert await writer.together(JointDecider(calls, both), joint) == Done(SOURCE, 2)
    ((commit,),) = (await writer.store.read(["unknown-1"])).values()
    assert commit.key == "unknown-1"


async def test_a_joint_decision_is_refused_once_a_stream_has_moved_on(writer: Writer) -> None:
    await record(writer, "c1", call)
    joint: Joint[None] = Joint(
        id="j", hash="h", streams={SOURCE: "1"}, body=None, causation=WHY, expected={SOURCE: 0}
    )
    with pytest.raises(Refused, match="moved-on"):
        await writer.together(JointDecider(calls, both), joint)
    assert (await writer.store.heads([SOURCE]))[SOURCE] == Head(1, 1)
