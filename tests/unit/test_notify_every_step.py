"""A dispatcher is struck at each of its steps: what is due is accepted once, or in doubt aloud.

Each question and each append to the store, each look at the queue and at recipients, and each
hand-over is two steps: before it is done, and after. At each of them, one run after the other, the
dispatcher is killed, frozen until long after its lease and its hand-over, or told that the servers
are away, while a second one works on the same bucket and one customer withdraws.
"""

import asyncio
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from typing import Any, Literal, cast, get_args

import pytest
from structlog.testing import capture_logs

from services.notify.channels import Accepted, NotTaken, Outgoing, Receipt
from services.notify.domain import Stage
from services.notify.handlers.books.campaigns import CampaignBook
from services.notify.handlers.sending.dispatcher import Dispatcher
from services.notify.queries import Queue, Recipients
from shared.eventstore import EventStore, StoreUnavailable
from shared.testing.collections import MemoryQuestions
from shared.testing.virtual_time import VirtualTimeLoop
from tests.unit.test_notify_dispatcher import DAY, GIVEN, WITHDRAWN, Desk

Blow = Literal["killed", "frozen", "told that the servers are away"]
DUE = ("anna", "clara", "dora")
WITHDRAWS = "boris"
TICK = 0.5
LOOKS = 4
"""In which a dispatcher that nobody disturbs does all, and finds nothing more."""
FROZEN_SECONDS = 40.0
"""Longer than a lease (15 s), a hand-over (10 s), and what may pass after a withdrawal (30 s)."""
OPEN = {Stage.SCHEDULED, Stage.SENDING}
GIVEN_UP_SECONDS = 120.0


@dataclass(slots=True)
class Fate:
    """Counts the steps of one dispatcher, and strikes at one of them."""

    at: int | None = None
    blow: Blow = "killed"
    steps: list[str] = field(default_factory=list)
    struck: asyncio.Event = field(default_factory=asyncio.Event)
    thawed: asyncio.Event = field(default_factory=asyncio.Event)
    dead: bool = False

    async def reach(self, step: str) -> None:
        if self.dead:
            raise asyncio.CancelledError
        self.steps.append(step)
        if len(self.steps) - 1 != self.at:
            return
        self.struck.set()
        match self.blow:
            case "killed":
                self.dead = True
                await asyncio.Event().wait()
            case "frozen":
                await self.thawed.wait()
            case _:
                raise StoreUnavailable("nobody answers")


class Mortal:
    """A port whose methods are steps."""

    def __init__(self, port: object, fate: Fate) -> None:
        self._port = port
        self._fate = fate

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the port has
        method, what = getattr(self._port, name), f"{type(self._port).__name__}.{name}"
        if not asyncio.iscoroutinefunction(method):
            return method

        async def step(*args: object, **kwargs: object) -> object:
            await self._fate.reach(f"before {what}")
            result = await method(*args, **kwargs)
            await self._fate.reach(f"after {what}")
            return result

        return step


@dataclass(slots=True)
class Gateway:
    """Implements `Channel`: a provider that counts what it has accepted, and keeps deadlines."""

    desk: Desk
    deduplicates: timedelta | None
    name: str = "gateway"
    per_second: float | None = None
    at_once: int = 50
    lies: bool = False
    accepted: list[tuple[str, datetime]] = field(default_factory=list)

    async def send(self, message: Outgoing) -> Receipt:
        if asyncio.get_running_loop().time() >= message.deadline:
            return NotTaken("late")
        known = {address for address, _ in self.accepted}
        if self.deduplicates is None or self.lies or message.address not in known:
            self.accepted.append((message.address, self.desk.clock.moment))
        return Accepted(message.id)


@dataclass(slots=True)
class Life:
    """A dispatcher that is struck, another one, and what passes around them."""

    desk: Desk
    gateway: Gateway
    read: int = 0

    @classmethod
    async def begun(cls, deduplicates: timedelta | None) -> "Life":
        desk = await Desk.opened()
        for name in (*DUE, WITHDRAWS):
            await desk.customer(name, GIVEN)
        await desk.customer("emil")
        await desk.schedule(*DUE, WITHDRAWS, "emil")
        desk.know_all()
        return cls(desk, Gateway(desk, deduplicates))

    async def dispatcher(self, fate: Fate) -> Dispatcher:
        desk, store = self.desk, cast("EventStore", Mortal(self.desk.store, fate))
        looks: dict[str, Any] = {
            "book": CampaignBook(store),
            "queue": Mortal(Queue(MemoryQuestions(desk.queue)), fate),
            "recipients": Mortal(
                Recipients(MemoryQuestions(desk.people), MemoryQuestions(desk.parked)), fate
            ),
            "channels": {"email": Mortal(self.gateway, fate)},
        }
        return await desk.dispatcher(store, **looks)

    async def passes(self) -> None:
        """Time, and what is recorded is read."""
        while True:
            await asyncio.sleep(TICK)
            self.desk.clock.advance(timedelta(seconds=TICK))
            self.desk.reached = self.desk.clock.moment - timedelta(seconds=1)
            if len(self.desk.store.commits) > self.read:
                self.read = len(self.desk.store.commits)
                await self.desk.fold()

    async def over(self, *working: "asyncio.Task[None]") -> None:
        """Every message has its outcome; raises what the work has died of."""
        async with asyncio.timeout(GIVEN_UP_SECONDS):
            while any(raw["stage"] in OPEN for raw in self.desk.queue.everything()):
                await asyncio.sleep(TICK)
                for task in working:
                    if task.done():
                        await task


