"""The envelope: the same event gives the same bytes, nothing absent is null, moments are exact."""

from datetime import UTC, datetime, timedelta, timezone

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace as changed

from shared.envelope import Causation, Placed, decode, decode_light, encode, event_id
from shared.events.campaign import Broadcast, CampaignDefined, Template
from shared.events.contract import EventData
from shared.events.customer import CustomerRegistered
from shared.events.interaction import ReceiptLine, ReceiptRecorded
from shared.events.segment import SegmentDefined

MORNING = datetime(2017, 12, 1, 9, 30, tzinfo=UTC)
RECEIPT = ReceiptRecorded(
    fact="fact-1",
    source="pos",
    source_id="b-1",
    total=0,
    coupon_lines=0,
    lines=(ReceiptLine(product="p", quantity="0.50", amount=0),),  # type: ignore[arg-type]  # pydantic reads a text
)
PLACED = Placed(
    data=RECEIPT,
    service="interaction",
    stream="interaction-1",
    version=7,
    time=MORNING,
    recorded=MORNING + timedelta(hours=1),
    causation=Causation("c1"),
)


def test_an_event_is_written_in_one_way() -> None:
    assert encode(PLACED) == (
        '{"specversion":"1.0","id":"interaction-1@7","source":"regulars/interaction",'
        '"type":"interaction.receipt_recorded.v1","time":"2017-12-01T09:30:00.000Z",'
        '"recordedtime":"2017-12-01T10:30:00.000Z","stream":"interaction-1","streamversion":7,'
        '"correlationid":"c1","data":{"fact":"fact-1","source":"pos","source_id":"b-1","total":0,'
        '"coupon_lines":0,"lines":[{"product":"p","quantity":"0.50","amount":0}]}}'
    )


def test_everything_that_is_known_is_written() -> None:
    full = changed(
        PLACED,
        subject="1",
        branch="b7",
        causation=Causation("c1", causation="x-1@2", depth=2, history="import-1"),
    )
    written = msgspec.json.decode(encode(full))
    assert list(written) == [
        "specversion", "id", "source", "type", "time", "recordedtime", "stream", "streamversion",
        "correlationid", "subject", "branch", "causationid", "causedepth", "history", "data",
    ]  # fmt: skip
    assert (written["causationid"], written["causedepth"], written["history"]) == (
        "x-1@2", 2, "import-1",
    )  # fmt: skip


@pytest.mark.parametrize(
    "data",
    [
        CustomerRegistered(),
        CustomerRegistered(custom={"a": 1}),
        RECEIPT,
        CampaignDefined(
            campaign="c",
            title="t",
            trigger=Broadcast(segment="s"),
            channel="email",
            topic="marketing",
            template=Template(subject="s", text="t"),
            start=MORNING,
            holdout_percent=10,
        ),
    ],
)
def test_what_is_absent_is_left_out_and_never_null(data: EventData) -> None:
    def nulls(value: object) -> bool:
        if isinstance(value, dict):
            return any(nulls(inner) for inner in value.values())
        if isinstance(value, list):
            return any(nulls(inner) for inner in value)
        return value is None

    assert not nulls(msgspec.json.decode(encode(changed(PLACED, data=data))))


def test_a_null_inside_a_rule_is_content_and_stays() -> None:
    rule = {"field": "language", "equals": None}
    data = SegmentDefined(segment="s", definition=1, title="t", rule=rule)
    assert msgspec.json.decode(encode(changed(PLACED, data=data)))["data"]["rule"] == rule


def test_sealed_data_replaces_the_plain() -> None:
    text = encode(changed(PLACED, data=CustomerRegistered(surname="x")), {"surname": "pii:v1:…"})
    assert msgspec.json.decode(text)["data"] == {"surname": "pii:v1:…"}


@pytest.mark.parametrize(
    "zone", [UTC, timezone(timedelta(hours=-11)), timezone(timedelta(hours=3))]
)
def test_moments_are_written_in_utc_with_milliseconds(zone: timezone) -> None:
    moment = datetime(2018, 1, 2, 0, 0, 0, 7_999, tzinfo=UTC).astimezone(zone)
    written = msgspec.json.decode(encode(changed(PLACED, time=moment)))
    assert written["time"] == "2018-01-02T00:00:00.007Z"


@given(
    time=st.datetimes(
        min_value=datetime(1900, 1, 1),  # noqa: DTZ001 - a bound
        max_value=datetime(2200, 1, 1),  # noqa: DTZ001 - a bound
        timezones=st.timezones(),
    ),
    title=st.text(),
    version=st.integers(min_value=1, max_value=2**53),
)
def test_all_views_read_the_same_event(time: datetime, title: str, version: int) -> None:
    data = SegmentDefined(segment="s", definition=1, title=title, rule={})
    placed = changed(PLACED, data=data, time=time, version=version, subject="1", branch="b7")
    text = encode(placed)
    whole, light = decode(text), decode_light(text.encode())
    assert SegmentDefined.model_validate_json(bytes(whole.data)) == data
    assert bytes(light.data) == bytes(whole.data)
    assert light.id == whole.id == event_id("interaction-1", version)
    assert (light.type, light.stream, light.streamversion) == (
        whole.type, whole.stream, whole.streamversion,
    )  # fmt: skip
    assert (light.subject, light.branch, light.history, light.correlationid) == (
        "1", "b7", None, "c1",
    )  # fmt: skip
    assert timedelta(0) <= time.astimezone(UTC) - light.time < timedelta(milliseconds=1)


def test_reading_needs_no_field_that_may_be_absent() -> None:
    light = decode_light(encode(PLACED).encode())
    assert (light.subject, light.branch, light.history, light.causedepth) == (None, None, None, 0)


@pytest.mark.parametrize(
    "value",
    [b"", b"null", b"[]", b"{}", b"no JSON", b"\xff", b'{"type":"x","stream":"s"}'],
)
def test_what_is_no_event_is_told(value: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        decode_light(value)
    with pytest.raises(msgspec.DecodeError):
        decode(value)


def test_a_field_that_came_later_is_passed_over() -> None:
    text = encode(PLACED).replace('"data":', '"newfield":{"a":[1]},"data":')
    assert decode_light(text.encode()) == decode_light(encode(PLACED).encode())
    assert decode(text) == decode(encode(PLACED))


def test_what_an_event_causes_follows_from_it_one_step_deeper_and_is_of_no_import() -> None:
    told = changed(PLACED, causation=Causation("c1", "x-1@2", depth=2, history="import-1"))
    assert Causation.of(decode_light(encode(told).encode())) == Causation(
        "c1", causation="interaction-1@7", depth=3
    )
