"""Tasks without servers: what other services tell, what is read of it, and what follows."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx2
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from services.interaction.api.call_lists import CallListApi
from services.interaction.api.tasks import TaskApi
from services.interaction.consumers.tasks import subscription
from services.interaction.handlers.call_lists import CallLists
from services.interaction.handlers.task_following import (
    TaskFollowing,
    TaskHandOvers,
    TaskTimers,
)
from services.interaction.handlers.task_planning import Planner
from services.interaction.handlers.task_rules import TaskGrounds
from services.interaction.handlers.tasks import Planning, Request, Tasks
from services.interaction.projections.agenda import AGENDA, AgendaEntry
from services.interaction.projections.identifiers import IDENTIFIERS
from services.interaction.projections.staff import STAFF
from services.interaction.projections.task_owners import TASK_OWNERS
from services.interaction.projections.task_sources import CALLEES, DEAL_DUTIES
from services.interaction.queries.agenda import Agenda
from services.interaction.queries.customers import Customers
from services.interaction.queries.staff import Staff
from services.interaction.queries.task_owners import TaskOwners, TaskSources
from shared.access import Authenticator, Principal, Role, issue
from shared.clock import ManualClock
from shared.decider import NewEvent
from shared.events.configuration import BranchOpened, BranchPlace, EmployeeHired
from shared.events.contract import EventData
from shared.events.customer import CustomerRegistered
from shared.events.merging import CustomerErased, CustomerMerged, MergeReverted
from shared.events.task import TaskTerms, TaskWords
from shared.execute import Writer
from shared.http import build_app
from shared.jobs import JobRunner, Jobs, kinds_by_name
from shared.keyring import Keyring
from shared.memory import (
    MemoryApiKeys,
    MemoryDocuments,
    MemoryEventStore,
    MemoryJobs,
    MemoryKeyStore,
    MemoryLeases,
    MemoryParking,
)
from shared.projection import Projection
from shared.projector import Folder
from shared.sweeping import Sweeper
from shared.testing import DAY, client_of, logs_of
from shared.testing.collections import MemoryQuestions
from shared.testing.facts import tell
from shared.testing.reading import LoggedRecord

SECRET = bytes(32)
READ: tuple[Projection[Any], ...] = (
    AGENDA, TASK_OWNERS, STAFF, DEAL_DUTIES, CALLEES, IDENTIFIERS,
)  # fmt: skip


@dataclass(slots=True)
class Bureau:
    """The tasks of a chain; nothing is read, and nothing follows, before it is asked for."""

    store: MemoryEventStore = field(default_factory=MemoryEventStore)
    keys: MemoryApiKeys = field(default_factory=MemoryApiKeys)
    clock: ManualClock = field(default_factory=lambda: ManualClock(DAY))
    keyring: Keyring = field(default_factory=lambda: Keyring(MemoryKeyStore(), AESGCM(bytes(32))))
    documents: Mapping[str, MemoryDocuments] = field(
        default_factory=lambda: {each.name: MemoryDocuments() for each in READ}
    )
    jobs: Jobs = field(init=False)
    writer: Writer = field(init=False)
    reacted: int = 0
    asked: int = 0
    told: int = 0

    def __post_init__(self) -> None:
        self.writer = Writer(self.store, self.keyring, self.clock, "interaction")
        self.jobs = Jobs(MemoryJobs(), self.clock)

    def questions(self, projection: Projection[Any]) -> Any:  # noqa: ANN401 - stands for a collection
        """What is asked of a read model."""
        return MemoryQuestions(self.documents[projection.name])

    @property
    def grounds(self) -> TaskGrounds:
        """Fresh ones each time: nothing is a second old."""
        return TaskGrounds(self.writer, Staff(self.questions(STAFF)))

    @property
    def tasks(self) -> Tasks:
        return Tasks(self.writer, self.grounds)

    @property
    def agenda(self) -> Agenda:
        return Agenda(self.questions(AGENDA), self.keyring)

    @property
    def owners(self) -> TaskOwners:
        return TaskOwners(self.questions(TASK_OWNERS))

    @property
    def sources(self) -> TaskSources:
        return TaskSources(self.questions(DEAL_DUTIES), self.questions(CALLEES))

    @property
    def planner(self) -> Planner:
        return Planner(self.tasks, self.owners, self.sources, wait_seconds=0.0)

    def request(self, by: str | None = None) -> Request:
        self.asked += 1
        return Request(f"r{self.asked}", "", self.clock.now(), by=by)

    async def tell(self, stream: str, key: str, *events: EventData) -> None:
        """What another service says, now."""
        await tell(self.writer, stream, key, [NewEvent(each, self.clock.now()) for each in events])

    async def customer(self, name: str, branch: str | None = None) -> None:
        await self.tell(f"customer-{name}", name, CustomerRegistered(home_branch=branch))

    async def employee(
        self, name: str, position: str = "clerk", branches: tuple[str, ...] | None = ("12",)
    ) -> None:
        hired = EmployeeHired(
            employee=name, position=position, branches=branches, principals=(f"key:{name}",)
        )
        await self.tell("employees", "employees", hired)

    async def branch(self, name: str, zone: str) -> None:
        opened = BranchOpened(
            branch=name, titles={}, place=BranchPlace(zone=zone), since="2010-01-01"
        )
        await self.tell("branches", "branches", opened)

    async def merge(self, loser: str, survivor: str) -> str:
        self.told += 1
        merge = f"m{self.told}"
        await self.tell(f"customer-{loser}", loser, CustomerMerged(merge=merge, survivor=survivor))
        return merge

    async def revert(self, merge: str, loser: str, survivor: str) -> None:
        for name, other, role in ((loser, survivor, "loser"), (survivor, loser, "survivor")):
            data = MergeReverted.model_validate({"merge": merge, "other": other, "role": role})
            await self.tell(f"customer-{name}", name, data)

    async def erase(self, customer: str) -> None:
        await self.keyring.erase([customer], "erase")
        await self.tell(f"customer-{customer}", customer, CustomerErased(erase="e", reason="law"))

    async def plan(self, customer: str | None = None, by: str | None = None, **said: Any) -> str:  # noqa: ANN401 - any of the terms
        """Plan a task by hand; gives its id."""
        self.asked += 1
        task = f"{self.asked:036d}"
        terms = TaskTerms(kind="call", since=self.clock.now()).model_copy(update=said)
        planning = Planning(task, terms, customer, TaskWords(title="Call", notes="Gently"))
        await self.tasks.plan(self.request(by), planning)
        return task

    async def read(self) -> None:
        """Let all read models read whatever was written."""
        for projection in READ:
            parking = MemoryParking()
            folder: Folder[Any] = Folder(projection, self.documents[projection.name], parking)
            for log in logs_of(self.store.commits):
                await folder.fold(log)
            assert not await parking.parked(range(100)), projection.name

    def records(self) -> Sequence[LoggedRecord]:
        """All that was told since it was asked for last, in the order of its writing."""
        commits = self.store.commits[self.reacted :]
        self.reacted = len(self.store.commits)
        return [record for log in logs_of(commits) for record in log]

    async def follow(self) -> None:
        """Let everything follow, until nothing is left to follow."""
        for _ in range(20):
            await self.read()
            records = self.records()
            await subscription(self.planner).react(records)
            done = await TaskFollowing(self.writer, self.grounds, self.owners).step()
            done += await TaskHandOvers(self.writer, self.grounds, self.agenda).step()
            if not records and not done:
                return
        raise AssertionError("there is no end to it")

    def sweeper(self, owner: str = "sweeper") -> Sweeper:
        timers = TaskTimers(self.writer, self.grounds)
        questions, leases = self.questions(AGENDA), MemoryLeases(self.clock)
        return Sweeper("agenda", questions, leases, owner, self.clock, timers.settle)

    async def sweep(self) -> None:
        """Let what is due be told, and read."""
        await self.read()
        await self.sweeper().sweep()
        await self.read()

    async def entry(self, task: str) -> AgendaEntry:
        """The task as lists have it, its texts in the clear."""
        found = await self.agenda.get(task)
        assert found is not None
        return found

    async def entries(self) -> list[AgendaEntry]:
        """All tasks."""
        found = await self.questions(AGENDA).find({})
        names = sorted(raw["_id"] for raw in found)
        return [each for name in names if (each := await self.agenda.get(name)) is not None]

    def events(self, kind: str) -> list[dict[str, Any]]:
        """The envelopes of a type, in the order of their writing."""
        return [each for each in self.log() if each["type"] == kind]

    def log(self) -> list[dict[str, Any]]:
        return [json.loads(text) for commit in self.store.commits for text in commit.events]

    async def caller(
        self, role: Role = Role.OWNER, *branches: str, name: str = "test"
    ) -> tuple[httpx2.AsyncClient, Principal]:
        """A client with a key of its own, and who it is; no branches: of the whole chain."""
        text, stored = issue(SECRET, title=name, roles=[role], branches=branches or None)
        await self.keys.add(stored)
        authenticator = Authenticator(self.keys, SECRET)
        customers: Any = MemoryQuestions(self.documents[IDENTIFIERS.name])
        app = build_app(
            title="test",
            service="interaction",
            routers=[
                TaskApi(
                    self.tasks, self.agenda, self.owners, Customers(customers), self.clock, SECRET
                ).router(),
                CallListApi(self.jobs, self.agenda, self.grounds, self.clock, SECRET).router(),
            ],
            authenticator=authenticator,
            readiness=self._readiness,
        )
        return client_of(app, text), await authenticator.authenticate(text)

    async def work(self) -> None:
        """Let the jobs be done."""
        kind = CallLists(self.tasks, self.owners, self.sources)
        runner = JobRunner(
            self.jobs.store, MemoryLeases(self.clock), self.clock, kinds_by_name([kind]), "runner"
        )
        await runner.look()
        await runner.settle()

    async def _readiness(self) -> Mapping[str, bool | str]:
        return {}


def kind_of(answer: httpx2.Response) -> tuple[int, str]:
    """The status, and the type of the problem."""
    return answer.status_code, answer.json()["type"].removeprefix("urn:regulars:problem:")
