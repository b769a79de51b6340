"""Members are right whatever is repeated; profiles read the public events, and survive storage."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import bson
import msgspec
import pytest
from bson.codec_options import CodecOptions
from hypothesis import given, settings
from hypothesis import strategies as st

from services.segment.engine.facts import fact_of
from services.segment.engine.happening import key_of
from services.segment.engine.profile import Profile, Waiting
from services.segment.engine.stepping import Engine
from services.segment.projections import (
    FOREVER,
    Because,
    Member,
    member_id,
    members_v2,
    profiles_v2,
)
from services.segment.rules.happened import Details, Happened, Names, details_of
from services.segment.rules.reading import parse_rule
from services.segment.rules.ruleset import LiveRule, RuleSet
from services.segment.rules.words import Attribute, Consent
from shared.envelope import Causation, Placed, decode_light, encode
from shared.events import EVENT_TYPES
from shared.events.contract import EventData
from shared.events.customer import ConsentGiven, ConsentWithdrawn, CustomerRegistered, Evidence
from shared.events.imports import ImportEnded
from shared.events.interaction import ReceiptRecorded
from shared.events.segment import Cause, SegmentEntered, SegmentExited
from shared.projection import Event, Projection

NOW = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
BOUGHT = {
    "kind": "receipts",
    "aggregate": "count",
    "within": "P30D",
    "compare": {"op": ">=", "value": 1},
}
RULES = RuleSet(1, {"bought": LiveRule(1, parse_rule(BOUGHT), NOW, "segment-bought@1", "k")}, NOW)
PROFILES = profiles_v2(Engine(RULES))


def as_read(
    projection: Projection[Any],
    data: EventData,
    stream: str,
    version: int,
    time: datetime = NOW,
    **more: Any,  # noqa: ANN401 - fields of any kind
) -> Event:
    """The event as the runner hands it over, through the bytes that Kafka holds."""
    history = more.pop("history", None)
    placed = Placed(
        data, "test", stream, version, time, more.pop("recorded", time),
        Causation("k", history=history), **({"subject": "c1"} | more),
    )  # fmt: skip
    light = decode_light(encode(placed).encode())
    struct = projection.reads[light.type]
    return Event(light, msgspec.json.decode(light.data, type=struct), 3)


def entered(version: int, hours: int, segment: str = "new") -> Event:
    data = SegmentEntered(segment=segment, definition=1, cause=Cause(kind="event", event="e@1"))
    return as_read(members_v2, data, "membership-c1", version, NOW + hours * HOUR)


def exited(version: int, hours: int, segment: str = "new") -> Event:
    data = SegmentExited(segment=segment, definition=1, cause=Cause(kind="time"))
    return as_read(members_v2, data, "membership-c1", version, NOW + hours * HOUR)


def fold(events: Sequence[Event], members: dict[str, Member] | None = None) -> dict[str, Member]:
    """What the runner does: by document, and only versions that the document has not."""
    folded = dict(members or {})
    for event in events:
        target = members_v2.target(event)
        assert isinstance(target, str)
        have = folded.get(target)
        if have is None or have.versions.get(event.light.stream, 0) < event.light.streamversion:
            after = members_v2.apply(have, event)
            after.versions = {event.light.stream: event.light.streamversion}
            folded[target] = after
    return folded


# Members


def test_who_enters_is_a_member_from_then_on() -> None:
    (member,) = fold([entered(1, 0)]).values()
    assert (member.id, member.segment, member.customer) == ("new|c1", "new", "c1")
    assert member.current
    (interval,) = member.intervals
    assert (interval.entered, interval.exited, interval.entered_version) == (NOW, FOREVER, 1)
    assert interval.entered_because == Because("event", "e@1")


def test_who_leaves_was_a_member_until_then() -> None:
    (member,) = fold([entered(1, 0), exited(2, 5)]).values()
    assert not member.current
    (interval,) = member.intervals
    assert (interval.entered, interval.exited) == (NOW, NOW + 5 * HOUR)
    assert (interval.exited_version, interval.exited_because) == (2, Because("time"))


def test_each_stay_is_an_interval_also_one_of_no_length() -> None:
    events = [entered(1, 0), exited(2, 5), entered(3, 5), exited(4, 5), entered(5, 9)]
    (member,) = fold(events).values()
    hours = [(one.entered - NOW) // HOUR for one in member.intervals]
    assert hours == [0, 5, 9]
    assert member.current


def test_segments_have_documents_of_their_own() -> None:
    members = fold([entered(1, 0), entered(2, 0, "old"), exited(3, 1)])
    assert {key: member.current for key, member in members.items()} == {
        member_id("new", "c1"): False,
        member_id("old", "c1"): True,
    }


def test_what_queries_look_for_is_always_stored() -> None:
    (member,) = fold([entered(1, 0), exited(2, 5)]).values()
    stored = msgspec.to_builtins(member, builtin_types=(datetime,))
    assert stored["current"] is False
    assert stored["intervals"][0]["exited"] == NOW + 5 * HOUR


def test_a_log_that_does_not_take_turns_is_a_fault() -> None:
    with pytest.raises(ValueError, match="membership-c1@2 enters or leaves new twice in a row"):
        fold([entered(1, 0), entered(2, 1)])
    with pytest.raises(ValueError, match="twice in a row"):
        fold([exited(1, 0)])


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_repeating_and_rewinding_the_log_change_nothing(data: st.DataObject) -> None:
    log = [
        (entered if number % 2 == 0 else exited)(2 * number + offset + 1, number, segment)
        for number in range(6)
        for offset, segment in enumerate(["new", "old"])
    ]
    once = fold(log)
    read: dict[str, Member] = {}
    place = 0
    while place < len(log):
        start = data.draw(st.integers(0, place))
        place = data.draw(st.integers(place + 1, len(log)))
        read = fold(log[start:place], read)
    assert read == once


# Profiles


def evidence() -> Evidence:
    return Evidence(source="till")


def receipt(total: int = 100, coupon_lines: int = 0) -> ReceiptRecorded:
    return ReceiptRecorded(
        fact="f", source="pos", source_id="1", total=total, coupon_lines=coupon_lines, lines=()
    )


def stepped(event: Event) -> Profile:
    assert PROFILES.projection.target(event) == "c1"
    profile, _ = PROFILES.step(None, event)
    return profile


def test_the_light_structs_read_what_the_public_models_write() -> None:
    for kind, struct in {**PROFILES.projection.reads, **members_v2.reads}.items():
        names = {field.name for field in msgspec.structs.fields(struct)}
        assert names <= set(EVENT_TYPES[kind].model_fields), kind


def test_a_receipt_is_read_with_its_branch_and_coupons() -> None:
    event = as_read(
        PROFILES.projection, receipt(250, 2), "interaction-c1", 4, recorded=NOW + HOUR, branch="12"
    )
    milliseconds = int(NOW.timestamp() * 1000)
    read = fact_of(event, Names)
    assert isinstance(read, Happened)
    told = (milliseconds, 4, 250, "12", key_of("f"))
    assert (read.time, read.version, read.number, read.branch, read.key) == told
    assert details_of(read) == Details(source="pos", coupon=True)
    profile = stepped(event)
    assert (profile.partition, profile.clock) == (3, NOW + HOUR)


def test_a_registration_is_read_with_custom_fields() -> None:
    data = CustomerRegistered(
        home_branch="12", language="de", surname="x", custom={"size": 3, "tags": ("a", "b")}
    )
    profile = stepped(as_read(PROFILES.projection, data, "customer-c1", 1))
    assert {one.field: one.value for one in profile.words if isinstance(one, Attribute)} == {
        "home_branch": "12",
        "language": "de",
        "surname": "x",
        "custom.size": 3,
        "custom.tags": ("a", "b"),
        "registered": int(NOW.timestamp() * 1000),
    }


@pytest.mark.parametrize("kind", [ConsentGiven, ConsentWithdrawn])
def test_a_consent_is_read(kind: type[ConsentGiven | ConsentWithdrawn]) -> None:
    data = kind(topic="news", channel="email", evidence=evidence())
    words = stepped(as_read(PROFILES.projection, data, "customer-c1", 2)).words
    (word,) = (each for each in words if isinstance(each, Consent))
    assert (word.topic, word.channel, word.given) == ("news", "email", kind is ConsentGiven)


def test_an_end_of_an_import_belongs_to_no_profile_but_stops_the_partition() -> None:
    data = ImportEnded(import_id="i", facts=0)
    event = as_read(PROFILES.projection, data, "import-i", 2, subject=None)
    assert PROFILES.projection.target(event) is None
    assert PROFILES.barriers == {ImportEnded.type}
    assert PROFILES.projection.topics == (
        "customer.events.v1", "interaction.events.v1", "deal.events.v1", "notification.events.v1",
        "list.events.v1",
    )  # fmt: skip


def test_a_profile_comes_back_from_storage_as_it_went() -> None:
    projection = PROFILES.projection
    registration = CustomerRegistered(custom={"a.$b": 2**40, "": ("x",)})
    consent = ConsentGiven(topic="a.b", channel="sms", evidence=evidence())
    profile: Profile | None = None
    for event in (
        as_read(projection, registration, "customer-c1", 1),
        as_read(projection, consent, "customer-c1", 2),
        as_read(projection, receipt(), "interaction-c1", 1, branch="1"),
        as_read(projection, receipt(2**40), "interaction-c1", 2, history="i"),
    ):
        profile, _ = PROFILES.step(profile, event)
    assert profile is not None
    assert isinstance(profile.waiting[0], Waiting)
    assert "bought" in profile.memberships
    raw = bson.encode(msgspec.to_builtins(profile, builtin_types=(datetime,)))
    codec: CodecOptions[dict[str, Any]] = CodecOptions(tz_aware=True, tzinfo=UTC)
    assert msgspec.convert(bson.decode(raw, codec), Profile) == profile


def test_the_number_of_the_rule_set_is_always_stored() -> None:
    folded = PROFILES.projection.apply(
        None, as_read(PROFILES.projection, receipt(), "interaction-c1", 1)
    )
    assert msgspec.to_builtins(folded)["rules"] == 0


def test_the_stream_of_transitions_is_the_customers() -> None:
    assert PROFILES.stream("c1") == "membership-c1"
