"""Receipts that are known: given back, void, changing hands; what the engine knows of them then."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from services.segment.engine.profile import Profile
from services.segment.engine.reported import Recorded, Returned, Voided
from services.segment.engine.stepping import Engine
from services.segment.rules.reading import parse_rule
from services.segment.rules.ruleset import LiveRule, RuleSet
from shared.envelope import Light
from shared.moves import Ended, Moved, Moving
from shared.projection import Event

START = datetime(2026, 1, 1, tzinfo=UTC)
WEEK = {
    "kind": "receipts", "aggregate": "sum", "within": "P7D",
    "compare": {"op": ">=", "value": 100},
}  # fmt: skip
RULE = LiveRule(
    definition=1, rule=parse_rule(WEEK), defined_at=START, event="segment-s@1", correlation="k"
)
ENGINE = Engine(RuleSet(1, {"s": RULE}, START), horizon=timedelta(days=10))
KINDS: dict[type[msgspec.Struct], str] = {
    Recorded: "receipt_recorded",
    Returned: "receipt_returned",
    Voided: "receipt_voided",
    Moving: "facts_moved",
    Ended: "move_ended",
}


def day(number: float) -> datetime:
    return START + timedelta(days=number)


def told(version: int, at: float, data: msgspec.Struct, history: str | None = None) -> Event:
    light = Light(
        type=f"interaction.{KINDS[type(data)]}.v1", stream="interaction-c", streamversion=version,
        time=day(at), recordedtime=day(at), data=msgspec.Raw(b""), subject="c", branch="1",
        history=history, correlationid="k",
    )  # fmt: skip
    return Event(light, data, 0)


def moving(version: int, at: float, bought: float, fact: str, total: int) -> Event:
    data = msgspec.json.encode({"fact": fact, "total": total, "coupon_lines": 0})
    kind = "interaction.receipt_recorded.v1"
    return told(
        version, at, Moving("m", (Moved(fact, kind, day(bought), day(bought), msgspec.Raw(data)),))
    )


def lived(events: Sequence[Event]) -> tuple[Profile, list[str]]:
    """The profile, and what was logged: the sign of the transition, and its cause."""
    profile, log = None, []
    for event in events:
        profile, transitions = ENGINE.step(profile, event)
        log += [f"{'+' if 'entered' in each.data.type else '-'} {each.data.cause.kind}"  # type: ignore[attr-defined]  # all transitions have a cause
                for each in transitions]  # fmt: skip
    assert profile is not None
    return profile, log


def test_a_return_lowers_the_net_of_its_window_and_is_no_receipt() -> None:
    events = [told(1, 1, Recorded("r", 120, 0)), told(2, 2, Returned("r", 50))]
    profile, log = lived(events)
    # 120 is enough, 120 - 50 is not.
    assert log == ["+ event", "- event"]
    assert (profile.totals_of("receipts").count, profile.totals_of("receipts").total) == (1, 70)


def test_a_void_leaves_nothing_of_a_receipt_whatever_was_returned_of_it() -> None:
    events = [
        told(1, 1, Recorded("r", 200, 0)),
        told(2, 2, Returned("r", 50)),
        told(3, 3, Voided("r", day(1), 150)),
    ]
    profile, log = lived(events)
    assert log == ["+ event", "- event"]
    totals = profile.totals_of("receipts")
    assert (totals.count, totals.total, totals.first, list(profile.receipts)) == (0, 0, None, [])


def test_receipts_come_with_the_end_of_their_move_and_triggers_can_tell() -> None:
    begun, log = lived([moving(1, 5, 3, "r", 100)])
    assert (begun.totals_of("receipts").count, log) == (0, [])
    come = [moving(1, 5, 3, "r", 100), told(2, 5, Ended("m", "in"))]
    profile, log = lived(come)
    assert (profile.totals_of("receipts").count, log) == (1, ["+ merge"])
    # It was bought on day 3: a week later it is outside.
    assert profile.due_at == day(10)
    gone = [*come, moving(3, 6, 3, "r", 100), told(4, 6, Ended("m", "out"))]
    profile, log = lived(gone)
    assert (profile.totals_of("receipts").count, list(profile.receipts), log) == (
        0,
        [],
        ["+ merge", "- merge"],
    )


def test_what_overtakes_the_end_of_a_move_counts_with_it() -> None:
    first = moving(1, 5, 3, "r", 100)
    _, log = lived([first, told(2, 5, Returned("r", 1)), told(3, 5, Ended("m", "in"))])
    assert log == []  # 99 are not enough
    voided = [first, told(2, 5, Voided("r", day(3), 100)), told(3, 5, Ended("m", "in"))]
    profile, log = lived(voided)
    assert (profile.totals_of("receipts").count, profile.totals_of("receipts").total, log) == (
        0,
        0,
        [],
    )


def test_a_receipt_that_is_no_longer_kept_is_voided_in_the_totals() -> None:
    events = [
        told(1, 1, Recorded("old", 5, 0)),
        told(2, 20, Recorded("new", 7, 0)),
        told(3, 21, Returned("old", 2)),
        told(4, 22, Voided("old", day(1), 3)),
    ]
    before, _ = lived(events[:3])
    # The horizon is ten days: of the old one only the moment is left.
    assert (
        before.totals_of("receipts").count,
        before.totals_of("receipts").total,
        len(before.totals_of("receipts").let_go),
    ) == (2, 10, 8)
    profile, _ = lived(events)
    totals = profile.totals_of("receipts")
    assert (totals.count, totals.total, totals.first) == (1, 7, totals.last)
    assert (totals.let_go, profile.forgets) == (b"", True)


@pytest.mark.parametrize("data", [Returned("r", 20), Voided("r", day(1), 100)])
def test_what_happens_to_a_receipt_of_an_open_import_is_as_unseen_as_the_receipt(
    data: Returned | Voided,
) -> None:
    events = [told(1, 1, Recorded("r", 100, 0), "i"), told(2, 2, data, "i")]
    profile, log = lived(events)
    assert (profile.clock, profile.totals_of("receipts").count, log) == (None, 0, [])
    profile, transitions = ENGINE.live(profile, "i", day(3))
    left = 80 if isinstance(data, Returned) else 0
    assert (list(transitions), profile.totals_of("receipts").total) == ([], left)


def test_a_rebuild_knows_what_steps_have_learnt() -> None:
    events = [
        told(1, 1, Recorded("a", 100, 0)),
        moving(2, 2, 1, "b", 40),
        told(3, 2, Returned("b", 10)),
        told(4, 3, Ended("m", "in")),
        told(5, 4, Voided("a", day(1), 100)),
    ]
    stepped, _ = lived(events)
    folded = None
    for event in events:
        folded = ENGINE.fold(folded, event)
    assert folded is not None
    assert (folded.receipts, folded.totals) == (stepped.receipts, stepped.totals)
    assert (folded.totals_of("receipts").count, folded.totals_of("receipts").total) == (1, 30)
