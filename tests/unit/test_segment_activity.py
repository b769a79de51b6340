"""Activity: whatever happens to receipts, in whatever order it is read, it is the plain sums."""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from services.segment.projections.activity import ACTIVITY, Activity, BranchActivity
from shared.envelope import Causation, Placed, encode
from shared.events.contract import EventData
from shared.events.customer import CustomerChanged, CustomerRegistered, RecordFields
from shared.events.interaction import Fact, ReceiptRecorded, ReceiptReturned, ReceiptVoided
from shared.events.merging import (
    CustomerAbsorbed,
    CustomerErased,
    CustomerMerged,
    MergeReverted,
)
from shared.events.moving import FactsMoved, FactWithdrawn, MoveBegun, MovedFact, MoveEnded
from shared.moments import milliseconds, with_moment
from shared.testing import DAY, read, readings
from shared.testing.reading import Log, LoggedRecord

HOUR = timedelta(hours=1)
PEOPLE = ("anna", "boris")


@dataclass(frozen=True, slots=True)
class Told:
    """A fact as it was recorded."""

    data: Fact
    time: datetime
    branch: str


@dataclass(slots=True)
class Shop:
    """What happens, and the topics that tell it."""

    logs: dict[tuple[str, str], list[LoggedRecord]] = field(default_factory=dict)
    versions: Counter[str] = field(default_factory=Counter)
    facts: dict[str, tuple[str, Told]] = field(default_factory=dict)
    left: dict[str, int] = field(default_factory=dict)
    """Receipt → what was not given back, while it stands."""

    def tell(self, who: str, data: EventData, time: datetime, branch: str | None = None) -> None:
        """Append an event to the customer's stream of its service."""
        service = "customer" if data.type.startswith("customer.") else "interaction"
        stream = f"{service}-{who}"
        self.versions[stream] += 1
        placed = Placed(
            data=data, service=service, stream=stream, version=self.versions[stream],
            time=time, recorded=time, causation=Causation(correlation="c"), subject=who,
            branch=branch,
        )  # fmt: skip
        log = self.logs.setdefault((service, who), [])
        partition = PEOPLE.index(who)
        log.append(
            LoggedRecord(service, partition, len(log), who.encode(), encode(placed).encode())
        )

    def record(self, who: str, fact: Fact, time: datetime, branch: str) -> None:
        """A fact of somebody."""
        self.facts[fact.fact] = (who, Told(fact, time, branch))
        self.tell(who, fact, time, branch)

    def number(self) -> str:
        """An id that no fact has had."""
        self.versions["numbers"] += 1
        return f"r{self.versions['numbers']}"

    def sell(self, who: str, branch: str, hours: int, total: int) -> str:
        number = self.number()
        receipt = ReceiptRecorded(
            fact=number, source="pos", source_id=number, total=total, coupon_lines=0, lines=()
        )
        self.left[number] = total
        self.record(who, receipt, DAY + hours * HOUR, branch)
        return number

    def bring_back(self, receipt: str, branch: str, amount: int) -> None:
        who, bought = self.facts[receipt]
        self.left[receipt] -= amount
        number = self.number()
        back = ReceiptReturned(
            fact=number, source="pos", source_id=number, receipt=receipt, bought=bought.time,
            total=amount, lines=(),
        )  # fmt: skip
        self.record(who, back, bought.time + HOUR, branch)

    def void(self, receipt: str) -> None:
        who, bought = self.facts[receipt]
        number = self.number()
        gone = ReceiptVoided(
            fact=number, source="pos", source_id=number, receipt=receipt, bought=bought.time,
            bought_at=bought.branch, total=self.left.pop(receipt), lines=(),
        )  # fmt: skip
        self.record(who, gone, bought.time + HOUR, bought.branch)

    def moved(self, fact: str) -> MovedFact:
        _, told = self.facts[fact]
        return MovedFact(
            fact=fact, type=told.data.type, time=told.time, recordedtime=told.time,
            branch=told.branch, home="h", hops=1,
            data=told.data.model_dump(mode="json", exclude_none=True),
        )  # fmt: skip

    def move(self, where: str, to: str) -> None:
        """All facts go from one to another, while one more is recorded at each."""
        chosen = [fact for fact, (who, _) in self.facts.items() if who == where]
        move = f"m{self.versions.total()}"
        ends = [(to, "in", where), (where, "out", to)]
        for who, direction, other in ends:
            self._end(MoveBegun, who, move, direction, other)
        for who, direction, _ in ends:
            part = FactsMoved.model_validate(
                {"move": move, "direction": direction, "facts": [self.moved(one) for one in chosen]}
            )
            self.tell(who, part, DAY)
            self.sell(who, "12", 7, 50)
        for fact in chosen:
            self.facts[fact] = (to, self.facts[fact][1])
        for who, direction, other in ends:
            self._end(MoveEnded, who, move, direction, other)

    def _end(self, kind: type[EventData], who: str, move: str, direction: str, other: str) -> None:
        data = {"move": move, "direction": direction, "reason": "merged", "other": other}
        self.tell(who, kind.model_validate(data), DAY)

    def read(self, batches: Sequence[Log] | None = None) -> Mapping[str, Activity]:
        return asyncio.run(read(ACTIVITY, batches or list(self.logs.values())))


