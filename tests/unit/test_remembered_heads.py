"""Writers that remember where streams end: nothing rests on it but what is asked."""

from collections.abc import Sequence

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from shared.clock import ManualClock
from shared.eventstore import EventStore, Head
from shared.execute import Command, Done, Writer
from shared.execute.heads import FALSE_ONE_IN, SAMPLE, RememberedHeads
from shared.keyring import Keyring
from shared.memory import MemoryEventStore, MemoryKeyStore
from shared.testing import DAY, InterceptedStore, Note, Receive, diary, note


def writer_on(store: EventStore) -> Writer:
    ring = Keyring(MemoryKeyStore(), AESGCM(bytes(32)))
    return Writer(store, ring, ManualClock(DAY), "customer")


async def record(writer: Writer, *commands: Command[Note | Receive]) -> list[Done]:
    outcomes = await writer.many(diary, commands, stateless=True)
    return [outcome for outcome in outcomes if isinstance(outcome, Done)]


async def test_the_end_of_a_stream_that_was_just_written_to_is_not_asked_for() -> None:
    store = InterceptedStore(MemoryEventStore())
    writer = writer_on(store)
    await record(writer, note("c1", "1", "a"))
    assert await record(writer, note("c2", "1", "b")) == [Done("customer-1", 2)]
    assert store.questions == ["known", "heads", "known"]


async def test_only_the_ends_that_are_not_remembered_are_asked_for() -> None:
    asked: list[Sequence[str]] = []

    class Noting(MemoryEventStore):
        async def heads(self, streams: Sequence[str]) -> dict[str, Head]:
            asked.append(list(streams))
            return dict(await super().heads(streams))

    writer = writer_on(Noting())
    await record(writer, note("c1", "1", "a"))
    await record(writer, note("c2", "1", "b"), note("c3", "2", "a"))
    assert asked == [["customer-1"], ["customer-2"]]


async def test_where_others_have_written_since_the_end_is_asked_for_and_nothing_is_torn() -> None:
    store = InterceptedStore(MemoryEventStore())
    ours, theirs = writer_on(store), writer_on(store.store)
    await record(ours, note("c1", "1", "a"))
    await record(theirs, note("c2", "1", "b"))
    store.questions.clear()
    # The other stream of the batch gets in at once; this one loses its seq, is asked for, gets in.
    assert await record(ours, note("c3", "1", "c"), note("c4", "2", "d")) == [
        Done("customer-1", 3),
        Done("customer-2", 1),
    ]
    assert store.questions == ["known", "heads", "known", "heads"]
    commits = (await store.read(["customer-1"]))["customer-1"]
    assert [commit.seq for commit in commits] == [1, 2, 3]


async def test_a_command_that_somebody_else_recorded_is_known_however_old_the_end_is() -> None:
    store = MemoryEventStore()
    ours, theirs = writer_on(store), writer_on(store)
    await record(ours, note("c1", "1", "a"))
    await record(theirs, note("c2", "1", "b"))
    assert await record(ours, note("c2", "1", "b")) == [Done("customer-1", 2, repeated=True)]


async def test_ends_are_asked_for_first_while_others_write_to_the_same_streams() -> None:
    store = MemoryEventStore()
    heads = RememberedHeads()
    false = SAMPLE // 2 // FALSE_ONE_IN
    names = [f"s-{number}" for number in range(false + 1)]
    asked = InterceptedStore(store)
    heads.appended(dict.fromkeys(names, Head(1, 1)))
    heads.lost(names[:false])
    # 100 of at most 1,000 is one in ten, and no more: still believed.
    assert await heads.of(asked, names[false:]) == {names[false]: Head(1, 1)}
    assert asked.questions == []
    heads.lost(names[false:])
    heads.appended({"s": Head(1, 1)})
    # Nobody has written to it: what the store says counts, not what was remembered.
    assert await heads.of(asked, ["s"]) == {}
    assert asked.questions == ["heads"]


async def test_ends_are_believed_again_once_they_are_true_again() -> None:
    store = InterceptedStore(MemoryEventStore())
    heads = RememberedHeads()
    names = [f"s-{number}" for number in range(SAMPLE)]
    heads.appended(dict.fromkeys(names, Head(1, 1)))
    heads.lost(names)
    owners = [str(number) for number in range(500)]
    await record(writer_on(store.store), *(note(owner, owner, "a") for owner in owners))
    ends = {f"customer-{owner}": Head(1, 1) for owner in owners}
    heads.appended(ends)
    for _ in range(10):
        assert await heads.of(store, list(ends)) == ends
    # True and false after each question, halved when they are more than 2,000: 250 and 1,000; 750
    # and 1,000; 625 and 500; 1,125 and 500; 812 and 250; 1,312 and 250; 906 and 125; 1,406 and 125,
    # fewer than one in ten: the other two of ten questions are spared.
    assert store.questions == ["heads"] * 8


async def test_streams_that_were_written_to_long_ago_are_forgotten() -> None:
    store = InterceptedStore(MemoryEventStore())
    heads = RememberedHeads(most=2)
    for number in range(5):
        heads.appended({f"s-{number}": Head(1, 1)})
    found = await heads.of(store, [f"s-{number}" for number in range(5)])
    # Two generations of two: 0 and 1 are gone since 4 began the third.
    assert sorted(found) == ["s-2", "s-3", "s-4"]


async def test_the_later_of_two_ends_is_remembered_whichever_was_told_first() -> None:
    heads = RememberedHeads()
    heads.appended({"s": Head(3, 3)})
    heads.appended({"s": Head(2, 2)})
    assert await heads.of(MemoryEventStore(), ["s"]) == {"s": Head(3, 3)}


async def test_a_stream_that_its_last_commit_closed_is_not_remembered() -> None:
    heads = RememberedHeads()
    heads.appended({"s": Head(1, 1)})
    heads.appended({"s": Head(2, 2, redirect="elsewhere")})
    assert await heads.of(MemoryEventStore(), ["s"]) == {}


@given(
    st.lists(
        st.tuples(st.integers(0, 1), st.lists(st.tuples(st.integers(0, 2), st.integers(0, 9)))),
        max_size=12,
    )
)
async def test_two_writers_in_any_order_record_each_command_once_and_leave_no_holes(
    batches: list[tuple[int, list[tuple[int, int]]]],
) -> None:
    store = MemoryEventStore()
    writers = [writer_on(store), writer_on(store)]
    sent = set()
    for which, lines in batches:
        commands = [note(f"{owner}-{line}", str(owner), str(line)) for owner, line in lines]
        sent |= {command.id for command in commands}
        assert len(await record(writers[which], *commands)) == len(commands)
    seen: list[str] = []
    for stream, commits in (await store.read([f"customer-{n}" for n in range(3)])).items():
        seqs = [commit.seq for commit in commits]
        assert seqs == list(range(1, len(commits) + 1)), stream
        seen += [mark.id for commit in commits for mark in commit.commands]
        assert commits[-1].version == sum(len(commit.events) for commit in commits)
    assert sorted(seen) == sorted(sent)
