"""Jobs of handing over: everything once, whatever is killed, and back again exactly."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from services.customer.domain.configuration.branches import CloseBranch, OpenBranch
from services.customer.domain.configuration.employees import Contract, Hire, Leave, Return
from services.customer.handlers.configuration import ConfigurationBook, Request
from services.customer.handlers.deals import deal_log
from services.customer.handlers.departures import (
    HAND_OVER,
    MOVE_HOME,
    Departures,
    hand_over_job,
    move_home_job,
)
from services.customer.handlers.handing_over import FromEmployee, HandOver
from services.customer.queries.holdings import Holding, Holdings
from shared.access import Principal, Role, issue
from shared.clock import ManualClock
from shared.decider import Refused
from shared.events.configuration import BranchPlace
from shared.eventstore import StoreUnavailable
from shared.execute import Writer
from shared.jobs import Job, JobRunner, Jobs, kinds_by_name
from shared.jobs.job import begun
from shared.keyring import Keyring
from shared.memory import (
    MemoryApiKeys,
    MemoryDocuments,
    MemoryEventStore,
    MemoryJobs,
    MemoryKeyStore,
    MemoryLeases,
)
from shared.testing import DAY
from shared.testing.collections import MemoryQuestions
from tests.unit.dealing import Office

OWNER = Principal("key:owner", frozenset({Role.OWNER}))


@dataclass
class Hands:
    """Things by whose they are; what is asked for by a command's id is done once."""

    owner: dict[str, str]
    late: dict[str, str] = field(default_factory=dict)
    stubborn: set[str] = field(default_factory=set)
    cut_off_at: str | None = None
    commands: list[str] = field(default_factory=list)
    field: str = "responsible"

    async def find(self, job: Job) -> AsyncIterator[Sequence[Holding]]:
        assert job.kind == HAND_OVER
        yield [Holding("customer", name) for name, of in self.owner.items() if of == "eva"]
        # A read model that lags shows what was assigned last only at the next look.
        self.owner |= self.late
        self.late = {}

    async def check(self, job: Job, *, back: bool) -> None:
        if back and "eva" not in job.params["here"]:
            raise Refused("not-working", 409, "Eva is not here.")

    async def give(self, job: Job, holding: Holding, command: str, *, back: bool) -> bool:
        assert command.startswith(f"job|{job.id}|")
        giver, taker = ("bob", "eva") if back else ("eva", "bob")
        if command in self.commands:
            return True
        if holding.id in self.stubborn:
            raise Refused("out-of-scope", 403, "Not at this branch.")
        if self.cut_off_at == holding.id:
            self.cut_off_at = None
            raise StoreUnavailable
        if self.owner[holding.id] != giver:
            return False
        self.owner[holding.id] = taker
        self.commands.append(command)
        return True


@dataclass
class World:
    """Jobs in memory, and a worker for them."""

    hands: Hands
    clock: ManualClock = field(default_factory=lambda: ManualClock(DAY))
    store: MemoryJobs = field(default_factory=MemoryJobs)

    def __post_init__(self) -> None:
        self.jobs = Jobs(self.store, self.clock)
        self.leases = MemoryLeases(self.clock)

    async def begin(self, here: str = "eva") -> None:
        await self.jobs.begin(HAND_OVER, "key:owner", {"here": here}, job_id="j")

    async def work(self) -> Job:
        """Let a worker come by."""
        kind = HandOver(HAND_OVER, self.hands, settle_seconds=0)
        worker = JobRunner(self.store, self.leases, self.clock, kinds_by_name([kind]), "worker")
        await worker.look()
        await worker.settle()
        self.clock.advance(timedelta(minutes=1))
        return await self.jobs.find("j", OWNER)


async def test_everything_is_handed_over_and_nothing_of_others() -> None:
    world = World(Hands({"a": "eva", "b": "max", "c": "eva"}))
    await world.begin()
    job = await world.work()
    assert (job.state, job.total, job.counts) == ("done", 2, {"handed_over": 2})
    assert world.hands.owner == {"a": "bob", "b": "max", "c": "bob"}


