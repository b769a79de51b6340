"""Totals: whatever happens to facts, in whatever order it is read, they are the plain sums."""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.interaction.domain.misuse import misuse_stream
from services.interaction.domain.streams import stream_of
from services.interaction.projections.totals import (
    BranchTotals,
    CategoryTotals,
    CustomerTotals,
    Suspicion,
    totals_of,
)
from shared.envelope import Causation, Placed, encode
from shared.events.contract import EventData
from shared.events.interaction import (
    Fact,
    MisuseLifted,
    MisuseSuspected,
    PageViewed,
    ReceiptLine,
    ReceiptRecorded,
    ReceiptReturned,
    ReceiptVoided,
    ReturnedLine,
    VisitRecorded,
)
from shared.events.moving import (
    FactsMoved,
    FactWithdrawn,
    MoveBegun,
    MovedFact,
    MoveEnded,
    StreamClosed,
)
from shared.moments import milliseconds, with_moment
from shared.testing import DAY, read, readings
from shared.testing.reading import Log, LoggedRecord

HOUR = timedelta(hours=1)
LIMIT = 3
"""Receipts a day."""
BERLIN = ZoneInfo("Europe/Berlin")
TOTALS = totals_of(BERLIN, LIMIT)
PEOPLE = ("anna", "boris", "clara")
STRANGERS = ("unknown-1", "unknown-2")


@dataclass(frozen=True, slots=True)
class Told:
    """A fact as it was recorded: where and when it happened."""

    data: Fact
    time: datetime
    branch: str | None


