"""Caps, the ledger, how long a message lasts, the policy's definition, and words for all of it."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, get_args

import pytest

import services.notify
from services.notify.domain.caps import LONGEST_WINDOW, CapRule, Slot, free_at
from services.notify.domain.durations import exact_duration
from services.notify.domain.handing import ADDRESSED, Step, Strand, address_claim, decide
from services.notify.domain.ledger import LEDGER, ReturnSlot, TakeSlot, ledger_stream
from services.notify.domain.lifetime import Lifetime
from services.notify.domain.message import BeginSending, Defer, Message, Stage, message_stream
from services.notify.domain.policy import POLICY, DefinePolicy, Policy
from services.notify.domain.reasons import POSTPONED, SUPPRESSED, sentence_of
from shared.decider import Refused
from shared.events.customer import Channel
from shared.events.notification import PostponementReason, SuppressionReason
from shared.events.sending import Cap, QuietHours, SendingPolicyDefined, SlotReturned, SlotTaken
from shared.eventstore import Claim
from shared.testing.specification import given
from shared.wording import Languages

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
DAY = timedelta(days=1)
TWO_A_WEEK = CapRule(2, 7 * DAY)


def slot(name: str, days_ago: float = 0, channel: Channel = "email", topic: str = "news") -> Slot:
    return Slot(name, channel, topic, NOW - days_ago * DAY)


def test_a_third_message_waits_until_the_first_leaves_the_week() -> None:
    slots = [slot("a", 5), slot("b", 3)]
    # The one of five days ago leaves in two days.
    assert free_at([TWO_A_WEEK], slots, ("email", "news"), NOW) == NOW + 2 * DAY
    assert free_at([TWO_A_WEEK], slots[1:], ("email", "news"), NOW) == NOW


def test_what_was_sent_exactly_a_window_ago_counts_no_longer() -> None:
    assert free_at([CapRule(1, 7 * DAY)], [slot("a", 7)], ("email", "news"), NOW) == NOW
    just = Slot("a", "email", "news", NOW - 7 * DAY + timedelta(milliseconds=1))
    later = NOW + timedelta(milliseconds=1)
    assert free_at([CapRule(1, 7 * DAY)], [just], ("email", "news"), NOW) == later


def test_of_more_than_fit_as_many_must_leave() -> None:
    # Three in the window of a cap of two: two must leave, the second of them in four days.
    slots = [slot("a", 5), slot("b", 3), slot("c", 1)]
    assert free_at([TWO_A_WEEK], slots, ("email", "news"), NOW) == NOW + 4 * DAY


@pytest.mark.parametrize(
    ("rule", "covers"),
    [
        (CapRule(1, DAY), True),
        (CapRule(1, DAY, channel="email"), True),
        (CapRule(1, DAY, channel="sms"), False),
        (CapRule(1, DAY, topic="news"), True),
        (CapRule(1, DAY, channel="email", topic="offers"), False),
    ],
)
def test_a_cap_is_of_a_channel_a_topic_or_everything(rule: CapRule, *, covers: bool) -> None:
    free = free_at([rule], [slot("a", 0.5)], ("email", "news"), NOW)
    assert free == (NOW + 0.5 * DAY if covers else NOW)


def test_several_caps_are_all_kept() -> None:
    rules = [CapRule(1, DAY, channel="email"), TWO_A_WEEK]
    slots = [slot("a", 0.5), slot("b", 6, "sms")]
    # Mail again in half a day; two in the week until tomorrow.
    assert free_at(rules, slots, ("email", "news"), NOW) == NOW + DAY


# --- The ledger ---------------------------------------------------------------------------------


def taken(name: str, days_ago: float = 0) -> SlotTaken:
    at = NOW - days_ago * DAY
    return SlotTaken(message=name, campaign="c", channel="email", topic="news", at=at)


def take(name: str, rules: tuple[CapRule, ...] = (TWO_A_WEEK,)) -> TakeSlot:
    return TakeSlot(slot(name), "c", rules)


def test_a_slot_that_the_caps_leave_is_taken() -> None:
    given(LEDGER, [taken("a", 3)]).when(take("b")).then([taken("b")])


def test_a_slot_that_the_caps_do_not_leave_is_not_taken() -> None:
    given(LEDGER, [taken("a", 3), taken("b", 1)]).when(take("c")).then_nothing()


def test_a_slot_is_taken_once() -> None:
    given(LEDGER, [taken("a")]).when(take("a")).then_nothing()


def test_a_slot_that_was_given_back_counts_no_longer() -> None:
    returned = SlotReturned(message="a", channel="email")
    given(LEDGER, [taken("a", 3)]).when(ReturnSlot("a", "email", NOW)).then([returned])
    given(LEDGER, [taken("a", 3), taken("b", 1), returned]).when(take("c")).then([taken("c")])


def test_what_was_never_taken_is_not_given_back() -> None:
    given(LEDGER, [taken("a")]).when(ReturnSlot("b", "email", NOW)).then_nothing()
    given(LEDGER, [taken("a")]).when(ReturnSlot("a", "sms", NOW)).then_nothing()


def test_a_ledger_forgets_what_no_cap_can_ask_for() -> None:
    ledger = LEDGER.fold([taken("a", LONGEST_WINDOW / DAY), taken("b")])
    assert set(ledger.slots) == {("b", "email")}


# --- A step with what belongs to it -------------------------------------------------------------

MESSAGE_STREAM, LEDGER_STREAM = message_stream("m"), ledger_stream("anna")
BEGIN = BeginSending(message="m", at=NOW, contact="h", attempt="1", channel="email")


def states(message: Message, *slots: SlotTaken) -> Mapping[str, Any]:
    return {
        MESSAGE_STREAM: Strand(message=message),
        LEDGER_STREAM: Strand(ledger=LEDGER.fold(slots)),
    }


SCHEDULED = Message(Stage.SCHEDULED, "c", channel="email")
SENDING = Message(Stage.SENDING, "c", "1", channel="email")


def kinds(found: Mapping[str, Any]) -> dict[str, list[str]]:
    return {name: [event.data.type for event in events] for name, events in found.items()}


def test_sending_and_its_slot_are_one_decision() -> None:
    step = Step(BEGIN, LEDGER_STREAM, take("m"))
    assert kinds(decide(step, states(SCHEDULED), {})) == {
        MESSAGE_STREAM: ["message.sending.v1"],
        LEDGER_STREAM: ["sending.slot_taken.v1"],
    }
    assert decide(step, states(SCHEDULED, taken("a"), taken("b")), {}) == {}


def test_who_may_not_begin_takes_no_slot() -> None:
    assert decide(Step(BEGIN, LEDGER_STREAM, take("m")), states(SENDING), {}) == {}


def test_a_deferred_attempt_gives_its_slot_back() -> None:
    defer = Defer(message="m", at=NOW, attempt="1", reason="refused")
    step = Step(defer, LEDGER_STREAM, ReturnSlot("m", "email", NOW))
    assert kinds(decide(step, states(SENDING, taken("m")), {})) == {
        MESSAGE_STREAM: ["message.deferred.v1"],
        LEDGER_STREAM: ["sending.slot_returned.v1"],
    }


def test_an_address_gets_a_broadcast_once() -> None:
    claim = address_claim("c", "run-1", "h")
    step = Step(BEGIN, claim=claim)
    mine, others = Claim(claim, "m", 1), Claim(claim, "n", 1)
    assert kinds(decide(step, states(SCHEDULED), {claim: mine})) == {
        MESSAGE_STREAM: ["message.sending.v1"]
    }
    with pytest.raises(Refused) as refused:
        decide(step, states(SCHEDULED), {claim: others})
    assert refused.value.type == ADDRESSED


# --- How long a message lasts -------------------------------------------------------------------


def test_an_occasion_that_was_too_old_at_first_is_stale_and_one_that_grew_old_has_expired() -> None:
    life = Lifetime(occurred=NOW, scheduled=NOW + DAY, max_age=2 * DAY)
    assert life.outdated(NOW + 2 * DAY) is None
    assert life.outdated(NOW + 2 * DAY + timedelta(milliseconds=1)) == "expired"
    late = Lifetime(occurred=NOW, scheduled=NOW + 3 * DAY, max_age=2 * DAY)
    assert late.outdated(NOW + 3 * DAY) == "stale"
    assert Lifetime(NOW, NOW).outdated(NOW + 1000 * DAY) is None


def test_the_last_moment_is_before_the_end_and_not_after_the_age() -> None:
    millisecond = timedelta(milliseconds=1)
    assert Lifetime(NOW, NOW).last is None
    assert Lifetime(NOW, NOW, end=NOW + DAY).last == NOW + DAY - millisecond
    assert Lifetime(NOW, NOW, max_age=DAY).last == NOW + DAY
    assert Lifetime(NOW, NOW, DAY, NOW + DAY).last == NOW + DAY - millisecond


@pytest.mark.parametrize(
    ("text", "length"),
    [("P7D", 7 * DAY), ("P2W", 14 * DAY), ("PT36H", 1.5 * DAY), ("P1DT90M", 1.0625 * DAY)],
)
def test_a_duration_is_the_same_length_everywhere(text: str, length: timedelta) -> None:
    assert exact_duration(text, "p") == length


@pytest.mark.parametrize("text", ["P1M", "P1Y", "P0D", "P", "PT", "7 days", "-P1D", "P99999D"])
def test_what_is_no_such_duration_is_refused_by_its_field(text: str) -> None:
    with pytest.raises(Refused) as refused:
        exact_duration(text, "caps.0.within")
    assert refused.value.errors[0].field == "caps.0.within"


# --- The policy ---------------------------------------------------------------------------------

NIGHT = QuietHours(begin="21:00", end="09:00")
DEFINED = SendingPolicyDefined(quiet=(NIGHT,), caps=(Cap(most=2, within="P7D"),))


def test_a_policy_is_defined_and_the_same_again_changes_nothing() -> None:
    given(POLICY).when(DefinePolicy(DEFINED, NOW)).then([DEFINED])
    given(POLICY, [DEFINED]).when(DefinePolicy(DEFINED, NOW)).then_nothing()
    given(POLICY).when(DefinePolicy(SendingPolicyDefined(), NOW)).then_nothing()


def test_who_changes_it_has_seen_what_stood_there() -> None:
    def never(version: int) -> None:
        assert version == 1
        raise Refused("precondition-failed", 412, "It has changed in the meantime.")

    changed = DefinePolicy(SendingPolicyDefined(), NOW, never)
    with pytest.raises(Refused, match="precondition-failed"):
        POLICY.decide(changed, POLICY.fold([DEFINED]))


@pytest.mark.parametrize(
    ("definition", "field"),
    [
        ({"quiet": [{"begin": "09:00", "end": "09:00"}]}, "quiet.0.end"),
        ({"quiet": [{"begin": "09:00", "end": "08:59"}]}, "quiet"),
        ({"caps": [{"most": 1, "within": "P1M"}]}, "caps.0.within"),
        ({"caps": [{"most": 1, "within": "P367D"}]}, "caps.0.within"),
        ({"caps": [{"most": 1, "within": "P1D"}] * 51}, "caps"),
        ({"quiet": [{"begin": "09:00", "end": "10:00"}] * 51}, "quiet"),
    ],
)
def test_a_policy_that_cannot_be_kept_is_refused_by_its_field(
    definition: dict[str, Any], field: str
) -> None:
    command = DefinePolicy(SendingPolicyDefined.model_validate(definition), NOW)
    with pytest.raises(Refused) as refused:
        POLICY.decide(command, Policy())
    assert refused.value.errors[0].field == field


def test_quiet_hours_are_of_a_channel_or_of_all_and_service_messages_only_keep_them_if_told() -> (
    None
):
    sms = QuietHours(begin="12:00", end="13:00", channel="sms")
    state = POLICY.fold([SendingPolicyDefined(quiet=(NIGHT, sms))])
    assert len(state.quiet_of("sms", service=False)) == 2
    assert len(state.quiet_of("email", service=False)) == 1
    assert not state.quiet_of("email", service=True)
    told = POLICY.fold([SendingPolicyDefined(quiet=(NIGHT,), service_waits=True)])
    assert len(told.quiet_of("email", service=True)) == 1


# --- Words --------------------------------------------------------------------------------------

LANGUAGES = Languages.read(Path(services.notify.__file__).parent / "locales")


@pytest.mark.parametrize("reason", [*get_args(SuppressionReason), *get_args(PostponementReason)])
def test_every_reason_has_its_sentence_in_both_languages(reason: str) -> None:
    english = sentence_of(reason, LANGUAGES.wording("en"))
    russian = sentence_of(reason, LANGUAGES.wording("ru"))
    assert english
    assert russian
    assert english != russian


def test_there_is_no_sentence_for_a_reason_that_there_is_not() -> None:
    assert SUPPRESSED.keys() == set(get_args(SuppressionReason))
    assert POSTPONED.keys() == set(get_args(PostponementReason))
    assert sentence_of("refused", LANGUAGES.wording("en")) is None
    assert sentence_of(None, LANGUAGES.wording("en")) is None
