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
    Campaign,
    Defer,
    DefineCampaign,
    Facts,
    FinishCampaign,
    FreezeAudience,
    Hold,
    HoldOut,
    Knowledge,
    PauseCampaign,
    RecordFailed,
    RecordSent,
    RecordUncertain,
    Reject,
    Release,
    ResumeCampaign,
    Schedule,
    StartCampaign,
    StopCampaign,
    Suppress,
    Verdict,
    Wait,
    Way,
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
    BroadcastList,
    CampaignDefined,
    CampaignDefinedV1,
    CampaignFinished,
    CampaignPaused,
    CampaignResumed,
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
PAUSED = CampaignPaused(campaign=NAME)
RESUMED = CampaignResumed(campaign=NAME)


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
        ({"end": AT}, "end"),
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
    # Who asks twice does not mean that everybody is to get it twice.
    given(CAMPAIGN, [BROADCAST, started(), frozen()]).when(START).then_refused("campaign-running")
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
    assert (running.closed(first, AT), running.state, running.gathering) == (None, "running", False)
    stopped = CAMPAIGN.fold([BROADCAST, started(), frozen(), STOPPED])
    assert (stopped.closed(first, AT), stopped.state) == ("campaign_stopped", "stopped")
    again = CAMPAIGN.fold([BROADCAST, started(), frozen(), STOPPED, started(2)])
    assert (again.closed(first, AT), again.closed(second, AT)) == ("campaign_stopped", None)
    assert again.gathering
    entering = CAMPAIGN.fold([ENTERING, started(), STOPPED, started()])
    assert entering.closed(occurrence_of_entering("lapsed-30", 7), AT) is None
    assert CAMPAIGN.fold([ENTERING]).state == "draft"


def test_a_paused_campaign_keeps_its_messages_and_notes_occasions() -> None:
    pause, resume = PauseCampaign(NAME, AT), ResumeCampaign(NAME, AT)
    given(CAMPAIGN, [ENTERING, started()]).when(pause).then([PAUSED])
    given(CAMPAIGN, [ENTERING, started(), PAUSED]).when(pause).then_nothing()
    given(CAMPAIGN, [ENTERING, started(), PAUSED]).when(resume).then([RESUMED])
    given(CAMPAIGN, [ENTERING, started()]).when(resume).then_nothing()
    paused = CAMPAIGN.fold([BROADCAST, started(), PAUSED])
    assert (paused.state, paused.live, paused.gathering) == ("paused", True, True)
    assert paused.closed(occurrence_of_run(1), AT) is None
    for history in ([ENTERING], [ENTERING, started(), STOPPED]):
        for command in (pause, resume):
            given(CAMPAIGN, history).when(command).then_refused("campaign-not-running")


def test_what_is_paused_is_resumed_or_stopped_and_neither_started_nor_changed() -> None:
    given(CAMPAIGN, [ENTERING, started(), PAUSED]).when(START).then_refused("campaign-paused")
    given(CAMPAIGN, [ENTERING, started(), PAUSED]).when(STOP).then([STOPPED])
    change = DefineCampaign(OTHER_TEXT, AT)
    given(CAMPAIGN, [ENTERING, started(), PAUSED]).when(change).then_refused("campaign-running")


END = AT + timedelta(days=30)
ENDING = ENTERING.model_copy(update={"end": END})


def test_a_campaign_ends_at_its_end_and_may_be_given_another() -> None:
    finish = FinishCampaign(NAME, END)
    ended = CampaignFinished(campaign=NAME, reason="ended")
    given(CAMPAIGN, [ENDING, started()]).when(finish).then([ended])
    given(CAMPAIGN, [ENDING, started(), PAUSED]).when(finish).then([ended])
    given(CAMPAIGN, [ENDING, started(), ended]).when(finish).then_nothing()
    given(CAMPAIGN, [ENDING, started(), STOPPED]).when(finish).then_nothing()
    given(CAMPAIGN, [ENTERING, started()]).when(finish).then_nothing()
    early = FinishCampaign(NAME, END - timedelta(milliseconds=1))
    given(CAMPAIGN, [ENDING, started()]).when(early).then_nothing()
    given(CAMPAIGN, [ENDING, started(), ended]).when(StartCampaign(NAME, END)).then_refused(
        "too-late"
    )
    longer = ENDING.model_copy(update={"end": END + timedelta(days=1)})
    given(CAMPAIGN, [ENDING, started(), ended]).when(DefineCampaign(longer, END)).then([longer])
    given(CAMPAIGN, [ENDING, started(), ended, longer]).when(StartCampaign(NAME, END)).then(
        [started()]
    )


