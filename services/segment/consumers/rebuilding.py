"""Profiles are folded anew from the log beside the live ones, and what those lack is brought back.

A generation is a read model of its own, with its own consumer group and collection: it evaluates
nothing, keeps as much as the rules of its time need, and goes on from where a worker was killed.
Live profiles stay the only ones that decide. Each takes what it lacks from its twin in one guarded
write with what follows from it, once both stand at the same versions of all streams; a worker that
is killed before or after leaves nothing half done. The generation is dropped when nobody lacks
anything.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from typing import Protocol

import msgspec
import structlog

from services.segment.domain.rebuild import Rebuild
from services.segment.engine.keeping import knows_the_same
from services.segment.engine.profile import Profile
from services.segment.engine.stepping import Engine, Outcome
from services.segment.handlers.rebuilding import Rebuilds
from services.segment.projections.profiles import profiles_v2
from services.segment.rules.ruleset import NO_RULES
from shared.clock import Clock
from shared.projection import Projection
from shared.projector import Folder, Projector, SteppedFolder
from shared.readmodel import Documents, RawDocument
from shared.records import RawRecord
from shared.recurring import again_and_again

SLICE = 50
MOST_REMEMBERED = 5_000
"""Ids of those who lack something, found at once: a database may go through all for each page."""
SECONDS = 1.0
BATCH = 500
SHARE = 0.4
"""Of a worker's time that folding anew may take."""

log = structlog.stdlib.get_logger(__name__)


def generation_name(generation: int) -> str:
    """The name of the read model of a generation."""
    return f"{profiles_v2(Engine(NO_RULES)).projection.name}_generation_{generation}"


def generation_of(rebuild: Rebuild) -> Projection[Profile]:
    """The read model of a generation: what profiles know, with nobody asking."""
    engine = Engine(NO_RULES, timedelta(milliseconds=rebuild.span), since=rebuild.since)
    stepping = profiles_v2(engine).projection
    return replace(stepping, name=generation_name(rebuild.generation), indexes=())


class Unhurried(Folder[Profile]):
    """A folder that rests behind each batch, so that live events are not kept waiting."""

    async def fold(self, records: Sequence[RawRecord]) -> None:
        """Apply the records durably, then rest."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        await super().fold(records)
        await asyncio.sleep((loop.time() - began) * (1 - SHARE) / SHARE)


class Live(Protocol):
    """The rules that stand now, as `LiveRules` has them."""

    @property
    def engine(self) -> Engine:
        """The engine with these rules."""
        ...


class Generations(Protocol):
    """Where generations are: their documents, and what keeps them current."""

    def documents(self, name: str) -> Documents:
        """The documents of a generation."""
        ...

    async def projector(self, projection: Projection[Profile]) -> Projector:
        """What folds a generation; made anew each time."""
        ...

    async def drop(self, name: str) -> None:
        """Let go of a generation and of what it has parked."""
        ...


@dataclass(slots=True)
class Rebuilding:
    """Folds the generation that is due while the worker lives, and drops those that are not.

    `rebuild` is what there is to fold, as this worker knows it.
    """

    rebuilds: Rebuilds
    generations: Generations
    rules: Live
    clock: Clock
    rebuild: Rebuild = field(default_factory=Rebuild)
    _projector: Projector | None = None
    _running: asyncio.Task[None] | None = None
    _dropped: int = 0

    async def run(self) -> None:
        """Look each second until cancelled; a fault of the fold is one of the worker."""
        try:
            await again_and_again(self.look, SECONDS, partial(log.warning, "a rebuild waits"))
        finally:
            await self._stop()

    async def look(self) -> None:
        """Begin, go on, or end. Raises `StoreUnavailable`."""
        if self._running is not None and self._running.done():
            await self._running
        known = self.rebuild
        rules = self.rules.engine.rules
        self.rebuild = now = await self.rebuilds.settle(rules, self.clock.now())
        if (now.generation, now.active) != (known.generation, known.active):
            await self._stop()
        if now.active and self._running is None:
            projector = await self.generations.projector(generation_of(now))
            log.info("profiles are rebuilt", generation=now.generation)
            self._projector = projector
            self._running = asyncio.create_task(projector.run(), name=projector.group)
        await self._drop_until(now.generation - 1 if now.active else now.generation)

    async def _stop(self) -> None:
        if self._projector is not None and self._running is not None:
            self._projector.stop()
            await self._running
        self._projector = self._running = None

    async def _drop_until(self, generation: int) -> None:
        """A worker that froze may write into one that is gone: each worker drops the last one."""
        if generation > self._dropped:
            await self.generations.drop(generation_name(generation))
            self._dropped = generation


@dataclass(slots=True)
class BringingBack:
    """Gives profiles what they lack: an errand of the owner of their partitions.

    All who lack something have their turn, one round after the other, in the order of their ids: a
    profile that cannot be given it now, because it stands where its twin does not stand yet or its
    key is parked, keeps nobody from it.
    """

    folder: SteppedFolder[Profile]
    rules: Live
    present: Callable[[], Rebuild]
    documents: Callable[[str], Documents]
    _not_before: float = 0.0
    _turns: deque[str] = field(default_factory=deque)
    _after: str = ""

    async def run_slice(self, partitions: Sequence[int], blocked: Collection[str]) -> bool:
        """Bring back a slice; True when there may be more. Raises `StoreUnavailable`."""
        rebuild, now = self.present(), asyncio.get_running_loop().time()
        if not rebuild.active or now < self._not_before:
            return False
        self._not_before = now + SECONDS
        turns = [name for name in await self._next(partitions) if name not in blocked]
        here = await self.folder.stepped_documents.load(turns)
        raws = [raw for raw in here.values() if raw.get("partition") in partitions]
        twins = await self.documents(generation_name(rebuild.generation)).load(list(here))
        after = self._deepened(raws, twins)
        brought = [raw for raw in raws if raw["_id"] in after]
        await self.folder.revise(brought, lambda known: after[known.id])
        if brought:
            self._not_before = 0.0
        return bool(brought)

    async def _next(self, partitions: Sequence[int]) -> Sequence[str]:
        """Whose turn it is; nobody's where a round has ended."""
        if not self._turns:
            names = self.rules.engine.rules.needs.keys()
            found = await self.folder.stepped_documents.lacking(
                partitions, names, MOST_REMEMBERED, self._after
            )
            self._turns.extend(found)
            self._after = found[-1] if found else ""
        return [self._turns.popleft() for _ in range(min(SLICE, len(self._turns)))]

    def _deepened(
        self, raws: Sequence[RawDocument], twins: Mapping[str, RawDocument]
    ) -> Mapping[str, Outcome]:
        """What comes of those whose twins stand where they stand, as the log has it by then."""
        after: dict[str, Outcome] = {}
        for raw in raws:
            twin = twins.get(raw["_id"])
            if twin is None or raw.get("versions") != twin.get("versions"):
                continue
            known, whole = (msgspec.convert(each, Profile) for each in (raw, twin))
            outcome = self.rules.engine.deepen(known, whole)
            if outcome[0] is not known:
                after[known.id] = outcome
                _compare(known, whole)
        return after


def _compare(known: Profile, whole: Profile) -> None:
    """What was kept is what the log says; all else is a fault, and mended with what is brought."""
    if not knows_the_same(known, whole):
        log.error("a profile was not what its log says", alarm="profile-differs", profile=known.id)
