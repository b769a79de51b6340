"""A batch of records into documents: nothing half done, nothing twice, nothing out of order."""

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given as given_hypothesis
from hypothesis import settings
from hypothesis import strategies as st

from shared import telemetry
from shared.eventstore import StoreUnavailable
from shared.keyring import Keyring, MissingKey
from shared.memory import MemoryDocuments, MemoryKeyStore, MemoryParking
from shared.projector import Folder, ParkingFull
from shared.testing import Log, logs_of, note, read, readings, receive
from shared.testing.diaries import diaries, shelves
from tests.unit.folding import KEYS, Desk, commits_of, log_of, with_value

BEHIND = "behind a parked event"


async def test_a_batch_is_two_round_trips_whatever_is_in_it() -> None:
    desk = Desk()
    log = await log_of(*((f"o{n % 10}", f"{n}") for n in range(200)))
    await desk.folder.fold(log)
    assert (desk.documents.loads, desk.documents.writes) == (1, 1)
    # 200 lines of 10 owners, each document written once.
    assert {raw["rev"] for raw in desk.documents.everything()} == {1}
    assert all(len(lines) == 20 for lines in desk.lines().values())


async def test_what_comes_again_changes_nothing() -> None:
    desk = Desk()
    log = await log_of(("anna", "1"), ("anna", "2"), ("ben", "1"), ("anna", "3"))
    await desk.folder.fold(log)
    before = list(desk.documents.everything())
    for again in (log, log[1:], log[:2], log[-1:]):
        await desk.folder.fold(again)
    assert list(desk.documents.everything()) == before
    await desk.folder.fold([*log[:2], *log[:2]])
    assert desk.lines() == {"anna": ["1", "2", "3"], "ben": ["1"]}


@settings(max_examples=60, deadline=None)
@given_hypothesis(data=st.data())
async def test_any_batches_and_any_rewinding_give_the_same_documents(data: st.DataObject) -> None:
    owners = data.draw(st.lists(st.sampled_from("abc"), min_size=1, max_size=14))
    commands = [receive(f"r|{owner}", owner, f"{owner}'s") for owner in sorted(set(owners))]
    commands += [note(f"n|{n}", owner, f"{n}", 1 + n % 2) for n, owner in enumerate(owners)]
    logs: list[Log] = [list(log) for log in logs_of(await commits_of(*commands))]
    opened = diaries(opens=True)
    straight = await read(opened, logs, KEYS)
    assert {name: diary.name for name, diary in straight.items()} == {
        owner: f"{owner}'s" for owner in owners
    }
    assert await read(opened, data.draw(readings(logs)), KEYS) == straight


async def test_a_fold_that_fails_parks_its_key_from_there_on_and_nobody_else() -> None:
    desk = Desk()
    log = await log_of(
        ("anna", "1"), ("anna", "!2"), ("ben", "1"), ("anna", "3"), ("ben", "2"), ("anna", "4")
    )
    await desk.folder.fold(log[:5])
    await desk.folder.fold(log[5:])
    assert desk.lines() == {"anna": ["1"], "ben": ["1", "2"]}
    parked = await desk.parked()
    assert [(offset, key) for offset, key, _ in parked] == [
        (1, b"anna"),
        (3, b"anna"),
        (5, b"anna"),
    ]
    # The class and the place, never what was in it.
    assert parked[0][2].startswith("ValueError in _refuse_broken")
    assert [reason for *_, reason in parked[1:]] == [BEHIND, BEHIND]


async def test_later_events_of_a_parked_key_wait_also_where_they_belong_to_other_documents() -> (
    None
):
    documents, parking = MemoryDocuments(), MemoryParking()
    folder = Folder(shelves(), documents, parking)
    log = await log_of(
        ("anna", "a1"), ("anna", "!b"), ("ben", "b"), ("anna", "a2"), ("ben", "a"), ("anna", "c")
    )
    await folder.fold(log)
    shelved = {raw["_id"]: raw["owners"] for raw in documents.everything()}
    # Of Anna only what came before; her `a2` and `c` are on other shelves, and wait as well.
    assert shelved == {"a": ["anna", "ben"], "b": ["ben"]}
    assert [event.offset for event in await parking.parked([0])] == [1, 3, 5]