@dataclass(slots=True)
class Shop:
    """What happens, and the topic that tells it."""

    logs: dict[str, list[LoggedRecord]] = field(default_factory=dict)
    versions: Counter[str] = field(default_factory=Counter)
    facts: dict[str, tuple[str, Told]] = field(default_factory=dict)
    """Fact → where it is, and what it is."""
    sold: dict[str, list[int]] = field(default_factory=dict)
    """Receipt → what is left of each line."""
    closed: set[str] = field(default_factory=set)

    def tell(
        self, who: str, data: EventData, time: datetime, branch: str | None, stream: str = ""
    ) -> None:
        """Append an event to the stream of somebody."""
        stream = stream or (who if who in STRANGERS else stream_of(who))
        self.versions[stream] += 1
        placed = Placed(
            data=data, service="interaction", stream=stream, version=self.versions[stream],
            time=time, recorded=time, causation=Causation(correlation="c"),
            subject=None if who in STRANGERS else who, branch=branch,
        )  # fmt: skip
        log = self.logs.setdefault(who, [])
        partition = sorted((*PEOPLE, *STRANGERS)).index(who)
        record = LoggedRecord(
            "interaction.events.v1", partition, len(log), who.encode(), encode(placed).encode()
        )
        log.append(record)

    def record(self, who: str, fact: Told) -> None:
        """A fact of somebody."""
        self.facts[fact.data.fact] = (who, fact)
        self.tell(who, fact.data, fact.time, fact.branch)

    def number(self) -> str:
        """An id that no fact has had."""
        self.versions["numbers"] += 1
        return f"r{self.versions['numbers'] - 1}"

    def sell(
        self, who: str, branch: str, hours: int, *amounts: int, cost: int | None = None
    ) -> str:
        """A receipt with a line for each amount, of which the first may have a cost."""
        number = self.number()
        lines = tuple(
            ReceiptLine(
                product="p", quantity=Decimal(1), amount=amount,
                cost=cost if place == 0 else None,
                categories=("food", f"c{place}") if place < 2 else None,
            )
            for place, amount in enumerate(amounts)
        )  # fmt: skip
        receipt = ReceiptRecorded(
            fact=number, source="pos", source_id=number, total=sum(amounts), coupon_lines=0,
            lines=lines, tips=hours % 3 or None,
        )  # fmt: skip
        self.sold[number] = list(amounts)
        self.record(who, Told(receipt, DAY + hours * HOUR, branch))
        return number

    def bring_back(self, receipt: str, branch: str, line: int, part: int) -> None:
        """A return of a part of one line."""
        who, bought = self.facts[receipt]
        left = self.sold[receipt]
        amount = left[line] * part // 4
        left[line] -= amount
        number = self.number()
        back = ReceiptReturned(
            fact=number, source="pos", source_id=number, receipt=receipt, bought=bought.time,
            total=amount, lines=(self._line(receipt, line, amount),),
        )  # fmt: skip
        self.record(who, Told(back, bought.time + HOUR, branch))

    def void(self, receipt: str) -> None:
        """Whatever is left of a receipt never happened."""
        who, bought = self.facts[receipt]
        assert isinstance(bought.data, ReceiptRecorded)
        left = self.sold.pop(receipt)
        number = self.number()
        lines = tuple(self._line(receipt, line, amount) for line, amount in enumerate(left))
        gone = ReceiptVoided(
            fact=number, source="pos", source_id=number, receipt=receipt, bought=bought.time,
            bought_at=bought.branch or "", total=sum(left), lines=lines, tips=bought.data.tips,
        )  # fmt: skip
        self.record(who, Told(gone, bought.time + 2 * HOUR, bought.branch))

    def _line(self, receipt: str, line: int, amount: int) -> ReturnedLine:
        bought = self.facts[receipt][1].data
        assert isinstance(bought, ReceiptRecorded)
        sold = bought.lines[line]
        return ReturnedLine(
            line=line + 1, product="p", quantity=Decimal(1), amount=amount,
            cost=None if sold.cost is None else amount // 2, categories=sold.categories,
        )  # fmt: skip

    def come(self, who: str, branch: str | None, hours: int, state: str) -> None:
        """A visit, seen an hour after it was."""
        number = self.number()
        visit = VisitRecorded.model_validate(
            {"fact": number, "source": "web", "source_id": number, "visit": number, "state": state,
             "at": DAY + hours * HOUR}
        )  # fmt: skip
        self.record(who, Told(visit, DAY + (hours + 1) * HOUR, branch))

    def withdraw(self, fact: str) -> None:
        """A fact that is no receipt never happened."""
        who, _ = self.facts[fact]
        gone = FactWithdrawn(fact=fact, withdrawn=self._moved(fact), reason="import_reverted")
        del self.facts[fact]
        self.tell(who, gone, DAY, None)

    def look(self, who: str) -> None:
        """A fact of which totals know nothing."""
        number = self.number()
        page = PageViewed(fact=number, source="web", source_id=number, page="/")
        self.record(who, Told(page, DAY, None))

    def move(self, chosen: Sequence[str], where: str, to: str, between: Sequence[str]) -> None:
        """The facts go from one to another, while receipts of `between` are recorded."""
        move = f"m{len(self.versions)}-{self.versions.total()}"
        facts = [self._moved(fact) for fact in chosen]
        for fact in chosen:
            self.facts[fact] = (to, self.facts[fact][1])
        ends = [(to, "in", where)]
        if where not in self.closed:
            ends.append((where, "out", to))
        for who, direction, other in ends:
            self._ends(MoveBegun, who, move, direction, other)
        for begin in range(0, len(facts), 2):
            for who, direction, _ in ends:
                part = FactsMoved.model_validate(
                    {"move": move, "direction": direction, "facts": tuple(facts[begin : begin + 2])}
                )
                self.tell(who, part, DAY, None)
            for who in between:
                self.sell(who, "12", begin, 100 + begin)
        for who, direction, other in ends:
            self._ends(MoveEnded, who, move, direction, other)

    def adopt(self, stranger: str, customer: str, between: Sequence[str]) -> None:
        """Somebody becomes known."""
        closed = StreamClosed(to=customer, reason="adopted", move="m")
        self.tell(stranger, closed, DAY, None)
        self.closed.add(stranger)
        self.move(self.of(stranger), stranger, customer, between)

    def of(self, who: str) -> list[str]:
        """The facts that are at somebody, a receipt before what became of it or not."""
        return sorted(fact for fact, (where, _) in self.facts.items() if where == who)

    def _ends(self, kind: type[EventData], who: str, move: str, direction: str, other: str) -> None:
        data = {"move": move, "direction": direction, "reason": "merged", "other": other}
        self.tell(who, kind.model_validate(data), DAY, None)

    def _moved(self, fact: str) -> MovedFact:
        _, told = self.facts[fact]
        return MovedFact(
            fact=fact, type=told.data.type, time=told.time, recordedtime=told.time,
            branch=told.branch, home="h", hops=1,
            data=told.data.model_dump(mode="json", exclude_none=True),
        )  # fmt: skip


def recomputed(facts: Sequence[Told]) -> list[BranchTotals]:
    """Totals by the definition of each figure, one after the other."""
    voids = {told.data.receipt: told.data for told in facts if isinstance(told.data, ReceiptVoided)}
    branches = {told.branch for told in facts if told.branch is not None}
    found = [
        recomputed_at(branch, [told for told in facts if told.branch == branch], voids)
        for branch in sorted(branches)
    ]
    return [each for each in found if each != BranchTotals(each.branch)]


