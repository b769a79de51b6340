"""Robots: what stages ask for, when, and once; and how that is carried out."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from services.customer.consumers.robots import LiveRobots, react
from services.customer.engine.robots import (
    NO_ROBOTS,
    OlderRules,
    RobotDocument,
    RobotEngine,
    robot_rules,
)
from services.customer.handlers.robots import PIPELINES, Robots
from services.customer.projections.robots import robots_v1
from shared.decider import NewEvent
from shared.envelope import decode
from shared.events.deal import (
    CallWebhook,
    PipelineDefined,
    PlanTask,
    Robot,
    SendMessage,
    SetField,
    Stage,
)
from shared.events.merging import CustomerMerged
from shared.memory import MemoryDocuments, MemoryOutbox, MemoryParking
from shared.progress import Progress
from shared.projector import Errands, SteppedFolder
from shared.testing import DAY, logs_of
from shared.testing.facts import records_of, tell
from tests.unit.dealing import Office
from tests.unit.test_deal_moves import Removal

HOUR = 3600
CALL = Robot(robot="call", action=PlanTask(title="Call", due_days=1))
NUDGE = Robot(robot="nudge", after=HOUR, action=SendMessage(template="nudge", channel="email"))
LATER = Robot(robot="later", after=2 * HOUR, action=SetField(field="expected_close", days=30))
OVER = Robot(robot="over", action=SetField(field="stage", value="offer"))
TELL = Robot(robot="tell", action=CallWebhook(url="https://erp.example/deals"))


def pipeline(new: Sequence[Robot] = (), offer: Sequence[Robot] = ()) -> PipelineDefined:
    return PipelineDefined(
        pipeline="sales",
        titles={"en": "Sales"},
        stages=(
            Stage(stage="new", titles={}, probability=1, robots=tuple(new)),
            Stage(stage="offer", titles={}, probability=2, robots=tuple(offer)),
        ),
        won={},
        lost={},
    )


@dataclass(slots=True)
class Works:
    """An office with robots, whose clock is moved by the test."""

    office: Office = field(default_factory=Office)
    documents: MemoryDocuments = field(init=False)
    source: LiveRobots = field(init=False)
    outbox: MemoryOutbox = field(init=False)

    def __post_init__(self) -> None:
        self.documents = MemoryDocuments(self.office.store)
        self.source = LiveRobots(self.office.store)
        self.outbox = MemoryOutbox(self.office.clock)

    async def define(self, *new: Robot, offer: Sequence[Robot] = ()) -> None:
        """Give the pipeline these robots."""
        defined = NewEvent(pipeline(new, offer), self.office.clock.now())
        await tell(self.office.writer, PIPELINES, PIPELINES, [defined])
        await self.source.refresh()

    def folder(self) -> SteppedFolder[RobotDocument]:
        """What a process that starts now would step with."""
        return SteppedFolder(
            self.source.stepped.projection,
            self.documents,
            MemoryParking(),
            source=self.source,
            stepped_documents=self.documents,
            clock=self.office.clock,
            service="customer",
            append_deadline=timedelta(seconds=2),
        )

    async def read(self) -> None:
        """Step all deals up to their logs' ends."""
        commits = [each for each in self.office.store.commits if each.stream.startswith("deal-")]
        await self.folder().fold([record for log in logs_of(commits) for record in log])

    async def wake(self, hours: float = 0) -> None:
        """Let time pass, and wake what is due, as errands do."""
        self.office.clock.advance(timedelta(hours=hours))
        now = self.office.clock.now()
        due = await self.documents.load(await self.documents.due(range(10), now, 100))
        await self.folder().revise(
            list(due.values()), lambda each: self.source.stepped.wake(each, now)
        )

    async def revise(self) -> None:
        """Answer a newer rule set."""
        older = await self.documents.with_older_rules(range(10), self.source.number, 100)
        now = self.office.clock.now()
        await self.folder().revise(older, lambda each: self.source.stepped.revise(each, now))

    def asked(self) -> list[tuple[str, datetime]]:
        """What robots have asked for: which, and for when."""
        found = []
        for commit in self.office.store.commits:
            if commit.stream.startswith("robots-"):
                for text in commit.events:
                    envelope = decode(text)
                    robot = msgspec.json.decode(envelope.data)["robot"]
                    found.append((robot, datetime.fromisoformat(envelope.time)))
        return found

    async def obey(self) -> None:
        """Carry out what was asked for so far."""
        robots = Robots(self.office.deals, self.outbox)
        commits = [c for c in self.office.store.commits if c.stream.startswith("robots-")]
        await react(robots, records_of(commits, DAY))


async def works(*new: Robot, offer: Sequence[Robot] = ()) -> tuple[Works, str]:
    """A deal that was opened at `DAY` in a pipeline with robots."""
    room = Works()
    await room.define(*new, offer=offer)
    await room.office.customer("anna")
    deal = await room.office.open("anna", branch="12")
    await room.read()
    return room, deal


