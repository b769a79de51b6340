"""What every event store must do."""

import asyncio
from datetime import timedelta

import pytest

from shared.eventstore import (
    Append,
    Claim,
    ClaimChange,
    CommandMark,
    Commit,
    EventStore,
    Head,
    Known,
)
from shared.testing import DAY

LATER = DAY + timedelta(milliseconds=1)


def commit(stream: str, seq: int, command: str | None = None, events: int = 1) -> Commit:
    """The commit that makes `events` events of a stream whose commits have one event each."""
    version = seq - 1 + events
    marks = () if command is None else (CommandMark(command, "hash", version),)
    texts = tuple(f'{{"event": "{stream} é {seq}.{number}"}}' for number in range(events))
    return Commit(stream, seq, version, stream.partition("-")[2], DAY, marks, texts)


def appends(*commits: Commit) -> list[Append]:
    return [Append(commit) for commit in commits]


def claiming(commit: Commit, *changes: ClaimChange) -> Append:
    return Append(commit, changes)


async def test_a_new_store_knows_nothing(store: EventStore) -> None:
    assert await store.known(["c1"]) == {}
    assert await store.heads(["customer-1"]) == {}
    assert await store.read(["customer-1"]) == {}
    assert await store.claims(["email|1"]) == {}
    assert await store.names("customer-") == []


async def test_asking_for_nothing_gives_nothing(store: EventStore) -> None:
    await store.append(appends(commit("customer-1", 1, "c1")))
    assert await store.known([]) == {}
    assert await store.heads([]) == {}
    assert await store.read([]) == {}
    assert await store.claims([]) == {}
    assert await store.append([]) == []


async def test_what_was_appended_is_read_back_as_it_was(store: EventStore) -> None:
    first = commit("customer-1", 1, "c1")
    second = Commit(
        stream="customer-1",
        seq=2,
        version=4,
        key="1",
        recorded_at=LATER,
        commands=(CommandMark("c2", "h2", 3), CommandMark("c3", "h3", 4)),
        events=("{}", '{"é": 1}', "{}"),
        broadcast=True,
    )
    assert await store.append(appends(first)) == [True]
    assert await store.append(appends(second)) == [True]
    assert dict(await store.read(["customer-1"])) == {"customer-1": [first, second]}
    assert await store.heads(["customer-1"]) == {"customer-1": Head(seq=2, version=4)}


async def test_known_commands_say_where_they_are_recorded(store: EventStore) -> None:
    marks = (CommandMark("c1", "h1", 1), CommandMark("c2", "h2", 2))
    both = Commit("customer-1", 1, 2, "1", DAY, marks, ("{}", "{}"))
    await store.append(appends(both))
    assert await store.known(["c2", "c9", "c2"]) == {"c2": Known("customer-1", marks[1])}


async def test_a_taken_seq_appends_nothing(store: EventStore) -> None:
    await store.append(appends(commit("customer-1", 1, "c1")))
    assert await store.append(appends(commit("customer-1", 1, "c2"))) == [False]
    assert await store.known(["c2"]) == {}
    assert len((await store.read(["customer-1"]))["customer-1"]) == 1


async def test_a_known_command_appends_nothing_on_another_stream(store: EventStore) -> None:
    await store.append(appends(commit("customer-1", 1, "c1")))
    assert await store.append(appends(commit("customer-2", 1, "c1"))) == [False]
    assert await store.heads(["customer-2"]) == {}


async def test_commits_without_commands_do_not_exclude_each_other(store: EventStore) -> None:
    batch = appends(commit("membership-1", 1), commit("membership-2", 1))
    assert await store.append(batch) == [True, True]
    assert await store.append(appends(commit("membership-1", 2))) == [True]


async def test_a_batch_with_two_commits_of_one_stream_is_refused(store: EventStore) -> None:
    with pytest.raises(ValueError, match="one commit per stream"):
        await store.append(appends(commit("customer-1", 1, "c1"), commit("customer-1", 2, "c2")))
    assert await store.heads(["customer-1"]) == {}


async def test_conflicts_in_a_batch_leave_its_neighbours_alone(store: EventStore) -> None:
    await store.append(appends(commit("customer-1", 1, "c1"), commit("customer-3", 1, "c3")))
    batch = appends(
        commit("customer-1", 1, "c5"),  # its seq is taken
        commit("customer-2", 1, "c6"),
        commit("customer-3", 2, "c1"),  # its command is known
        commit("customer-4", 1, "c7", events=3),
    )
    assert await store.append(batch) == [False, True, False, True]
    heads = await store.heads([f"customer-{number}" for number in range(1, 5)])
    assert heads == {
        "customer-1": Head(1, 1),
        "customer-2": Head(1, 1),
        "customer-3": Head(1, 1),
        "customer-4": Head(1, 3),
    }


async def test_names_are_found_by_prefix_and_sorted(store: EventStore) -> None:
    streams = ["membership-1", "member-1", "membership-éa", "membership-", "memberships", "m"]
    await store.append(appends(*(commit(stream, 1, stream) for stream in streams)))
    await store.append(appends(commit("membership-1", 2, "second")))
    assert await store.names("membership-") == ["membership-", "membership-1", "membership-éa"]


