"""Triggers: which enterings give a message, and that nothing else stands in their way."""

from datetime import UTC, datetime, timedelta
from typing import Literal

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from services.notify.consumers import topics_of, trigger_group, triggered
from services.notify.consumers.occasions import occasions
from services.notify.domain import CAMPAIGN
from services.notify.handlers.books.campaigns import Entry, Start
from services.notify.handlers.campaigns.scheduling import Occasion, schedule
from shared.clock import ManualClock
from shared.decider import NewEvent
from shared.envelope import Causation
from shared.events.campaign import (
    Broadcast,
    BroadcastList,
    CampaignDefined,
    CampaignStarted,
    CampaignStopped,
    Condition,
    KnownTrigger,
    OnEntering,
    OnEvent,
    OnLeaving,
    Template,
)
from shared.events.interaction import VisitRecorded
from shared.events.lists import ListCause, ListCauseKind, ListEntered
from shared.events.segment import Cause, CauseKind, SegmentEntered, SegmentExited
from shared.execute import Writer
from shared.keyring import Keyring
from shared.memory import MemoryEventStore, MemoryKeyStore
from shared.testing import LoggedRecord
from shared.testing.facts import records_of, tell

BEGINS = datetime(2017, 12, 1, tzinfo=UTC)
KEYRING = Keyring(MemoryKeyStore(), AESGCM(bytes(32)))
DEFINED = CampaignDefined(
    campaign="we-miss-you",
    title="We miss you",
    trigger=OnEntering(segment="lapsed"),
    channel="email",
    topic="marketing",
    template=Template(subject="s", text="t"),
    start=BEGINS,
    holdout_percent=0,
)
TICK = timedelta(milliseconds=1)


def running(trigger: KnownTrigger, run: int = 1, **more: object) -> Entry:
    """The campaign with another trigger, started with `BEGINS`."""
    definition = DEFINED.model_copy(update={"trigger": trigger, **more})
    campaign = CAMPAIGN.fold([definition, CampaignStarted(campaign="we-miss-you", run=run)])
    return Entry("we-miss-you", campaign, Start(BEGINS, BEGINS, Causation("c")))


RUNNING = running(OnEntering(segment="lapsed"))


def entered(segment: str, at: datetime, kind: CauseKind = "event") -> NewEvent:
    return NewEvent(SegmentEntered(segment=segment, definition=1, cause=Cause(kind=kind)), at)


def exited(segment: str, at: datetime) -> NewEvent:
    return NewEvent(SegmentExited(segment=segment, definition=1, cause=Cause(kind="time")), at)


async def log_of(*events: NewEvent, customer: str = "anna") -> list[LoggedRecord]:
    store = MemoryEventStore()
    writer = Writer(store, KEYRING, ManualClock(BEGINS), "segment")
    await tell(writer, f"membership-{customer}", customer, events)
    return list(records_of(store.commits, BEGINS))


async def test_every_entering_at_or_after_the_start_is_an_occasion_of_its_own() -> None:
    records = await log_of(
        entered("lapsed", BEGINS - TICK),
        exited("lapsed", BEGINS - TICK),
        entered("lapsed", BEGINS),
        exited("lapsed", BEGINS + TICK),
        entered("other", BEGINS + TICK),
        entered("lapsed", BEGINS + TICK),
    )
    found = occasions(RUNNING, records)
    # The third and the sixth transition of the membership stream.
    assert [(each.customer, each.occurrence) for each in found] == [
        ("anna", "lapsed@3"),
        ("anna", "lapsed@6"),
    ]
    assert found[0] == Occasion(
        campaign="we-miss-you",
        customer="anna",
        occurrence="lapsed@3",
        channel="email",
        why=Causation("told", "membership-anna@3", 1),
        occurred=BEGINS,
    )


@pytest.mark.parametrize("kind", ["event", "time", "history", "definition"])
async def test_whatever_causes_an_entering_it_counts(kind: CauseKind) -> None:
    assert len(occasions(RUNNING, await log_of(entered("lapsed", BEGINS, kind)))) == 1


PLACE = b'"streamversion":1,"time":"2018-01-01T00:00:00Z","recordedtime":"2018-01-01T00:00:00Z"'
BROKEN = [
    b"",
    b"no json segment.entered.v1",
    b'{"type": "segment.entered.v1"}',
    b'{"type": "segment.entered.v1", "stream": 7}',
    b"\xff\xfe segment.entered.v1",
    b'{"type":"segment.entered.v1","stream":"s",' + PLACE + b',"data":{}}',
    b'{"type":"segment.entered.v1","stream":"s",' + PLACE + b',"data":{"segment":"lapsed"}}',
    b'{"type":"other.v1","stream":"s",' + PLACE + b',"data":{"note":"segment.entered.v1"}}',
]


async def test_a_merge_or_its_revert_is_no_occasion() -> None:
    log = await log_of(entered("lapsed", BEGINS, kind="merge"))
    assert occasions(RUNNING, log) == []


async def test_broken_and_foreign_records_are_passed_over_and_their_neighbours_are_not() -> None:
    good = await log_of(entered("lapsed", BEGINS))
    broken = [LoggedRecord("topic", 0, 100 + n, b"x", value) for n, value in enumerate(BROKEN)]
    found = occasions(RUNNING, [*broken, *good, *broken])
    assert [each.occurrence for each in found] == ["lapsed@1"]


@given(st.binary(max_size=80))
def test_no_bytes_at_all_stop_a_trigger(value: bytes) -> None:
    for prefix in (b"", b"segment.entered.v1"):
        assert occasions(RUNNING, [LoggedRecord("topic", 0, 0, b"", prefix + value)]) == []