async def test_on_entering_a_stage_its_robots_act_once() -> None:
    room, deal = await works(CALL)
    assert room.asked() == [("call", DAY)]
    await room.read()
    await room.wake(5)
    assert room.asked() == [("call", DAY)]
    (commit,) = [c for c in room.office.store.commits if c.stream == f"robots-{deal}"]
    assert commit.key == "anna"
    envelope = decode(commit.events[0])
    assert (envelope.subject, envelope.branch) == ("anna", "12")
    # The opening caused it.
    assert (envelope.causationid, envelope.causedepth) == (f"deal-{deal}@1", 1)
    assert msgspec.json.decode(envelope.data)["due"] == "2017-12-02T09:30:00.000Z"


async def test_after_a_time_in_a_stage_a_robot_acts_at_the_exact_moment_however_late() -> None:
    room, _ = await works(NUDGE, LATER)
    await room.wake(0.5)
    assert room.asked() == []
    # A worker that was away for days comes back.
    await room.wake(100)
    assert room.asked() == [
        ("nudge", DAY + timedelta(hours=1)), ("later", DAY + timedelta(hours=2)),
    ]  # fmt: skip


async def test_whoever_leaves_the_stage_in_time_is_left_in_peace() -> None:
    room, deal = await works(NUDGE)
    room.office.clock.advance(timedelta(minutes=30))
    await room.office.deals.move(room.office.request(), deal, "offer")
    await room.read()
    await room.wake(5)
    assert room.asked() == []


async def test_what_was_due_before_an_event_is_asked_for_before_it_at_any_speed() -> None:
    slow, deal = await works(NUDGE, offer=[CALL])
    slow.office.clock.advance(timedelta(hours=3))
    await slow.office.deals.move(slow.office.request(), deal, "offer")
    await slow.read()
    assert [name for name, _ in slow.asked()] == ["nudge", "call"]
    quick, deal = await works(NUDGE, offer=[CALL])
    await quick.wake(3)
    await quick.office.deals.move(quick.office.request(), deal, "offer")
    await quick.read()
    assert quick.asked() == slow.asked()


@pytest.mark.parametrize("closing", ["win", "lose"])
async def test_a_closed_deal_has_no_robots_until_it_is_reopened(closing: str) -> None:
    room, deal = await works(NUDGE)
    deals, request = room.office.deals, room.office.request
    await (deals.win(request(), deal) if closing == "win" else deals.lose(request(), deal, "x"))
    await room.read()
    await room.wake(5)
    assert room.asked() == []
    reopened = room.office.clock.now()
    await deals.reopen(request(), deal)
    await room.read()
    await room.wake(5)
    assert room.asked() == [("nudge", reopened + timedelta(hours=1))]


async def test_a_robot_that_is_defined_later_counts_from_the_entry_but_never_before_itself() -> (
    None
):
    room, _ = await works()
    room.office.clock.advance(timedelta(hours=1.5))
    defined = room.office.clock.now()
    await room.define(CALL, NUDGE, LATER)
    await room.revise()
    await room.wake(5)
    # Who was there before is not called; an hour was over, two hours were not.
    assert room.asked() == [("nudge", defined), ("later", DAY + timedelta(hours=2))]


async def test_a_robot_that_stays_as_it_is_acts_no_second_time_when_others_change() -> None:
    room, _ = await works(CALL, NUDGE)
    await room.wake(2)
    await room.define(CALL, NUDGE, LATER)
    await room.revise()
    await room.wake(5)
    assert [name for name, _ in room.asked()] == ["call", "nudge", "later"]


async def test_a_deal_that_was_read_with_older_robots_gets_what_it_missed() -> None:
    room = Works()
    await room.office.customer("anna")
    behind = LiveRobots(room.office.store)
    await room.define(CALL)
    await room.office.open("anna")
    room.source, ahead = behind, room.source
    await room.read()
    assert room.asked() == []
    room.source = ahead
    await room.revise()
    await room.wake(1)
    assert room.asked() == [("call", DAY)]


async def test_a_stepping_with_older_robots_refuses_to_step() -> None:
    room, deal = await works(NUDGE)
    (raw,) = room.documents.everything()
    document = msgspec.convert(raw, RobotDocument)
    old = RobotEngine(NO_ROBOTS)
    assert old.wake(document, DAY + timedelta(days=9)) == (document, ())
    assert old.revise(document, DAY) == (document, ())
    room.office.clock.advance(timedelta(hours=3))
    await room.office.deals.win(room.office.request(), deal)
    event: Any = type("E", (), {"light": type("L", (), {"stream": f"deal-{deal}"})})
    with pytest.raises(OlderRules):
        old.step(document, event)