def recomputed_at(
    branch: str, mine: Sequence[Told], voids: Mapping[str, ReceiptVoided]
) -> BranchTotals:
    """The figures of one branch; a receipt that was voided gave what the void takes back."""
    paid = [(told.time, told.data) for told in mine if isinstance(told.data, ReceiptRecorded)]
    stands = [(time, receipt) for time, receipt in paid if receipt.fact not in voids]
    back = [told.data for told in mine if isinstance(told.data, ReceiptReturned)]
    came = [
        told.data.at
        for told in mine
        if isinstance(told.data, VisitRecorded)
        and told.data.state in {"kept", "walked_in"}
        and told.data.at is not None
    ]
    lines: list[tuple[ReceiptLine | ReturnedLine, int]] = [
        (line, 1) for _, receipt in paid for line in receipt.lines
    ]
    lines += [(line, -1) for each in back for line in each.lines]
    lines += [
        (line, -1)
        for _, receipt in paid
        if receipt.fact in voids
        for line in voids[receipt.fact].lines
    ]
    spent: Counter[tuple[str, ...]] = Counter()
    for line, sign in lines:
        if line.categories:
            spent[line.categories] += sign * line.amount
    moments = sorted(time for time, _ in stands)
    return BranchTotals(
        branch,
        visits=len({at.astimezone(BERLIN).date() for at in (*moments, *came)}),
        receipts=len(stands),
        spent=sum(sign * line.amount for line, sign in lines),
        returns=len(back),
        returned=sum(each.total for each in back),
        tips=sum(receipt.tips or 0 for _, receipt in stands),
        costed=sum(sign * line.amount for line, sign in lines if line.cost is not None),
        cost=sum(sign * (line.cost or 0) for line, sign in lines),
        first=min(moments, default=None),
        last=max(moments, default=None),
        bought=packed(moments),
        came=packed(came),
        categories=[
            CategoryTotals(list(path), amount) for path, amount in sorted(spent.items()) if amount
        ],
    )


def packed(moments: Sequence[datetime]) -> bytes:
    found = b""
    for moment in moments:
        found = with_moment(found, milliseconds(moment))
    return found


def too_many(facts: Sequence[Told]) -> Mapping[str, int]:
    """The days with more receipts than allowed, and how many those are."""
    voided = {told.data.receipt for told in facts if isinstance(told.data, ReceiptVoided)}
    days = Counter(
        str(told.time.astimezone(BERLIN).date())
        for told in facts
        if isinstance(told.data, ReceiptRecorded) and told.data.fact not in voided
    )
    return {day: count for day, count in days.items() if count > LIMIT}


def read_all(shop: Shop, batches: Sequence[Log] | None = None) -> Mapping[str, CustomerTotals]:
    return asyncio.run(read(TOTALS, list(shop.logs.values()) if batches is None else batches))


def test_a_return_lowers_the_net_of_its_branch_and_is_no_visit_receipt_or_purchase() -> None:
    shop = Shop()
    receipt = shop.sell("anna", "12", 0, 400, 100)
    shop.bring_back(receipt, "13", line=0, part=1)
    anna = read_all(shop)["anna"]
    bought, returned = anna.branches
    assert (bought.branch, bought.visits, bought.receipts, bought.spent) == ("12", 1, 1, 500)
    assert (bought.first, bought.last, bought.returns) == (DAY, DAY, 0)
    # A quarter of 400 came back, an hour later, at another branch.
    assert returned == BranchTotals(
        "13", spent=-100, returns=1, returned=100,
        categories=[CategoryTotals(["food", "c0"], -100)],
    )  # fmt: skip


def test_a_void_leaves_nothing_of_a_receipt_and_moves_the_ends_back() -> None:
    shop = Shop()
    shop.sell("anna", "12", 0, 10)
    late = shop.sell("anna", "12", 48, 20, 30)
    early = shop.sell("anna", "12", -48, 40)
    (before,) = read_all(shop)["anna"].branches
    assert (before.first, before.last) == (DAY - 48 * HOUR, DAY + 48 * HOUR)
    shop.void(late)
    shop.void(early)
    (after,) = read_all(shop)["anna"].branches
    assert (after.first, after.last) == (DAY, DAY)
    assert (after.visits, after.receipts, after.spent, after.tips) == (1, 1, 10, 0)


