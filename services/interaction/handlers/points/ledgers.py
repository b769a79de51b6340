"""Commands find the ledger that has the points by now, and points follow merges.

A ledger that was merged, or a receipt that went on with somebody else, answers with who has it; a
command goes there under the id that it has, so it is carried out once, wherever it begins to look.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from services.interaction.domain.points.commands import Command, Earn
from services.interaction.domain.points.deciding import GONE, LEDGER, MOVED
from services.interaction.domain.points.ledger import Ledger, ledger_customer, ledger_stream
from services.interaction.domain.points.moving import (
    OUTDATED,
    Merge,
    Move,
    MoveReceipt,
    Revert,
    decide_move,
)
from shared.decider import Refused
from shared.envelope import Causation
from shared.events.points import PointsOrigin
from shared.eventstore import StoreUnavailable
from shared.execute import Command as Execution
from shared.execute import Done, Joint, JointDecider, Outcome, Writer

STEPS = 50
"""Moves that are followed before something must be wrong."""
ROUNDS = 3
"""Who is led away from a ledger so often goes in a circle, and does not only meet moves."""
FULL = 20_000
"""Events after which a ledger takes in no more receipts: whose it is, is no person.

A ledger is read whole for each decision; a card that a cashier lends to everybody would in time
keep all others waiting.
"""
MOVES: JointDecider[Move, Ledger] = JointDecider(of=LEDGER, decide=decide_move)


@dataclass(frozen=True, slots=True)
class Order:
    """What is wanted of a customer's ledger; the hash is that of what its sender says.

    `passed` are the ledgers that it was led away from.
    """

    id: str
    hash: str
    customer: str
    command: Command
    causation: Causation
    passed: tuple[str, ...] = ()

    def execution(self) -> Execution[Command]:
        """The same for a writer."""
        return Execution(
            id=self.id,
            hash=self.hash,
            stream=ledger_stream(self.customer),
            key=self.customer,
            body=self.command,
            causation=self.causation,
            subject=self.customer,
        )

    def redirected(self, refusal: Refused) -> "Order":
        """The same for who has the points by now; what is earned knows which merge led there.

        What came back whole is kept by nobody, and what is told of where it went may lead in a
        circle once those on the way are merged: then it is decided where the points are.
        """
        command = self.command
        passed = (*self.passed, self.customer)
        if passed.count(self.customer) == ROUNDS:
            command = replace(command, wherever=True)
        if refusal.type == MOVED and isinstance(command, Earn):
            origin = PointsOrigin(merge=refusal.extra["merge"], customer=self.customer)
            command = replace(command, origins=(*command.origins, origin))
        return replace(self, customer=refusal.extra["to"], command=command, passed=passed)


@dataclass(frozen=True, slots=True)
class Sight:
    """Where points are; each ledger is read once, so it is for one look around."""

    writer: Writer
    _states: dict[str, tuple[Ledger, int]] = field(default_factory=dict)

    async def state(self, customer: str) -> tuple[Ledger, int]:
        """A ledger and its version. Raises `StoreUnavailable`."""
        if customer not in self._states:
            self._states[customer] = await self.writer.state(LEDGER, ledger_stream(customer))
        return self._states[customer]

    async def way(self, customer: str) -> tuple[str, ...]:
        """From a customer to who has the points by now, over all between.

        Merges that are not all heard of may go round for a moment: then it ends before that.
        """
        found = [customer]
        while len(found) < STEPS:
            state, _ = await self.state(found[-1])
            if state.moved is None or state.moved.to in found:
                break
            found.append(state.moved.to)
        return tuple(found)

    async def trail(self, fact: str, born: str) -> tuple[str, ...]:
        """From who recorded first what a receipt earned to who has it; empty where nobody has."""
        found = [born]
        while True:
            state, _ = await self.state(found[-1])
            lot = state.lots.get(fact)
            if lot is not None and lot.earning is not None:
                return tuple(found)
            following = state.gone.get(fact) or (state.moved.to if state.moved else None)
            if following is None or following in found:
                return ()
            found.append(following)


@dataclass(frozen=True, slots=True)
class Ledgers:
    """Carries out what is wanted of ledgers."""

    writer: Writer

    async def one(self, order: Order) -> Done:
        """Carry out one. Raises its refusal."""
        (outcome,) = await self.many([order])
        if isinstance(outcome, Refused):
            raise outcome
        return outcome

    async def many(self, orders: Sequence[Order]) -> Sequence[Outcome]:
        """Carry out several, each with its own outcome, whoever has the points by now.

        Raises `StoreUnavailable`.
        """
        outcomes: dict[int, Outcome] = {}
        pending = dict(enumerate(orders))
        for _ in range(STEPS):
            if not pending:
                return [outcomes[index] for index in range(len(orders))]
            found = await self.writer.many(LEDGER, [each.execution() for each in pending.values()])
            again: dict[int, Order] = {}
            for (index, order), outcome in zip(pending.items(), found, strict=True):
                if isinstance(outcome, Refused) and outcome.type in (MOVED, GONE):
                    again[index] = order.redirected(outcome)
                else:
                    outcomes[index] = outcome
            pending = again
        raise _on_the_way()

    async def full(self, customers: Collection[str]) -> Collection[str]:
        """Those of the customers whose ledgers take in no more receipts."""
        streams = [ledger_stream(each) for each in sorted(customers)]
        heads = await self.writer.store.heads(streams)
        return {ledger_customer(stream) for stream, head in heads.items() if head.version >= FULL}

    def sight(self) -> "Sight":
        """Where points are, as of now and a little later."""
        return Sight(self.writer)

    async def merge(self, merge: str, loser: str, survivor: str, causation: Causation) -> None:
        """Let all points of the loser go on with the survivor, or with who that is by now."""
        for _ in range(STEPS):
            path = (loser, *await self.sight().way(survivor))
            if loser in path[1:]:
                # The merge back is heard of already, so the revert of this one is on its way.
                return
            move = Merge(merge, path, self.writer.clock.now())
            if await self._moved(f"points|merge|{merge}", move, path, causation):
                return
        raise _on_the_way()

    async def revert(self, merge: str, loser: str, causation: Causation) -> None:
        """Let the loser have back what is left of what the merge brought."""
        for _ in range(STEPS):
            path = await self.sight().way(loser)
            if len(path) == 1:
                return
            move = Revert(merge, path, self.writer.clock.now())
            if await self._moved(f"points|revert|{merge}", move, path, causation):
                return
        raise _on_the_way()

    async def move_receipt(self, fact: str, born: str, home: str, causation: Causation) -> None:
        """Let a receipt's points be those of its home, wherever they were earned.

        `born` is whose ledger they were first recorded in.
        """
        for _ in range(STEPS):
            sight = self.sight()
            trail, target = await sight.trail(fact, born), (await sight.way(home))[-1]
            if not trail or trail[-1] == target:
                return
            *before, source = trail
            told = tuple(each for each in before if each != target)
            version = (await sight.state(source))[1]
            move = MoveReceipt(fact, source, target, self.writer.clock.now(), told)
            # It may go back and forth: an id for each time, the same for all who see the same.
            command_id = f"points|move|{fact}|{source}|{version}"
            if await self._moved(command_id, move, (source, target, *told), causation):
                return
        raise _on_the_way()

    async def _moved(
        self, command_id: str, move: Move, path: Sequence[str], causation: Causation
    ) -> bool:
        """Carry out a move; says whether the way was still the same."""
        streams: Mapping[str, str] = {ledger_stream(each): each for each in path}
        joint: Joint[Move] = Joint(command_id, "", streams, move, causation)
        try:
            await self.writer.together(MOVES, joint)
        except Refused as refusal:
            if refusal.type != OUTDATED:
                raise
            return False
        return True


def _on_the_way() -> StoreUnavailable:
    return StoreUnavailable("the points are on the way from one to another all the time")