async def test_of_a_deal_that_moves_on_nothing_is_asked_for_twice_and_nothing_forgotten() -> None:
    room, deal = await works(CALL, NUDGE, LATER)
    removal = Removal(room.office)
    await room.office.customer("boris")
    room.office.clock.advance(timedelta(hours=1.5))
    merged = NewEvent(CustomerMerged(merge="m1", survivor="boris"), DAY)
    await tell(room.office.writer, "customer-anna", "anna", [merged])
    await removal.settle()
    await room.read()
    await room.wake(5)
    # The hour was over before the move, two hours after it.
    assert room.asked() == [
        ("call", DAY), ("nudge", DAY + timedelta(hours=1)), ("later", DAY + timedelta(hours=2)),
    ]  # fmt: skip
    last = [c for c in room.office.store.commits if c.stream.startswith("robots-")][-1]
    assert (last.stream, last.key) == (f"robots-{deal}-2", "boris")


async def test_a_company_s_deal_has_its_own_key_and_gets_no_messages() -> None:
    room = Works()
    await room.define(CALL, Robot(robot="mail", action=NUDGE.action))
    await room.office.company("acme")
    await room.office.open(None, company="acme")
    await room.read()
    assert [name for name, _ in room.asked()] == ["call"]
    last = room.office.store.commits[-1]
    assert (last.key, decode(last.events[0]).subject) == ("company-acme", None)


async def test_what_robots_ask_for_is_done_once_however_often_it_is_read() -> None:
    room, deal = await works(OVER, LATER)
    await room.wake(3)
    await room.obey()
    commits = len(room.office.store.commits)
    await room.obey()
    assert len(room.office.store.commits) == commits
    state, _ = await room.office.in_the_clear(f"deal-{deal}")
    assert state.stage == "offer"
    # Thirty days after two hours past DAY, 2017-12-01.
    assert state.terms.expected_close == "2017-12-31"


async def test_a_change_that_is_refused_is_left_out_and_the_others_go_on() -> None:
    room, deal = await works(
        Robot(robot="wrong", action=SetField(field="stage", value="nothing")),
        Robot(robot="right", action=SetField(field="source", value="web")),
        Robot(robot="who", action=SetField(field="responsible", value="eve")),
    )
    await room.obey()
    state, _ = await room.office.in_the_clear(f"deal-{deal}")
    assert (state.stage, state.terms.source, state.responsible) == ("new", "web", "eve")


async def test_robots_that_set_each_other_off_are_stopped() -> None:
    back = Robot(robot="back", action=SetField(field="stage", value="new"))
    room, deal = await works(OVER, offer=[back])
    for _ in range(12):
        await room.obey()
        await room.read()
    moves = sum(
        decode(text).type == "deal.stage_moved.v1"
        for commit in room.office.store.commits
        for text in commit.events
        if commit.stream == f"deal-{deal}"
    )
    # Each move is two causes deeper than the last: 2, 4, 6 and 8; 10 is too deep.
    assert moves == 4


async def test_another_system_is_told_ids_only() -> None:
    room, deal = await works(TELL)
    await room.obey()
    (letter,) = await room.outbox.take(60, 10)
    assert (letter.url, letter.about, letter.key) == ("https://erp.example/deals", deal, "anna")
    assert msgspec.json.decode(letter.body) == {
        "id": letter.id, "deal": deal, "pipeline": "sales", "stage": "new", "robot": "tell",
        "time": "2017-12-01T09:30:00Z",
    }  # fmt: skip


def test_robots_are_those_of_the_last_definition_each_as_old_as_it_is() -> None:
    async def scene() -> None:
        room = Works()
        await room.define(CALL)
        room.office.clock.advance(timedelta(hours=1))
        await room.define(CALL, NUDGE)
        texts = [t for c in room.office.store.commits for t in c.events]
        rules = robot_rules(decode(text) for text in texts)
        assert rules.number == 2
        found = {each.robot.robot: each.since for each in rules.of("sales", "new")}
        assert found == {"call": DAY, "nudge": DAY + timedelta(hours=1)}

    asyncio.run(scene())


def test_the_stepping_keeps_no_past_and_has_no_barriers() -> None:
    stepped = robots_v1(RobotEngine(NO_ROBOTS))
    document = RobotDocument(id="d", rules=0, deal="d")
    assert stepped.live(document, "import", datetime(2018, 1, 1, tzinfo=UTC)) == (document, ())
    assert stepped.barriers == frozenset()


@pytest.mark.parametrize("refused", [["anna"], []])
async def test_robots_of_a_customer_whose_log_is_not_complete_wait(refused: list[str]) -> None:
    room, _ = await works(NUDGE)
    room.office.clock.advance(timedelta(hours=5))
    now = room.office.clock.now()
    (topic,) = room.source.stepped.projection.topics
    told = Progress("customer", now, now, {topic: {0: 0}}, refused)
    errands = Errands(room.folder(), [topic], lambda: [told])
    await errands.run_slice([0], {(topic, 0): 0})
    # Kafka refused something of hers: whether she is still in the stage cannot be known.
    assert [name for name, _ in room.asked()] == ([] if refused else ["nudge"])
