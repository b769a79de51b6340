"""What a batch of commands over several streams promises, over every event store."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from shared.clock import ManualClock
from shared.decider import NewEvent, Refused
from shared.envelope import Causation
from shared.events.customer import ConsentGiven, Evidence
from shared.eventstore import Append, Claim, ClaimChange, EventStore, body_hash
from shared.execute import Done, Joint, JointDecider, Writer
from shared.keyring import Keyring, KeyStore
from shared.testing import DAY, InterceptedStore, diary

Lines = tuple[str, ...]
ROOM = 2


@dataclass(frozen=True, slots=True)
class Pledge:
    """Write the text into a diary, and the same into the shared one, which has room for two.

    With `seat` the diary must own the claim of that name, or get it.
    """

    diary: str
    text: str
    seat: str | None = None


def line(text: str) -> NewEvent:
    return NewEvent(
        ConsentGiven(topic=text, channel="email", evidence=Evidence(source="diary")), DAY
    )


def decide(
    body: Pledge, states: Mapping[str, Lines], claims: Mapping[str, Claim]
) -> Mapping[str, Sequence[NewEvent]]:
    if body.text == "never":
        raise Refused("never", 409, "Not this one.")
    held = claims.get(body.seat or "")
    if len(states["customer-all"]) >= ROOM or (held is not None and held.owner != body.diary):
        return {}
    return {body.diary: [line(body.text)], "customer-all": [line(body.text)]}


def seated(
    body: Pledge, _events: Mapping[str, Sequence[NewEvent]], claims: Mapping[str, Claim]
) -> Sequence[ClaimChange]:
    if body.seat is None or body.seat in claims:
        return ()
    return [ClaimChange(body.seat, 0, body.diary)]


pledging: JointDecider[Pledge, Lines] = JointDecider(
    diary, decide, claim_ids=lambda body, _states: [body.seat] if body.seat else [], changes=seated
)


def pledge(number: int, text: str = "", seat: str | None = None) -> Joint[Pledge]:
    body = Pledge(f"customer-{number}", text or f"line {number}", seat)
    return Joint(
        id=f"pledge|{number}",
        hash=body_hash([number, body.text]),
        streams={body.diary: f"{number}", "customer-all": None},
        body=body,
        causation=Causation("chain"),
    )


def writer_on(store: EventStore, keys: KeyStore) -> Writer:
    keyring = Keyring(keys, AESGCM(bytes(32)))
    return Writer(store, keyring, ManualClock(DAY), "customer", timedelta(seconds=2))


@pytest.fixture
def writer(store: EventStore, keys: KeyStore) -> Writer:
    return writer_on(store, keys)


async def lines(writer: Writer, name: str) -> Lines:
    return (await writer.state(diary, f"customer-{name}"))[0]


async def test_each_is_decided_on_what_the_ones_before_gave(writer: Writer) -> None:
    # There is room for two of three.
    outcomes = await writer.jointly(pledging, [pledge(1), pledge(2), pledge(3)])
    assert outcomes == [
        Done("customer-1", 1),
        Done("customer-2", 1),
        Done("customer-3", 0, changed=False),
    ]
    assert await lines(writer, "all") == ("line 1", "line 2")
    assert await lines(writer, "3") == ()


async def test_asked_again_it_answers_as_before_and_writes_nothing(writer: Writer) -> None:
    await writer.jointly(pledging, [pledge(1)])
    (again,) = await writer.jointly(pledging, [pledge(1)])
    assert again == Done("customer-1", 1, repeated=True)
    assert await lines(writer, "all") == ("line 1",)


async def test_another_content_under_one_id_is_refused(writer: Writer) -> None:
    await writer.jointly(pledging, [pledge(1)])
    (outcome,) = await writer.jointly(pledging, [pledge(1, "something else")])
    assert isinstance(outcome, Refused)
    assert outcome.type == "command-differs"


async def test_a_refusal_is_the_outcome_of_its_own_command_only(writer: Writer) -> None:
    refused, done = await writer.jointly(pledging, [pledge(1, "never"), pledge(2)])
    assert isinstance(refused, Refused)
    assert done == Done("customer-2", 1)


async def test_a_claim_is_of_the_first_that_asks_and_stays_with_it(writer: Writer) -> None:
    outcomes = await writer.jointly(pledging, [pledge(1, seat="s"), pledge(2, seat="s")])
    assert [isinstance(each, Done) and each.changed for each in outcomes] == [True, False]
    (claim,) = (await writer.store.claims(["s"])).values()
    assert claim == Claim("s", "customer-1", 1)


async def test_of_two_writers_neither_takes_what_the_other_has(
    store: EventStore, keys: KeyStore
) -> None:
    """Both have read that there is room; the shared stream lets only one of them in at a time."""
    raced = asyncio.Event()

    async def other_first(_appends: Sequence[Append]) -> None:
        if not raced.is_set():
            raced.set()
            await writer_on(store, keys).jointly(pledging, [pledge(8), pledge(9)])

    slow = writer_on(InterceptedStore(store, before=other_first), keys)
    outcomes = await slow.jointly(pledging, [pledge(1), pledge(2)])
    assert [isinstance(each, Done) and each.changed for each in outcomes] == [False, False]
    assert await lines(slow, "all") == ("line 8", "line 9")
    # Nothing of what lost was written.
    assert await lines(slow, "1") == ()


async def test_a_batch_takes_the_round_trips_of_one(store: EventStore, keys: KeyStore) -> None:
    counted = InterceptedStore(store)
    await writer_on(counted, keys).jointly(pledging, [pledge(1), pledge(2)])
    # What is known, the histories, one append; nothing is asked of claims where there are none.
    assert (counted.questions, counted.appended) == (["known", "read"], 1)


async def test_the_same_command_twice_in_a_batch_is_a_fault(writer: Writer) -> None:
    with pytest.raises(ValueError, match="each command once"):
        await writer.jointly(pledging, [pledge(1), pledge(1)])


async def test_the_stream_that_answers_must_get_an_event(writer: Writer) -> None:
    silent: JointDecider[Pledge, Lines] = JointDecider(
        diary, lambda _body, _states, _claims: {"customer-all": [line("x")]}
    )
    with pytest.raises(ValueError, match="stream that answers"):
        await writer.jointly(silent, [pledge(1)])
