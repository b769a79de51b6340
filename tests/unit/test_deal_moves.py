"""Deals follow their merged customers and come back, whatever happens meanwhile."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from services.customer.handlers.deal_moves import DealMoves
from services.customer.projections.deal_owners import DEAL_OWNERS, DealOwner
from services.customer.queries.deal_owners import DealOwners
from shared.decider import NewEvent
from shared.envelope import decode
from shared.events.deal import Words
from shared.events.merging import CustomerErased, CustomerMerged, MergeReverted
from shared.eventstore import Append
from shared.execute import Writer
from shared.keyring import PREFIX
from shared.memory import MemoryDocuments, MemoryParking
from shared.projector import Folder
from shared.testing import DAY, InterceptedStore, logs_of, readings
from shared.testing.collections import MemoryQuestions
from shared.testing.facts import tell
from shared.testing.reading import Log
from tests.unit.dealing import Office, folded


@dataclass(slots=True)
class Removal:
    """An office whose customers are merged, and who moves its deals."""

    office: Office = field(default_factory=Office)
    documents: MemoryDocuments = field(default_factory=MemoryDocuments)
    merges: int = 0

    async def merge(self, loser: str, survivor: str) -> str:
        """Tell that one is the other."""
        self.merges += 1
        name = f"m{self.merges}"
        merged = NewEvent(CustomerMerged(merge=name, survivor=survivor), DAY)
        await tell(self.office.writer, f"customer-{loser}", loser, [merged])
        return name

    async def revert(self, merge: str, loser: str, survivor: str) -> None:
        """Tell that they are two after all."""
        for name, other, role in ((loser, survivor, "loser"), (survivor, loser, "survivor")):
            data = MergeReverted.model_validate({"merge": merge, "other": other, "role": role})
            await tell(self.office.writer, f"customer-{name}", name, [NewEvent(data, DAY)])

    def mover(self, writer: Writer | None = None) -> DealMoves:
        """Somebody who moves what is pending."""
        return DealMoves(writer or self.office.writer, DealOwners(MemoryQuestions(self.documents)))

    async def read(self) -> None:
        """Bring the read model up to date."""
        await Folder(DEAL_OWNERS, self.documents, MemoryParking()).fold(
            [record for log in logs_of(self.office.store.commits) for record in log]
        )

    async def settle(self) -> None:
        """Move until nothing is left."""
        await self.read()
        for _ in range(20):
            if not await self.mover().step():
                return
            await self.read()
        raise AssertionError("there is no end to it")

    async def owners(self) -> dict[str, str | None]:
        """Deal → whose it is, as the list of deals has it."""
        return {name: each.customer for name, each in (await folded(self.office.logs())).items()}


async def opened(*names: str) -> Removal:
    removal = Removal()
    for name in names:
        await removal.office.customer(name)
    return removal


async def test_a_deal_follows_its_customer_whole_and_keeps_its_id() -> None:
    removal = await opened("anna", "boris")
    office = removal.office
    deal = await office.open("anna", amount=5)
    office.clock.advance(timedelta(hours=1))
    await office.deals.move(office.request(), deal, "offer")
    await office.deals.assign(office.request(), deal, "eve")
    await removal.merge("anna", "boris")
    await removal.settle()
    document = (await folded(office.logs()))[deal]
    assert (document.customer, document.generation) == ("boris", 2)
    assert (document.stage, document.terms.amount, document.responsible) == ("offer", 5, "eve")
    assert [(each.stage, each.milliseconds) for each in document.stays] == [
        ("new", 3_600_000), ("offer", None),
    ]  # fmt: skip
    # Commands go on where the deal does, and versions have grown.
    settled = await office.deals.win(office.request(), deal)
    assert settled.version == 1_000_002
    assert (await folded(office.logs()))[deal].status == "won"


async def test_its_texts_keep_the_key_and_the_place_of_their_first_stream() -> None:
    removal = await opened("anna", "boris")
    deal = await removal.office.open("anna")
    await removal.merge("anna", "boris")
    await removal.settle()
    words = (await folded(removal.office.logs()))[deal].words
    assert words.title is not None
    assert words.title.startswith(f"{PREFIX}anna:deal-{deal}:")
    # A text that is typed at the survivor is sealed with the survivor's key.
    await removal.office.deals.change(removal.office.request(), deal, {}, Words(comment="dear"))
    words = (await folded(removal.office.logs()))[deal].words
    assert words.comment is not None
    assert words.comment.startswith(f"{PREFIX}boris:deal-{deal}-2:")
    state, _ = await removal.office.in_the_clear(f"deal-{deal}-2")
    assert (state.words.title, state.words.comment) == ("A sofa", "dear")


async def test_a_revert_takes_back_what_its_merge_brought_and_nothing_that_came_later() -> None:
    removal = await opened("anna", "boris")
    office = removal.office
    hers, his = await office.open("anna"), await office.open("boris")
    merge = await removal.merge("anna", "boris")
    await removal.settle()
    later = await office.open("boris")
    await office.deals.change(office.request(), hers, {"amount": 9}, Words())
    await removal.revert(merge, "anna", "boris")
    await removal.settle()
    assert await removal.owners() == {hers: "anna", his: "boris", later: "boris"}
    document = (await folded(office.logs()))[hers]
    # As it now is.
    assert (document.terms.amount, document.generation) == (9, 3)


async def test_a_deal_that_is_opened_with_a_merged_customer_is_not_stranded() -> None:
    removal = await opened("anna", "boris")
    await removal.merge("anna", "boris")
    await removal.settle()
    deal = await removal.office.open("anna")
    await removal.settle()
    assert await removal.owners() == {deal: "boris"}


async def test_a_command_that_gets_in_first_is_told_in_the_next_stream() -> None:
    removal = await opened("anna", "boris")
    office = removal.office
    deal = await office.open("anna")
    await removal.merge("anna", "boris")
    await removal.read()
    rivals = 3

    async def rival(_appends: Sequence[Append]) -> None:
        nonlocal rivals
        if rivals:
            rivals -= 1
            stage = ["offer", "new"][rivals % 2]
            await office.deals.move(office.request(), deal, stage)

    slow = Writer(
        InterceptedStore(office.store, before=rival), office.keyring, office.clock, "customer"
    )
    assert await removal.mover(slow).step() == 1
    document = (await folded(office.logs()))[deal]
    assert (document.customer, len(document.stays)) == ("boris", 4)


async def test_a_command_that_meets_the_end_goes_on_in_the_next_stream() -> None:
    removal = await opened("anna", "boris")
    office = removal.office
    deal = await office.open("anna")
    await removal.merge("anna", "boris")
    await removal.read()
    moved = False

    async def mover(_appends: Sequence[Append]) -> None:
        nonlocal moved
        if not moved:
            moved = True
            await removal.mover().step()

    office.deals.writer = Writer(
        InterceptedStore(office.store, before=mover), office.keyring, office.clock, "customer"
    )
    settled = await office.deals.win(office.request(), deal)
    assert settled.version == 1_000_002
    assert (await folded(office.logs()))[deal].status == "won"


async def test_two_who_move_the_same_deal_move_it_once() -> None:
    removal = await opened("anna", "boris")
    deal = await removal.office.open("anna")
    await removal.merge("anna", "boris")
    await removal.read()
    await asyncio.gather(*(removal.mover().step() for _ in range(5)))
    streams = {
        decode(text).stream
        for commit in removal.office.store.commits
        for text in commit.events
        if commit.stream.startswith("deal-")
    }
    assert streams == {f"deal-{deal}", f"deal-{deal}-2"}


async def test_what_moves_a_deal_follows_from_the_merge() -> None:
    removal = await opened("anna", "boris")
    deal = await removal.office.open("anna")
    await removal.merge("anna", "boris")
    await removal.settle()
    (ending,) = [
        decode(commit.events[0])
        for commit in removal.office.store.commits
        if commit.stream == f"deal-{deal}-2"
    ]
    # The merge is the second event of the customer.
    assert (ending.causationid, ending.causedepth) == ("customer-anna@2", 1)


async def test_the_deals_of_who_was_erased_stay_where_they_are() -> None:
    removal = await opened("anna", "boris")
    deal = await removal.office.open("anna")
    await removal.merge("anna", "boris")
    erased = NewEvent(CustomerErased(erase="e1", reason="request"), DAY)
    await tell(removal.office.writer, "customer-anna", "anna", [erased])
    await removal.settle()
    assert await removal.owners() == {deal: "anna"}


PEOPLE = ("a", "b", "c", "d")
plans = st.lists(
    st.tuples(st.sampled_from(["open", "merge", "revert", "settle"]),
              st.sampled_from(PEOPLE), st.sampled_from(PEOPLE)),
    max_size=14,
)  # fmt: skip


@dataclass(slots=True)
class Expected:
    """Whose each deal should be: a forest of merges, and the merges that brought each deal."""

    survivor: dict[str, tuple[str, str]] = field(default_factory=dict)
    owner: dict[str, str] = field(default_factory=dict)
    brought: dict[str, list[tuple[str, str]]] = field(default_factory=dict)

    def merged(self, merge: str, loser: str, survivor: str) -> None:
        self.survivor[loser] = (merge, survivor)
        for deal, owner in self.owner.items():
            if owner == loser:
                self.owner[deal] = survivor
                self.brought[deal].append((merge, loser))

    def reverted(self, merge: str, loser: str) -> None:
        del self.survivor[loser]
        for deal, brought in self.brought.items():
            if brought and brought[-1][0] == merge:
                brought.pop()
                self.owner[deal] = loser


async def live(plan: Sequence[tuple[str, str, str]]) -> tuple[Removal, Expected]:
    """Merge living customers, undo the outermost merges, open deals with the living."""
    removal, expected = await opened(*PEOPLE), Expected()
    for what, first, second in plan:
        living = first not in expected.survivor
        if what == "open" and living:
            deal = await removal.office.open(first)
            expected.owner[deal], expected.brought[deal] = first, []
        elif what == "merge" and living and second not in expected.survivor and first != second:
            expected.merged(await removal.merge(first, second), first, second)
        elif (
            what == "revert"
            and not living
            and expected.survivor[first][1] not in (expected.survivor)
        ):
            merge, survivor = expected.survivor[first]
            await removal.revert(merge, first, survivor)
            expected.reverted(merge, first)
        elif what == "settle":
            await removal.settle()
    return removal, expected


@settings(max_examples=60, deadline=None)
@given(plan=plans)
def test_after_any_merges_and_reverts_each_deal_is_whose_it_should_be(
    plan: list[tuple[str, str, str]],
) -> None:
    async def scene() -> None:
        removal, expected = await live(plan)
        await removal.settle()
        assert await removal.owners() == expected.owner

    asyncio.run(scene())


async def owners_read(batches: Sequence[Log]) -> dict[str, DealOwner]:
    documents = MemoryDocuments()
    folder: Folder[DealOwner] = Folder(DEAL_OWNERS, documents, MemoryParking())
    for batch in batches:
        await folder.fold(batch)
    return {
        raw["_id"]: msgspec.convert({**raw, "rev": 0}, DealOwner) for raw in documents.everything()
    }


@settings(max_examples=30, deadline=None)
@given(plan=plans, data=st.data())
def test_what_is_pending_does_not_depend_on_how_the_logs_are_read(
    plan: list[tuple[str, str, str]], data: st.DataObject
) -> None:
    removal, _ = asyncio.run(live(plan))
    # Two topics: deals and customers are read in any order to each other.
    commits = removal.office.store.commits
    logs = [
        log
        for topic in ("deal-", "customer-")
        for log in logs_of(each for each in commits if each.stream.startswith(topic))
    ]
    once = asyncio.run(owners_read(logs))
    assert asyncio.run(owners_read(data.draw(readings(logs)))) == once