async def works(dispatcher: Dispatcher, looks: int | None = None) -> None:
    """What a dispatcher does until it is cancelled, or so many looks; it holds all buckets."""
    while looks is None or looks > 0:
        try:
            await dispatcher.buckets.tend()
            await dispatcher.step()
        except StoreUnavailable:
            await asyncio.sleep(TICK)
        await asyncio.sleep(TICK)
        looks = None if looks is None else looks - 1


async def _undisturbed() -> list[str]:
    """The steps of a dispatcher that does all by itself."""
    life, fate = await Life.begun(None), Fate()
    passing = asyncio.create_task(life.passes())
    await works(await life.dispatcher(fate), LOOKS)
    await ended(passing)
    assert sorted(address for address, _ in life.gateway.accepted) == sorted(
        f"{name}@x.example" for name in (*DUE, WITHDRAWS)
    )
    return fate.steps


async def ended(*tasks: "asyncio.Task[None]") -> None:
    for task in tasks:
        task.cancel()
    for result in await asyncio.gather(*tasks, return_exceptions=True):
        if isinstance(result, Exception):
            raise result


async def struck(
    at: int, blow: Blow, deduplicates: timedelta | None, *, lies: bool = False
) -> None:
    """One run; fails with what is wrong in the end."""
    life, fate = await Life.begun(deduplicates), Fate(at, blow)
    life.gateway.lies = lies
    desk, passing = life.desk, asyncio.create_task(life.passes())
    first = asyncio.create_task(works(await life.dispatcher(fate)))
    await fate.struck.wait()
    withdrawn = desk.clock.moment
    await desk.customer(WITHDRAWS, WITHDRAWN)
    if blow == "killed":
        await ended(first)
    second = asyncio.create_task(works(await life.dispatcher(Fate())))
    if blow == "frozen":
        await asyncio.sleep(FROZEN_SECONDS)
        fate.thawed.set()
    await life.over(second, passing)
    # Whoever is still at work has a few looks at what is over.
    await asyncio.sleep(5 * TICK)
    await ended(passing, second, *([] if blow == "killed" else [first]))
    uncertain = await doubtful(desk)
    # Before anything is begun there is nothing to be in doubt about.
    assert not uncertain or at >= steps().index("before MemoryEventStore.append")
    check(life, withdrawn, uncertain, deduplicates=deduplicates is not None)


async def doubtful(desk: Desk) -> set[str]:
    await desk.fold()
    return {raw["customer"] for raw in desk.queue.everything() if raw["stage"] == Stage.UNCERTAIN}


def check(
    life: Life, withdrawn: datetime, uncertain: Collection[str], *, deduplicates: bool
) -> None:
    accepted = [address.partition("@")[0] for address, _ in life.gateway.accepted]
    assert len(accepted) == len(set(accepted)), "somebody got it twice"
    assert set(accepted) <= {*DUE, WITHDRAWS}
    late = withdrawn + timedelta(seconds=30)
    assert all(at <= late for address, at in life.gateway.accepted if address.startswith(WITHDRAWS))
    # One outcome each, which nothing has taken back: the log says so.
    assert set(life.desk.outcomes().values()) == {1}
    by_stage = {raw["customer"]: Stage(raw["stage"]) for raw in life.desk.queue.everything()}
    assert by_stage.pop("emil") is Stage.SUPPRESSED
    for name, stage in by_stage.items():
        match stage:
            case Stage.SENT:
                assert name in accepted
            case Stage.SUPPRESSED:
                assert (name, name in accepted) == (WITHDRAWS, False)
            case _:
                assert name in uncertain
    if deduplicates:
        # Whose consent is gone is not tried again: there the doubt stays.
        assert set(uncertain) <= {WITHDRAWS}
        assert set(accepted) >= set(DUE)
    else:
        assert set(accepted) | set(uncertain) >= set(DUE)


def at_once(coroutine: Any) -> Any:  # noqa: ANN401 - of any result
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(coroutine)


@cache
def steps() -> tuple[str, ...]:
    return tuple(at_once(_undisturbed()))


def test_there_is_a_step_around_everything_that_a_dispatcher_does() -> None:
    done = {step.removeprefix("before ").removeprefix("after ") for step in steps()}
    assert done >= {
        "MemoryEventStore.append", "MemoryEventStore.read", "Gateway.send", "Queue.open",
        "Recipients.load",
    }  # fmt: skip
    # Four hand-overs, each before and after it; what was begun, and what came of it.
    assert steps().count("before Gateway.send") == 4
    assert steps().count("after MemoryEventStore.append") >= 2


@pytest.mark.parametrize("deduplicates", [DAY, None], ids=["deduplicating", "like SMTP"])
@pytest.mark.parametrize("blow", get_args(Blow))
def test_struck_at_any_step_nobody_gets_it_twice_and_nothing_is_forgotten(
    blow: Blow, deduplicates: timedelta | None
) -> None:
    wrong = {}
    with capture_logs():
        for at, step in enumerate(steps()):
            try:
                at_once(struck(at, blow, deduplicates))
            except (AssertionError, TimeoutError) as failure:
                wrong[f"{at}: {step}"] = repr(failure)
    assert wrong == {}


def test_a_gateway_that_only_says_that_it_knows_messages_again_is_found_out() -> None:
    accepted = steps().index("after Gateway.send")
    with capture_logs(), pytest.raises(AssertionError, match="somebody got it twice"):
        at_once(struck(accepted, "killed", DAY, lies=True))
