"""What must always hold (design, section 12), read from Kafka and MongoDB themselves.

Every function here fails with what is wrong; none looks at logs or at what a process says.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from aiokafka import ConsumerRecord, TopicPartition

from shared.envelope import decode_light
from shared.events import TOPICS
from shared.eventstore import Commit
from shared.kafka import KafkaUrl, partition_of
from shared.keyring import Keyring
from shared.mongo import Database, MongoCommitLog, MongoParking
from shared.projection import Event
from shared.projector.decoding import Decoder
from shared.readmodel import RawDocument
from shared.testing.diaries import Diary, Habit, Habits, diaries, habit_stream
from shared.testing.kafka_log import committed_offsets, read_partitions

PARTITIONS = 3
Log = Mapping[TopicPartition, Sequence[ConsumerRecord]]
Stories = Mapping[str, Sequence[Event]]
"""Per customer the events in the order of their first appearance."""


async def commits_in(database: Database) -> Sequence[Commit]:
    """All commits, by stream and seq."""
    commits = [commit async for batch in MongoCommitLog(database).all() for commit in batch]
    return sorted(commits, key=lambda commit: commit.id)


def check_commits(commits: Sequence[Commit]) -> None:
    """2. Stream versions are dense, commits do not overlap, one command has one commit."""
    seqs: dict[str, int] = defaultdict(int)
    versions: dict[str, int] = defaultdict(int)
    commands: set[str] = set()
    for commit in commits:
        seqs[commit.stream] += 1
        assert commit.seq == seqs[commit.stream], f"{commit.id} follows {seqs[commit.stream] - 1}"
        for text in commit.events:
            light = decode_light(text.encode())
            versions[commit.stream] += 1
            assert light.stream == commit.stream
            assert light.streamversion == versions[commit.stream], f"{light.id} in {commit.id}"
        assert commit.version == versions[commit.stream], commit.id
        for mark in commit.commands:
            assert mark.id not in commands, f"{mark.id} twice"
            commands.add(mark.id)


async def topic_log(kafka: KafkaUrl, service: str = "customer") -> Log:
    """What the topics of a service hold."""
    places = [
        TopicPartition(kafka.topic(topic), partition)
        for topic in TOPICS[service]
        for partition in range(PARTITIONS)
    ]
    return await read_partitions(kafka.bootstrap, places)


def check_topics(commits: Sequence[Commit], log: Log, *, whole: bool = True) -> None:
    """1 and 3. Just the events of the commits, first in version order, in the key's partition.

    Where not the `whole` is there yet, what is there is a prefix of each stream.
    """
    recorded = {
        decode_light(text.encode()).id: (text.encode(), commit.key.encode())
        for commit in commits
        for text in commit.events
    }
    place_of = partition_of(PARTITIONS)
    highest: dict[str, int] = defaultdict(int)
    seen: set[str] = set()
    for place, records in log.items():
        for record in records:
            light = decode_light(record.value)
            assert light.id in recorded, f"{light.id} has no commit"
            assert (record.value, record.key) == recorded[light.id]
            assert place.partition == place_of(record.key), f"{light.id} in {place}"
            if light.id not in seen:
                assert light.streamversion == highest[light.stream] + 1, (
                    f"{light.id} first appears after version {highest[light.stream]}"
                )
                highest[light.stream] = light.streamversion
                seen.add(light.id)
    missing = recorded.keys() - seen if whole else set()
    assert not missing, f"{len(missing)} events are not in Kafka, such as {min(missing)}"


async def stories_in(log: Log, keyring: Keyring) -> Stories:
    """The events as a fold sees them, each once."""
    decoder = Decoder("stories", diaries().reads, keyring)
    stories: dict[str, list[Event]] = defaultdict(list)
    for records in log.values():
        seen: set[str] = set()
        for entry in await decoder.decode(records):
            assert isinstance(entry.outcome, Event)
            if entry.outcome.light.id not in seen:
                seen.add(entry.outcome.light.id)
                stories[entry.outcome.light.subject or ""].append(entry.outcome)
    return stories


async def documents_in(database: Database, name: str) -> Mapping[str, RawDocument]:
    """All documents of a read model."""
    found = await database.collection(name).find({})
    return {raw["_id"]: raw for raw in found}


async def check_diaries(database: Database, name: str, stories: Stories) -> None:
    """5 and 7. Each diary is the fold of its events, up to the first that cannot be read."""
    documents = await documents_in(database, name)
    apply = diaries().apply
    parked: dict[str, set[int]] = {}
    for owner, events in stories.items():
        diary: Diary | None = None
        for position, event in enumerate(events):
            try:
                diary = apply(diary, event)
            except ValueError:
                parked[owner] = {each.light.streamversion for each in events[position:]}
                break
            diary.versions[event.light.stream] = event.light.streamversion
        expected = None if diary is None else _plain(diary)
        assert _plain_of(documents.get(owner), Diary) == expected, owner
    assert documents.keys() <= stories.keys()
    await _check_parked(database, name, parked)


async def check_habits(database: Database, name: str, stories: Stories) -> None:
    """2, 5 and 7. Each habit and its transitions are those that its events give."""
    documents = await documents_in(database, name)
    commits = await commits_in(database)
    check_commits(commits)
    logged: dict[str, list[tuple[str, Any]]] = defaultdict(list)
    for commit in commits:
        assert len(commit.commands) == 1
        for text in commit.events:
            light = decode_light(text.encode())
            logged[commit.stream].append((light.type, msgspec.json.decode(light.data)))
    parked: dict[str, set[int]] = {}
    for owner, events in stories.items():
        habit: Habit | None = None
        transitions: list[tuple[str, Any]] = []
        for position, event in enumerate(events):
            try:
                habit, given = Habits().step(habit, event)
            except ValueError:
                parked[owner] = {each.light.streamversion for each in events[position:]}
                break
            habit.versions[event.light.stream] = event.light.streamversion
            transitions += [
                (new.data.type, new.data.model_dump(mode="json", exclude_none=True))
                for new in given
            ]
        stored = documents.get(owner)
        if habit is not None and stored is not None:
            habit.stream_seq = stored.get("stream_seq", 0)
            habit.stream_version = len(transitions)
        assert _plain_of(stored, Habit) == (None if habit is None else _plain(habit)), owner
        assert logged.get(habit_stream(owner), []) == transitions, owner
    assert documents.keys() <= stories.keys()
    await _check_parked(database, name, parked)


def _plain(document: Diary | Habit) -> dict[str, Any]:
    return {**msgspec.to_builtins(document), "rev": 0}


def _plain_of(raw: RawDocument | None, kind: type[Diary | Habit]) -> dict[str, Any] | None:
    return None if raw is None else _plain(msgspec.convert(raw, kind))


async def _check_parked(database: Database, name: str, expected: Mapping[str, set[int]]) -> None:
    """Just these versions per key; what had been applied before may be parked too."""
    parked: dict[str, set[int]] = defaultdict(set)
    for event in await MongoParking(database, name).parked(range(PARTITIONS)):
        parked[event.key.decode()].add(decode_light(event.value).streamversion)
    assert parked.keys() == expected.keys()
    for owner, versions in expected.items():
        assert versions <= parked[owner], owner


async def check_offsets(
    kafka: KafkaUrl, group: str, log: Log, database: Database, name: str
) -> None:
    """4. All below the committed offsets is applied or parked."""
    documents = await documents_in(database, name)
    parked = {event.key for event in await MongoParking(database, name).parked(range(PARTITIONS))}
    for place, offset in (await committed_offsets(kafka.bootstrap, kafka.topic(group))).items():
        for record in log[place][: max(0, offset)]:
            light = decode_light(record.value)
            versions = documents.get(light.subject or "", {}).get("versions", {})
            applied = versions.get(light.stream, 0) >= light.streamversion
            assert applied or record.key in parked, f"{light.id} lies below a committed offset"