async def test_two_writers_of_one_seq_leave_one_winner(store: EventStore) -> None:
    rounds = 10
    for seq in range(1, rounds + 1):
        results = await asyncio.gather(
            store.append(appends(commit("customer-1", seq, f"a{seq}"))),
            store.append(appends(commit("customer-1", seq, f"b{seq}"))),
        )
        assert sorted(map(list, results)) == [[False], [True]]
    commits = (await store.read(["customer-1"]))["customer-1"]
    assert [each.version for each in commits] == list(range(1, rounds + 1))


async def test_a_value_is_claimed_with_the_commit(store: EventStore) -> None:
    claim = ClaimChange("email|1", expected=0, owner="1")
    assert await store.append([claiming(commit("customer-1", 1, "c1"), claim)]) == [True]
    assert await store.claims(["email|1", "email|2"]) == {"email|1": Claim("email|1", "1", 1)}
    assert await store.heads(["customer-1"]) == {"customer-1": Head(1, 1)}


async def test_a_claimed_value_keeps_a_second_owner_out(store: EventStore) -> None:
    await store.append([claiming(commit("customer-1", 1, "c1"), ClaimChange("email|1", 0, "1"))])
    second = claiming(
        commit("customer-2", 1, "c2"),
        ClaimChange("phone|2", 0, "2"),
        ClaimChange("email|1", 0, "2"),
    )
    assert await store.append([second]) == [False]
    assert await store.heads(["customer-2"]) == {}
    assert await store.known(["c2"]) == {}
    # The first change of the lost append is taken back with it.
    assert await store.claims(["email|1", "phone|2"]) == {"email|1": Claim("email|1", "1", 1)}


async def test_a_released_value_has_no_owner_and_its_next_one_a_higher_epoch(
    store: EventStore,
) -> None:
    await store.append([claiming(commit("customer-1", 1, "c1"), ClaimChange("email|1", 0, "1"))])
    await store.append([claiming(commit("customer-1", 2, "c2"), ClaimChange("email|1", 1, None))])
    assert await store.claims(["email|1"]) == {"email|1": Claim("email|1", None, 2)}
    late = claiming(commit("customer-2", 1, "c3"), ClaimChange("email|1", 1, "2"))
    assert await store.append([late]) == [False]
    ready = claiming(commit("customer-2", 1, "c3"), ClaimChange("email|1", 2, "2"))
    assert await store.append([ready]) == [True]
    assert await store.claims(["email|1"]) == {"email|1": Claim("email|1", "2", 3)}


async def test_a_value_can_change_twice_with_one_commit(store: EventStore) -> None:
    there_and_back = claiming(
        commit("customer-1", 1, "c1"),
        ClaimChange("email|1", 0, "1"),
        ClaimChange("email|1", 1, None),
    )
    assert await store.append([there_and_back]) == [True]
    assert await store.claims(["email|1"]) == {"email|1": Claim("email|1", None, 2)}


async def test_a_claim_may_rest_on_one_before_it_in_the_batch(store: EventStore) -> None:
    await store.append([claiming(commit("customer-1", 1, "c1"), ClaimChange("email|1", 0, "1"))])
    batch = [
        claiming(commit("customer-1", 2, "c2"), ClaimChange("email|1", 1, None)),
        claiming(commit("customer-2", 1, "c3"), ClaimChange("email|1", 2, "2")),
    ]
    assert await store.append(batch) == [True, True]
    assert await store.claims(["email|1"]) == {"email|1": Claim("email|1", "2", 3)}


async def test_a_claim_falls_with_the_one_that_it_rests_on(store: EventStore) -> None:
    await store.append([claiming(commit("customer-1", 1, "c1"), ClaimChange("email|1", 0, "1"))])
    batch = [
        claiming(commit("customer-1", 1, "c2"), ClaimChange("email|1", 1, None)),  # seq taken
        claiming(commit("customer-2", 1, "c3"), ClaimChange("email|1", 2, "2")),
    ]
    assert await store.append(batch) == [False, False]
    assert await store.claims(["email|1"]) == {"email|1": Claim("email|1", "1", 1)}


async def test_a_conflict_costs_only_its_own_claims(store: EventStore) -> None:
    await store.append([claiming(commit("customer-1", 1, "c1"), ClaimChange("email|1", 0, "1"))])
    batch = [
        claiming(commit("customer-2", 1, "c2"), ClaimChange("email|2", 0, "2")),
        claiming(commit("customer-3", 1, "c3"), ClaimChange("email|1", 0, "3")),  # taken
        Append(commit("customer-4", 1, "c4")),
        claiming(commit("customer-5", 1, "c1"), ClaimChange("email|5", 0, "5")),  # known
        claiming(commit("customer-6", 1, "c6"), ClaimChange("email|6", 0, "6")),
    ]
    assert await store.append(batch) == [True, False, True, False, True]
    heads = await store.heads([f"customer-{number}" for number in range(2, 7)])
    assert sorted(heads) == ["customer-2", "customer-4", "customer-6"]
    claims = await store.claims([f"email|{number}" for number in range(1, 7)])
    assert {claim.owner for claim in claims.values()} == {"1", "2", "6"}


