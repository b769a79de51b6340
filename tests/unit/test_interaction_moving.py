"""Facts that change hands: in whatever order things are heard of, each ends with one customer."""

import random
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from decimal import Decimal

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from services.interaction.domain import moving
from services.interaction.domain.facts import command_id, fact_id
from services.interaction.domain.held import held
from services.interaction.domain.receipts import record_receipt
from services.interaction.domain.returns import TakeBack, WantedLine
from services.interaction.domain.streams import customer_of, stream_of, unknown_stream
from services.interaction.handlers.facts import Recorder, SentFact
from services.interaction.handlers.lines import no_snapshots
from services.interaction.handlers.moves import Mover
from services.interaction.handlers.returns import Returns, SentReturn
from services.interaction.queries.access import Access
from services.interaction.queries.trees import Tree, Trees
from shared.clock import ManualClock
from shared.decider import Refused
from shared.envelope import Causation, decode
from shared.events.interaction import ReceiptLine
from shared.eventstore import Append, Commit
from shared.execute import MAX_EVENT_BYTES, Done, Writer
from shared.identifiers import IdentifierRules
from shared.kafka.publisher import MAX_BATCH_BYTES
from shared.keyring import Keyring
from shared.memory import MemoryDocuments, MemoryEventStore, MemoryKeyStore
from shared.testing import DAY, InterceptedStore
from shared.testing.collections import MemoryQuestions

RULES = IdentifierRules(bytes(32))
LINES = (
    ReceiptLine(product="bread", quantity=Decimal(2), amount=500),
    ReceiptLine(product="milk", quantity=Decimal(1), amount=199),
)
Reaction = Callable[[], Awaitable[None]]
Heard = tuple[Callable[[], object], Reaction]
"""What a read model takes over from an event, once, and what follows, maybe again and again."""


class Killed(BaseException):
    """The process is gone."""


class MortalStore(InterceptedStore):
    """A store whose process dies before or after a joint commit, while it is `dying`."""

    dying: bool = False
    joint: int = 0
    meanwhile: Callable[[], Awaitable[None]] | None = None
    """What somebody else does just before the next stream is read."""

    async def read(self, streams: Sequence[str]) -> Mapping[str, Sequence[Commit]]:
        happening, self.meanwhile = self.meanwhile, None
        if happening is not None:
            await happening()
        return await super().read(streams)

    async def append_together(self, appends: Sequence[Append]) -> bool:
        self.joint += 1
        if self.dying and self.joint % 3 == 0:
            raise Killed
        got_in = await super().append_together(appends)
        if self.dying and self.joint % 3 == 1:
            raise Killed
        return got_in


