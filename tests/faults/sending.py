"""A chain with its customers, memberships that are told, dispatchers, and gateways that count."""

import asyncio
import json
import os
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from random import Random
from typing import Any, Literal

import httpx2
import pytest
from aiokafka import TopicPartition
from aiosmtpd.smtp import SMTP, Envelope, Session

from services.customer.main import build as build_customer
from services.notify.domain import RecordSent
from services.notify.handlers.deciding.plans import Plan
from services.notify.handlers.sending import dispatcher
from services.notify.handlers.sending import recording as recorder
from services.notify.handlers.sending.handing_over import HandingOver
from services.notify.handlers.sending.recording import Entry
from services.notify.main import NotifySettings
from services.notify.main import build as build_notify
from shared.decider import NewEvent
from shared.envelope import Causation
from shared.events.segment import Cause, SegmentEntered
from shared.eventstore import Commit
from shared.execute import Command, Outcome, Writer
from shared.mongo import Database, connect
from shared.process import Kernel
from shared.process.running import run
from shared.settings import Settings
from shared.testing import LocalChain, Servers, eventually
from shared.testing.chain import PARTITIONS
from shared.testing.facts import TOLD
from shared.testing.kafka_log import producing, read_partitions
from shared.testing.mail_server import MailServer
from shared.testing.ports import free_port
from shared.testing.provider import Asked, Says, provider
from tests.faults.children import Child, Nursery
from tests.faults.invariants import check_commits, commits_in
from tests.faults.leaving import SITE, Door
from tests.integration.test_interaction_process import readiness

Json = Any
BATCH = 500
Fate = Literal["begun", "half handed over", "all handed over", "written down", "frozen", "lives"]
HALF = 3
"""Hand-overs after which one dies in the midst of a batch."""
OUTCOMES = ("sent", "suppressed", "failed", "uncertain")


def run_dispatcher(settings: NotifySettings, fate: Fate) -> None:
    """A worker of notify, to which its fate comes with the first batch that it hands over."""
    patch, handed = pytest.MonkeyPatch(), Counter[str]()
    handing, recording = HandingOver.of, recorder.record
    sending = HandingOver._sent  # noqa: SLF001 - there is no other way in

    def strike() -> None:
        os.kill(os.getpid(), signal.SIGSTOP if fate == "frozen" else signal.SIGKILL)

    async def of(self: HandingOver, plan: Plan) -> Any:  # noqa: ANN401 - as it is
        handed["begun"] += 1
        if fate in {"begun", "frozen"} and handed["begun"] == 1:
            strike()
        return await handing(self, plan)

    async def sent(self: HandingOver, *told: Any) -> Any:  # noqa: ANN401 - as it is
        receipt = await sending(self, *told)
        handed["sent"] += 1
        if fate == "half handed over" and handed["sent"] == HALF:
            strike()
        return receipt

    async def record(writer: Writer, entries: Sequence[Entry]) -> Sequence[Outcome]:
        over = any(isinstance(each.command, RecordSent) for each in entries)
        if over and fate == "all handed over":
            strike()
        outcomes = await recording(writer, entries)
        if over and fate == "written down":
            strike()
        return outcomes

    patch.setattr(HandingOver, "of", of)
    patch.setattr(HandingOver, "_sent", sent)
    patch.setattr(dispatcher, "record", record)
    run(lambda: build_notify(settings, "worker"))


@dataclass(slots=True)
class Accepted:
    """What a gateway has accepted: by address, at which moments."""

    times: dict[str, list[float]] = field(default_factory=dict)

    def note(self, address: str) -> None:
        self.times.setdefault(address, []).append(time.monotonic())


@dataclass(slots=True)
class Mails(MailServer):
    """Counts mail by its recipient; it keeps none but for the way out of it."""

    accepted: Accepted = field(default_factory=Accepted)
    door: Door = field(default_factory=Door)

    async def handle_DATA(  # noqa: N802 - the name that aiosmtpd calls
        self, _server: SMTP, _session: Session, envelope: Envelope
    ) -> object:
        name = envelope.rcpt_tos[0].partition("@")[0]
        self.accepted.note(name)
        await self.door.take(name, envelope.original_content or b"")
        return "250 OK: queued"


