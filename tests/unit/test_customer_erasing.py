"""A person is forgotten whole: every customer of the tree, and all that finds them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from services.customer.consumers.erasing import react
from services.customer.domain.commands import (
    AddIdentifier,
    AttachDocument,
    Command,
    NewIdentifier,
    Register,
    WriteNote,
)
from services.customer.domain.customer import CUSTOMER
from services.customer.domain.merging import Merge
from services.customer.domain.reverting import Revert
from services.customer.domain.state import stream_of
from services.customer.handlers.customers import Request, carry_out
from services.customer.handlers.documents import owner_of
from services.customer.handlers.erasing import Eraser
from services.customer.handlers.merging import merge, merge_id, revert
from shared.clock import ManualClock
from shared.decider import Refused
from shared.envelope import Causation, decode
from shared.events.care import DocumentAttached
from shared.events.customer import CustomerRegistered, RecordFields
from shared.events.merging import CustomerErased, EraseRequested
from shared.eventstore import Append
from shared.execute import Writer
from shared.identifiers import KnownIdentifier
from shared.keyring import Keyring, StoredKey
from shared.memory import MemoryEventStore, MemoryKeyStore
from shared.records import RawRecord
from shared.testing import DAY, InterceptedStore

PHONE = KnownIdentifier("phone", "p1", "+491")
CARD = KnownIdentifier("card", "c1", "A1")
EMAIL = KnownIdentifier("email", "e1", "carl@example.com")


class Killed(Exception):  # noqa: N818 - says what happened
    """The process ends here."""


@dataclass(frozen=True, slots=True)
class Published:
    """A record, where only the value matters."""

    value: bytes | None
    topic: str = "customer.events.v1"
    partition: int = 0
    offset: int = 0
    timestamp: int = 0
    key: bytes | None = None


@dataclass(slots=True)
class Disk:
    """Who has files."""

    files: set[str] = field(default_factory=set)
    before: Callable[[], None] = lambda: None

    async def delete_of(self, owner: str) -> None:
        self.before()
        self.files.discard(owner)


@dataclass(slots=True)
class Shop:
    """bea and carl were merged into anna, one after another; carl has a document."""

    memory: MemoryEventStore = field(default_factory=MemoryEventStore)
    keys: MemoryKeyStore = field(default_factory=MemoryKeyStore)
    disk: Disk = field(default_factory=lambda: Disk({owner_of("carl")}))
    sent: int = 0
    store: InterceptedStore = field(init=False)
    writer: Writer = field(init=False)
    eraser: Eraser = field(init=False)

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """Another process on the same disks."""
        self.store = InterceptedStore(self.memory)
        keyring = Keyring(self.keys, AESGCM(bytes(32)))
        self.writer = Writer(self.store, keyring, ManualClock(DAY), "customer")
        self.disk = Disk(self.disk.files)
        self.eraser = Eraser(self.writer, self.disk)

    def request(self) -> Request:
        self.sent += 1
        return Request(f"c{self.sent}", f"h{self.sent}", DAY)

    async def do(self, command: Command) -> None:
        await carry_out(self.writer, self.request(), command)

    async def register(self, customer: str, known: KnownIdentifier) -> None:
        person = CustomerRegistered(surname=f"name of {customer}")
        identifiers = (NewIdentifier(known=known),)
        await self.do(Register(customer=customer, at=DAY, person=person, identifiers=identifiers))

    async def merge(self, loser: str, into: str) -> None:
        request = self.request()
        command = Merge(customer=loser, into=into, merge=merge_id(request.command_id), at=DAY)
        await merge(self.writer, request, command)

    async def revert(self, loser: str) -> None:
        await revert(self.writer, self.request(), Revert(customer=loser, survivor=None, at=DAY))

    async def erase(self, customer: str) -> None:
        wish = await self.eraser.request(self.request(), customer, "request", "key:1")
        await self.eraser.carry_out(wish, DAY, Causation(correlation="c"))

    def published(self) -> Sequence[RawRecord]:
        """All events, as a topic has them."""
        return [
            Published(text.encode()) for commit in self.memory.commits for text in commit.events
        ]

    async def forgotten(self) -> None:
        """Raise AssertionError where somebody of the tree is still known."""
        for customer in ("anna", "bea", "carl"):
            state, _version = await self.writer.state(CUSTOMER, stream_of(customer))
            assert state.erased
            assert state.record == RecordFields()
        assert await self.memory.claims_of(["anna", "bea", "carl"]) == []
        assert set(await self.writer.keyring.erased(["anna", "bea", "carl"])) == {
            "anna", "bea", "carl",
        }  # fmt: skip
        assert self.disk.files == set()
        assert self.erased() == ["anna", "bea", "carl"]

    def erased(self) -> list[str]:
        """Who was said to be erased, each time."""
        envelopes = [decode(text) for commit in self.memory.commits for text in commit.events]
        return sorted(each.subject or "" for each in envelopes if each.type == CustomerErased.type)


async def shop() -> Shop:
    made = Shop()
    await made.register("anna", PHONE)
    await made.register("bea", CARD)
    await made.register("carl", EMAIL)
    await made.do(WriteNote(customer="bea", at=DAY, note="n", text="likes rye"))
    document = DocumentAttached(
        document="d", file="scan", title="passport", media_type="image/png", size=1, sha256="0"
    )
    await made.do(AttachDocument(customer="carl", at=DAY, document=document))
    await made.merge("carl", "bea")
    await made.merge("bea", "anna")
    return made


@pytest.mark.parametrize("customer", ["anna", "bea", "carl"])
async def test_whoever_of_the_tree_is_named_all_of_it_is_forgotten(customer: str) -> None:
    chain = await shop()
    await chain.erase(customer)
    await chain.forgotten()


async def test_nobody_learns_from_the_log_what_was_written_before_or_may_write_more() -> None:
    chain = await shop()
    await chain.erase("anna")
    histories = await chain.writer.histories([stream_of("bea"), stream_of("carl")])
    texts = msgspec.json.encode(
        [event.model_dump(mode="json") for events, _ in histories.values() for event in events]
    )
    assert not [each for each in (b"name of", b"rye", b"passport", b"A1") if each in texts]
    for doing in (
        chain.do(WriteNote(customer="carl", at=DAY, note="m", text="again")),
        chain.merge("anna", "dora"),
    ):
        with pytest.raises(Refused):
            await doing


async def test_what_found_them_is_free_for_others() -> None:
    chain = await shop()
    await chain.erase("anna")
    await chain.register("dora", CARD)
    # Epochs: registered 1, with bea's merge 2, erased 3, registered again 4.
    (claim,) = await chain.memory.claims_of(["dora"])
    assert (claim.id, claim.epoch) == (CARD.claim_id, 4)


async def test_a_second_erase_finds_nothing_to_do_and_the_first_is_named() -> None:
    chain = await shop()
    await chain.erase("anna")
    first = await chain.writer.keyring.erased(["anna"])
    await chain.erase("carl")
    assert await chain.writer.keyring.erased(["anna"]) == first
    assert chain.erased() == ["anna", "bea", "carl"]


async def test_nobody_who_is_not_there_is_erased() -> None:
    chain = await shop()
    with pytest.raises(Refused) as raised:
        await chain.erase("nobody")
    assert raised.value.type == "not-found"
    assert not [each for each in chain.memory.commits if each.stream.startswith("erase-")]


def _killed_at_keys(chain: Shop) -> None:
    class Dying(MemoryKeyStore):
        async def erase(self, ids: Sequence[str], by: str) -> None:
            del ids, by
            raise Killed

        async def load(self, ids: Sequence[str]) -> Mapping[str, StoredKey]:
            return await chain.keys.load(ids)

    chain.writer.keyring.store = Dying()


def _killed_at_files(chain: Shop) -> None:
    def die() -> None:
        raise Killed

    chain.disk.before = die


def _killed_before(chain: Shop) -> None:
    async def die(appends: Sequence[Append]) -> None:
        if not appends[0].commit.stream.startswith("erase-"):
            raise Killed

    chain.store.before = die


def _killed_after(chain: Shop) -> None:
    async def die(appends: Sequence[Append]) -> None:
        if not appends[0].commit.stream.startswith("erase-"):
            raise Killed

    chain.store.after = die


@pytest.mark.parametrize(
    "killing", [_killed_at_keys, _killed_at_files, _killed_before, _killed_after]
)
async def test_an_erase_that_was_cut_off_is_finished_by_the_reaction(
    killing: Callable[[Shop], None],
) -> None:
    chain = await shop()
    killing(chain)
    with pytest.raises(Killed):
        await chain.erase("bea")
    chain.restart()
    await react(chain.eraser, chain.published())
    await chain.forgotten()
    # Read again from the first record on, as after a crash before the offsets were committed.
    await react(chain.eraser, chain.published())
    await chain.forgotten()


async def test_who_joins_the_tree_on_the_way_is_forgotten_too() -> None:
    chain = await shop()
    await chain.register("dora", KnownIdentifier("card", "c9", "A9"))
    other = Writer(chain.memory, Keyring(chain.keys, AESGCM(bytes(32))), ManualClock(DAY), "x")
    # A process that has the keys in its cache may merge for a while after they were erased.
    await other.keyring.ensure(["anna", "dora"])
    joining = [Merge(customer="dora", into="anna", merge="m", at=DAY)]

    async def join(appends: Sequence[Append]) -> None:
        if joining and not appends[0].commit.stream.startswith("erase-"):
            await merge(other, Request("late", "late", DAY), joining.pop())

    chain.store.before = join
    await chain.erase("anna")
    assert chain.erased() == ["anna", "bea", "carl", "dora"]
    assert await chain.memory.claims_of(["anna", "dora"]) == []
    assert "dora" in await chain.writer.keyring.erased(["dora"])


async def test_nobody_whose_keys_are_gone_is_parted_from_the_tree() -> None:
    chain = await shop()
    _killed_before(chain)
    with pytest.raises(Killed):
        await chain.erase("anna")
    chain.restart()
    with pytest.raises(Refused) as raised:
        await chain.revert("bea")
    assert raised.value.type == "erased"


async def test_who_was_parted_by_a_process_that_still_had_the_keys_is_forgotten_too() -> None:
    chain = await shop()
    other = Writer(chain.memory, Keyring(chain.keys, AESGCM(bytes(32))), ManualClock(DAY), "x")
    await other.keyring.ensure(["anna", "bea", "carl"])
    _killed_before(chain)
    with pytest.raises(Killed):
        await chain.erase("anna")
    # The keys are gone, and nobody was told yet: bea would live on and never be read again.
    await revert(other, chain.request(), Revert(customer="bea", survivor=None, at=DAY))
    chain.restart()
    await react(chain.eraser, chain.published())
    await chain.forgotten()


async def test_who_was_parted_before_any_key_was_gone_lives_on() -> None:
    chain = await shop()
    _killed_at_keys(chain)
    with pytest.raises(Killed):
        await chain.erase("anna")
    chain.restart()
    await chain.revert("bea")
    await react(chain.eraser, chain.published())
    assert chain.erased() == ["anna"]
    state, _version = await chain.writer.state(CUSTOMER, stream_of("bea"))
    assert state.record.surname == "name of bea"


async def test_nobody_is_merged_with_somebody_whose_keys_are_gone() -> None:
    chain = await shop()
    await chain.register("dora", KnownIdentifier("card", "c9", "A9"))
    _killed_before(chain)
    with pytest.raises(Killed):
        await chain.erase("anna")
    chain.restart()
    with pytest.raises(Refused) as raised:
        await chain.merge("dora", "anna")
    assert raised.value.type == "erased"
    await react(chain.eraser, chain.published())
    await chain.forgotten()
    state, _version = await chain.writer.state(CUSTOMER, stream_of("dora"))
    assert state.record.surname == "name of dora"


async def test_what_is_added_on_the_way_is_released_too() -> None:
    chain = await shop()
    other = Writer(chain.memory, Keyring(chain.keys, AESGCM(bytes(32))), ManualClock(DAY), "x")
    await other.keyring.ensure(["anna"])
    new = NewIdentifier(known=KnownIdentifier("card", "c9", "A9"))
    adding = [AddIdentifier(customer="anna", at=DAY, identifier=new)]

    async def add(appends: Sequence[Append]) -> None:
        if adding and not appends[0].commit.stream.startswith("erase-"):
            await carry_out(other, Request("late", "late", DAY), adding.pop())

    chain.store.before = add
    await chain.erase("anna")
    await chain.forgotten()


async def test_other_events_and_what_cannot_be_read_are_passed_over() -> None:
    chain = await shop()
    broken = EraseRequested.type.encode() + b" in no event"
    records = [Published(value) for value in (broken, b"", None)]
    await react(chain.eraser, [*chain.published(), *records])
    assert chain.erased() == []
