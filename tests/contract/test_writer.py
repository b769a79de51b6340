"""What carrying out commands promises, over every event store."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from msgspec.structs import replace as changed

from shared.claims import ClaimPolicy
from shared.clock import Clock, ManualClock, SystemClock
from shared.decider import Decider, NewEvent, Refused
from shared.envelope import Causation, decode
from shared.events.contract import EventData
from shared.events.customer import CustomerRegistered, Identifier, IdentifierRemoved
from shared.eventstore import Append, Claim, ClaimChange, EventStore, StoreUnavailable, body_hash
from shared.execute import Command, Done, Writer
from shared.keyring import Keyring, KeyStore
from shared.testing import DAY, InterceptedStore, Note, Receive, diary, note, receive

STREAM = "customer-1"


def writer_on(store: EventStore, keys: KeyStore, clock: Clock | None = None) -> Writer:
    clock = clock or ManualClock(DAY)
    return Writer(store, Keyring(keys, AESGCM(bytes(32))), clock, "customer")


@pytest.fixture
def writer(store: EventStore, keys: KeyStore) -> Writer:
    return writer_on(store, keys)


async def lines(writer: Writer, owner: str = "1") -> tuple[str, ...]:
    return (await writer.state(diary, f"customer-{owner}"))[0]


async def versions(store: EventStore, stream: str = STREAM) -> list[int]:
    """The stream versions of all events, as they stand in the events themselves."""
    commits = (await store.read([stream])).get(stream, ())
    return [decode(text).streamversion for commit in commits for text in commit.events]


async def test_a_command_becomes_events_and_the_answer_names_their_end(writer: Writer) -> None:
    done = await writer.one(diary, note("c1", "1", "a", copies=3))
    assert done == Done(STREAM, version=3)
    assert await lines(writer) == ("a", "a", "a")
    commit = (await writer.store.read([STREAM]))[STREAM][0]
    assert (commit.seq, commit.version, commit.key) == (1, 3, "1")


async def test_events_carry_where_they_stand_and_why(writer: Writer) -> None:
    command = changed(
        note("c1", "1", "a"),
        causation=Causation("chain", causation="import-1@2", depth=3, history="import-1"),
    )
    await writer.one(diary, command)
    (commit,) = (await writer.store.read([STREAM]))[STREAM]
    event = msgspec.json.decode(commit.events[0])
    assert event.pop("data")["topic"] == "a"
    assert event == {
        "specversion": "1.0",
        "id": "customer-1@1",
        "source": "regulars/customer",
        "type": "customer.consent_given.v1",
        "time": "2017-12-01T09:30:00.000Z",
        "recordedtime": "2017-12-01T09:30:00.000Z",
        "stream": "customer-1",
        "streamversion": 1,
        "subject": "1",
        "correlationid": "chain",
        "causationid": "import-1@2",
        "causedepth": 3,
        "history": "import-1",
    }


async def test_a_repeated_command_answers_as_the_first_time_and_appends_nothing(
    writer: Writer,
) -> None:
    first = await writer.one(diary, note("c1", "1", "a"))
    await writer.one(diary, note("c2", "1", "b"))
    again = await writer.one(diary, note("c1", "1", "a"))
    assert again == changed(first, repeated=True)
    assert await versions(writer.store) == [1, 2]


async def test_a_repeated_command_is_answered_with_the_stream_that_it_made(writer: Writer) -> None:
    await writer.one(diary, note("c1", "1", "a"))
    again = await writer.one(diary, changed(note("c1", "1", "a"), stream="customer-other"))
    assert again == Done(STREAM, version=1, repeated=True)
    assert await versions(writer.store, "customer-other") == []


async def test_an_id_with_another_body_is_refused(writer: Writer) -> None:
    await writer.one(diary, note("c1", "1", "a"))
    with pytest.raises(Refused) as refused:
        await writer.one(diary, note("c1", "1", "b"))
    assert (refused.value.type, refused.value.status) == ("command-differs", 422)
    assert await lines(writer) == ("a",)


async def test_twins_in_a_batch_are_carried_out_once(writer: Writer) -> None:
    twins = [note("c1", "1", "a"), note("c2", "1", "b"), note("c1", "1", "a")]
    assert await writer.many(diary, twins) == [
        Done(STREAM, 1),
        Done(STREAM, 2),
        Done(STREAM, 1, repeated=True),
    ]
    assert await versions(writer.store) == [1, 2]


async def test_twins_with_different_bodies_fare_as_if_sent_one_after_the_other(
    writer: Writer,
) -> None:
    outcomes = await writer.many(
        diary,
        [
            note("c1", "1", "a"),
            note("c1", "1", "b"),
            note("c2", "1", ""),  # refused by the diary
            note("c2", "1", "c"),
        ],
    )
    kinds = [outcome.type for outcome in outcomes if isinstance(outcome, Refused)]
    assert kinds == ["command-differs", "empty"]
    # A refusal is not remembered, so the id of the second pair was still free.
    assert (outcomes[0], outcomes[3]) == (Done(STREAM, 1), Done(STREAM, 2))
    assert await lines(writer) == ("a", "c")


async def test_a_genuine_resend_is_known_beside_a_wrong_twin_in_one_batch(writer: Writer) -> None:
    await writer.one(diary, note("c1", "1", "a"))
    wrong, genuine = await writer.many(diary, [note("c1", "1", "b"), note("c1", "1", "a")])
    assert isinstance(wrong, Refused)
    assert wrong.type == "command-differs"
    assert genuine == Done(STREAM, 1, repeated=True)


async def test_commands_of_a_batch_see_those_before_them(writer: Writer) -> None:
    outcomes = await writer.many(
        diary,
        [note("c1", "1", "a"), note("c2", "1", "a"), note("c3", "2", "a"), note("c4", "1", "b")],
    )
    assert outcomes == [
        Done(STREAM, 1),
        Done(STREAM, 1, changed=False),
        Done("customer-2", 1),
        Done(STREAM, 2),
    ]
    # One commit per stream, with the marks of both commands.
    (commit,) = (await writer.store.read([STREAM]))[STREAM]
    assert [(mark.id, mark.version) for mark in commit.commands] == [("c1", 1), ("c4", 2)]


async def test_an_empty_batch_gives_nothing(writer: Writer) -> None:
    assert await writer.many(diary, []) == []


async def test_a_refusal_is_not_remembered(writer: Writer) -> None:
    with pytest.raises(Refused, match="empty"):
        await writer.one(diary, note("c1", "1", ""))
    assert await writer.one(diary, note("c1", "1", "a")) == Done(STREAM, 1)


async def test_a_refusal_in_a_batch_leaves_its_neighbours_alone(writer: Writer) -> None:
    outcomes = await writer.many(
        diary, [note("c1", "1", "a"), note("c2", "1", ""), note("c3", "1", "b")]
    )
    assert outcomes[0] == Done(STREAM, 1)
    assert isinstance(outcomes[1], Refused)
    assert outcomes[2] == Done(STREAM, 2)


async def test_a_command_that_changes_nothing_is_not_remembered(writer: Writer) -> None:
    await writer.one(diary, note("c1", "1", "a"))
    assert await writer.one(diary, note("c2", "1", "a")) == Done(STREAM, 1, changed=False)
    assert await writer.store.known(["c2"]) == {}
    # So the same id may still become something.
    assert await writer.one(diary, note("c2", "1", "b")) == Done(STREAM, 2)


async def test_an_event_that_kafka_would_not_take_is_refused(writer: Writer) -> None:
    # 300,000 letters of 3 bytes are 900,000 bytes; with the envelope around them that is too much.
    outcomes = await writer.many(
        diary, [note("c1", "1", "語" * 300_000), note("c2", "1", "b"), note("c3", "2", "c")]
    )
    assert isinstance(outcomes[0], Refused)
    assert (outcomes[0].type, outcomes[0].status) == ("too-large", 413)
    assert outcomes[1:] == [Done(STREAM, 1), Done("customer-2", 1)]


async def test_a_batch_too_large_for_one_commit_becomes_several(writer: Writer) -> None:
    # A commit closes once it is over 4,000,000 bytes: 10 lines of 400,000 with their envelopes.
    commands = [note(f"c{n}", "1", f"{n:02}" + "x" * 400_000) for n in range(12)]
    outcomes = await writer.many(diary, commands)
    assert outcomes == [Done(STREAM, version) for version in range(1, 13)]
    commits = (await writer.store.read([STREAM]))[STREAM]
    assert [len(commit.events) for commit in commits] == [10, 2]
    assert await versions(writer.store) == list(range(1, 13))


async def test_a_command_that_mongodb_would_not_take_is_refused(writer: Writer) -> None:
    # 20 events of 850,000 bytes are 17 MB, and a document of MongoDB has at most 16 MiB.
    outcomes = await writer.many(
        diary, [note("c1", "1", "x" * 850_000, copies=20), note("c2", "1", "b")]
    )
    assert isinstance(outcomes[0], Refused)
    assert outcomes[0].type == "too-large"
    assert outcomes[1] == Done(STREAM, 1)


async def test_writers_of_one_stream_all_get_in_one_after_another(
    store: EventStore, keys: KeyStore
) -> None:
    writers = [writer_on(store, keys) for _ in range(3)]
    each = 4
    await asyncio.gather(
        *(
            writer.one(diary, note(f"{number}-{turn}", "1", f"{number}-{turn}"))
            for number, writer in enumerate(writers)
            for turn in range(each)
        )
    )
    assert await versions(store) == list(range(1, 3 * each + 1))
    assert len(set(await lines(writers[0]))) == 3 * each


async def test_one_command_in_many_hands_is_recorded_once(
    store: EventStore, keys: KeyStore
) -> None:
    writers = [writer_on(store, keys) for _ in range(4)]
    batch = [note(f"c{number}", str(number % 3), str(number)) for number in range(12)]
    results = await asyncio.gather(*(writer.many(diary, batch) for writer in writers))
    answers = [
        [(done.stream, done.version) for done in result if isinstance(done, Done)]
        for result in results
    ]
    assert answers == [answers[0]] * 4
    for owner in range(3):
        # 12 commands over 3 diaries, in the order of the batch.
        assert await lines(writers[0], str(owner)) == tuple(
            str(number) for number in range(owner, 12, 3)
        )
        assert await versions(store, f"customer-{owner}") == [1, 2, 3, 4]


async def test_a_loser_decides_again_on_what_the_winner_wrote(
    store: EventStore, keys: KeyStore
) -> None:
    winner = writer_on(store, keys)
    raced = False

    async def race(_: Sequence[Append]) -> None:
        nonlocal raced
        if not raced:
            raced = True
            await winner.one(diary, note("winner", "1", "a"))

    loser = writer_on(InterceptedStore(store, before=race), keys)
    outcomes = await loser.many(
        diary, [note("c1", "1", "a"), note("c2", "1", "b"), note("c3", "2", "c")]
    )
    # "a" is there already when c1 is decided again.
    assert outcomes == [
        Done(STREAM, 1, changed=False),
        Done(STREAM, 2),
        Done("customer-2", 1),
    ]
    assert await lines(winner) == ("a", "b")


async def test_an_answer_that_got_lost_is_found_at_the_next_try(
    store: EventStore, keys: KeyStore
) -> None:
    lost: list[Sequence[Append]] = []

    async def lose_once(appends: Sequence[Append]) -> None:
        if not lost:
            lost.append(appends)
            raise StoreUnavailable

    flaky = InterceptedStore(store, after=lose_once)
    done = await writer_on(flaky, keys).one(diary, note("c1", "1", "a"))
    assert (done.version, done.repeated) == (1, True)
    assert flaky.appended == 1
    assert await versions(store) == [1]


async def test_an_absent_store_is_told_and_the_command_can_be_sent_again(
    store: EventStore, keys: KeyStore
) -> None:
    away = True

    async def refuse(_: Sequence[Append]) -> None:
        if away:
            raise StoreUnavailable

    flaky = writer_on(InterceptedStore(store, before=refuse), keys)
    with pytest.raises(StoreUnavailable):
        await flaky.one(diary, note("c1", "1", "a"))
    assert await versions(store) == []
    away = False
    assert await flaky.one(diary, note("c1", "1", "a")) == Done(STREAM, 1)


async def test_a_batch_without_histories_costs_three_round_trips_and_later_two(
    store: EventStore, keys: KeyStore
) -> None:
    counting = InterceptedStore(store)
    writer = writer_on(counting, keys)
    first, second = (
        [changed(note(f"{text}{n}", str(n), text), subject=None) for n in range(20)]
        for text in ("a", "b")
    )
    await writer.many(diary, first, stateless=True)
    assert counting.questions == ["known", "heads"]
    assert counting.appended == 1
    await writer.many(diary, second, stateless=True)
    assert counting.questions == ["known", "heads", "known"]
    assert counting.appended == 2


async def test_without_state_the_decider_sees_an_empty_stream(writer: Writer) -> None:
    await writer.one(diary, note("c1", "1", "a"))
    # With its history the diary would say that the line is there already.
    outcomes = await writer.many(diary, [note("c2", "1", "a")], stateless=True)
    assert outcomes == [Done(STREAM, 2)]


async def test_personal_fields_are_sealed_in_the_store_and_open_to_the_decider(
    writer: Writer,
) -> None:
    await writer.one(diary, receive("c1", "1", "Иванова"))
    (commit,) = (await writer.store.read([STREAM]))[STREAM]
    assert "Иванова" not in commit.events[0]
    data = msgspec.json.decode(decode(commit.events[0]).data)
    assert data["surname"].startswith("pii:v1:1:customer-1:surname:")
    assert await lines(writer) == ("name Иванова",)
    assert await writer.one(diary, receive("c2", "1", "Иванова")) == Done(STREAM, 1, changed=False)


async def test_system_time_and_the_chains_time_are_recorded_apart(
    store: EventStore, keys: KeyStore
) -> None:
    frozen = datetime(2018, 1, 2, tzinfo=UTC)
    clock = SystemClock(frozen_at=frozen)
    before = clock.system_now()
    await writer_on(store, keys, clock).one(diary, note("c1", "1", "a"))
    (commit,) = (await store.read([STREAM]))[STREAM]
    assert before <= commit.recorded_at <= clock.system_now()
    assert decode(commit.events[0]).recordedtime == "2018-01-02T00:00:00.000Z"


async def test_an_event_is_recorded_at_the_same_moment_as_its_commit(
    store: EventStore, keys: KeyStore
) -> None:
    """Progress speaks of commits, timers of events: were they apart, one could slip between."""
    clock = ManualClock(DAY)

    def slow(command: Note | Receive, state: tuple[str, ...]) -> Sequence[NewEvent]:
        clock.advance(timedelta(milliseconds=40))
        return diary.decide(command, state)

    pondering = Decider(diary.initial, slow, diary.evolve)
    await writer_on(store, keys, clock).many(
        pondering, [note("c1", "1", "a"), note("c2", "1", "b")]
    )
    (commit,) = (await store.read([STREAM]))[STREAM]
    assert commit.recorded_at == DAY
    assert {decode(text).recordedtime for text in commit.events} == {"2017-12-01T09:30:00.000Z"}


@dataclass(frozen=True, slots=True)
class Hold:
    """Take a value for an owner, or let it go; `claim` is put in by the policy."""

    owner: str
    value: str
    wanted: bool = True
    claim: Claim | None = None


def _hold(command: Hold, _: None) -> Sequence[NewEvent]:
    present = command.claim or Claim(command.value, None, 0)
    if not command.wanted:
        removed = IdentifierRemoved(kind="email", hash=command.value, epoch=present.epoch)
        return [NewEvent(removed, DAY)] if present.owner == command.owner else []
    if present.owner not in (None, command.owner):
        raise Refused("taken", 409, "Somebody else has it.")
    identifier = Identifier(kind="email", hash=command.value, epoch=present.epoch + 1)
    return [NewEvent(CustomerRegistered(identifiers=(identifier,)), DAY)]


def _keep(_: None, data: EventData) -> None:
    assert data.type


def _given(body: Hold, claims: Mapping[str, Claim]) -> Hold:
    return replace(body, claim=claims.get(body.value))


def _changes(body: Hold, events: Sequence[NewEvent]) -> Sequence[ClaimChange]:
    epoch = body.claim.epoch if body.claim else 0
    owner = body.owner if body.wanted else None
    return [ClaimChange(body.value, epoch, owner)] if events else []


holder: Decider[Hold, None] = Decider(lambda: None, _hold, _keep)
policy: ClaimPolicy[Hold] = ClaimPolicy(lambda body: [body.value], _given, _changes)


def hold(command_id: str, owner: str, value: str, *, wanted: bool = True) -> Command[Hold]:
    body = Hold(owner, value, wanted)
    content = body_hash([owner, value, wanted])
    stream = f"customer-{owner}"
    return Command(command_id, content, stream, owner, body, Causation(command_id))


async def owner_of(writer: Writer, value: str) -> tuple[str | None, int]:
    claim = (await writer.store.claims([value]))[value]
    return claim.owner, claim.epoch


async def test_a_value_has_one_owner_within_a_batch_and_after_it(writer: Writer) -> None:
    outcomes = await writer.many(
        holder,
        [hold("c1", "1", "e"), hold("c2", "2", "e"), hold("c3", "3", "f")],
        claims=policy,
    )
    assert outcomes[0] == Done("customer-1", 1)
    assert isinstance(outcomes[1], Refused)
    assert outcomes[2] == Done("customer-3", 1)
    (late,) = await writer.many(holder, [hold("c4", "4", "e")], claims=policy)
    assert isinstance(late, Refused)
    assert await owner_of(writer, "e") == ("1", 1)


async def test_a_value_can_be_let_go_and_taken_in_the_same_batch(writer: Writer) -> None:
    await writer.one(holder, hold("c1", "1", "e"), claims=policy)
    outcomes = await writer.many(
        holder, [hold("c2", "1", "e", wanted=False), hold("c3", "2", "e")], claims=policy
    )
    assert outcomes == [Done("customer-1", 2), Done("customer-2", 1)]
    assert await owner_of(writer, "e") == ("2", 3)  # taken, let go, taken


async def test_one_stream_can_take_and_let_go_of_a_value_in_a_batch(writer: Writer) -> None:
    outcomes = await writer.many(
        holder, [hold("c1", "1", "e"), hold("c2", "1", "e", wanted=False)], claims=policy
    )
    assert outcomes == [Done("customer-1", 1), Done("customer-1", 2)]
    assert await owner_of(writer, "e") == (None, 2)


async def test_of_writers_who_race_for_a_value_one_gets_it_and_the_others_are_told(
    store: EventStore, keys: KeyStore
) -> None:
    writers = [writer_on(store, keys) for _ in range(4)]
    results = await asyncio.gather(
        *(
            writer.many(holder, [hold(f"c{n}", str(n), "e"), hold(f"d{n}", str(n), f"f{n}")],
                        claims=policy)
            for n, writer in enumerate(writers)
        )
    )  # fmt: skip
    winners = [n for n, (first, _) in enumerate(results) if isinstance(first, Done)]
    assert len(winners) == 1
    assert await owner_of(writers[0], "e") == (str(winners[0]), 1)
    # What else they asked for they got.
    for n, (_, second) in enumerate(results):
        assert isinstance(second, Done)
        assert await owner_of(writers[0], f"f{n}") == (str(n), 1)
