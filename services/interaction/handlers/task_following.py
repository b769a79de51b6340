"""Tasks follow what becomes of their customers and of those who do them.

What is to be done stands in read models until it has been done: tasks of merged customers move, and
come back when a merge is undone; those of erased ones are cancelled; confirmations that were given
close theirs; tasks of who has left are handed to the successor, and given back on a return, where
the successor still has them. Whoever is killed on the way leaves the rest to the next, and two who
do the same do it once, since each stream decides.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Protocol, assert_never

import msgspec
import structlog

from services.interaction.domain.task import Task, task_stream
from services.interaction.domain.task_moving import MoveTask, decide
from services.interaction.domain.tasks import (
    ERASED,
    TASK,
    Cancel,
    Confirm,
    GiveBack,
    Settle,
    TakeOver,
)
from services.interaction.domain.tasks import Command as TaskCommand
from services.interaction.handlers.task_rules import TaskGrounds
from services.interaction.handlers.tasks import Request, execution, grounded, task_log
from services.interaction.projections.agenda import AgendaEntry
from services.interaction.projections.task_owners import Cause, Closing, Move, TaskOwner
from shared.decider import Refused
from shared.envelope import Causation
from shared.events.task import HandOver, TaskMerge
from shared.execute import Command, Joint, JointDecider, Writer
from shared.readmodel import RawDocument
from shared.recurring import again_and_again

POLL_SECONDS = 0.5
RETRY_SECONDS = 1.0
HAND_OVER_POLL_SECONDS = 1.0

MOVE: JointDecider[MoveTask, Task] = JointDecider(of=TASK, decide=decide)

log = structlog.stdlib.get_logger(__name__)


class Pending(Protocol):
    """Where it stands what is to be done for customers."""

    async def pending(self, limit: int = ...) -> Sequence[TaskOwner]:
        """Customers with whose tasks something is to be done."""
        ...


class Held(Protocol):
    """Where it stands whose tasks are whose."""

    async def left_behind(self, leavers: Sequence[str]) -> Sequence[AgendaEntry]:
        """Open tasks of those who have left."""
        ...

    async def taken_over(self, givers: Sequence[str]) -> Sequence[AgendaEntry]:
        """Open tasks that somebody took over from them, and still has."""
        ...


@dataclass(frozen=True, slots=True)
class TaskFollowing:
    """Does what is pending for customers, until nothing is left."""

    writer: Writer
    grounds: TaskGrounds
    owners: Pending

    async def run(self) -> None:
        """Follow until cancelled."""
        await again_and_again(
            self.step,
            POLL_SECONDS,
            partial(log.warning, "tasks wait to follow"),
            longer=RETRY_SECONDS,
        )

    async def step(self) -> int:
        """Do what is known to be wanted; gives how much. Raises `StoreUnavailable`."""
        done = 0
        for owner in await self.owners.pending():
            for wanted in owner.wanted():
                try:
                    match wanted:
                        case Move():
                            await self._move(wanted)
                        case Closing():
                            await self._close(wanted, owner.id)
                        case _:
                            assert_never(wanted)
                except Refused as refusal:
                    # The task has moved or its customer was erased, which is not read yet.
                    log.info("task waits", task=wanted.task, refusal=refusal.type)
                else:
                    done += 1
        return done

    async def _move(self, wanted: Move) -> None:
        """End the stream, and begin the next. Raises `Refused`, `StoreUnavailable`."""
        found = await task_log(self.writer, wanted.stream)
        if found is None or found.state.moved is not None:
            return
        target = task_stream(wanted.task, found.state.generation + 1)
        move = MoveTask(
            source=wanted.stream,
            target=target,
            customer=wanted.customer,
            merge=wanted.merge,
            merges=tuple(
                TaskMerge(merge=each.merge, customer=each.customer) for each in wanted.merges
            ),
            at=self.writer.clock.now(),
        )
        joint: Joint[MoveTask] = Joint(
            # A stream ends only once, whoever ends it.
            id=f"move|{wanted.stream}",
            hash="",
            streams={wanted.stream: found.key, target: wanted.customer},
            body=move,
            causation=_causation(wanted.cause),
        )
        await self.writer.together(MOVE, joint, sealed=True)

    async def _close(self, wanted: Closing, customer: str) -> None:
        """Cancel or complete an open task. Raises `Refused`, `StoreUnavailable`."""
        found = await task_log(self.writer, wanted.stream)
        if found is None:
            return
        command: TaskCommand = (
            Cancel(task=wanted.task, at=wanted.at, reason=ERASED)
            if wanted.erased
            else Confirm(task=wanted.task, at=wanted.at)
        )
        request = Request(
            f"close|{wanted.stream}|{wanted.cause.event}",
            "",
            wanted.at,
            why=_causation(wanted.cause),
        )
        asked = grounded(request, command, await self.grounds.now(), found.state.terms)
        await self.writer.one(TASK, execution(request, wanted.stream, customer, asked), sealed=True)


def _causation(cause: Cause) -> Causation:
    return Causation(cause.correlation, cause.event, cause.depth)


@dataclass(frozen=True, slots=True)
class TaskHandOvers:
    """Hands tasks of leavers over, and back, until nothing is left."""

    writer: Writer
    grounds: TaskGrounds
    held: Held

    async def run(self) -> None:
        """Hand over until cancelled."""
        await again_and_again(
            self.step, HAND_OVER_POLL_SECONDS, partial(log.warning, "tasks wait to be handed over")
        )

    async def step(self) -> int:
        """Hand over what is known to be left behind, and give back; gives how many changed."""
        people = (await self.grounds.now()).people
        now = self.writer.clock.now()
        commands: list[Command[TaskCommand]] = []
        left = people.left_to()
        for entry in await self.held.left_behind(sorted(left)) if left else ():
            giver = entry.responsible
            assert giver is not None  # noqa: S101 - it was asked for by this
            taker, leaving = left[giver]
            handed = HandOver(giver=giver, taker=taker, leaving=leaving)
            taking = TakeOver(task=entry.id, at=now, handed=handed)
            commands.append(_handing(entry, f"hand-over|{leaving}", leaving, taking, now))
        back = people.returned()
        for entry in await self.held.taken_over(back) if back else ():
            giver = entry.giver or ""
            cause = people.employees[giver].returned or ""
            giving = GiveBack(task=entry.id, at=now, giver=giver)
            commands.append(_handing(entry, f"give-back|{cause}", cause, giving, now))
        if not commands:
            return 0
        outcomes = await self.writer.many(TASK, commands, sealed=True)
        return sum(
            not isinstance(each, Refused) and each.changed and not each.repeated
            for each in outcomes
        )


def _handing(
    entry: AgendaEntry, what: str, cause: str, command: TakeOver | GiveBack, now: datetime
) -> Command[TaskCommand]:
    """Once for each cause and version of the task that was seen."""
    stream = task_stream(entry.id, entry.generation)
    version = entry.versions.get(stream, 0)
    request = Request(
        f"{what}|{stream}|{version}", "", now, why=Causation(cause, causation=cause, depth=1)
    )
    return execution(request, stream, entry.customer, command)


@dataclass(frozen=True, slots=True)
class TaskTimers:
    """Tells what has fallen due; whoever asks too late, or twice, changes nothing."""

    writer: Writer
    grounds: TaskGrounds

    async def settle(self, found: Sequence[RawDocument], now: datetime) -> None:
        """Let each stream tell what fell due up to now. Raises `StoreUnavailable`."""
        ground = await self.grounds.now()
        commands = []
        for entry in (msgspec.convert(raw, AgendaEntry) for raw in found):
            stream = task_stream(entry.id, entry.generation)
            command = Settle(
                task=entry.id,
                at=now,
                escalates_to=ground.escalates_to(entry.terms.escalation, entry.terms.branch),
            )
            # What is seen of the stream is the cause: a stream that has grown decides anew.
            request = Request(f"timer|{stream}|{entry.versions.get(stream, 0)}", "", now)
            commands.append(execution(request, stream, entry.customer, command))
        await self.writer.many(TASK, commands, sealed=True)
