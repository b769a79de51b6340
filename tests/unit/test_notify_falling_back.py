"""What did not arrive goes by the next channel, at its moment or at once, or is given up."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from services.notify.channels.doors import doors_of
from services.notify.domain import (
    BeginSending,
    Campaign,
    FallBack,
    GiveUp,
    Stage,
)
from services.notify.domain.delivery import check_delivery
from services.notify.domain.ledger import ReturnSlot
from services.notify.handlers.books.campaigns import Entry, Start
from services.notify.handlers.deciding.choosing import Limits
from services.notify.handlers.deciding.examining import Examination
from services.notify.projections import Contact, QueuedMessage, Recipient
from services.notify.projections.queue import CLOSED
from shared.decider import Refused
from shared.envelope import Causation
from shared.events.campaign import CampaignDefined, OnEntering, Template

Json = Any
NOW = datetime(2018, 1, 2, 12, tzinfo=UTC)
EARLIER = NOW - timedelta(hours=1)
DEFINED = CampaignDefined(
    campaign="c",
    title="C",
    trigger=OnEntering(segment="s"),
    channel="sms",
    fallback=("email",),
    fallback_after="PT6H",
    topic="news",
    template=Template(subject="Hello", text="Hello"),
    start=NOW - timedelta(days=7),
    holdout_percent=0,
)
ANNA = Recipient(
    id="anna",
    registered=True,
    contacts=[
        Contact("phone", "h-phone", "+4930123456"),
        Contact("email", "h-mail", "a@x.example"),
    ],
    consents={"news|sms|": True, "news|email|": True},
)
MESSAGE = QueuedMessage(
    id="m",
    campaign="c",
    customer="anna",
    occurrence="s@1",
    channel="sms",
    bucket=1,
    turn="1|m",
    due=CLOSED,
    recorded=EARLIER,
    scheduled_at=EARLIER,
    changed_at=EARLIER,
    stage=Stage.SCHEDULED,
    correlation="c",
    depth=1,
)


def changed(message: QueuedMessage, **more: Json) -> QueuedMessage:
    return msgspec.structs.replace(message, **more)


BOUNCED = changed(MESSAGE, stage=Stage.BOUNCED, further=True, code="27")
SILENT = changed(MESSAGE, stage=Stage.SENT, further=True, next_at=NOW)


def look(
    definition: CampaignDefined = DEFINED,
    recipient: Recipient = ANNA,
    campaign: Campaign | None = None,
    **more: Json,
) -> Examination:
    """A look at a campaign that runs, with everything read."""
    running = campaign or Campaign(1, definition, "running", run=1)
    start = Start(NOW - timedelta(days=7), NOW - timedelta(days=7), Causation("c"))
    settings: dict[str, Any] = {
        "campaigns": {"c": Entry("c", running, start)},
        "recipients": {"anna": recipient},
        "reached": {"anna": NOW - timedelta(seconds=1)},
        "withheld": frozenset(),
        "deduplicates": {},
        "secret": bytes(32),
        "now": NOW,
        "at": NOW,
        "deadline": 10.0,
        "limits": Limits(doors_of({})),
        "tells": lambda way, _address: way == "sms",
        **more,
    }
    return Examination(**settings)


def commanded(examination: Examination, message: QueuedMessage) -> object:
    plan = examination.plan(message)
    return None if plan is None else plan.command


def test_a_hand_over_says_when_the_next_channel_is_tried() -> None:
    begun = commanded(look(), MESSAGE)
    assert isinstance(begun, BeginSending)
    # Six hours after it began, as the campaign says.
    assert (begun.channel, begun.further, begun.next_at) == ("sms", True, NOW + timedelta(hours=6))


@pytest.mark.parametrize(
    ("more", "further"),
    [
        ({"definition": DEFINED.model_copy(update={"fallback_after": None})}, True),
        ({"tells": lambda _way, _address: False}, True),
        ({"recipient": msgspec.structs.replace(ANNA, contacts=ANNA.contacts[:1])}, False),
    ],
)
def test_no_moment_is_set_where_silence_says_nothing_or_nothing_is_left(
    more: dict[str, Any], *, further: bool
) -> None:
    begun = commanded(look(**more), MESSAGE)
    assert isinstance(begun, BeginSending)
    assert (begun.further, begun.next_at) == (further, None)


def test_what_came_back_goes_by_the_next_channel_and_gives_its_slot_back() -> None:
    plan = look().plan(BOUNCED)
    assert plan is not None
    assert plan.command == FallBack(message="m", at=NOW, channel="sms", reason="bounced", code="27")
    assert plan.slot == ReturnSlot("m", "sms", NOW)
    assert plan.outgoing is None


def test_what_nobody_tells_of_goes_by_the_next_channel_and_keeps_its_slot() -> None:
    plan = look().plan(SILENT)
    assert plan is not None
    assert plan.command == FallBack(message="m", at=NOW, channel="sms", reason="undelivered")
    # It may have arrived all the same.
    assert plan.slot is None


OVER = Campaign(1, DEFINED, "stopped", run=1)


@pytest.mark.parametrize(
    "more",
    [
        {"campaign": OVER},
        {"recipient": msgspec.structs.replace(ANNA, merged="boris")},
        {"recipient": msgspec.structs.replace(ANNA, consents={"news|sms|": True})},
        {"limits": Limits(doors_of({}), suppressed={"h-mail"})},
        {"definition": DEFINED.model_copy(update={"max_age": "PT10M"})},
    ],
    ids=["stopped", "merged", "no consent", "suppressed", "too old"],
)
def test_what_no_other_channel_can_bring_is_given_up(more: dict[str, Any]) -> None:
    up = GiveUp(message="m", at=NOW, channel="sms", reason="bounced")
    assert commanded(look(**more), BOUNCED) == up


@pytest.mark.parametrize(
    "more",
    [
        {"campaign": Campaign(1, DEFINED, "paused", run=1)},
        {"withheld": frozenset({"anna"})},
        {"reached": {"anna": NOW - timedelta(minutes=1)}},
        {"campaigns": {}},
    ],
    ids=["paused", "withheld", "old knowledge", "unknown"],
)
def test_on_old_knowledge_and_in_a_pause_nothing_is_decided(more: dict[str, Any]) -> None:
    for message in (BOUNCED, SILENT):
        assert commanded(look(**more), message) is None


def test_the_channel_that_did_not_reach_is_not_tried_again() -> None:
    begun = commanded(look(), changed(MESSAGE, tried=["sms"]))
    assert isinstance(begun, BeginSending)
    assert (begun.channel, begun.contact, begun.further) == ("email", "h-mail", False)


def test_an_address_on_the_list_gets_nothing() -> None:
    listed = Limits(doors_of({}), suppressed={"h-phone"})
    begun = commanded(look(limits=listed), MESSAGE)
    assert isinstance(begun, BeginSending)
    assert begun.channel == "email"
    both = replace(listed, suppressed={"h-phone", "h-mail"})
    refused = commanded(look(limits=both), MESSAGE)
    assert getattr(refused, "reason", None) == "address_suppressed"


@pytest.mark.parametrize(
    "change", [{"fallback_after": "soon"}, {"fallback_after": "PT0S"}, {"fallback": ()}]
)
def test_a_wait_that_cannot_be_kept_to_is_refused_by_its_field(change: dict[str, Any]) -> None:
    definition = DEFINED.model_copy(update=change)
    with pytest.raises(Refused) as refused:
        check_delivery(definition)
    assert [error.field for error in refused.value.errors] == ["fallback_after"]
