"""Campaigns and messages: what follows from a command, and what does not any more."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given as given_any
from hypothesis import strategies as st

from services.notify.domain import (
    BUCKETS,
    CAMPAIGN,
    MESSAGE,
    BeginSending,
    Defer,
    DefineCampaign,
    Facts,
    FreezeAudience,
    HoldOut,
    Knowledge,
    RecordFailed,
    RecordSent,
    RecordUncertain,
    Reject,
    Release,
    Schedule,
    StartCampaign,
    StopCampaign,
    Suppress,
    Verdict,
    Wait,
    bucket_of,
    is_held_out,
    message_id,
    occurrence_of_entering,
    occurrence_of_run,
    verdict,
)
from services.notify.domain.message import MAX_REFUSALS, MessageCommand
from shared.decider import NewEvent, Refused
from shared.events.campaign import (
    AudienceFrozen,
    Broadcast,
    CampaignDefined,
    CampaignDefinedV1,
    CampaignStarted,
    CampaignStopped,
    OnEntering,
    OnEnteringV1,
    Template,
    TemplateV1,
)
from shared.events.contract import EventData
from shared.events.notification import (
    MessageDeferred,
    MessageFailed,
    MessageHeldOut,
    MessageScheduled,
    MessageSending,
    MessageSent,
    MessageSuppressed,
    MessageUncertain,
)
from shared.testing import given

AT = datetime(2018, 1, 2, tzinfo=UTC)
NAME = "we-miss-you"
ENTERING = CampaignDefined(
    campaign=NAME,
    title="We miss you",
    trigger=OnEntering(segment="lapsed-30"),
    channel="email",
    topic="marketing",
    template=Template(subject="s", text="t"),
    start=AT,
    holdout_percent=10,
)
BROADCAST = ENTERING.model_copy(update={"trigger": Broadcast(segment="coupon")})
OTHER_TEXT = ENTERING.model_copy(update={"template": Template(subject="s", text="other")})
START = StartCampaign(NAME, AT)
STOP = StopCampaign(NAME, AT)
STOPPED = CampaignStopped(campaign=NAME)


def started(run: int = 1) -> CampaignStarted:
    return CampaignStarted(campaign=NAME, run=run)


def frozen(run: int = 1, size: int = 3) -> AudienceFrozen:
    return AudienceFrozen(campaign=NAME, run=run, size=size)


def test_a_campaign_is_defined_once_and_not_again_by_the_same() -> None:
    untidy = ENTERING.model_copy(update={"title": " We miss you "})
    given(CAMPAIGN).when(DefineCampaign(untidy, AT)).then([NewEvent(ENTERING, AT)])
    given(CAMPAIGN, [ENTERING]).when(DefineCampaign(untidy, AT)).then_nothing()
    given(CAMPAIGN, [ENTERING, started()]).when(DefineCampaign(ENTERING, AT)).then_nothing()


def test_a_definition_of_the_first_version_counts_as_one_of_today() -> None:
    first = CampaignDefinedV1(
        campaign=NAME,
        title="We miss you",
        trigger=OnEnteringV1(segment="lapsed-30"),
        channel="email",
        topic="marketing",
        template=TemplateV1(subject="s", text="t"),
        start=AT,
        holdout_percent=10,
    )
    assert CAMPAIGN.fold([first]).definition == ENTERING
    given(CAMPAIGN, [first, started()]).when(DefineCampaign(ENTERING, AT)).then_nothing()
    given(CAMPAIGN, [first]).when(DefineCampaign(OTHER_TEXT, AT)).then([OTHER_TEXT])


@pytest.mark.parametrize(
    ("update", "field"),
    [
        ({"campaign": "We miss you"}, "name"),
        ({"campaign": "a" * 61}, "name"),
        ({"trigger": OnEntering(segment="$lapsed")}, "trigger.segment"),
        ({"title": "  "}, "title"),
        ({"title": "a" * 201}, "title"),
    ],
)
def test_what_is_wrong_in_a_definition_is_named(update: dict[str, Any], field: str) -> None:
    wrong = ENTERING.model_copy(update=update)
    given(CAMPAIGN).when(DefineCampaign(wrong, AT)).then_refused("invalid", field)


def test_nobody_replaces_a_definition_that_they_have_not_seen() -> None:
    seen: list[int] = []
    given(CAMPAIGN, [ENTERING]).when(DefineCampaign(OTHER_TEXT, AT, seen.append)).then([OTHER_TEXT])
    assert seen == [1]

    def refuse(version: int) -> None:
        raise Refused("precondition-failed", 412, f"it is {version}")

    given(CAMPAIGN, [ENTERING]).when(DefineCampaign(OTHER_TEXT, AT, refuse)).then_refused(
        "precondition-failed"
    )
    given(CAMPAIGN, [ENTERING]).when(DefineCampaign(ENTERING, AT, refuse)).then_nothing()


def test_what_runs_is_not_changed_and_what_was_started_keeps_its_occasion() -> None:
    change = DefineCampaign(OTHER_TEXT, AT)
    given(CAMPAIGN, [ENTERING, started()]).when(change).then_refused("campaign-running")
    given(CAMPAIGN, [ENTERING, started(), STOPPED]).when(change).then([OTHER_TEXT])
    later = ENTERING.model_copy(update={"start": AT + timedelta(days=1)})
    for occasion in (BROADCAST, later):
        given(CAMPAIGN, [ENTERING, started(), STOPPED]).when(
            DefineCampaign(occasion, AT)
        ).then_refused("campaign-fixed")
        given(CAMPAIGN, [ENTERING]).when(DefineCampaign(occasion, AT)).then([occasion])


def test_a_campaign_with_a_trigger_has_one_run_however_often_it_is_started() -> None:
    given(CAMPAIGN).when(START).then_refused("not-found")
    given(CAMPAIGN, [ENTERING]).when(START).then([started(1)])
    given(CAMPAIGN, [ENTERING, started()]).when(START).then_nothing()
    given(CAMPAIGN, [ENTERING, started(), STOPPED]).when(START).then([started(1)])


def test_each_start_of_a_broadcast_is_the_next_run_once_the_last_one_is_complete() -> None:
    given(CAMPAIGN, [BROADCAST]).when(START).then([started(1)])
    given(CAMPAIGN, [BROADCAST, started()]).when(START).then_refused("audience-gathering")
    given(CAMPAIGN, [BROADCAST, started(), frozen()]).when(START).then([started(2)])
    given(CAMPAIGN, [BROADCAST, started(), STOPPED]).when(START).then([started(2)])
    early = StartCampaign(NAME, AT - timedelta(milliseconds=1))
    given(CAMPAIGN, [BROADCAST]).when(early).then_refused("too-early")


def test_an_audience_is_complete_once_and_only_while_its_run_goes_on() -> None:
    freeze = FreezeAudience(NAME, 1, 3, AT)
    given(CAMPAIGN, [BROADCAST, started()]).when(freeze).then([frozen()])
    given(CAMPAIGN, [BROADCAST, started(), frozen()]).when(freeze).then_nothing()
    given(CAMPAIGN, [BROADCAST, started(), STOPPED]).when(freeze).then_nothing()
    given(CAMPAIGN, [BROADCAST, started(), frozen(), started(2)]).when(freeze).then_nothing()
    given(CAMPAIGN, [ENTERING, started()]).when(freeze).then_nothing()


def test_only_what_runs_is_stopped() -> None:
    given(CAMPAIGN, [ENTERING, started()]).when(STOP).then([STOPPED])
    given(CAMPAIGN, [ENTERING]).when(STOP).then_nothing()
    given(CAMPAIGN, [ENTERING, started(), STOPPED]).when(STOP).then_nothing()


def test_a_run_that_was_stopped_never_goes_on() -> None:
    first, second = occurrence_of_run(1), occurrence_of_run(2)
    running = CAMPAIGN.fold([BROADCAST, started(), frozen()])
    assert (running.sends(first), running.state, running.gathering) == (True, "running", False)
    stopped = CAMPAIGN.fold([BROADCAST, started(), frozen(), STOPPED])
    assert (stopped.sends(first), stopped.state) == (False, "stopped")
    again = CAMPAIGN.fold([BROADCAST, started(), frozen(), STOPPED, started(2)])
    assert (again.sends(first), again.sends(second), again.gathering) == (False, True, True)
    entering = CAMPAIGN.fold([ENTERING, started(), STOPPED, started()])
    assert entering.sends(occurrence_of_entering("lapsed-30", 7))
    assert CAMPAIGN.fold([ENTERING]).state == "draft"


# --- Messages ------------------------------------------------------------------------------------

MESSAGE_ID = message_id(NAME, "anna", "lapsed-30@7")
PLACE: dict[str, Any] = {"message": MESSAGE_ID, "campaign": NAME}
SCHEDULED = MessageScheduled(**PLACE, occurrence="lapsed-30@7", channel="email", cause="m@7")
SENDING = MessageSending(**PLACE, contact="hash", attempt="a1")
DEFERRED = MessageDeferred(**PLACE, attempt="a1", reason="refused", code="451")
OUTCOMES: Sequence[EventData] = [
    MessageSuppressed(**PLACE, reason="no_consent"),
    MessageHeldOut(**PLACE),
    MessageSent(**PLACE),
    MessageFailed(**PLACE, code="550"),
    MessageUncertain(**PLACE),
]
ON: dict[str, Any] = {"message": MESSAGE_ID, "at": AT}
SCHEDULE = Schedule(**ON, campaign=NAME, occurrence="lapsed-30@7", channel="email", cause="m@7")
BEGIN = BeginSending(**ON, contact="hash", attempt="a1")
COMMANDS: Sequence[MessageCommand] = [
    SCHEDULE,
    Suppress(**ON, reason="no_consent"),
    HoldOut(**ON),
    BEGIN,
    BeginSending(**ON, contact="hash", attempt="a2", instead_of="a1"),
    RecordSent(**ON, attempt="a1"),
    RecordFailed(**ON, attempt="a1", code="550"),
    Defer(**ON, attempt="a1", reason="away"),
    RecordUncertain(**ON, attempt="a1"),
]


def test_a_message_goes_its_way_by_events() -> None:
    given(MESSAGE).when(SCHEDULE).then([NewEvent(SCHEDULED, AT)])
    waiting = given(MESSAGE, [SCHEDULED])
    waiting.when(Suppress(**ON, reason="no_consent")).then([OUTCOMES[0]])
    waiting.when(HoldOut(**ON)).then([OUTCOMES[1]])
    waiting.when(BEGIN).then([SENDING])
    sending = given(MESSAGE, [SCHEDULED, SENDING])
    sending.when(RecordSent(**ON, attempt="a1")).then([OUTCOMES[2]])
    sending.when(RecordFailed(**ON, attempt="a1", code="550")).then([OUTCOMES[3]])
    sending.when(RecordUncertain(**ON, attempt="a1")).then([OUTCOMES[4]])
    sending.when(Defer(**ON, attempt="a1", reason="refused", code="451")).then([DEFERRED])


@pytest.mark.parametrize("outcome", OUTCOMES, ids=lambda event: event.type)
@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: type(command).__name__)
def test_an_outcome_is_the_last_word(outcome: EventData, command: MessageCommand) -> None:
    history = [SCHEDULED, outcome]
    if not isinstance(outcome, MessageSuppressed | MessageHeldOut):
        history = [SCHEDULED, SENDING, outcome]
    given(MESSAGE, history).when(command).then_nothing()


def test_of_two_hand_overs_only_the_first_to_append_begins() -> None:
    second = BeginSending(**ON, contact="hash", attempt="a2")
    given(MESSAGE, [SCHEDULED, SENDING]).when(second).then_nothing()
    instead = BeginSending(**ON, contact="hash", attempt="a2", instead_of="a1")
    took_over = MessageSending(**PLACE, contact="hash", attempt="a2")
    given(MESSAGE, [SCHEDULED, SENDING]).when(instead).then([took_over])
    given(MESSAGE, [SCHEDULED, SENDING, took_over]).when(instead).then_nothing()
    given(MESSAGE, [SCHEDULED]).when(instead).then_nothing()


def test_the_result_of_an_attempt_that_was_taken_over_counts_no_more() -> None:
    took_over = MessageSending(**PLACE, contact="hash", attempt="a2")
    for late in COMMANDS[5:]:
        given(MESSAGE, [SCHEDULED, SENDING, took_over]).when(late).then_nothing()


def test_what_was_refused_too_often_has_failed_and_being_away_is_no_refusal() -> None:
    refused = Defer(**ON, attempt="a1", reason="refused", code="451")
    away = Defer(**ON, attempt="a1", reason="away")
    # The refusal number 20 is the last one.
    before = [SCHEDULED, *[SENDING, DEFERRED] * (MAX_REFUSALS - 1), SENDING]
    given(MESSAGE, before).when(refused).then([MessageFailed(**PLACE, code="451")])
    given(MESSAGE, before).when(away).then([MessageDeferred(**PLACE, attempt="a1", reason="away")])
    given(MESSAGE, before[:-2]).when(BEGIN).then_nothing()


def test_nothing_happens_to_a_message_that_nobody_scheduled() -> None:
    for command in COMMANDS[1:]:
        given(MESSAGE).when(command).then_refused("not-found")


def test_one_occurrence_is_one_message() -> None:
    first = message_id(NAME, "anna", occurrence_of_entering("lapsed-30", 7))
    assert first == MESSAGE_ID
    others = {
        message_id(NAME, "anna", occurrence_of_entering("lapsed-30", 8)),
        message_id(NAME, "anna", occurrence_of_run(7)),
        message_id(NAME, "boris", occurrence_of_entering("lapsed-30", 7)),
        message_id("other", "anna", occurrence_of_entering("lapsed-30", 7)),
    }
    assert len(others - {first}) == 4


# --- What decides at the moment of sending -------------------------------------------------------

RECORDED = AT - timedelta(seconds=5)
FULL = Knowledge(reach=AT - timedelta(seconds=3), message=RECORDED, now=AT)
"""W is 3 s old and later than the message of 5 s ago."""
GOOD = Facts(running=True, known=True, consents=True, contact="hash")


def test_the_questions_are_asked_in_their_order_and_holdout_comes_last() -> None:
    def broken() -> bool:
        return False

    facts = Facts(running=False, ended="merged", internal=True, renders=broken, held_out=True)
    expected: list[tuple[dict[str, Any], Verdict]] = [
        ({}, Reject("campaign_stopped")),
        ({"running": True}, Reject("merged")),
        ({"ended": None}, Reject("no_customer")),
        ({"known": True}, Reject("internal")),
        ({"internal": False}, Reject("no_consent")),
        ({"consents": True}, Reject("no_address")),
        ({"contact": "hash"}, Reject("template_error")),
        ({"renders": lambda: True}, Reject(None)),
        ({"held_out": False}, Release("hash")),
    ]
    known: dict[str, Any] = {name: getattr(facts, name) for name in Facts.__dataclass_fields__}
    for change, answer in expected:
        known |= change
        assert verdict(Facts(**known), FULL) == answer, change


def test_who_was_merged_erased_or_blacklisted_gets_nothing_at_once() -> None:
    ended = replace(GOOD, ended="erased")
    assert verdict(ended, Knowledge(None, RECORDED, AT)) == Reject("erased")


@pytest.mark.parametrize(
    "missing",
    [
        {"known": False},
        {"consents": False},
        {"contact": None},
        {"renders": lambda: False},
    ],
)
def test_what_is_missing_is_final_only_once_everything_up_to_the_message_was_read(
    missing: dict[str, Any],
) -> None:
    there: dict[str, Any] = {"running": True, "known": True, "consents": True, "contact": "h"}
    facts = Facts(**(there | missing))
    assert verdict(facts, Knowledge(RECORDED, RECORDED, AT)) == Wait()
    assert verdict(facts, Knowledge(None, RECORDED, AT)) == Wait()
    just_after = RECORDED + timedelta(milliseconds=1)
    assert isinstance(verdict(facts, Knowledge(just_after, RECORDED, AT)), Reject)


def test_nothing_goes_out_on_knowledge_older_than_twenty_seconds() -> None:
    old = AT - timedelta(seconds=20)
    assert verdict(GOOD, Knowledge(old, RECORDED, AT)) == Release("hash")
    older = old - timedelta(milliseconds=1)
    assert verdict(GOOD, Knowledge(older, RECORDED, AT)) == Wait()
    assert verdict(GOOD, Knowledge(None, RECORDED, AT)) == Wait()


def test_a_customer_whose_events_stand_still_waits_and_a_stopped_campaign_does_not() -> None:
    withheld = Facts(running=True, withheld=True)
    assert verdict(withheld, FULL) == Wait()
    assert verdict(Facts(running=False, withheld=True), FULL) == Reject("campaign_stopped")


@given_any(st.uuids().map(str), st.integers(0, 99))
def test_who_is_held_out_stays_so_when_the_group_grows(customer: str, percent: int) -> None:
    secret = b"s" * 32
    assert not is_held_out(secret, customer, 0)
    assert is_held_out(secret, customer, 100)
    if is_held_out(secret, customer, percent):
        assert is_held_out(secret, customer, percent + 1)


def test_about_a_tenth_is_held_out_at_ten_percent() -> None:
    held = sum(is_held_out(b"s" * 32, f"c{number}", 10) for number in range(10_000))
    # 1,000 expected; three standard deviations of a binomial (30) on either side.
    assert 910 <= held <= 1_090


def test_customers_spread_over_all_buckets() -> None:
    assert {bucket_of(f"c{number}") for number in range(2_000)} == set(range(BUCKETS))