def test_what_is_left_after_a_return_is_what_a_void_takes() -> None:
    shop = Shop()
    receipt = shop.sell("anna", "12", 0, 400)
    shop.bring_back(receipt, "12", line=0, part=3)
    shop.void(receipt)
    (branch,) = read_all(shop)["anna"].branches
    # 400 - 300 - 100: that something was given back stays true.
    assert branch == BranchTotals("12", returns=1, returned=300)


def test_a_day_of_the_chain_with_receipts_and_visits_is_one_visit_at_a_branch() -> None:
    shop = Shop()
    # DAY is 9:30 UTC, in Berlin 10:30: after 13 hours it is 23:30 there, after 14 tomorrow.
    for hours in (0, 1, 13, 14):
        shop.sell("anna", "12", hours, 1)
    shop.come("anna", "12", 5, "kept")
    shop.come("anna", "12", 40, "walked_in")
    shop.come("anna", "12", 80, "missed")
    shop.come("anna", "13", 5, "kept")
    twelve, thirteen = read_all(shop)["anna"].branches
    # The first, the second (a receipt), and the third (a visit, 40 hours after: 2:30 there).
    assert twelve.visits == 3
    assert (thirteen.visits, thirteen.receipts, thirteen.first) == (1, 0, None)


def test_a_visit_that_was_withdrawn_never_happened() -> None:
    shop = Shop()
    shop.sell("anna", "12", 0, 100)
    before = read_all(shop)["anna"].branches
    shop.come("anna", "12", 40, "kept")
    shop.withdraw("r1")
    assert read_all(shop)["anna"].branches == before


def test_facts_of_a_move_count_when_it_has_ended() -> None:
    shop = Shop()
    shop.sell("anna", "12", 0, 100, cost=60)
    shop.come("anna", "13", 0, "kept")
    shop.move(shop.of("anna"), "anna", "boris", [])
    before = {who: log[:-1] for who, log in shop.logs.items()}
    begun = asyncio.run(read(TOTALS, list(before.values())))
    assert [len(begun["anna"].branches), len(begun["boris"].branches)] == [2, 0]
    found = read_all(shop)
    assert found["anna"].branches == []
    assert [*found["anna"].pending, *found["boris"].pending] == []
    assert [each.branch for each in found["boris"].branches] == ["12", "13"]
    assert found["boris"].branches[0].cost == 60


def test_a_stream_of_somebody_unknown_is_empty_once_it_was_adopted() -> None:
    shop = Shop()
    shop.sell("unknown-1", "12", 0, 100)
    stranger = read_all(shop)["unknown-1"]
    assert (stranger.unknown, stranger.branches[0].spent) == (True, 100)
    shop.adopt("unknown-1", "anna", [])
    found = read_all(shop)
    assert (found["unknown-1"].closed, found["unknown-1"].branches) == (True, [])
    assert found["anna"].branches == stranger.branches


def test_a_gap_in_the_log_of_a_customer_is_parked() -> None:
    shop = Shop()
    for hours in range(3):
        shop.sell("anna", "12", hours, 1)
    log = shop.logs["anna"]
    with pytest.raises(AssertionError, match="version 2 is missing before 3"):
        read_all(shop, [[log[0], log[2]]])


def test_a_stream_of_a_customer_that_is_closed_keeps_its_facts_until_they_move() -> None:
    shop = Shop()
    shop.sell("anna", "12", 0, 100)
    closed = StreamClosed(to="boris", reason="merged", move="m")
    shop.tell("anna", closed, DAY, None)
    assert read_all(shop)["anna"].branches[0].spent == 100
    shop.move(shop.of("anna"), "anna", "boris", [])
    assert read_all(shop)["anna"].branches == []


def test_a_return_without_a_branch_is_parked() -> None:
    shop = Shop()
    receipt = shop.sell("anna", "12", 0, 100)
    _, told = shop.facts[receipt]
    shop.record("anna", replace(told, branch=None))
    with pytest.raises(AssertionError, match="ValueError"):
        read_all(shop)


def test_a_day_with_too_many_receipts_is_suspicious_until_it_was_told_and_lifted() -> None:
    shop = Shop()
    for hours in range(LIMIT):
        shop.sell("anna", "12", hours, 1)
    assert read_all(shop)["anna"].suspicions == []
    number = shop.sell("anna", "13", LIMIT, 1)
    day = str(DAY.astimezone(BERLIN).date())
    anna = read_all(shop)["anna"]
    one_too_many = DAY + LIMIT * HOUR
    # Four receipts at two branches, where three are allowed.
    assert anna.suspicions == [Suspicion(day, LIMIT + 1, LIMIT, one_too_many, number)]
    assert anna.due_at == one_too_many
    told = MisuseSuspected(day=day, count=LIMIT + 1, limit=LIMIT)
    shop.tell("anna", told, one_too_many, None, misuse_stream("anna"))
    anna = read_all(shop)["anna"]
    assert (anna.due_at, [each.told for each in anna.suspicions]) == (None, [True])
    shop.tell("anna", MisuseLifted(days=(day,)), one_too_many, None, misuse_stream("anna"))
    shop.sell("anna", "12", LIMIT + 1, 1)
    anna = read_all(shop)["anna"]
    assert (anna.due_at, [each.lifted for each in anna.suspicions]) == (None, [True])