async def test_of_many_who_race_for_a_value_one_gets_it(store: EventStore) -> None:
    racers = 6
    results = await asyncio.gather(
        *(
            store.append(
                [
                    claiming(
                        commit(f"customer-{number}", 1, f"c{number}"),
                        ClaimChange("email|1", 0, str(number)),
                    )
                ]
            )
            for number in range(racers)
        )
    )
    assert sorted(map(list, results)) == [[False]] * (racers - 1) + [[True]]
    winner = results.index([True])
    assert (await store.claims(["email|1"]))["email|1"] == Claim("email|1", str(winner), 1)
    assert list(await store.heads([f"customer-{number}" for number in range(racers)])) == [
        f"customer-{winner}"
    ]


def merge(loser: str, survivor: str, command: str) -> list[Append]:
    """`email|1` goes from one to the other, with a commit of each."""
    return [
        claiming(
            commit(survivor, 1, command),
            ClaimChange("email|1", 1, None),
            ClaimChange("email|1", 2, "2"),
        ),
        Append(commit(loser, 2)),
    ]


async def claimed(store: EventStore) -> None:
    first = claiming(commit("customer-1", 1, "c1"), ClaimChange("email|1", 0, "1"))
    assert await store.append([first]) == [True]


async def test_commits_appended_together_are_there_with_their_claims(store: EventStore) -> None:
    await claimed(store)
    assert await store.append_together(merge("customer-1", "customer-2", "merge"))
    assert await store.heads(["customer-1", "customer-2"]) == {
        "customer-1": Head(2, 2),
        "customer-2": Head(1, 1),
    }
    assert await store.claims(["email|1"]) == {"email|1": Claim("email|1", "2", 3)}
    known = await store.known(["merge"])
    assert known == {"merge": Known("customer-2", CommandMark("merge", "hash", 1))}


async def test_together_without_claims_and_together_with_nothing(store: EventStore) -> None:
    assert await store.append_together(
        appends(commit("customer-1", 1, "c1"), commit("customer-2", 1))
    )
    assert await store.append_together([])
    assert sorted(await store.heads(["customer-1", "customer-2"])) == ["customer-1", "customer-2"]


@pytest.mark.parametrize(
    "rival",
    [
        Append(commit("customer-1", 2, "other")),
        Append(commit("customer-2", 1, "other")),
        Append(commit("customer-3", 1, "merge")),
        claiming(commit("customer-3", 1, "other"), ClaimChange("email|1", 1, None)),
    ],
    ids=["seq of the second", "seq of the first", "command", "claim"],
)
async def test_one_conflict_leaves_nothing_of_what_belongs_together(
    store: EventStore, rival: Append
) -> None:
    await claimed(store)
    assert await store.append([rival]) == [True]
    streams = ["customer-1", "customer-2", "customer-3"]
    before = (
        await store.heads(streams),
        await store.claims(["email|1"]),
        await store.known(["merge"]),
    )
    assert not await store.append_together(merge("customer-1", "customer-2", "merge"))
    after = (
        await store.heads(streams),
        await store.claims(["email|1"]),
        await store.known(["merge"]),
    )
    assert after == before


async def test_together_one_command_cannot_stand_in_two_commits(store: EventStore) -> None:
    twice = appends(commit("customer-1", 1, "c1"), commit("customer-2", 1, "c1"))
    assert not await store.append_together(twice)
    assert await store.heads(["customer-1", "customer-2"]) == {}


async def test_together_too_a_stream_gets_at_most_one_commit(store: EventStore) -> None:
    with pytest.raises(ValueError, match="one commit per stream"):
        await store.append_together(appends(commit("a-1", 1, "c1"), commit("a-1", 2, "c2")))
    assert await store.heads(["a-1"]) == {}


async def test_of_two_joint_appends_that_share_a_stream_one_gets_in(store: EventStore) -> None:
    results = await asyncio.gather(
        *(
            store.append_together(
                appends(commit("customer-1", 1, f"c{n}"), commit(f"customer-{n}", 1))
            )
            for n in range(2, 6)
        )
    )
    assert sorted(results) == [False, False, False, True]
    winner = f"customer-{2 + results.index(True)}"
    heads = await store.heads([f"customer-{n}" for n in range(1, 6)])
    assert sorted(heads) == ["customer-1", winner]


async def test_the_claims_of_owners_are_those_that_they_hold_now(store: EventStore) -> None:
    changes = [
        ClaimChange("email|1", 0, "1"),
        ClaimChange("card|1", 0, "1"),
        ClaimChange("phone|1", 0, "1"),
        ClaimChange("phone|1", 1, None),
        ClaimChange("phone|2", 0, "2"),
        ClaimChange("phone|3", 0, "3"),
    ]
    await store.append([claiming(commit("customer-1", 1, "c1"), *changes)])
    assert list(await store.claims_of(["2", "1", "9"])) == [
        Claim("card|1", "1", 1),
        Claim("email|1", "1", 1),
        Claim("phone|2", "2", 1),
    ]
    assert list(await store.claims_of([])) == []
