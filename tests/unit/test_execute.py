"""Commands against a store that errs, and what must never be written. More in tests/contract."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import msgspec
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from shared.clock import ManualClock
from shared.decider import Decider, NewEvent, Refused
from shared.envelope import Causation, Placed, decode
from shared.events.contract import EventData
from shared.events.customer import CustomerRegistered, Identifier, IdentifierAdded
from shared.events.imports import ImportBegun, ImportEnded
from shared.eventstore import Append, Commit, Head, StoreUnavailable, body_hash
from shared.execute import (
    ATTEMPTS,
    FAILURES,
    Command,
    Done,
    Writer,
    encode_event,
)
from shared.keyring import ERASED, Keyring, MissingKey, StoredKey
from shared.memory import MemoryEventStore, MemoryKeyStore
from shared.testing import DAY, InterceptedStore, Note, Receive, diary, note, receive


def writer_on(store: MemoryEventStore | InterceptedStore, keys: MemoryKeyStore) -> Writer:
    ring = Keyring(keys, AESGCM(bytes(32)))
    return Writer(store, ring, ManualClock(DAY), "customer")


async def test_a_store_that_goes_away_amid_conflicts_is_given_up() -> None:
    store = MemoryEventStore()
    rivals = iter(range(2 * FAILURES))

    async def conflict_then_vanish(appends: Sequence[Append]) -> None:
        rival = next(rivals, None)
        if rival is None:
            raise StoreUnavailable
        commit = appends[0].commit
        text = f"rival {rival}"
        await writer_on(store, MemoryKeyStore()).one(diary, note(text, commit.key, text))

    writer = writer_on(InterceptedStore(store, before=conflict_then_vanish), MemoryKeyStore())
    async with asyncio.timeout(5):
        with pytest.raises(StoreUnavailable):
            await writer.one(diary, note("c1", "1", "a"))
    assert await store.heads(["customer-1"]) == {"customer-1": Head(2 * FAILURES, 2 * FAILURES)}


async def test_a_writer_that_always_loses_gives_up_after_some_attempts() -> None:
    class Contended(MemoryEventStore):
        async def append(self, appends: Sequence[Append]) -> Sequence[bool]:
            return [False] * len(appends)

    counting = InterceptedStore(Contended())
    with pytest.raises(StoreUnavailable, match=f"{ATTEMPTS} writers"):
        await writer_on(counting, MemoryKeyStore()).one(diary, note("c1", "1", "a"))
    assert counting.appended == ATTEMPTS


async def test_failures_between_which_something_got_in_do_not_end_a_batch() -> None:
    class OneAtATime(MemoryEventStore):
        async def append(self, appends: Sequence[Append]) -> Sequence[bool]:
            await super().append(appends[:1])
            raise StoreUnavailable

    count = 3 * FAILURES
    store = OneAtATime()
    outcomes = await writer_on(store, MemoryKeyStore()).many(
        diary, [note(f"c{number}", str(number), "a") for number in range(count)]
    )
    assert [outcome for outcome in outcomes if isinstance(outcome, Done)] == [
        Done(f"customer-{number}", 1, repeated=True) for number in range(count)
    ]


async def test_an_append_slower_than_its_deadline_is_abandoned() -> None:
    async def hang(_: Sequence[Append]) -> None:
        await asyncio.sleep(60)

    store = InterceptedStore(MemoryEventStore(), before=hang)
    writer = replace(writer_on(store, MemoryKeyStore()), append_deadline=timedelta(seconds=0.02))
    with pytest.raises(StoreUnavailable):
        await writer.one(diary, note("c1", "1", "a"))
    assert store.questions.count("known") == FAILURES  # each try asks first whether it got in
    assert store.appended == 0


async def test_every_refusal_is_its_own_exception() -> None:
    """One that is raised twice would gather the tracebacks of both."""
    writer = writer_on(MemoryEventStore(), MemoryKeyStore())
    await writer.one(diary, note("c1", "1", "a"))
    outcomes = await writer.many(diary, [note("c1", "1", "b")])
    again = await writer.many(diary, [note("c1", "1", "b")])
    assert outcomes == again
    assert outcomes[0] is not again[0]


async def test_a_stream_that_does_not_exist_has_the_initial_state() -> None:
    assert await writer_on(MemoryEventStore(), MemoryKeyStore()).state(diary, "x-1") == ((), 0)


async def test_a_history_whose_key_is_lost_stops_the_command() -> None:
    store = MemoryEventStore()
    await writer_on(store, MemoryKeyStore()).one(diary, receive("c1", "1", "Ivanova"))
    lost = writer_on(store, MemoryKeyStore())
    with pytest.raises(MissingKey):
        await lost.one(diary, note("c2", "1", "a"))
    assert await store.heads(["customer-1"]) == {"customer-1": Head(1, 1)}


async def test_nothing_personal_is_recorded_of_an_erased_customer() -> None:
    store, keys = MemoryEventStore(), MemoryKeyStore()
    await keys.insert([StoredKey("1", None)])
    outcomes = await writer_on(store, keys).many(
        diary, [receive("c1", "1", "Ivanova"), note("c2", "1", "a"), receive("c3", "2", "Petrov")]
    )
    assert isinstance(outcomes[0], Refused)
    assert (outcomes[0].type, outcomes[0].status) == ("erased", 410)
    assert outcomes[1:] == [Done("customer-1", 1), Done("customer-2", 1)]


def placed(data: EventData, subject: str | None) -> Placed:
    return Placed(
        data=data,
        service="customer",
        stream="customer-1",
        version=1,
        time=DAY,
        recorded=DAY,
        causation=Causation("c1"),
        subject=subject,
    )


@pytest.mark.parametrize(
    "data",
    [
        CustomerRegistered(surname="Ivanova"),
        CustomerRegistered(custom={"shoe": 38}),
        IdentifierAdded(identifier=Identifier(kind="card", hash="aa", epoch=1, value="1")),
    ],
)
def test_a_personal_field_without_a_customer_to_seal_it_for_is_never_written(
    data: EventData,
) -> None:
    with pytest.raises(ValueError, match="needs somebody whose key seals it"):
        encode_event(placed(data, None), {})


def test_an_event_without_personal_values_needs_no_key() -> None:
    text = encode_event(placed(CustomerRegistered(gender="female"), None), {})
    assert msgspec.json.decode(decode(text).data) == {"identifiers": [], "gender": "female"}


def test_an_erased_customer_gets_no_personal_event_even_without_values() -> None:
    with pytest.raises(Refused, match="erased"):
        encode_event(placed(CustomerRegistered(), "1"), {"1": ERASED})


def import_of(events: Sequence[EventData]) -> Decider[str, None]:
    return Decider(
        lambda: None,
        lambda _command, _state: [NewEvent(data, DAY) for data in events],
        lambda _state, _data: None,
    )


async def only_commit(store: MemoryEventStore) -> Commit:
    (commit,) = store.commits
    return commit


async def test_the_end_of_an_import_is_sent_to_every_partition_and_its_begin_is_not() -> None:
    command = Command("c1", body_hash(1), "import-1", "import-1", "end", Causation("c1"))
    begun, ended = MemoryEventStore(), MemoryEventStore()
    begin = import_of([ImportBegun(import_id="1", title="till 7")])
    await writer_on(begun, MemoryKeyStore()).one(begin, command)
    end = import_of([ImportEnded(import_id="1", facts=2)])
    await writer_on(ended, MemoryKeyStore()).one(end, command)
    assert not (await only_commit(begun)).broadcast
    assert (await only_commit(ended)).broadcast


async def test_an_event_may_have_a_cause_of_its_own() -> None:
    own = Causation("other chain", causation="message-1@4", depth=2)

    def decide(_command: Note | Receive, _state: tuple[str, ...]) -> Sequence[NewEvent]:
        data = CustomerRegistered()
        return [NewEvent(data, DAY), NewEvent(data, DAY, branch="b7", causation=own)]

    store = MemoryEventStore()
    decider = Decider(diary.initial, decide, diary.evolve)
    done = await writer_on(store, MemoryKeyStore()).one(decider, note("c1", "1", "a"))
    first, second = (decode(text) for text in (await only_commit(store)).events)
    assert (first.correlationid, first.causedepth, first.branch) == ("c1", 0, None)
    assert (second.correlationid, second.causationid, second.causedepth, second.branch) == (
        "other chain", "message-1@4", 2, "b7",
    )  # fmt: skip
    assert (done.stream, done.version) == ("customer-1", 2)
    assert second.id == "customer-1@2"