DEEP = b"[" * 20_000
UNREADABLE = {
    "no JSON": b"no JSON",
    "nothing": None,
    "empty": b"",
    "not UTF-8": b'{"type":"\xff"}',
    "a list": b"[]",
    "no envelope": b"{}",
    "endlessly deep": b'{"type":"customer.consent_given.v1","data":' + DEEP,
    "cut off": b'{"type":"customer.consent_given.v1","stream":"customer-anna","stre',
}


@pytest.mark.parametrize("value", UNREADABLE.values(), ids=list(UNREADABLE))
async def test_a_record_that_is_no_event_parks_its_key_and_nobody_else(value: bytes | None) -> None:
    desk = Desk()
    log = await log_of(("anna", "1"), ("anna", "2"), ("ben", "1"), ("anna", "3"))
    log[1] = with_value(log[1], value)
    await desk.folder.fold(log)
    assert desk.lines() == {"anna": ["1"], "ben": ["1"]}
    parked = await desk.parked()
    assert [offset for offset, *_ in parked] == [1, 3]
    assert parked[0][2].startswith("not readable: ")


WRONG_DATA = {
    "a number": b"5",
    "a list": b"[1]",
    "a text": b'"surname"',
    "null": b"null",
    "another type": b'{"surname":[1]}',
    "a token that is none": b'{"surname":"pii:v1:anna:customer-anna:surname"}',
    "a token of no base64": b'{"surname":"pii:v1:anna:customer-anna:surname:%%%"}',
    "a token that was changed": b'{"surname":"pii:v1:anna:customer-anna:surname:AAAAAAAAAAAAAAAA"}',
}


@pytest.mark.parametrize("data", WRONG_DATA.values(), ids=list(WRONG_DATA))
async def test_data_of_the_wrong_shape_parks_its_key_also_where_it_is_to_be_opened(
    data: bytes,
) -> None:
    desk = Desk(diaries(opens=True))
    commits = await commits_of(receive("r|1", "anna", "A"), note("n|1", "ben", "1"))
    (anna,), (ben,) = logs_of(commits)
    head = anna.value.partition(b'"data":')[0]
    wrong = with_value(anna, head + b'"data":' + data + b"}")
    await desk.folder.fold([wrong, replace(ben, partition=0, offset=1)])
    assert desk.lines() == {"ben": ["1"]}
    ((offset, key, reason),) = await desk.parked()
    assert (offset, key) == (0, b"anna")
    assert reason.startswith("not readable: ")


async def test_a_record_without_a_key_stands_for_itself_alone() -> None:
    desk = Desk()
    log = await log_of(("anna", "1"), ("anna", "2"), ("anna", "3"))
    nobody = replace(with_value(log[1], b"?"), key=None)  # type: ignore[arg-type]  # Kafka takes it
    await desk.folder.fold([log[0], nobody, log[1], log[2]])
    assert desk.lines() == {"anna": ["1", "2", "3"]}
    ((_, key, _),) = await desk.parked()
    assert key == b"customer.events.v1/0/1"


async def test_a_type_that_nobody_knows_is_counted_and_passed_over() -> None:
    desk = Desk(diaries("unknown_types_v1"))
    log = await log_of(("anna", "1"), ("anna", "2"), ("anna", "3"))
    log[1] = with_value(
        log[1], log[1].value.replace(b"customer.consent_given.v1", b"moon.risen.v9")
    )
    before = _unknown_types()
    # The stream is read whole, and a version that nobody can read is missing for good: so this
    # read model parks. One that does not read whole streams goes on.
    documents = MemoryDocuments()
    parking = MemoryParking()
    await Folder(shelves(), documents, parking).fold(log)
    assert [raw["owners"] for raw in documents.everything()] == [["anna"], ["anna"]]
    assert await parking.count() == 0
    await desk.folder.fold(log[:2])
    assert _unknown_types() == before + 1
    assert desk.lines() == {"anna": ["1"]}


def _unknown_types() -> float:
    found = [
        sample.value
        for metric in telemetry.UNKNOWN_TYPES.collect()
        for sample in metric.samples
        if sample.name.endswith("_total") and sample.labels == {"reader": "unknown_types_v1"}
    ]
    return sum(found)