async def test_what_the_read_model_shows_late_is_handed_over_too() -> None:
    world = World(Hands({"a": "eva"}, late={"z": "eva"}))
    await world.begin()
    job = await world.work()
    assert (job.total, world.hands.owner) == (2, {"a": "bob", "z": "bob"})


async def test_what_cannot_be_handed_over_is_told_and_the_rest_goes_on() -> None:
    world = World(Hands({"a": "eva", "b": "eva"}, stubborn={"a"}))
    await world.begin()
    job = await world.work()
    assert job.counts == {"refused": 1, "handed_over": 1}
    (first, _second) = await world.store.results("j", after=0, limit=10)
    assert first.flaws[0].message == "Not at this branch."


async def test_a_job_that_was_cut_off_goes_on_and_does_nothing_twice() -> None:
    names = [f"c{number:03}" for number in range(250)]
    world = World(Hands(dict.fromkeys(names, "eva"), cut_off_at="c130"))
    await world.begin()
    cut = await world.work()
    # The first chunk of 100 is saved; 30 of the second are done, and not saved.
    assert (cut.state, cut.position, len(world.hands.commands)) == ("running", 100, 130)
    job = await world.work()
    assert (job.state, job.position, job.counts) == ("done", 250, {"handed_over": 250})
    assert len(world.hands.commands) == len(set(world.hands.commands)) == 250


async def test_a_revert_gives_back_what_is_still_in_the_hands_it_was_put_into() -> None:
    world = World(Hands({"a": "eva", "b": "eva", "c": "bob"}))
    await world.begin()
    await world.work()
    world.hands.owner["b"] = "max"
    await world.jobs.revert("j", OWNER)
    job = await world.work()
    # What was Bob's before stays his; what Max took over meanwhile stays with Max.
    assert world.hands.owner == {"a": "eva", "b": "max", "c": "bob"}
    assert (job.state, job.counts["given_back"], job.counts["in_other_hands"]) == ("reverted", 1, 1)


async def test_a_revert_goes_on_where_something_cannot_be_given_back() -> None:
    world = World(Hands({"a": "eva", "b": "eva"}))
    await world.begin()
    await world.work()
    # Erased since, or at a branch where Eva does not work any more.
    world.hands.stubborn.add("a")
    await world.jobs.revert("j", OWNER)
    job = await world.work()
    assert (job.state, job.problem) == ("reverted", None)
    assert (job.counts["not_given_back"], job.counts["given_back"]) == (1, 1)
    assert world.hands.owner == {"a": "bob", "b": "eva"}
    (first, _second) = await world.store.results("j", after=0, limit=10)
    assert first.flaws[0].message == "Not at this branch."


async def leaving(office: Office) -> tuple[FromEmployee, Job]:
    """Whose things go from Eva to Bob, on a read model that has not read a thing."""
    known = book()
    await hire(known, "eva")
    await hire(known, "bob")
    empty = MemoryQuestions(MemoryDocuments())
    hands = FromEmployee(
        office.writer, known, office.deals, Holdings(empty, empty), ManualClock(DAY)
    )
    params = {"employee": "eva", "successor": "bob"}
    return hands, begun(job_id="j", kind=HAND_OVER, by="key:owner", at=DAY, params=params)


async def test_a_deal_that_was_given_to_another_meanwhile_stays_there() -> None:
    office = Office()
    hands, job = await leaving(office)
    await office.customer("anna")
    deals = [await office.open("anna") for _ in range(3)]
    for deal, responsible in zip(deals, ("eva", "max", "eva"), strict=True):
        await office.deals.assign(office.request(), deal, responsible)
    await office.deals.win(office.request(), deals[2])
    given = [
        await hands.give(job, Holding("deal", deal), f"job|j|{row}", back=False)
        for row, deal in enumerate(deals)
    ]
    # The log is asked, and not what has been read of it: Max has the second one by now, and the
    # third one was won under Eva.
    assert given == [True, False, False]
    logs = [await deal_log(office.writer, f"deal-{deal}") for deal in deals]
    assert [each and each.state.responsible for each in logs] == ["bob", "max", "eva"]
    # A runner that was cut off asks again; on the way back the same holds.
    assert await hands.give(job, Holding("deal", deals[0]), "job|j|0", back=False)
    await office.deals.win(office.request(), deals[0])
    assert not await hands.give(job, Holding("deal", deals[0]), "job|j|0|undo", back=True)