def test_what_the_end_overtakes_is_not_sent_whether_the_end_was_noted_or_not() -> None:
    occurrence = occurrence_of_entering("lapsed-30", 7)
    running = CAMPAIGN.fold([ENDING, started()])
    assert running.closed(occurrence, END - timedelta(milliseconds=1)) is None
    assert running.closed(occurrence, END) == "campaign_ended"
    ended = CAMPAIGN.fold([ENDING, started(), CampaignFinished(campaign=NAME, reason="ended")])
    assert (ended.closed(occurrence, END), ended.state) == ("campaign_ended", "finished")


def test_a_run_of_a_broadcast_that_the_end_overtook_never_goes_on() -> None:
    longer = BROADCAST.model_copy(update={"end": END + timedelta(days=1)})
    again = CAMPAIGN.fold(
        [
            BROADCAST.model_copy(update={"end": END}),
            started(),
            CampaignFinished(campaign=NAME, reason="ended"),
            longer,
            started(2),
        ]
    )
    assert again.closed(occurrence_of_run(1), END) == "campaign_stopped"
    assert again.closed(occurrence_of_run(2), END) is None


def test_a_broadcast_to_a_list_is_one_like_any() -> None:
    to_a_list = Campaign(
        definition=ENTERING.model_copy(update={"trigger": BroadcastList(list="vip")})
    )
    assert (to_a_list.broadcasts, to_a_list.by_runs, to_a_list.follows) == (True, True, False)
    following = BroadcastList(list="vip", follow=True)
    assert Campaign(definition=ENTERING.model_copy(update={"trigger": following})).follows


def test_a_broadcast_is_complete_once_its_audience_is_and_may_run_again() -> None:
    finish = FinishCampaign(NAME, AT, run=1)
    complete = CampaignFinished(campaign=NAME, reason="complete")
    given(CAMPAIGN, [BROADCAST, started(), frozen()]).when(finish).then([complete])
    given(CAMPAIGN, [BROADCAST, started()]).when(finish).then_nothing()
    given(CAMPAIGN, [BROADCAST, started(), frozen(), complete]).when(finish).then_nothing()
    given(CAMPAIGN, [BROADCAST, started(), frozen(), started(2)]).when(finish).then_nothing()
    given(CAMPAIGN, [ENTERING, started()]).when(finish).then_nothing()
    given(CAMPAIGN, [BROADCAST, started(), frozen(), complete]).when(START).then([started(2)])
    followed = BROADCAST.model_copy(update={"trigger": Broadcast(segment="coupon", follow=True)})
    given(CAMPAIGN, [followed, started(), frozen()]).when(finish).then_nothing()


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
EMAIL = Way("email", contact="hash")
GOOD = Facts(known=True, ways=[EMAIL])
LATER = AT + timedelta(hours=2)