def test_a_suspicion_goes_with_its_cause_while_it_was_not_told() -> None:
    shop = Shop()
    numbers = [shop.sell("anna", "12", hours, 1) for hours in range(LIMIT + 1)]
    shop.void(numbers[0])
    anna = read_all(shop)["anna"]
    assert (anna.suspicions, anna.due_at) == ([], None)
    shop.sell("boris", "12", 0, 1)
    shop.move(shop.of("anna"), "anna", "boris", [])
    # Boris has one of his own and the three that are left.
    assert [each.count for each in read_all(shop)["boris"].suspicions] == [4]


BRANCHES = st.sampled_from(["12", "13", "a.b$"])
HOURS = st.integers(-60, 60)
AMOUNTS = st.lists(st.integers(-5, 10**10), min_size=1, max_size=3)


def act(shop: Shop, data: st.DataObject) -> None:
    """One thing that may happen."""
    here = [who for who in (*PEOPLE, *STRANGERS) if who not in shop.closed]
    who = data.draw(st.sampled_from(here))
    receipts = sorted(shop.sold)
    doing = data.draw(
        st.sampled_from(["sell", "sell", "back", "void", "come", "look", "withdraw", "move"])
    )
    if doing == "sell":
        cost = data.draw(st.none() | st.integers(0, 50))
        shop.sell(who, data.draw(BRANCHES), data.draw(HOURS), *data.draw(AMOUNTS), cost=cost)
    elif doing == "come":
        states = st.sampled_from(["booked", "kept", "missed", "walked_in"])
        where = data.draw(st.none() | BRANCHES)
        shop.come(who, where, data.draw(HOURS), data.draw(states))
    elif doing == "look":
        shop.look(who)
    elif doing == "withdraw":
        visits = [
            each for each in shop.of(who) if isinstance(shop.facts[each][1].data, VisitRecorded)
        ]
        if visits:
            shop.withdraw(data.draw(st.sampled_from(visits)))
    elif doing == "move":
        change_hands(shop, who, data)
    elif receipts:
        receipt = data.draw(st.sampled_from(receipts))
        if doing == "void":
            shop.void(receipt)
        else:
            line = data.draw(st.integers(0, len(shop.sold[receipt]) - 1))
            shop.bring_back(receipt, data.draw(BRANCHES), line, data.draw(st.integers(0, 4)))


def change_hands(shop: Shop, who: str, data: st.DataObject) -> None:
    """An adoption, a merge or its revert, or some receipts with their returns by hand."""
    to = data.draw(st.sampled_from([each for each in PEOPLE if each != who]))
    between = data.draw(st.lists(st.sampled_from(PEOPLE), max_size=2))
    if who in STRANGERS and data.draw(st.booleans()):
        shop.adopt(who, to, between)
        return
    chosen = shop.of(who)
    if bool(chosen) and data.draw(st.booleans()):
        roots: set[str] = data.draw(st.sets(st.sampled_from([root(shop, each) for each in chosen])))
        chosen = [each for each in chosen if root(shop, each) in roots]
    if chosen:
        shop.move(data.draw(st.permutations(chosen)), who, to, between)


def root(shop: Shop, fact: str) -> str:
    """The receipt that the fact is or belongs to."""
    data = shop.facts[fact][1].data
    return data.receipt if isinstance(data, ReceiptReturned | ReceiptVoided) else fact


@settings(max_examples=300, deadline=None)
@given(st.data(), st.integers(0, 25))
def test_totals_are_the_plain_sums_of_the_facts_that_are_there(
    data: st.DataObject, many: int
) -> None:
    shop = Shop()
    for _ in range(many):
        act(shop, data)
    found = read_all(shop, data.draw(readings(list(shop.logs.values()))))
    for who, totals in found.items():
        facts = [told for where, told in shop.facts.values() if where == who]
        assert totals.branches == recomputed(facts), who
        assert totals.pending == []
        assert {each.day: each.count for each in totals.suspicions} == too_many(facts)
