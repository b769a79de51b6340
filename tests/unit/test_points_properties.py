"""Points under any order of receipts, spendings, returns, time, merges and reverts.

Beside the ledgers runs a plain account: what each receipt earns on what was not returned of it,
less what paid for receipts that were not returned. The ledgers together must come to the same, no
lot and no balance may ever be below nothing, and the read model must say what the ledgers say.
"""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from services.interaction.api.points.entries import entry_view
from services.interaction.domain.points.balance import balance_at, due, fold
from services.interaction.domain.points.commands import CancelSpending, Grant, Settle, Withdraw
from services.interaction.handlers.points.ledgers import Order
from services.interaction.projections.points import POINTS
from services.interaction.queries.points import ledger_of
from shared.decider import Refused
from shared.envelope import decode
from shared.execute import Done
from shared.testing import logs_of, read
from tests.unit.pointswork import WHY, Chain, ten_percent

PEOPLE = ("anna", "bea", "eva")
LIFE_DAYS = 20
Step = tuple[str, int, int]

steps = st.lists(
    st.tuples(
        st.sampled_from(
            [
                "buy",
                "keep",
                "cancel",
                "pay",
                "return",
                "void",
                "wait",
                "settle",
                "grant",
                "withdraw",
                "merge",
                "revert",
                "by_hand",
            ]
        ),
        st.integers(0, 50),
        st.integers(1, 900),
    ),
    min_size=12,
    max_size=30,
)