@dataclass(slots=True)
class Town:
    """An interaction service without its servers; what customers do is heard of later."""

    store: MemoryEventStore = field(default_factory=MemoryEventStore)
    keys: MemoryKeyStore = field(default_factory=MemoryKeyStore)
    found: dict[str, str] = field(default_factory=dict)
    heard: dict[str, list[Heard]] = field(default_factory=dict)
    merged: dict[str, str] = field(default_factory=dict)
    closed: dict[str, str] = field(default_factory=dict)
    numbers: int = 0
    intercepted: "MortalStore" = field(init=False)
    writer: Writer = field(init=False)
    recorder: Recorder = field(init=False)
    mover: Mover = field(init=False)

    def __post_init__(self) -> None:
        clock = ManualClock(DAY)
        keyring = Keyring(self.keys, AESGCM(bytes(32)))
        self.intercepted = MortalStore(self.store)
        self.writer = Writer(self.intercepted, keyring, clock, "interaction")
        self.recorder = Recorder(self.writer, self.owners, no_snapshots)
        self.mover = Mover(self.writer, self.tree, clock)

    async def owners(self, ids: Collection[str]) -> Mapping[str, str]:
        return {each: self.root(self.found[each]) for each in ids if each in self.found}

    def root(self, customer: str) -> str:
        while customer in self.merged:
            customer = self.merged[customer]
        return customer

    async def tree(self, customer: str) -> Collection[str]:
        """Who is one with the customer, by what was heard of."""
        top = customer
        seen = {top}
        while top in self.closed and self.closed[top] not in seen:
            top = self.closed[top]
            seen.add(top)
        found = {top}
        while more := {each for each, to in self.closed.items() if to in found} - found:
            found |= more
        return found

    async def buy(self, card: str | None) -> str:
        """A receipt of who has the card; gives the id of its fact. Raises its refusal."""
        self.numbers += 1
        command = record_receipt(
            source="pos", source_id=str(self.numbers), branch="1", time=DAY, now=DAY, lines=LINES
        )
        known = () if card is None else (RULES.known("card", card, "card"),)
        who = tuple(each.claim_id for each in known)
        (outcome,) = await self.recorder.record([SentFact(command, who, "h", known)])
        if isinstance(outcome, Refused):
            raise outcome
        return command.data.fact

    async def give_back(self, number: int, quantity: int = 1) -> Done | Refused:
        """Give back bread of a receipt."""
        self.numbers += 1
        command = TakeBack(
            source="pos",
            source_id=str(self.numbers),
            branch="1",
            time=DAY,
            now=DAY,
            receipt=fact_id("pos", "1", str(number)),
            lines=None if quantity == 0 else (WantedLine(1, Decimal(quantity)),),
        )
        sent = SentReturn(command, command_id("pos", "1", str(number)), "h")
        (outcome,) = await Returns(self.writer).record([sent])
        return outcome

    def hear(self, key: str, folded: Callable[[], object], reaction: Reaction) -> None:
        self.heard.setdefault(key, []).append((folded, reaction))

    def why(self) -> Causation:
        self.numbers += 1
        return Causation("c", f"event-{self.numbers}", 1)

    def register(self, customer: str, card: str) -> None:
        known, why = RULES.known("card", card, "card"), self.why()
        stream = unknown_stream(known.hash)

        async def adopt() -> None:
            await self.mover.adopt(stream, self.root(customer), why)

        self.hear(customer, lambda: self.found.update({known.claim_id: customer}), adopt)

    def merge(self, loser: str, survivor: str) -> None:
        self.merged[loser] = survivor
        why = self.why()
        self.hear(
            loser,
            lambda: self.closed.update({loser: survivor}),
            lambda: self.mover.merge(loser, survivor, why),
        )

    def revert(self, loser: str) -> None:
        survivor, why = self.merged.pop(loser), self.why()
        self.hear(
            loser,
            lambda: self.closed.pop(loser),
            lambda: self.mover.revert(loser, survivor, why),
        )

    async def places(self) -> Mapping[str, list[str]]:
        """Fact → the streams that hold it, closed ones of unknown people left out."""
        found: dict[str, list[str]] = {}
        for stream in {commit.stream for commit in self.store.commits}:
            state = held(stream, (await self.store.read([stream]))[stream])
            assert not state.moves
            if state.closed is not None and customer_of(stream) is None:
                continue
            for fact in state.facts:
                found.setdefault(fact, []).append(stream)
        return found


async def settle(town: Town) -> None:
    for works in town.heard.values():
        for folded, reaction in works:
            folded()
            await reaction()
    town.heard.clear()


async def test_what_an_unknown_person_did_is_theirs_once_they_are_known() -> None:
    town = Town()
    facts = [await town.buy("A1"), await town.buy("A1")]
    town.register("anna", "A1")
    await settle(town)
    facts.append(await town.buy("A1"))
    assert await town.places() == {fact: ["interaction-anna"] for fact in facts}
    types = [decode(text).type.split(".")[1] for text in town.store.commits[-2].events]
    # One commit takes the two that waited; the third was hers at once.
    assert types == ["move_begun", "facts_moved", "move_ended"]


async def test_a_receipt_of_nobody_lies_in_a_stream_of_its_own() -> None:
    town = Town()
    facts = [await town.buy(None), await town.buy(None)]
    assert await town.places() == {fact: [unknown_stream(fact)] for fact in facts}


async def test_once_an_adopted_identifier_finds_nobody_the_next_unknown_person_begins() -> None:
    town = Town()
    first = await town.buy("A1")
    town.register("anna", "A1")
    await settle(town)
    town.found.clear()
    second = await town.buy("A1")
    name = RULES.known("card", "A1", "card").hash
    assert await town.places() == {
        first: ["interaction-anna"],
        second: [unknown_stream(name, 2)],
    }


