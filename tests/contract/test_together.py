"""What one command over several streams promises, over every event store."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

import msgspec
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from msgspec.structs import replace as changed

from shared.clock import ManualClock
from shared.decider import NewEvent, Refused
from shared.envelope import Causation, decode
from shared.events.customer import ConsentGiven, Evidence
from shared.eventstore import Append, Claim, ClaimChange, EventStore, StoreUnavailable, body_hash
from shared.execute import ATTEMPTS, FAILURES, Done, Joint, JointDecider, Writer
from shared.keyring import Keyring, KeyStore
from shared.testing import DAY, InterceptedStore, diary, note

PHONE = "phone|1"
Lines = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Copy:
    """Write every line of the diary `source` that is not there yet into `target`, with its phone.

    `source` notes `copied`. With `closed` in one of the diaries it is refused; nothing new to
    copy changes nothing. `forgetful` leaves the source without its note.
    """

    source: str
    target: str
    forgetful: bool = False


def line(text: str) -> NewEvent:
    return NewEvent(
        ConsentGiven(topic=text, channel="email", evidence=Evidence(source="diary")), DAY
    )


def decide(
    body: Copy, states: Mapping[str, Lines], _claims: Mapping[str, Claim]
) -> Mapping[str, Sequence[NewEvent]]:
    source, target = states[body.source], states[body.target]
    if "closed" in source + target:
        raise Refused("closed", 409, "A diary is closed.")
    new = [line(text) for text in source if text not in target and text != "copied"]
    if body.forgetful:
        return {body.target: new}
    return {body.target: new, body.source: [line("copied")]} if new else {}


def moved(
    body: Copy, events: Mapping[str, Sequence[NewEvent]], claims: Mapping[str, Claim]
) -> Sequence[ClaimChange]:
    assert set(events) == {body.source, body.target}
    held = claims.get(PHONE)
    if held is None:
        return []
    return [
        ClaimChange(PHONE, held.epoch, None),
        ClaimChange(PHONE, held.epoch + 1, body.target.removeprefix("customer-")),
    ]


copying: JointDecider[Copy, Lines] = JointDecider(
    diary, decide, claim_ids=lambda _body, _states: [PHONE], changes=moved
)


def copy(command_id: str, source: str = "1", target: str = "2") -> Joint[Copy]:
    """The diary that is copied to answers."""
    body = Copy(f"customer-{source}", f"customer-{target}")
    return Joint(
        id=command_id,
        hash=body_hash([source, target]),
        streams={body.target: target, body.source: source},
        body=body,
        causation=Causation("chain", causation="cause", depth=3),
    )


def writer_on(store: EventStore, keys: KeyStore) -> Writer:
    return Writer(store, Keyring(keys, AESGCM(bytes(32))), ManualClock(DAY), "customer")


@pytest.fixture
def writer(store: EventStore, keys: KeyStore) -> Writer:
    return writer_on(store, keys)


async def lines(writer: Writer, owner: str) -> Lines:
    return (await writer.state(diary, f"customer-{owner}"))[0]


async def written(writer: Writer) -> None:
    """Two lines in diary 1, one in diary 2."""
    await writer.many(diary, [note("a", "1", "a"), note("b", "1", "b"), note("c", "2", "c")])


async def test_a_joint_command_writes_all_of_its_streams_and_the_first_answers(
    writer: Writer,
) -> None:
    await written(writer)
    # One line was there, two are copied: version 3.
    assert await writer.together(copying, copy("j1")) == Done("customer-2", 3)
    assert await lines(writer, "1") == ("a", "b", "copied")
    assert await lines(writer, "2") == ("c", "a", "b")


async def test_each_event_carries_its_own_stream_and_the_one_cause(writer: Writer) -> None:
    await written(writer)
    await writer.together(copying, copy("j1"))
    commits = await writer.store.read(["customer-1", "customer-2"])
    (source, target) = (commits["customer-1"][-1], commits["customer-2"][-1])
    assert [mark.id for mark in target.commands] == ["j1"]
    assert source.commands == ()
    assert (source.key, source.version, target.key, target.version) == ("1", 3, "2", 3)
    assert source.recorded_at == target.recorded_at
    events = [decode(text) for text in (*source.events, *target.events)]
    assert [(each.id, each.subject) for each in events] == [
        ("customer-1@3", "1"),
        ("customer-2@2", "2"),
        ("customer-2@3", "2"),
    ]
    assert {(each.correlationid, each.causationid, each.causedepth) for each in events} == {
        ("chain", "cause", 3)
    }


async def test_a_repeated_joint_command_answers_as_the_first_time(writer: Writer) -> None:
    await written(writer)
    first = await writer.together(copying, copy("j1"))
    await writer.one(diary, note("d", "1", "d"))
    assert await writer.together(copying, copy("j1")) == changed(first, repeated=True)
    assert await lines(writer, "2") == ("c", "a", "b")


async def test_the_same_id_for_something_else_is_refused(writer: Writer) -> None:
    await written(writer)
    await writer.together(copying, copy("j1"))
    with pytest.raises(Refused, match="command-differs"):
        await writer.together(copying, copy("j1", "2", "1"))


async def test_a_refusal_writes_nothing_and_is_not_remembered(writer: Writer) -> None:
    await written(writer)
    await writer.one(diary, note("x", "1", "closed"))
    before = await writer.store.heads(["customer-1", "customer-2"])
    with pytest.raises(Refused, match="closed"):
        await writer.together(copying, copy("j1"))
    assert await writer.store.heads(["customer-1", "customer-2"]) == before
    assert await writer.store.known(["j1"]) == {}


async def test_nothing_to_do_is_answered_and_not_remembered(writer: Writer) -> None:
    await written(writer)
    await writer.together(copying, copy("j1"))
    assert await writer.together(copying, copy("j2")) == Done("customer-2", 3, changed=False)
    assert await writer.store.known(["j2"]) == {}


async def test_streams_that_do_not_exist_are_begun(writer: Writer) -> None:
    await writer.one(diary, note("a", "1", "a"))
    assert await writer.together(copying, copy("j1")) == Done("customer-2", 1)
    assert await lines(writer, "2") == ("a",)


async def test_a_decision_that_leaves_out_a_stream_that_it_read_is_a_fault(writer: Writer) -> None:
    """It would rest on what somebody may change unseen."""
    await written(writer)
    forgetful = copy("j1")
    forgetful = replace(forgetful, body=replace(forgetful.body, forgetful=True))
    with pytest.raises(ValueError, match="each stream that it rests on"):
        await writer.together(copying, forgetful)
    assert await lines(writer, "2") == ("c",)


async def test_claims_move_with_the_commits(writer: Writer) -> None:
    await written(writer)
    claiming = Append(
        changed((await writer.store.read(["customer-1"]))["customer-1"][0], seq=2, commands=()),
        (ClaimChange(PHONE, 0, "1"),),
    )
    assert await writer.store.append([claiming]) == [True]
    await writer.together(copying, copy("j1"))
    # Released and taken: 1, 2, 3.
    assert await writer.store.claims([PHONE]) == {PHONE: Claim(PHONE, "2", 3)}


@pytest.mark.parametrize("rival", ["1", "2"])
async def test_whoever_writes_first_to_one_of_the_streams_has_it_decided_again(
    store: EventStore, keys: KeyStore, rival: str
) -> None:
    direct = writer_on(store, keys)
    await written(direct)
    raced = False

    async def race(_appends: Sequence[Append]) -> None:
        nonlocal raced
        if not raced:
            raced = True
            await direct.one(diary, note("rival", rival, "rival"))

    intercepted = InterceptedStore(store, before=race)
    done = await writer_on(intercepted, keys).together(copying, copy("j1"))
    # Either way four lines in 2: c, a, b and the rival's, which is copied where it was in 1.
    assert done == Done("customer-2", 4)
    assert sorted(await lines(direct, "2")) == ["a", "b", "c", "rival"]
    assert intercepted.appended == 2


async def test_a_refusal_that_a_rival_brings_about_counts(
    store: EventStore, keys: KeyStore
) -> None:
    direct = writer_on(store, keys)
    await written(direct)

    async def close(_appends: Sequence[Append]) -> None:
        await direct.one(diary, note("rival", "1", "closed"))

    with pytest.raises(Refused, match="closed"):
        await writer_on(InterceptedStore(store, before=close), keys).together(copying, copy("j1"))
    assert await lines(direct, "2") == ("c",)


async def test_a_claim_that_changed_meanwhile_has_it_decided_again(
    store: EventStore, keys: KeyStore
) -> None:
    direct = writer_on(store, keys)
    await written(direct)
    first = (await store.read(["customer-1"]))["customer-1"][0]
    elsewhere = changed(first, stream="customer-9", commands=())
    assert await store.append([Append(elsewhere, (ClaimChange(PHONE, 0, "1"),))]) == [True]
    raced = False

    async def race(_appends: Sequence[Append]) -> None:
        nonlocal raced
        if not raced:
            raced = True
            later = changed(elsewhere, seq=2)
            assert await store.append([Append(later, (ClaimChange(PHONE, 1, "9"),))]) == [True]

    await writer_on(InterceptedStore(store, before=race), keys).together(copying, copy("j1"))
    # Taken by 1, by 9, released, taken by 2: 4.
    assert await store.claims([PHONE]) == {PHONE: Claim(PHONE, "2", 4)}


async def test_joint_commands_that_cross_leave_both_done_one_after_the_other(
    writer: Writer,
) -> None:
    await written(writer)
    await asyncio.gather(
        writer.together(copying, copy("there", "1", "2")),
        writer.together(copying, copy("back", "2", "1")),
    )
    # What each had goes to the other, whichever came first.
    assert {"a", "b", "c", "copied"} == set(await lines(writer, "1"))
    assert {"a", "b", "c", "copied"} == set(await lines(writer, "2"))
    assert len(await writer.store.known(["there", "back"])) == 2


async def test_the_same_joint_command_by_two_processes_is_recorded_once(
    store: EventStore, keys: KeyStore
) -> None:
    await written(writer_on(store, keys))
    dones = await asyncio.gather(
        *(writer_on(store, keys).together(copying, copy("j1")) for _ in range(3))
    )
    assert {(done.stream, done.version) for done in dones} == {("customer-2", 3)}
    assert [done.repeated for done in dones].count(False) == 1
    assert await lines(writer_on(store, keys), "1") == ("a", "b", "copied")


async def test_an_append_whose_answer_was_lost_is_found_by_its_id(
    store: EventStore, keys: KeyStore
) -> None:
    await written(writer_on(store, keys))

    async def lose(_appends: Sequence[Append]) -> None:
        raise StoreUnavailable

    intercepted = InterceptedStore(store, after=lose)
    done = await writer_on(intercepted, keys).together(copying, copy("j1"))
    assert done == Done("customer-2", 3, repeated=True)
    assert intercepted.appended == 1


async def test_a_store_that_hangs_is_given_up_at_the_deadline_and_asked_again(
    store: EventStore, keys: KeyStore
) -> None:
    await written(writer_on(store, keys))

    async def hang(_appends: Sequence[Append]) -> None:
        await asyncio.sleep(60)

    intercepted = InterceptedStore(store, before=hang)
    writer = replace(writer_on(intercepted, keys), append_deadline=timedelta(seconds=0.02))
    with pytest.raises(StoreUnavailable):
        await writer.together(copying, copy("j1"))
    assert intercepted.questions.count("known") == FAILURES


async def test_one_that_always_loses_gives_up_after_some_attempts(
    store: EventStore, keys: KeyStore
) -> None:
    direct = writer_on(store, keys)
    await written(direct)
    rounds = 0

    async def outrun(_appends: Sequence[Append]) -> None:
        nonlocal rounds
        rounds += 1
        await direct.one(diary, note(f"rival {rounds}", "1", f"rival {rounds}"))

    writer = writer_on(InterceptedStore(store, before=outrun), keys)
    with pytest.raises(StoreUnavailable, match="faster"):
        await writer.together(copying, copy("j1"))
    assert rounds == ATTEMPTS


async def test_every_commit_says_until_when_it_may_be_written(
    store: EventStore, keys: KeyStore
) -> None:
    await written(writer_on(store, keys))
    seen: list[float | None] = []

    async def watch(appends: Sequence[Append]) -> None:
        seen.extend(append.commit.expires for append in appends)

    began = asyncio.get_running_loop().time()
    await writer_on(InterceptedStore(store, before=watch), keys).together(copying, copy("j1"))
    ended = asyncio.get_running_loop().time()
    assert len(seen) == 2
    for expires in seen:
        assert expires is not None
        assert began + 2 <= expires <= ended + 2


async def test_a_joint_commit_can_be_read_as_plain_events(writer: Writer) -> None:
    await written(writer)
    await writer.together(copying, copy("j1"))
    (commit,) = (await writer.store.read(["customer-2"]))["customer-2"][1:]
    topics = [msgspec.json.decode(decode(text).data)["topic"] for text in commit.events]
    assert topics == ["a", "b"]