@dataclass(slots=True)
class Bought:
    """A receipt: its lines, what came back of each, how many points paid, and whose it is."""

    lines: list[int]
    home: str
    returned: list[int]
    points_spent: int = 0

    @property
    def total(self) -> int:
        return sum(self.lines)

    def earns(self) -> int:
        """A tenth of what is left, less what points paid of each line, in whole points."""
        weight, passed = 0, 0
        for amount, back in zip(self.lines, self.returned, strict=True):
            before, passed = passed, passed + amount
            paid = min(self.points_spent, self.total)
            base = amount - (paid * passed // self.total - paid * before // self.total)
            weight += base * (amount - back) // amount
        return weight // 10

    def costs(self) -> int:
        """Points that have paid for what did not come back."""
        return self.points_spent - self.points_spent * sum(self.returned) // self.total


@dataclass(slots=True)
class Story:
    """The ledgers, and the plain account beside them."""

    chain: Chain
    receipts: dict[str, Bought] = field(default_factory=dict)
    kept: dict[str, tuple[str, int]] = field(default_factory=dict)
    by_hand: int = 0
    merged: list[tuple[str, str, str]] = field(default_factory=list)
    count: int = 0

    def name(self, kind: str) -> str:
        self.count += 1
        return f"{kind}{self.count}"

    def living(self, person: str) -> str:
        following = {loser: survivor for _, loser, survivor in self.merged}
        while person in following:
            person = following[person]
        return person

    async def step(self, step: Step) -> None:
        kind, which, amount = step
        person = PEOPLE[which % len(PEOPLE)]
        chain = self.chain
        match kind:
            case "buy":
                await self.buy(self.name("r"), person, amount, which)
            case "keep":
                spending = self.name("s")
                if isinstance(await chain.spend(spending, person, 1 + amount % 60), Done):
                    self.kept[spending] = (person, 1 + amount % 60)
            case "pay":
                await self.pay(person, amount, which)
            case "cancel":
                for spending, (who, _) in list(self.kept.items())[:1]:
                    command = CancelSpending(at=chain.clock.now(), spending=spending)
                    await chain.ask(self.name("c"), who, command)
                    del self.kept[spending]
            case "return" | "void" | "by_hand":
                await self.change_receipt(kind, which, amount, person)
            case "wait":
                chain.clock.advance(timedelta(minutes=which * 20, days=amount % 5))
            case "settle":
                settle = Settle(at=chain.clock.now())
                await chain.ask(self.name("d"), person, settle)
            case _:
                await self.step_by_people(kind, person, amount, which)

    async def step_by_people(self, kind: str, person: str, amount: int, which: int) -> None:
        chain, now = self.chain, self.chain.clock.now()
        match kind:
            case "grant":
                grant = Grant(
                    at=now,
                    grant=self.name("g"),
                    points=amount,
                    expires=now + timedelta(days=1 + which) if which % 2 else None,
                    reason="",
                    by="",
                )
                await chain.ask(grant.grant, person, grant)
                self.by_hand += amount
            case "withdraw":
                withdraw = Withdraw(at=now, points=amount, reason="", by="")
                order = Order(self.name("w"), "", person, withdraw, WHY)
                (outcome,) = await chain.ledgers.many([order])
                if isinstance(outcome, Refused):
                    assert outcome.type == "too-few-points"
                else:
                    self.by_hand -= amount
            case "merge":
                loser, survivor = self.living(person), self.living(PEOPLE[amount % len(PEOPLE)])
                if loser != survivor:
                    merge = self.name("m")
                    self.merged.append((merge, loser, survivor))
                    await chain.merge(merge, loser, survivor)
            case "revert":
                if self.merged:
                    await chain.revert(*self.merged.pop())

    async def buy(
        self, fact: str, person: str, amount: int, which: int, points_spent: int = 0
    ) -> None:
        lines = [amount, 1 + amount * which % 700]
        self.receipts[fact] = Bought(lines, person, [0, 0], points_spent)
        await self.chain.buy(fact, person, *lines, points_spent=points_spent)

    async def pay(self, person: str, amount: int, which: int) -> None:
        """A receipt that points paid: what was kept for it, more, less, or out of the blue."""
        if which % 2 and self.kept:
            spending, (_, points) = self.kept.popitem()
            await self.buy(spending, person, amount, which, max(1, points + which % 5 - 2))
        else:
            await self.buy(self.name("r"), person, amount, which, 1 + amount % 40)

    async def change_receipt(self, kind: str, which: int, amount: int, person: str) -> None:
        if not self.receipts:
            return
        fact = list(self.receipts)[which % len(self.receipts)]
        bought = self.receipts[fact]
        if kind == "by_hand":
            bought.home = person
            await self.chain.buy(
                fact, person, *bought.lines, points_spent=bought.points_spent, moved=True
            )
            return
        left = [whole - back for whole, back in zip(bought.lines, bought.returned, strict=True)]
        back = left if kind == "void" else [min(amount, left[0]), min(which, left[1])]
        if not any(back):
            return
        bought.returned = [was + now for was, now in zip(bought.returned, back, strict=True)]
        await self.chain.take_back(
            self.name("b"),
            fact,
            self.living(bought.home),
            *((number, each) for number, each in enumerate(back, 1) if each),
            why="voided" if kind == "void" else "returned",
        )

    async def check(self) -> None:
        """Nothing is below nothing, time included, and all comes to what it should."""
        now, total = self.chain.clock.now(), 0
        for person in PEOPLE:
            state = await self.chain.state(person)
            assert all(lot.points >= 0 for lot in state.lots.values())
            found = balance_at(state, now)
            assert min(found.usable, found.kept, found.owed) >= 0
            settled = fold(state, due(state, now))
            assert settled.owed == 0 or settled.left == 0
            total += state.left - state.owed + self.kept_at(state.spendings.values())
        earned = sum(each.earns() for each in self.receipts.values())
        spent = sum(each.costs() for each in self.receipts.values())
        assert total == earned - spent + self.by_hand - self.expired()

    async def check_entries(self) -> None:
        """What every entry tells adds up to what is left, less what is owed."""
        for person in PEOPLE:
            state = await self.chain.state(person)
            told = await ledger_of(self.chain.ledgers.writer, person)
            assert sum(entry_view(each).points for each in told) == state.left - state.owed

    @staticmethod
    def kept_at(spendings: object) -> int:
        """What waits for receipts is spent already in the ledger, and not in the account."""
        return sum(each.points for each in spendings if each.lapses is not None)  # type: ignore[attr-defined]  # values of a ledger

    def expired(self) -> int:
        """Points whose life is over, by what was told."""
        texts = [text for commit in self.chain.store.commits for text in commit.events]
        found = [decode(text) for text in texts]
        ended = [each for each in found if each.type == "points.expired.v1"]
        return sum(json.loads(bytes(each.data))["points"] for each in ended)


async def play(taken: Sequence[Step], life: str | None) -> Story:
    """Let it all happen, and look at it after each step."""
    story = Story(Chain())
    await story.chain.define(ten_percent(life=life, pending_days=3))
    for step in taken:
        await story.step(step)
        await story.check()
    await story.check_entries()
    return story


@settings(max_examples=40, deadline=None)
@given(taken=steps)
def test_ledgers_come_to_what_a_plain_account_comes_to(taken: Sequence[Step]) -> None:
    asyncio.run(play(taken, None))


@settings(max_examples=40, deadline=None)
@given(taken=steps)
def test_ledgers_come_to_the_same_where_points_expire(taken: Sequence[Step]) -> None:
    asyncio.run(play(taken, f"P{LIFE_DAYS}D"))


@settings(max_examples=25, deadline=None)
@given(taken=steps)
def test_whom_the_chain_reverts_has_what_is_left_of_what_was_brought(
    taken: Sequence[Step],
) -> None:
    async def whole() -> None:
        story = await play(taken, None)
        while story.merged:
            await story.chain.revert(*story.merged.pop())
            await story.check()
        for person in PEOPLE:
            assert (await story.chain.state(person)).moved is None

    asyncio.run(whole())


@settings(max_examples=25, deadline=None)
@given(taken=steps)
def test_the_read_model_says_what_the_ledgers_say(taken: Sequence[Step]) -> None:
    async def whole() -> None:
        story = await play(taken, f"P{LIFE_DAYS}D")
        documents = await read(POINTS, logs_of(story.chain.store.commits), story.chain.keyring)
        for person in PEOPLE:
            state, found = await story.chain.state(person), documents.get(person)
            lots = {} if found is None else found.lots
            assert {name: each.points for name, each in lots.items()} == {
                name: each.points for name, each in state.lots.items() if each.points
            }
            kept = {} if found is None else found.kept
            assert {name: each.points for name, each in kept.items()} == {
                name: each.points for name, each in state.spendings.items() if each.lapses
            }
            assert state.owed == (0 if found is None else found.owed)

    asyncio.run(whole())