async def test_a_merge_brings_all_along_and_its_revert_takes_back_what_was_there_before() -> None:
    town = Town()
    town.register("anna", "A1")
    town.register("ann", "A2")
    await settle(town)
    before = [await town.buy("A1"), await town.buy("A2")]
    town.merge("ann", "anna")
    await settle(town)
    while_one = await town.buy("A2")
    assert await town.places() == {fact: ["interaction-anna"] for fact in (*before, while_one)}
    town.revert("ann")
    await settle(town)
    # What came while they were one is the survivor's.
    assert await town.places() == {
        before[0]: ["interaction-anna"],
        before[1]: ["interaction-ann"],
        while_one: ["interaction-anna"],
    }


async def test_what_is_given_back_goes_along_with_its_receipt() -> None:
    town = Town()
    receipt = await town.buy("A1")
    assert isinstance(await town.give_back(1), Done)
    town.register("anna", "A1")
    await settle(town)
    # Two loaves were bought, one came back before she was known, one after.
    assert isinstance(await town.give_back(1), Done)
    refused = await town.give_back(1)
    assert isinstance(refused, Refused)
    assert refused.errors[0].field == "lines.0.quantity"
    rest = await town.give_back(1, quantity=0)
    assert isinstance(rest, Done)
    places = await town.places()
    assert set(map(tuple, places.values())) == {("interaction-anna",)}
    assert len(places) == 4  # the receipt, and three returns
    assert receipt in places


async def test_a_receipt_is_given_to_another_customer_by_hand_and_stays_there() -> None:
    town = Town()
    town.register("anna", "A1")
    town.register("ben", "B1")
    await settle(town)
    receipt = await town.buy("A1")
    await town.give_back(town.numbers)
    done = await town.mover.by_hand("hand", ("pos", "1", "3"), "ben", "me")
    assert done.stream == "interaction-ben"
    again = await town.mover.by_hand("hand", ("pos", "1", "3"), "ben", "me")
    assert not again.changed
    assert (await town.places())[receipt] == ["interaction-ben"]
    with pytest.raises(Refused, match="unknown-receipt"):
        await town.mover.by_hand("other", ("pos", "1", "none"), "ben", "me")


async def test_what_must_be_forgotten_takes_the_keys_of_what_was_adopted_along() -> None:
    town = Town()
    await town.buy("A1")
    town.register("anna", "A1")
    await settle(town)
    stream = unknown_stream(RULES.known("card", "A1", "card").hash)
    assert set(await town.writer.keyring.erased([stream])) == set()
    await town.mover.forget("anna", "e1")
    assert await town.writer.keyring.erased([stream]) == {stream: "e1"}


class Alone(Trees):
    """Nobody is one with anybody."""

    def __init__(self) -> None:
        """Nothing is asked for."""

    async def of(self, customer: str) -> Tree:
        return Tree(customer, (customer,))


async def test_what_came_back_when_a_merge_was_undone_is_forgotten_with_whom_it_came_back_to() -> (
    None
):
    town = Town()
    await town.buy("A1")
    stream = unknown_stream(RULES.known("card", "A1", "card").hash)
    town.register("anna", "A1")
    (adopting,) = town.heard.pop("anna")
    adopting[0]()
    town.intercepted.dying = True
    with suppress(Killed):
        await adopting[1]()
    town.intercepted.dying = False
    town.merge("anna", "ben")
    await settle(town)
    # It was closed to anna and goes to ben, as whom she lives on, and then back to her.
    await adopting[1]()
    town.revert("anna")
    await settle(town)
    assert set(map(tuple, (await town.places()).values())) == {("interaction-anna",)}
    # Ben is not told what was hers before anybody knew her, and she loses nothing with him.
    told = await Access(town.writer, Alone(), MemoryQuestions(MemoryDocuments())).of("ben")
    assert stream not in {str(event["id"]).rpartition("@")[0] for event in told.events}
    await town.mover.forget("ben", "e1")
    assert await town.writer.keyring.erased([stream]) == {}
    await town.mover.forget("anna", "e2")
    assert await town.writer.keyring.erased([stream]) == {stream: "e2"}