def recomputed(told: Sequence[Told]) -> list[BranchActivity]:
    """What was bought, by the meaning of the words."""
    voided = {one.data.receipt for one in told if isinstance(one.data, ReceiptVoided)}
    found = []
    for branch in sorted({one.branch for one in told}):
        bought, spent = b"", 0
        for one in told:
            if one.branch != branch:
                continue
            if isinstance(one.data, ReceiptRecorded):
                spent += one.data.total
                if one.data.fact not in voided:
                    bought = with_moment(bought, milliseconds(one.time))
            elif isinstance(one.data, ReceiptReturned | ReceiptVoided):
                spent -= one.data.total
        found.append(BranchActivity(branch, bought, b"", spent))
    return [each for each in found if each != BranchActivity(each.branch)]


def test_a_return_lowers_the_net_where_it_was_brought_and_a_void_leaves_nothing() -> None:
    shop = Shop()
    kept, wrong = shop.sell("anna", "12", 0, 500), shop.sell("anna", "12", 5, 70)
    shop.bring_back(kept, "13", 100)
    shop.void(wrong)
    twelve, thirteen = shop.read()["anna"].branches
    assert twelve == BranchActivity("12", with_moment(b"", milliseconds(DAY)), b"", 500)
    assert thirteen == BranchActivity("13", spent=-100)


def test_facts_of_a_move_count_when_it_has_ended() -> None:
    shop = Shop()
    shop.sell("anna", "12", 0, 100)
    shop.move("anna", "boris")
    begun = shop.read([log[:-1] for log in shop.logs.values()])
    assert [sum(each.spent for each in begun[who].branches) for who in PEOPLE] == [150, 50]
    ended = shop.read()
    # Each got one of 50 meanwhile.
    assert [sum(each.spent for each in ended[who].branches) for who in PEOPLE] == [50, 150]
    assert [ended[who].pending for who in PEOPLE] == [[], []]


def test_a_receipt_that_was_withdrawn_never_happened() -> None:
    shop = Shop()
    number = shop.sell("anna", "12", 0, 100)
    gone = FactWithdrawn(fact=number, withdrawn=shop.moved(number), reason="import_reverted")
    shop.tell("anna", gone, DAY)
    assert shop.read()["anna"].branches == []


def test_the_record_is_as_the_last_word_says() -> None:
    shop = Shop()
    shop.tell("anna", CustomerRegistered(home_branch="12", city="Riga", acquisition="web"), DAY)
    shop.tell("anna", CustomerChanged(city="Tartu", cleared=("home_branch",), internal=True), DAY)
    anna = shop.read()["anna"]
    assert (anna.registered, anna.home_branch, anna.city) == (DAY, None, "Tartu")
    assert (anna.acquisition, anna.internal) == ("web", True)
    shop.tell("anna", CustomerChanged(cleared=("internal",)), DAY)
    assert shop.read()["anna"].internal is False


def test_who_was_merged_is_away_until_they_part_and_what_was_absorbed_goes() -> None:
    shop = Shop()
    for who in PEOPLE:
        shop.tell(who, CustomerRegistered(), DAY)
    shop.tell("boris", CustomerMerged(merge="m", survivor="anna"), DAY)
    fields = RecordFields(city="Riga")
    shop.tell("anna", CustomerAbsorbed(merge="m", other="boris", fields=fields), DAY)
    found = shop.read()
    assert (found["boris"].away, found["anna"].away, found["anna"].city) == (True, False, "Riga")
    parting = MergeReverted(merge="m", other="anna", role="loser")
    shop.tell("boris", parting, DAY)
    left = MergeReverted(merge="m", other="boris", role="survivor", cleared=("city",))
    shop.tell("anna", left, DAY)
    found = shop.read()
    assert (found["boris"].away, found["anna"].city) == (False, None)


def test_of_who_was_erased_only_what_they_bought_is_left() -> None:
    shop = Shop()
    shop.tell("anna", CustomerRegistered(home_branch="12", city="Riga", acquisition="web"), DAY)
    shop.sell("anna", "12", 0, 100)
    shop.tell("anna", CustomerErased(erase="e", reason="request"), DAY)
    shop.tell("anna", CustomerChanged(city="Tartu"), DAY)
    anna = shop.read()["anna"]
    assert (anna.erased, anna.registered, anna.home_branch, anna.city) == (True, None, None, None)
    assert [each.spent for each in anna.branches] == [100]


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_activity_is_the_plain_sums_of_the_facts_that_stand(data: st.DataObject) -> None:
    shop = Shop()
    branches, hours = st.sampled_from(["12", "13", "a.b$"]), st.integers(-60, 60)
    for _ in range(data.draw(st.integers(1, 12))):
        doing = data.draw(st.sampled_from(["sell", "sell", "back", "void", "move"]))
        who = data.draw(st.sampled_from(PEOPLE))
        if doing == "sell":
            shop.sell(who, data.draw(branches), data.draw(hours), data.draw(st.integers(-5, 999)))
        elif doing == "move":
            shop.sell(who, "12", 0, 20)
            shop.move(who, next(each for each in PEOPLE if each != who))
        elif shop.left:
            receipt = data.draw(st.sampled_from(sorted(shop.left)))
            if doing == "void":
                shop.void(receipt)
            else:
                amount = data.draw(st.integers(0, max(0, shop.left[receipt])))
                shop.bring_back(receipt, data.draw(branches), amount)
    logs = list(shop.logs.values())
    found = shop.read(data.draw(readings(logs)))
    for who in PEOPLE:
        told = [each for owner, each in shop.facts.values() if owner == who]
        have = found.get(who)
        assert (have.branches if have else []) == recomputed(told)
        assert have is None or msgspec.structs.asdict(have)["pending"] == []
