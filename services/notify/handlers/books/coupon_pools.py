"""Pools of codes as this service's own store has them, and the codes that were brought in.

Which codes are free is asked of the store too: one whose stream begins nowhere was given to nobody.
Two processes go through them in orders of their own, so they seldom want the same one.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

from services.notify.domain.coupons import (
    ADDED,
    BLOCK,
    POOL,
    POOLS,
    AddCodes,
    DefinePool,
    Pool,
    blocks_of,
    coupon_stream,
    pool_stream,
)
from shared.decider import Refused, invalid, not_found
from shared.envelope import Causation
from shared.events.coupons import CouponPoolDefined
from shared.eventstore import body_hash
from shared.execute import Command, Done, Writer
from shared.freshness import Freshness
from shared.ids import derived_id
from shared.keyring import keyed_hash

BodyT = TypeVar("BodyT")
OLDEST_SECONDS = 1.0
LISTED_SECONDS = 30.0
"""Who has gone through all codes of a pool looks for new ones so seldom."""
MOST_BLOCKS = 20
"""That are gone through for one batch."""


@dataclass(slots=True)
class PoolBook:
    """Every pool by name; who changes one here, sees it at once."""

    writer: Writer
    _known: dict[str, Pool] = field(default_factory=dict)
    _freshness: Freshness = field(init=False)

    def __post_init__(self) -> None:
        """Nothing is read yet."""
        self._freshness = Freshness(self._read, OLDEST_SECONDS)

    async def fresh(self) -> Mapping[str, Pool]:
        """The pools as they were within the last second. Raises `StoreUnavailable`."""
        await self._freshness.ensure()
        return self._known

    async def now(self) -> Mapping[str, Pool]:
        """The pools as they are. Raises `StoreUnavailable`."""
        await self._freshness.renew()
        return self._known

    async def require(self, name: str) -> tuple[int, CouponPoolDefined]:
        """A pool's version and definition. Raises `Refused` (404), `StoreUnavailable`."""
        pool = (await self.now()).get(name)
        if pool is None or pool.definition is None:
            kind = "coupon pool"
            raise not_found(kind, name)
        return pool.version, pool.definition

    async def define(
        self,
        command_id: str,
        definition: CouponPoolDefined,
        at: datetime,
        may_replace: Callable[[int], None],
        *,
        unused: bool = False,
    ) -> Done:
        """Give a pool its (new) definition; `unused`: nobody has a code of it.

        Raises `Refused` that names what is wrong in it.
        """
        others = referring_of(await self.now())
        if definition.referring is not None and others not in (None, definition.pool):
            raise Refused(
                "referring-twice",
                409,
                "There is a pool of codes to recommend by.",
                f"each customer has one code, of the pool {others}",
            )
        command = _command(
            command_id,
            definition.model_dump(mode="json"),
            pool_stream(definition.pool),
            DefinePool(definition, at, may_replace, unused),
        )
        try:
            return await self.writer.one(POOL, command)
        finally:
            self._freshness.forget()

    async def add(self, command_id: str, pool: str, codes: Sequence[str], at: datetime) -> int:
        """Bring codes in; gives how many of them are new. Raises `Refused`."""
        _, definition = await self.require(pool)
        if definition.codes != "imported":
            raise Refused("codes-generated", 409, "The codes of this pool are generated.")
        stream = f"{blocks_of(pool)}{derived_id('codes', command_id)}"
        command = _command(command_id, list(codes), stream, AddCodes(pool, tuple(codes), at))
        await self.writer.one(BLOCK, command, claims=ADDED)
        block, _ = await self.writer.state(BLOCK, stream)
        return len(block)

    async def count(self, pool: str) -> int:
        """How many codes were brought in. Raises `StoreUnavailable`."""
        streams = await self.writer.store.names(blocks_of(pool))
        blocks = await self.writer.histories(streams) if streams else {}
        return sum(len(BLOCK.fold(events)) for events, _ in blocks.values())

    async def _read(self) -> None:
        streams = await self.writer.store.names(POOLS)
        heads = await self.writer.store.heads(streams) if streams else {}
        grown = [
            stream
            for stream, head in heads.items()
            if self._known.get(stream.removeprefix(POOLS), Pool()).version != head.version
        ]
        histories = await self.writer.histories(grown) if grown else {}
        self._known |= {
            stream.removeprefix(POOLS): POOL.fold(events)
            for stream, (events, _) in histories.items()
        }


async def require_pool(writer: Writer, name: str | None) -> None:
    """Raise `Refused` for a pool that a campaign names, and that there is not."""
    if name is None:
        return
    pool, _ = await writer.state(POOL, pool_stream(name))
    if pool.definition is None:
        raise invalid("coupon", "is the name of a pool of coupons")
    if pool.definition.referring is not None:
        raise invalid("coupon", "is no pool of codes to recommend by: those are `referral.code`")


def referring_of(pools: Mapping[str, Pool]) -> str | None:
    """The pool of the codes that customers recommend by, if there is one."""
    return next(
        (
            name
            for name, pool in sorted(pools.items())
            if pool.definition is not None and pool.definition.referring is not None
        ),
        None,
    )


def _command(command_id: str, asked: object, stream: str, body: BodyT) -> Command[BodyT]:
    return Command(
        id=command_id,
        hash=body_hash(asked),
        stream=stream,
        key=stream,
        body=body,
        causation=Causation(correlation=command_id),
    )


@dataclass(slots=True)
class _Shelf:
    """The codes of a pool that this process found free, and the blocks that it has not seen."""

    codes: deque[str] = field(default_factory=deque)
    blocks: deque[str] = field(default_factory=deque)
    listed_at: float = float("-inf")


@dataclass(slots=True)
class Stock:
    """Codes that were brought in and that nobody has; `owner` names this process."""

    writer: Writer
    owner: str
    _shelves: dict[str, _Shelf] = field(default_factory=dict)

    async def take(self, pool: str, count: int) -> list[str]:
        """Up to so many codes, which this process takes once. Raises `StoreUnavailable`."""
        shelf = self._shelves.setdefault(pool, _Shelf())
        for _ in range(MOST_BLOCKS):
            if len(shelf.codes) >= count or not await self._next(pool, shelf):
                break
        return [shelf.codes.popleft() for _ in range(min(count, len(shelf.codes)))]

    async def _next(self, pool: str, shelf: _Shelf) -> bool:
        """Find the free codes of another block; False where there is none."""
        now = asyncio.get_running_loop().time()
        if not shelf.blocks and now - shelf.listed_at > LISTED_SECONDS:
            names = await self.writer.store.names(blocks_of(pool))
            shelf.blocks.extend(sorted(names, key=self._own_order))
            shelf.listed_at = now
        if not shelf.blocks:
            return False
        block, _ = await self.writer.state(BLOCK, shelf.blocks.popleft())
        streams = {coupon_stream(code): code for code in sorted(block, key=self._own_order)}
        given = await self.writer.store.heads(list(streams))
        shelf.codes.extend(code for stream, code in streams.items() if stream not in given)
        return True

    def _own_order(self, text: str) -> str:
        return keyed_hash(self.owner.encode(), "order", text)