@dataclass(slots=True)
class Hooks:
    """Counts what is posted, each id once; `asked` counts all."""

    ids: set[str] = field(default_factory=set)
    asked: int = 0
    accepted: Accepted = field(default_factory=Accepted)

    def take(self, asked: Asked) -> Says:
        self.asked += 1
        if asked.json["id"] not in self.ids:
            self.ids.add(asked.json["id"])
            self.accepted.note(asked.json["to"])
        return Says(200)


@dataclass(slots=True)
class Story:
    """What the log says of a message."""

    customer: str
    campaign: str
    outcomes: list[str] = field(default_factory=list)


def campaign(channel: str) -> Json:
    return {
        "title": channel,
        "trigger": {"kind": "on_entering", "segment": "lapsed"},
        "channel": channel,
        "topic": "marketing",
        "template": {"subject": "We miss you", "text": "Your shop"},
        "start": "2017-12-01T00:00:00Z",
        "holdout_percent": 0,
    }


@dataclass(slots=True)
class Chain:
    """A chain with its customers, somebody who tells memberships, and dispatchers."""

    local: LocalChain
    settings: NotifySettings
    customers: httpx2.AsyncClient
    notify: httpx2.AsyncClient
    segments: Kernel
    relay: AsyncExitStack
    mails: Mails
    hooks: Hooks
    seconds: float
    """How long anything may take."""
    names: dict[str, str] = field(default_factory=dict)
    withdrawn: dict[str, float] = field(default_factory=dict)

    async def worker(self, children: Nursery, fate: Fate) -> Child:
        """A dispatcher in a process of its own."""
        port = free_port()
        settings = self.settings.model_copy(update={"port": port})
        child = children.start(run_dispatcher, settings, fate)
        if fate == "lives":
            await eventually(lambda: readiness(port), self.seconds)
        return child

    async def register(self, count: int) -> None:
        """So many customers, who can be reached by mail and by the other gateway."""
        consents = [
            {"topic": "marketing", "channel": channel, "source": "till"}
            for channel in ("email", "webhook")
        ]
        for first in range(0, count, BATCH):
            names = [f"c{number}" for number in range(first, min(first + BATCH, count))]
            items = [
                {
                    "request_id": name, "name": name, "consents": consents,
                    "identifiers": [
                        {"kind": "email", "value": f"{name}@example.com"},
                        {"kind": "external", "value": name},
                    ],
                }
                for name in names
            ]  # fmt: skip
            answer = await self.customers.post("/v1/customers/batch", json={"items": items})
            ids = [each["id"] for each in answer.json()["items"]]
            self.names |= dict(zip(ids, names, strict=True))

    async def tell(self, customers: Collection[str], time: str = "m") -> None:
        """They become members, each time anew."""
        entered = NewEvent(
            SegmentEntered(segment="lapsed", definition=1, cause=Cause(kind="time")),
            self.segments.clock.now(),
        )
        commands: list[Command[Sequence[NewEvent]]] = [
            Command(
                id=f"{time}|{customer}", hash="", stream=f"membership-{customer}", key=customer,
                body=[entered], causation=Causation(correlation="told"), subject=customer,
            )
            for customer in customers
        ]  # fmt: skip
        for first in range(0, len(commands), BATCH):
            await self.segments.writer.many(TOLD, commands[first : first + BATCH])

    async def tell_again(self) -> None:
        """What Kafka has of memberships comes once more, from the beginning."""
        kafka = self.segments.kafka
        topic = kafka.topic("segment.events.v1")
        places = [TopicPartition(topic, number) for number in range(PARTITIONS)]
        log = await read_partitions(kafka.bootstrap, places)
        async with producing(kafka.bootstrap) as producer:
            for place, records in log.items():
                for each in records:
                    await producer.send(topic, each.value, key=each.key, partition=place.partition)
            await producer.flush()

    async def begin(self, *channels: str) -> None:
        """A campaign by each channel for whoever becomes a member."""
        for channel in channels:
            path = f"/v1/campaigns/{channel}"
            assert (await self.notify.put(path, json=campaign(channel))).is_success
            assert (await self.notify.post(f"{path}/start", json={})).is_success

    async def withdraw(self, random: Random, count: int) -> None:
        """Some say no, one after the other; `withdrawn` says when that was accepted."""
        for customer in random.sample(sorted(self.names), count):
            for channel in ("email", "webhook"):
                body = {"topic": "marketing", "channel": channel, "given": False, "source": "till"}
                await eventually(partial(self._said, customer, body), self.seconds)
            self.withdrawn[self.names[customer]] = time.monotonic()

    async def _said(self, customer: str, body: Json) -> bool | None:
        path = f"/v1/customers/{customer}/consents"
        answer = await self.customers.post(path, json=body)
        return True if answer.is_success else None

    async def commits(self) -> Sequence[Commit]:
        """All that notify has written down."""
        client = connect(self.local.servers.mongo_url)
        try:
            return await commits_in(Database(client, f"{self.local.prefix}notify"))
        finally:
            client.close()

    async def log(self) -> Mapping[str, Story]:
        """All messages by their ids."""
        commits = await self.commits()
        check_commits(commits)
        stories: dict[str, Story] = {}
        for commit in commits:
            for event in map(json.loads, commit.events):
                family, kind, *_ = event["type"].split(".")
                message = event["data"].get("message")
                if family != "message" or message is None:
                    continue
                if kind == "scheduled":
                    name = self.names[event["subject"]]
                    stories[message] = Story(name, event["data"]["campaign"])
                elif kind in OUTCOMES:
                    stories[message].outcomes.append(kind)
        return stories