async def test_what_is_adopted_by_somebody_who_was_just_forgotten_is_forgotten() -> None:
    town = Town()
    await town.buy("A1")
    stream = unknown_stream(RULES.known("card", "A1", "card").hash)
    town.register("anna", "A1")
    # The erase has been heard of already; that she had the card is still believed.
    await town.writer.keyring.erase(["anna"], "e1")
    await town.mover.forget("anna", "e1")
    await settle(town)
    assert await town.writer.keyring.erased([stream]) == {stream: "e1"}


PEOPLE = ("a", "b", "c", "d")


@dataclass(slots=True)
class Life:
    """Things that happen to a town in any order, some of them heard of late, twice, or in part."""

    chance: random.Random
    town: Town = field(default_factory=Town)
    registered: list[str] = field(default_factory=list)
    losers: list[str] = field(default_factory=list)
    receipts: list[tuple[int, str]] = field(default_factory=list)
    past: list[Reaction] = field(default_factory=list)

    async def buy(self) -> None:
        """A receipt; while a merge is only half heard of, the till is told to send it later."""
        number = self.town.numbers + 1
        with suppress(Refused):
            fact = await self.town.buy(self.chance.choice((*PEOPLE, None)))
            self.receipts.append((number, fact))

    async def give_back(self) -> None:
        if self.receipts:
            await self.town.give_back(self.chance.choice(self.receipts)[0])

    async def register(self) -> None:
        if left := sorted(set(PEOPLE) - set(self.registered)):
            self.registered.append(self.chance.choice(left))
            self.town.register(self.registered[-1], self.registered[-1])

    async def merge(self) -> None:
        roots = [each for each in self.registered if each not in self.town.merged]
        if len(roots) > 1:
            loser, survivor = self.chance.sample(roots, 2)
            self.town.merge(loser, survivor)
            self.losers.append(loser)

    async def revert(self) -> None:
        """The outermost merge goes first."""
        if self.losers:
            self.town.revert(self.losers.pop())

    async def hear(self) -> None:
        """The next of somebody's events, or one that was heard of before once more."""
        if self.past and self.chance.random() < 0.2:
            await self.chance.choice(self.past)()
        elif self.town.heard:
            key = self.chance.choice(sorted(self.town.heard))
            folded, reaction = self.town.heard[key][0]
            folded()
            await self._react(key, reaction)

    async def _react(self, key: str, reaction: Reaction) -> None:
        """React; what is killed on the way is done again before anything else of the key."""
        self.town.intercepted.dying = self.chance.random() < 0.3
        try:
            await reaction()
        except Killed:
            self.town.heard[key][0] = (lambda: None, reaction)
            return
        finally:
            self.town.intercepted.dying = False
        self.past.append(reaction)
        self.town.heard[key].pop(0)
        if not self.town.heard[key]:
            del self.town.heard[key]

    async def go_on(self) -> None:
        steps = (
            *(self.buy,) * 3,
            self.give_back,
            self.register,
            self.merge,
            self.revert,
            *(self.hear,) * 2,
        )
        for _ in range(50):
            await self.chance.choice(steps)()
        while self.town.heard:
            await self.hear()