async def test_a_revert_to_somebody_who_is_not_there_fails_and_changes_nothing() -> None:
    world = World(Hands({"a": "eva"}))
    await world.begin(here="nobody")
    await world.work()
    await world.jobs.revert("j", OWNER)
    job = await world.work()
    assert (job.state, job.problem) == ("failed", "Eva is not here.")
    assert world.hands.owner == {"a": "bob"}


def book() -> ConfigurationBook:
    keyring = Keyring(MemoryKeyStore(), AESGCM(b"m" * 32))
    return ConfigurationBook(Writer(MemoryEventStore(), keyring, ManualClock(DAY), "customer"))


def request(name: str) -> Request:
    return Request(name, name, DAY)


async def hire(known: ConfigurationBook, name: str, *principals: str) -> None:
    command = Hire(name, Contract(name.title(), "seller", None, principals), DAY)
    await known.change("employees", request(f"hire {name}"), command, f"employee-{name}")


async def test_who_leaves_loses_the_keys_and_one_job_begins_however_often_it_is_looked() -> None:
    known, keys, store = book(), MemoryApiKeys(), MemoryJobs()
    _text, stored = issue(b"s" * 32, title="eva", roles=[Role.CASHIER])
    await keys.add(stored)
    await hire(known, "eva", f"key:{stored.prefix}", "token:eva")
    await hire(known, "bob")
    jobs = Jobs(store, ManualClock(DAY))
    for _ in range(2):
        await Departures(known, keys, jobs).settle()
    assert (await keys.all())[0].revoked is False
    left = Leave("eva", DAY.date(), "bob", DAY)
    await known.change("employees", request("leave"), left, "employee-eva")
    for _ in range(2):
        departures = Departures(known, keys, jobs)
        await departures.settle()
        await departures.settle()
    assert (await keys.all())[0].revoked is True
    (job,) = await store.page(by=None, kinds=None, before=None, limit=10)
    # Hired, hired, left: the third event of the stream.
    assert job.id == hand_over_job("eva", 3)
    assert job.params == {"employee": "eva", "successor": "bob"}


async def test_who_returns_keeps_the_loss_of_the_keys_and_begins_no_job() -> None:
    known, keys, store = book(), MemoryApiKeys(), MemoryJobs()
    _text, stored = issue(b"s" * 32, title="eva", roles=[Role.CASHIER])
    await keys.add(stored)
    await hire(known, "eva", f"key:{stored.prefix}")
    left = Leave("eva", DAY.date(), None, DAY)
    await known.change("employees", request("leave"), left, "employee-eva")
    await known.change("employees", request("back"), Return("eva", DAY), "employee-eva")
    await Departures(known, keys, Jobs(store, ManualClock(DAY))).settle()
    assert (await keys.all())[0].revoked is True
    assert await store.page(by=None, kinds=None, before=None, limit=10) == []


async def test_a_branch_that_closes_sends_its_customers_by_one_job() -> None:
    known, store = book(), MemoryJobs()
    place = BranchPlace(zone="Europe/Berlin")
    for name in ("12", "13"):
        command = OpenBranch(name, {"en": name}, place, (), DAY.date(), DAY)
        await known.change("branches", request(name), command)
    await known.change("branches", request("close"), CloseBranch("12", DAY.date(), "13", DAY))
    await Departures(known, MemoryApiKeys(), Jobs(store, ManualClock(DAY))).settle()
    (job,) = await store.page(by=None, kinds=None, before=None, limit=10)
    # Opened, opened, closed.
    assert (job.id, job.kind) == (move_home_job("12", 3), MOVE_HOME)
    assert job.params == {"branch": "12", "heir": "13"}
