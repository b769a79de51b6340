"""Which generation of profiles is folded anew, when it begins and when it has ended."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from services.segment.consumers.rebuilding import generation_of
from services.segment.domain.rebuild import LONGEST, Rebuild, due
from services.segment.engine.profile import Profile
from services.segment.engine.reported import Recorded
from services.segment.handlers.rebuilding import Rebuilds
from services.segment.queries.brake import Base
from services.segment.rules.instants import instant
from services.segment.rules.reading import parse_rule
from services.segment.rules.ruleset import LiveRule, RuleSet
from shared.envelope import Light
from shared.memory import MemoryDocuments
from shared.projection import Event
from shared.testing.collections import MemoryQuestions
from tests.unit.test_segment_brake import TWICE, Town, define, owner, shown, town

__all__ = ["owner", "town"]

NOW = datetime(2026, 6, 15, tzinfo=UTC)
DAY = 24 * 3600 * 1000
COUNT: dict[str, Any] = {
    "kind": "receipts", "aggregate": "count", "compare": {"op": ">=", "value": 1}
}  # fmt: skip


def rules(*, number: int = 1, **more: Any) -> RuleSet:  # noqa: ANN401 - fields of any kind
    live = LiveRule(1, parse_rule({**COUNT, **more}), NOW, "segment-a@1", "a")
    return RuleSet(number, {"a": live}, NOW)


def test_a_generation_keeps_what_every_rule_needs() -> None:
    begun = due(Rebuild(), rules(within="P500D"), 1, NOW)
    assert begun == Rebuild(1, 500 * DAY, NOW, active=True, number=1)
    between = {"from": "2026-06-05T00:00:00Z", "to": "2026-07-01T00:00:00Z"}
    assert due(Rebuild(), rules(between=between), 1, NOW).since == instant(NOW - timedelta(10))
    ever = due(Rebuild(), rules(where={"branch": ["1"]}), 1, NOW)
    assert ever.span == LONGEST // timedelta(milliseconds=1)
    assert ever.covers(rules(where={"branch": ["1"]}))
    assert ever.covers(rules(between=between))


def test_it_goes_on_while_anybody_lacks_what_it_keeps() -> None:
    begun = Rebuild(3, 500 * DAY, NOW, active=True)
    assert due(begun, rules(within="P500D"), 1, NOW) == begun
    further = due(begun, rules(within="P501D"), 1, NOW)
    assert further == Rebuild(4, 501 * DAY, NOW, active=True, number=1)
    assert due(begun, rules(within="P501D"), 0, NOW) == Rebuild(3, 500 * DAY, NOW, active=False)


def test_what_is_lacked_after_one_has_ended_is_another_one() -> None:
    over = Rebuild(3, 500 * DAY, NOW, active=False)
    assert due(over, rules(within="P500D"), 0, NOW) == over
    assert due(over, rules(within="P500D"), 1, NOW).generation == 4


def test_a_worker_that_has_not_heard_of_the_rules_yet_ends_and_begins_nothing() -> None:
    begun = due(Rebuild(), rules(number=2, within="P500D"), 1, NOW)
    assert due(begun, rules(number=1), 0, NOW) == begun
    assert due(begun, rules(number=1, within="P501D"), 1, NOW) == begun
    assert not due(begun, rules(number=3), 0, NOW).active


def test_what_counts_from_an_instant_on_is_kept_however_late_the_next_event_comes() -> None:
    since = "2024-06-05T00:00:00Z"
    between = rules(between={"from": since, "to": "2026-07-01T00:00:00Z"})
    begun = due(Rebuild(), between, 1, NOW)
    fold, whole = generation_of(begun).apply, None
    # An hour before the instant, an hour after it, and a day after the generation has begun.
    first = datetime(2024, 6, 5, tzinfo=UTC)
    times = [first - timedelta(hours=1), first + timedelta(hours=1), NOW + timedelta(days=1)]
    for version, time in enumerate(times, start=1):
        light = Light(
            "interaction.receipt_recorded.v1", "interaction-c1", version, time, time,
            msgspec.Raw(b""), "c1",
        )  # fmt: skip
        whole = fold(whole, Event(light, Recorded("f", 100, 0), 0))
    assert whole is not None
    assert [fact.time for fact in whole.receipts][-2:] == [instant(time) for time in times[1:]]
    assert between.needs["a"].is_met(whole.lost, instant(times[-1]))
    assert begun.covers(between)
    assert not begun.covers(rules(between={"from": "2024-06-04T00:00:00Z", "to": since}))


async def knows(profiles: MemoryDocuments, **state: Any) -> None:  # noqa: ANN401 - of any kind
    profile = Profile(id="c1", rev=1, clock=NOW, **state)
    await profiles.write([msgspec.to_builtins(profile, builtin_types=(datetime, bytes))])


@pytest.mark.parametrize("number", [1, 2])
async def test_it_ends_only_when_everybody_has_taken_up_the_rules(number: int) -> None:
    notes, profiles = MemoryDocuments(), MemoryDocuments()
    rebuilds = Rebuilds(notes, Base(MemoryQuestions(profiles)))
    far = rules(number=2, within="P500D")
    await knows(profiles, rules=2, lacks=["a"])
    assert (await rebuilds.settle(far, NOW)).active
    again = MemoryDocuments()
    await knows(again, rules=number)
    after = await Rebuilds(notes, Base(MemoryQuestions(again))).settle(far, NOW)
    assert after.active is (number < 2)


async def test_of_two_workers_that_begin_one_at_once_one_is_right() -> None:
    notes, profiles = MemoryDocuments(), MemoryDocuments()
    await knows(profiles, rules=2, lacks=["a"])
    rebuilds = Rebuilds(notes, Base(MemoryQuestions(profiles)))
    far = rules(number=2, within="P500D")
    later = NOW + timedelta(seconds=1)
    one, other = await asyncio.gather(rebuilds.settle(far, NOW), rebuilds.settle(far, later))
    assert one == other == await rebuilds.settle(far, later)
    assert one.begun == NOW


async def test_a_definition_on_trial_is_counted_when_nobody_lacks_anything(
    town: Town, owner: Any  # noqa: ANN401 - the fixtures of the brake
) -> None:  # fmt: skip
    await town.base(*[0] * 9, 2)
    old = instant(NOW - timedelta(days=450))
    await town.knows("c010", 2, forgets=True, lost=old)
    await define(owner, {**TWICE, "within": "P500D"})
    assert (await shown(owner))["evaluation"] == {
        "stage": "rebuilding", "done": 0, "of": 11, "finished_at": None
    }  # fmt: skip
    await town.revised()
    await town.look()
    found = await shown(owner)
    # One of eleven has let go of something 450 days ago.
    assert (found["trial"], found["evaluation"]["stage"], found["evaluation"]["done"]) == (
        1, "rebuilding", 10,
    )  # fmt: skip
    raw = (await town.profiles.load(["c010"]))["c010"]
    await town.profiles.write([{**raw, "rev": raw["rev"] + 1, "lacks": []}])
    await town.look()
    found = await shown(owner)
    # Two of eleven would enter, which is less than a fifth.
    assert (found["trial"], found["stands"]) == (None, 1)