def test_the_questions_are_asked_in_their_order_and_holdout_comes_last() -> None:
    def broken(_way: Way) -> bool:
        return False

    facts = Facts(
        closed="campaign_stopped",
        paused=True,
        ended="merged",
        outdated="stale",
        internal=True,
        ways=[Way("email", "no_consent")],
        drops=True,
        condition=False,
        spent=True,
        renders=broken,
        held_out=True,
    )
    way = Way("email", contact="hash", duplicate=True, quiet_until=LATER, capped_until=LATER)
    expected: list[tuple[dict[str, Any], Verdict]] = [
        ({}, Reject("campaign_stopped")),
        ({"closed": None}, Wait()),
        ({"paused": False}, Reject("merged")),
        ({"ended": None}, Reject("stale")),
        ({"outdated": None}, Reject("no_customer")),
        ({"known": True}, Reject("internal")),
        ({"internal": False}, Reject("no_consent")),
        ({"ways": [way]}, Reject("duplicate_address")),
        ({"ways": [replace(way, duplicate=False)]}, Hold(LATER, "quiet_hours")),
        ({"ways": [replace(EMAIL, capped_until=LATER)]}, Reject("cap")),
        ({"drops": False}, Hold(LATER, "cap")),
        ({"ways": [EMAIL]}, Reject("condition")),
        ({"condition": True}, Reject("budget")),
        ({"spent": False}, Reject("template_error")),
        ({"renders": lambda _way: True}, Reject(None)),
        ({"held_out": False}, Release(EMAIL)),
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
        {"ways": [Way("email", "no_consent")]},
        {"ways": [Way("email", "no_address")]},
        {"renders": lambda _way: False},
    ],
)
def test_what_is_missing_is_final_only_once_everything_up_to_the_message_was_read(
    missing: dict[str, Any],
) -> None:
    there: dict[str, Any] = {"known": True, "ways": [EMAIL]}
    facts = Facts(**(there | missing))
    assert verdict(facts, Knowledge(RECORDED, RECORDED, AT)) == Wait()
    assert verdict(facts, Knowledge(None, RECORDED, AT)) == Wait()
    just_after = RECORDED + timedelta(milliseconds=1)
    assert isinstance(verdict(facts, Knowledge(just_after, RECORDED, AT)), Reject)


def test_a_membership_that_was_not_read_yet_is_waited_for() -> None:
    assert verdict(replace(GOOD, condition=None), FULL) == Wait()


def test_nothing_goes_out_on_knowledge_older_than_twenty_seconds() -> None:
    old = AT - timedelta(seconds=20)
    assert verdict(GOOD, Knowledge(old, RECORDED, AT)) == Release(EMAIL)
    older = old - timedelta(milliseconds=1)
    assert verdict(GOOD, Knowledge(older, RECORDED, AT)) == Wait()
    assert verdict(GOOD, Knowledge(None, RECORDED, AT)) == Wait()


def test_a_customer_whose_events_stand_still_waits_and_a_stopped_campaign_does_not() -> None:
    withheld = Facts(withheld=True)
    assert verdict(withheld, FULL) == Wait()
    stopped = Facts(closed="campaign_stopped", withheld=True)
    assert verdict(stopped, FULL) == Reject("campaign_stopped")


def test_the_first_way_that_there_is_is_taken_and_of_none_the_first_reason_counts() -> None:
    sms = Way("sms", contact="phone")
    assert verdict(replace(GOOD, ways=[Way("email", "bad_address"), sms]), FULL) == Release(sms)
    neither = [Way("email", "bad_address"), Way("sms", "no_consent")]
    assert verdict(replace(GOOD, ways=neither), FULL) == Reject("bad_address")
    assert verdict(replace(GOOD, ways=[]), FULL) == Reject("no_address")


def test_the_night_is_waited_for_rather_than_another_way_taken() -> None:
    ways = [replace(EMAIL, quiet_until=LATER), Way("sms", contact="phone")]
    assert verdict(replace(GOOD, ways=ways), FULL) == Hold(LATER, "quiet_hours")


def test_a_message_that_would_be_too_old_after_its_wait_expires_at_once() -> None:
    for way in (replace(EMAIL, quiet_until=LATER), replace(EMAIL, capped_until=LATER)):
        in_time = replace(GOOD, ways=[way], last=LATER)
        assert isinstance(verdict(in_time, FULL), Hold)
        too_late = replace(in_time, last=LATER - timedelta(milliseconds=1))
        assert verdict(too_late, FULL) == Reject("expired")


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