async def test_a_cause_that_is_read_again_or_by_two_gives_one_message() -> None:
    store = MemoryEventStore()
    writer = Writer(store, KEYRING, ManualClock(BEGINS), "notify")
    found = occasions(RUNNING, await log_of(entered("lapsed", BEGINS)))
    first = await schedule(writer, [*found, *found])
    later = Writer(store, KEYRING, ManualClock(BEGINS + TICK), "notify")
    assert (len(first), list(await schedule(later, found))) == (1, [])
    assert len(store.commits) == 1
    commit = store.commits[0]
    assert (commit.stream, commit.key) == (f"message-{first[0].id}", "anna")
    assert '"causationid":"membership-anna@1","causedepth":1' in commit.events[0]


def test_only_running_campaigns_with_a_trigger_read_the_segments() -> None:
    started = CampaignStarted(campaign="we-miss-you", run=1)
    broadcast = DEFINED.model_copy(update={"trigger": Broadcast(segment="lapsed")})
    campaigns = {
        "draft": CAMPAIGN.fold([DEFINED]),
        "running": CAMPAIGN.fold([DEFINED, started]),
        "stopped": CAMPAIGN.fold([DEFINED, started, CampaignStopped(campaign="we-miss-you")]),
        "broadcast": CAMPAIGN.fold([broadcast, started]),
    }
    entries = [Entry(name, campaign) for name, campaign in campaigns.items()]
    assert list(triggered(entries)) == ["running"]
    assert trigger_group("running") == "notify.campaign.running"


async def test_each_leaving_is_an_occasion_but_for_merges() -> None:
    leaving = running(OnLeaving(segment="lapsed"))
    log = await log_of(entered("lapsed", BEGINS), exited("lapsed", BEGINS), exited("other", BEGINS))
    assert [each.occurrence for each in occasions(leaving, log)] == ["lapsed@2"]
    merged = SegmentExited(segment="lapsed", definition=1, cause=Cause(kind="merge"))
    assert occasions(leaving, await log_of(NewEvent(merged, BEGINS))) == []


async def test_nothing_from_the_end_on_is_an_occasion() -> None:
    ending = running(OnEntering(segment="lapsed"), end=BEGINS + TICK)
    log = await log_of(entered("lapsed", BEGINS), entered("lapsed", BEGINS + TICK))
    assert [each.occurrence for each in occasions(ending, log)] == ["lapsed@1"]


async def test_who_enters_while_a_broadcast_is_followed_gets_its_run_once() -> None:
    followed = running(Broadcast(segment="coupon", follow=True), run=2)
    log = await log_of(
        entered("coupon", BEGINS - TICK),
        entered("other", BEGINS),
        entered("coupon", BEGINS),
        entered("coupon", BEGINS + TICK),
    )
    found = occasions(followed, log)
    assert {(each.customer, each.occurrence) for each in found} == {("anna", "run-2")}
    writer = Writer(MemoryEventStore(), KEYRING, ManualClock(BEGINS), "notify")
    assert len(await schedule(writer, found)) == 1
    assert occasions(running(Broadcast(segment="coupon")), log) == []


def listed(name: str, at: datetime, kind: ListCauseKind = "hand") -> NewEvent:
    return NewEvent(ListEntered(list=name, cause=ListCause(kind=kind)), at)


async def test_who_is_put_on_a_list_while_its_broadcast_is_followed_gets_its_run_once() -> None:
    followed = running(BroadcastList(list="vip", follow=True), run=2)
    log = await log_of(
        listed("vip", BEGINS - TICK),
        listed("other", BEGINS),
        listed("vip", BEGINS, "merge"),
        listed("vip", BEGINS + TICK),
    )
    found = occasions(followed, log)
    assert [(each.occurrence, each.occurred) for each in found] == [("run-2", BEGINS + TICK)]
    assert occasions(running(BroadcastList(list="vip")), log) == []
    assert topics_of(followed) == ("list.events.v1",)
    assert topics_of(running(BroadcastList(list="vip"))) == ()


def visit(at: datetime, state: Literal["booked", "missed"] = "booked") -> NewEvent:
    return NewEvent(
        VisitRecorded(fact="f", visit="v", state=state, source="web", source_id="1"), at
    )


async def test_each_event_of_a_type_that_fits_is_an_occasion() -> None:
    booked = Condition(field="state", test="equals", value="booked")
    campaign = running(OnEvent(event=VisitRecorded.type, where=(booked,)))
    log = await log_of(visit(BEGINS - TICK), visit(BEGINS), visit(BEGINS, "missed"))
    found = occasions(campaign, log)
    assert [(each.customer, each.occurrence) for each in found] == [("anna", "membership-anna@2")]
    assert occasions(campaign, await log_of(entered("lapsed", BEGINS))) == []


def test_each_campaign_listens_to_the_topic_of_its_trigger() -> None:
    assert topics_of(RUNNING) == ("segment.events.v1",)
    assert topics_of(running(OnLeaving(segment="s"))) == ("segment.events.v1",)
    assert topics_of(running(OnEvent(event=VisitRecorded.type))) == ("interaction.events.v1",)
    assert topics_of(running(OnEvent(event="customer.registered.v1"))) == ("customer.events.v1",)
    assert topics_of(running(Broadcast(segment="s", follow=True))) == ("segment.events.v1",)
    assert topics_of(running(Broadcast(segment="s"))) == ()