async def test_a_gap_parks_a_document_that_reads_whole_streams() -> None:
    desk = Desk()
    log = await log_of(("anna", "1"), ("anna", "2"), ("anna", "3"), ("ben", "1"))
    await desk.folder.fold([log[0], log[2], log[3]])
    assert desk.lines() == {"anna": ["1"], "ben": ["1"]}
    assert await desk.parked() == [(2, b"anna", "version 2 is missing before 3")]


async def test_a_lost_guard_is_answered_by_folding_that_document_again() -> None:
    desk = Desk()
    log = await log_of(("anna", "1"), ("anna", "2"), ("ben", "1"), ("carl", "1"))
    rival = desk.another(diaries())
    desk.documents.rivals = [rival]
    # The other worker was a little ahead with Anna, and has never seen Ben.
    desk.documents.rival_records = log[:2]
    await desk.folder.fold(log)
    assert desk.lines() == {"anna": ["1", "2"], "ben": ["1"], "carl": ["1"]}
    revisions = {raw["_id"]: raw["rev"] for raw in desk.documents.everything()}
    # The rival had folded all there was of Anna: nothing was left to write.
    assert revisions == {"anna": 1, "ben": 1, "carl": 1}


async def test_a_worker_that_was_frozen_cannot_set_a_document_back() -> None:
    desk = Desk()
    log = await log_of(*(("anna", f"{n}") for n in range(6)))
    # Frozen with three lines in hand, while another folded all of them.
    desk.documents.rivals = [desk.another(diaries())]
    desk.documents.rival_records = log
    await desk.folder.fold(log[:3])
    assert desk.lines() == {"anna": ["0", "1", "2", "3", "4", "5"]}
    assert [raw["rev"] for raw in desk.documents.everything()] == [1]


async def test_the_same_batch_again_after_the_database_was_away() -> None:
    desk = Desk()
    log = await log_of(("anna", "1"), ("anna", "!2"), ("ben", "1"))
    desk.documents.absences = 1
    with pytest.raises(StoreUnavailable):
        await desk.folder.fold(log)
    assert desk.lines() == {}
    await desk.folder.fold(log)
    assert desk.lines() == {"anna": ["1"], "ben": ["1"]}
    assert [offset for offset, *_ in await desk.parked()] == [1]


async def test_too_much_parked_stops_the_worker() -> None:
    desk = Desk(limit=2)
    log = await log_of(("anna", "!1"), ("ben", "!1"), ("carl", "!1"))
    await desk.folder.fold(log[:2])
    with pytest.raises(ParkingFull, match="has parked 3 events, the limit is 2"):
        await desk.folder.fold(log[2:])


async def test_a_key_that_is_missing_stops_and_never_parks() -> None:
    desk = Desk(diaries(opens=True))
    desk.folder = Folder(
        diaries(opens=True), desk.documents, desk.parking, Keyring(MemoryKeyStore(), KEYS.master)
    )
    ((record,),) = logs_of(await commits_of(receive("r|1", "anna", "A")))
    with pytest.raises(MissingKey):
        await desk.folder.fold([record])
    assert await desk.parking.count() == 0


async def test_sealed_fields_are_not_opened_for_who_does_not_ask() -> None:
    desk = Desk()
    ((record,),) = logs_of(await commits_of(receive("r|1", "anna", "A")))
    await desk.folder.fold([record])
    (raw,) = desk.documents.everything()
    assert raw["name"].startswith("pii:v1:anna:customer-anna:surname:")


async def test_whoever_waits_is_told_after_each_batch_and_not_before_it_is_durable() -> None:
    desk = Desk()
    told: Counter[int] = Counter()
    desk.folder.on_folded = lambda: told.update([len(desk.lines())])
    await desk.folder.fold(await log_of(("anna", "1"), ("ben", "1")))
    assert told == {2: 1}


async def test_types_that_a_whole_document_does_not_read_move_its_version_on() -> None:
    # 1 is read, 2 is of a type that nobody had told of, 3 is read: no gap.
    log = await log_of(("anna", "1"), ("anna", "2"), ("anna", "3"))
    unread = b'"type":"customer.consent_given.v1"'
    value = log[1].value or b""
    assert unread in value
    log[1] = with_value(log[1], value.replace(unread, b'"type":"customer.whatever.v9"'))
    desk = Desk()
    await desk.folder.fold(log)
    assert desk.lines() == {"anna": ["1", "3"]}
    assert [raw["versions"] for raw in desk.documents.everything()] == [{"customer-anna": 3}]
