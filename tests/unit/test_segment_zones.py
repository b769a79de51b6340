"""Whose days count is noted in the log, and is part of the rule set."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from faststream.kafka import KafkaBroker
from msgspec import Raw

from services.segment.consumers.zones import ZoneReaction, noted_of
from services.segment.domain import rule_set
from services.segment.domain.zones import NOTING, ZONES, NoteZone
from services.segment.engine.stepping import Engine
from services.segment.engine.telling import Registered
from services.segment.handlers.definitions import load_rules
from services.segment.handlers.zones import note_chain
from shared.clock import ManualClock
from shared.envelope import Causation, Envelope, Light, Placed, decode, encode
from shared.events.contract import EventData
from shared.events.segment import SegmentDefined, SegmentEntered, ZoneNoted
from shared.execute import Writer
from shared.kafka import KafkaUrl
from shared.keyring import Keyring
from shared.memory import MemoryEventStore, MemoryKeyStore
from shared.projection import Event
from shared.testing import given
from shared.testing.reading import LoggedRecord

NOW = datetime(2026, 1, 1, tzinfo=UTC)
MOSCOW = ZoneNoted(zone="Europe/Moscow", version=0)
SAMARA = ZoneNoted(branch="12", zone="Europe/Samara", version=3)
BIRTHDAY: dict[str, Any] = {
    "kind": "date", "field": "birth_date", "yearly": True, "test": {"op": "today"}
}  # fmt: skip
OF_BRANCH = {**BIRTHDAY, "zone": "branch"}
BOUGHT: dict[str, Any] = {
    "kind": "receipts", "aggregate": "count", "compare": {"op": ">=", "value": 1}
}  # fmt: skip


def note(branch: str | None, zone: str, version: int = 0) -> NoteZone:
    return NoteZone(branch, zone, version, NOW)


def test_a_zone_is_noted_once() -> None:
    given(NOTING).when(note("12", "Europe/Samara", 3)).then([SAMARA])
    given(NOTING, [SAMARA]).when(note("12", "Europe/Samara", 4)).then_nothing()


def test_what_a_branch_said_before_changes_nothing() -> None:
    given(NOTING, [SAMARA]).when(note("12", "Europe/Moscow", 2)).then_nothing()
    moved = ZoneNoted(branch="12", zone="Europe/Moscow", version=4)
    given(NOTING, [SAMARA]).when(note("12", "Europe/Moscow", 4)).then([moved])


def test_a_chain_is_in_utc_until_it_is_elsewhere() -> None:
    given(NOTING).when(note(None, "UTC")).then_nothing()
    given(NOTING).when(note(None, "Europe/Moscow")).then([MOSCOW])
    given(NOTING, [MOSCOW]).when(note(None, "UTC")).then([ZoneNoted(zone="UTC", version=0)])


def test_a_zone_that_nobody_knows_is_not_noted() -> None:
    given(NOTING).when(note("12", "Europe/Atlantis", 3)).then_nothing()


def told(data: EventData, stream: str, version: int, at: datetime) -> Envelope:
    placed = Placed(
        data=data, service="segment", stream=stream, version=version, time=at, recorded=at,
        causation=Causation(correlation=f"why-{version}"),
    )  # fmt: skip
    return decode(encode(placed))


def defined(name: str, rule: dict[str, Any]) -> Envelope:
    data = SegmentDefined(segment=name, definition=1, title=name, rule=rule)
    return told(data, f"segment-{name}", 1, NOW)


DEFINED = [defined("a", BIRTHDAY), defined("b", OF_BRANCH), defined("c", BOUGHT)]
LATER = NOW + timedelta(days=1)


def test_zones_count_in_the_number_of_the_rule_set() -> None:
    rules = rule_set([*DEFINED, told(MOSCOW, ZONES, 1, LATER), told(SAMARA, ZONES, 2, LATER)])
    assert (rules.number, rules.at) == (5, LATER)
    assert rules.surroundings.zone == "Europe/Moscow"
    assert rules.surroundings.zone_of("12") == "Europe/Samara"
    assert rules.surroundings.zone_of("13") == rules.surroundings.zone_of(None) == "Europe/Moscow"


@pytest.mark.parametrize(
    ("noted", "again"), [(MOSCOW, {"a", "b"}), (SAMARA, {"b"})], ids=["chain", "branch"]
)
def test_rules_that_count_such_days_are_asked_again(noted: ZoneNoted, again: set[str]) -> None:
    rules = rule_set([*DEFINED, told(noted, ZONES, 1, LATER)])
    assert {name for name, live in rules.every if live.defined_at == LATER} == again
    causes = {name: live.event for name, live in rules.rules.items() if name in again}
    assert set(causes.values()) == {f"{ZONES}@1"}
    assert {live.definition for live in rules.rules.values()} == {1}


def test_a_rule_that_is_younger_than_the_zone_rests_on_its_definition() -> None:
    rules = rule_set([*DEFINED, told(MOSCOW, ZONES, 1, NOW - timedelta(days=1))])
    assert rules.rules["a"].event == "segment-a@1"


def opened(branch: str, zone: str, version: int, kind: str = "branch.opened.v1") -> LoggedRecord:
    event = {
        "specversion": "1.0", "id": f"branches@{version}", "source": "regulars/customer",
        "type": kind, "time": "2026-01-01T00:00:00.000Z",
        "recordedtime": "2026-01-01T00:00:00.000Z", "stream": "branches",
        "streamversion": version, "correlationid": "owner|1",
        "data": {"branch": branch, "titles": {}, "place": {"zone": zone}, "since": "2026-01-01"},
    }  # fmt: skip
    value = json.dumps(event, separators=(",", ":")).encode()
    return LoggedRecord("customer.events.v1", 0, version, b"branches", value)


def test_branches_that_open_or_move_are_read_and_nothing_else() -> None:
    records = [
        opened("12", "Europe/Samara", 3),
        opened("13", "UTC", 4, "branch.changed.v1"),
        LoggedRecord("customer.events.v1", 0, 5, b"x", b'{"type":"branch.moved.v1"}'),
        opened("12", "Europe/Moscow", 6, "branch.moved.v1"),
    ]
    commands = [command for command, _ in noted_of(records)]
    assert [(each.branch, each.zone, each.version) for each in commands] == [
        ("12", "Europe/Samara", 3),
        ("12", "Europe/Moscow", 6),
    ]
    assert [why.causation for _, why in noted_of(records)] == ["branches@3", "branches@6"]


async def test_what_is_read_again_or_set_again_is_noted_once() -> None:
    clock = ManualClock(NOW)
    store = MemoryEventStore()
    writer = Writer(store, Keyring(MemoryKeyStore(), AESGCM(b"m" * 32)), clock, "segment")
    reaction = ZoneReaction(KafkaBroker(), KafkaUrl("nowhere:1"), writer)
    first, second, third = (
        opened("12", "Europe/Samara", 3),
        opened("12", "Europe/Samara", 4),
        opened("12", "Europe/Moscow", 5, "branch.moved.v1"),
    )
    await note_chain(writer, "Europe/Berlin", clock)
    await reaction.react([first, second])
    await reaction.react([third])
    await reaction.react([first, second, third])  # the offsets of a crashed worker
    await note_chain(writer, "Europe/Berlin", clock)
    rules = await load_rules(store)
    assert rules.number == 3
    assert rules.surroundings.branches == {"12": "Europe/Moscow"}
    assert rules.surroundings.zone == "Europe/Berlin"


def test_who_has_the_birthday_there_already_enters_because_of_the_zone_that_was_noted() -> None:
    definitions = [defined("a", BIRTHDAY), defined("b", OF_BRANCH)]
    at = NOW + timedelta(hours=20)
    light = Light(
        "customer.registered.v1", "customer-c1", 1, at, at, Raw(b""), "c1", correlationid="k"
    )
    registered = Registered(birth_date="1990-01-02", home_branch="12")
    before = Engine(rule_set(definitions))
    profile, events = before.step(None, Event(light, registered, 0))
    assert (list(events), profile.due_at) == ([], NOW + timedelta(days=1))
    # In Kamchatka 1 January is over at noon of UTC.
    kamchatka = ZoneNoted(branch="12", zone="Asia/Kamchatka", version=3)
    noted = NOW + timedelta(hours=21)
    after = Engine(rule_set([*definitions, told(kamchatka, ZONES, 1, noted)]))
    profile, events = after.revise(profile, noted)
    (entered,) = events
    assert isinstance(entered.data, SegmentEntered)
    assert (entered.data.segment, entered.time) == ("b", noted)
    assert (entered.data.cause.kind, entered.data.cause.event) == ("definition", f"{ZONES}@1")
    # The other one as before, at midnight of UTC; this one leaves at midnight there.
    profile, events = after.wake(profile, NOW + timedelta(days=3))
    assert [(each.data.segment, each.time - NOW) for each in events] == [  # type: ignore[attr-defined]  # they are transitions
        ("a", timedelta(hours=24)), ("b", timedelta(hours=36)), ("a", timedelta(hours=48))
    ]  # fmt: skip