@pytest.mark.parametrize("seed", range(60))
async def test_in_any_order_each_fact_is_at_the_survivor_of_its_home(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Every other town moves its facts one by one, so that moves are caught half done.
    monkeypatch.setattr(moving, "CHUNK_BYTES", 1 if seed % 2 else moving.CHUNK_BYTES)
    life = Life(random.Random(seed))
    await life.go_on()
    town = life.town
    places = await town.places()
    assert {fact for _, fact in life.receipts} <= places.keys()
    assert {fact: len(streams) for fact, streams in places.items()} == dict.fromkeys(places, 1)
    for stream in {name for names in places.values() for name in names}:
        state = held(stream, (await town.store.read([stream]))[stream])
        for kept in state.facts.values():
            # Facts of somebody unknown have no home and stay.
            home = state.home_of(kept)
            assert stream == (stream if home is None else stream_of(town.root(home)))
            assert kept.receipt is None or kept.receipt in state.facts


async def test_a_fact_is_found_where_it_went_when_its_person_was_merged_before_it_came() -> None:
    town = Town()
    await town.buy("A1")
    town.register("anna", "A1")
    (adopting,) = town.heard.pop("anna")
    adopting[0]()
    # The stream is closed to anna, and then whoever wants to move its facts is killed.
    town.intercepted.dying = True
    with suppress(Killed):
        await adopting[1]()
    town.intercepted.dying = False
    town.merge("anna", "ben")
    await settle(town)
    await adopting[1]()
    assert set(map(tuple, (await town.places()).values())) == {("interaction-ben",)}
    assert isinstance(await town.give_back(1), Done)


async def test_a_fact_is_found_that_was_given_away_by_hand_before_its_person_was_known() -> None:
    town = Town()
    await town.buy("A1")
    await town.mover.by_hand("hand", ("pos", "1", "1"), "ben", "me")
    await town.buy("A1")
    town.register("anna", "A1")
    await settle(town)
    done = await town.give_back(1)
    assert isinstance(done, Done)
    assert done.stream == "interaction-ben"


async def test_what_was_given_back_does_not_go_to_anybody_without_its_receipt() -> None:
    town = Town()
    town.register("anna", "A1")
    await settle(town)
    await town.buy("A1")
    await town.give_back(town.numbers)
    with pytest.raises(Refused, match="goes-with-receipt"):
        await town.mover.by_hand("hand", ("pos", "1", str(town.numbers)), "ben", "me")


async def test_only_of_a_receipt_is_something_given_back() -> None:
    town = Town()
    town.register("anna", "A1")
    await settle(town)
    await town.buy("A1")
    await town.give_back(town.numbers)
    # That number is of what was given back.
    refused = await town.give_back(town.numbers)
    assert isinstance(refused, Refused)
    assert refused.errors[0].field == "receipt.source_id"


async def test_the_same_return_from_two_tills_at_once_is_answered_to_both() -> None:
    town = Town()
    town.register("anna", "A1")
    await settle(town)
    await town.buy("A1")
    number = town.numbers

    async def faster() -> None:
        """Another process takes the same between what this one asks and what it reads."""
        town.numbers = number
        assert isinstance(await town.give_back(number, quantity=0), Done)
        town.numbers = number

    town.intercepted.meanwhile = faster
    done = await town.give_back(number, quantity=0)
    assert isinstance(done, Done)
    assert done.repeated


async def test_a_fact_of_the_largest_size_changes_hands_with_what_was_given_back() -> None:
    town = Town()
    town.register("anna", "A1")
    await settle(town)
    known = RULES.known("card", "A1", "card")

    async def send(number: int, padding: int) -> Done | Refused:
        """2,000 lines, the first of which is as long as is wanted."""
        lines = tuple(
            ReceiptLine(product="b" * (padding if each == 0 else 400), quantity=one, amount=1)
            for each in range(2_000)
        )
        sent = record_receipt(
            source="pos", source_id=str(number), branch="1", time=DAY, now=DAY, lines=lines
        )
        (outcome,) = await town.recorder.record([SentFact(sent, (known.claim_id,), "h", (known,))])
        return outcome

    one = Decimal(1)
    size, step, largest, town.numbers = 1, 8_192, 0, 100
    while step:
        town.numbers += 1
        if isinstance(await send(town.numbers, size + step), Done):
            size, largest = size + step, town.numbers
        else:
            step //= 2
    town.numbers = 1_000
    done = await town.give_back(largest, quantity=0)
    assert isinstance(done, Done)
    await town.mover.by_hand("hand", ("pos", "1", str(largest)), "ben", "me")
    town.merge("ben", "cleo")
    await settle(town)
    fact = fact_id("pos", "1", str(largest))
    sizes = [len(text) for commit in town.store.commits for text in commit.events]
    assert sum(1 for each in sizes if each > MAX_EVENT_BYTES) >= 1 + 2 * 2
    assert max(sizes) < MAX_BATCH_BYTES
    assert (await town.places())[fact] == ["interaction-cleo"]