@asynccontextmanager
async def chain_of(servers: Servers, folder: Path, seconds: float) -> AsyncIterator[Chain]:
    """A chain with all its parts but dispatchers."""
    local, mails, hooks = LocalChain(servers, folder), Mails(), Hooks()
    async with AsyncExitStack() as exits:
        gateway = await exits.enter_async_context(listening(mails))
        other = await exits.enter_async_context(provider())
        other.doors["/"] = hooks.take
        settings = local.settings(
            NotifySettings,
            smtp_url=gateway,
            public_url=SITE,
            webhook_url=f"http://127.0.0.1:{other.port}/",
            webhook_deduplicates="P1D",
            webhook_private_addresses=True,
        )
        told = local.settings(Settings)
        customers = await exits.enter_async_context(local.running(build_customer, told, "api"))
        await exits.enter_async_context(local.running(build_customer, told, "worker"))
        relay = await exits.enter_async_context(AsyncExitStack())
        await relay.enter_async_context(local.running(build_customer, told, "relay"))
        segments = await Kernel.build(local.settings(Settings), "segment")
        exits.push_async_callback(segments.close)
        for work in (segments.relay().run, segments.progress.run):
            exits.push_async_callback(cancelled, asyncio.ensure_future(work()))
        await exits.enter_async_context(local.running(build_notify, settings, "relay"))
        notify = await exits.enter_async_context(local.running(build_notify, settings, "api"))
        yield Chain(local, settings, customers, notify, segments, relay, mails, hooks, seconds)


@asynccontextmanager
async def listening(mails: Mails) -> AsyncIterator[str]:
    """The mail server, and where it is."""
    server = await asyncio.get_running_loop().create_server(mails.connected, "127.0.0.1", 0)
    mails.port = server.sockets[0].getsockname()[1]
    try:
        yield mails.url
    finally:
        mails.hang_up()
        server.close()
        await server.wait_closed()


async def cancelled(task: "asyncio.Future[None]") -> None:
    task.cancel()
    await asyncio.wait([task])
