"""Dispatchers, the broker and the database are killed while messages go out: once, or a doubt.

Two gateways of the test count what they have accepted, and when: one for mail, which knows nothing
again, and one that declares to take an id once. Dispatchers die at each step around a hand-over and
at random, one is frozen past its lease, the servers are killed, all memberships are told again, and
some customers withdraw meanwhile. What is due is accepted once where ids are known again; by mail
never twice, and what is not known to be accepted is listed as uncertain. Who leaves by the link of
a mail, with the relay of the customer service stopped, gets nothing from then on.

Of 300 customers with two campaigns each; with `REGULARS_LONG_TESTS=1` of 10,000, in 20 minutes.
"""

import asyncio
import json
import os
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from random import Random
from typing import Any, Literal

import httpx2
import pytest
from aiokafka import TopicPartition
from aiokafka.errors import KafkaError
from aiosmtpd.smtp import SMTP, Envelope, Session

from services.customer.main import build as build_customer
from services.notify.domain import RecordSent
from services.notify.handlers.deciding.plans import Plan
from services.notify.handlers.sending import dispatcher
from services.notify.handlers.sending import recording as recorder
from services.notify.handlers.sending.finding import PAGE
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
from shared.testing.servers import EmbeddedProcess
from tests.faults.children import Child, Nursery
from tests.faults.invariants import check_commits, commits_in
from tests.faults.leaving import SITE, Door, Leaving
from tests.faults.test_outages import kill, stack
from tests.faults.test_pauses import LONG
from tests.integration.test_interaction_process import readiness

__all__ = ["stack"]

pytestmark = [pytest.mark.faults, pytest.mark.timeout(1_800 if os.environ.get(LONG) else 240)]

Json = Any
CUSTOMERS = 10_000 if os.environ.get(LONG) else 300
BATCH = 500
WITHDRAWING = CUSTOMERS // 10
TOLD_AGAIN = 200
"""Who get another mail, while some of them leave."""
SECONDS = 1_200.0 if os.environ.get(LONG) else 150.0
LATEST_SECONDS = 30.0
"""After a withdrawal was accepted."""
FROZEN_SECONDS = 20.0
"""A lease is of 15 s."""
Fate = Literal["begun", "half handed over", "all handed over", "written down", "frozen", "lives"]
FATES: tuple[Fate, ...] = ("begun", "half handed over", "all handed over", "written down", "frozen")
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
    children: Nursery
    settings: NotifySettings
    customers: httpx2.AsyncClient
    segments: Kernel
    names: dict[str, str] = field(default_factory=dict)
    withdrawn: dict[str, float] = field(default_factory=dict)

    async def worker(self, fate: Fate) -> Child:
        port = free_port()
        settings = self.settings.model_copy(update={"port": port})
        child = self.children.start(run_dispatcher, settings, fate)
        if fate == "lives":
            await eventually(lambda: readiness(port), SECONDS)
        return child

    async def register(self) -> None:
        """All customers, who can be reached by mail and by the other gateway."""
        consents = [
            {"topic": "marketing", "channel": channel, "source": "till"}
            for channel in ("email", "webhook")
        ]
        for first in range(0, CUSTOMERS, BATCH):
            names = [f"c{number}" for number in range(first, min(first + BATCH, CUSTOMERS))]
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

    async def withdraw(self, random: Random) -> None:
        """Some say no, one after the other; `withdrawn` says when that was accepted."""
        for customer in random.sample(sorted(self.names), WITHDRAWING):
            for channel in ("email", "webhook"):
                body = {"topic": "marketing", "channel": channel, "given": False, "source": "till"}
                await eventually(partial(self._said, customer, body), SECONDS)
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

    async def over(self, notify: httpx2.AsyncClient) -> Mapping[str, Story] | None:
        """All messages, once each has its outcome; the log is read when the figures say so."""
        for channel in ("email", "webhook"):
            answer = await notify.get(f"/v1/campaigns/{channel}")
            told = answer.json().get("figures", {"open": CUSTOMERS})
            if told["open"] or told["sent"] + told["uncertain"] < CUSTOMERS - WITHDRAWING:
                return None
        stories = await self.log()
        done = len(stories) == 2 * CUSTOMERS and all(each.outcomes for each in stories.values())
        return stories if done else None


async def test_what_is_due_is_accepted_once_though_everything_is_killed(
    stack: EmbeddedProcess,
    tmp_path: Path,
    children: Nursery,
) -> None:
    servers = Servers(stack.addresses["kafka_url"], stack.addresses["mongo_url"], stack)
    local, random, mails, hooks = LocalChain(servers, tmp_path), Random(7), Mails(), Hooks()
    async with AsyncExitStack() as exits:
        gateway = await exits.enter_async_context(listening(mails))
        other = await exits.enter_async_context(provider())
        other.doors["/"] = hooks.take
        settings = local.settings(
            NotifySettings, smtp_url=gateway, public_url=SITE, webhook_url=f"http://127.0.0.1:{other.port}/",
            webhook_deduplicates="P1D", webhook_private_addresses=True,
        )  # fmt: skip
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
        chain = Chain(local, children, settings, customers, segments)
        await chain.register()
        for channel in ("email", "webhook"):
            path = f"/v1/campaigns/{channel}"
            assert (await notify.put(path, json=campaign(channel))).is_success
            assert (await notify.post(f"{path}/start", json={})).is_success
        fated = [await chain.worker(fate) for fate in FATES]
        await chain.tell(chain.names)
        withdrawing = asyncio.create_task(chain.withdraw(random))
        await survive(chain, fated, stack, random)
        await withdrawing
        stories = await eventually(lambda: chain.over(notify), SECONDS)
        check(chain, stories, mails, hooks)
        people = {chain.names[each]: each for each in chain.names}
        able = sorted((people.keys() & mails.door.ways_out.keys()) - chain.withdrawn.keys())
        some = {name: people[name] for name in able[:TOLD_AGAIN]}
        leaving = Leaving(some, customers, notify, mails.door, SECONDS)
        left = await leaving.over(lambda: chain.tell(some.values(), "n"), relay.aclose, random)
        left.check(await chain.commits())


async def survive(
    chain: Chain,
    fated: Sequence[Child],
    stack: EmbeddedProcess,
    random: Random,
) -> None:
    """Everybody meets their fate; others go on, and the servers die under them."""
    *dying, frozen = fated
    await asyncio.gather(*(child.ended(SECONDS) for child in dying))
    assert all(child.killed for child in dying), chain.children.tails()
    await frozen.stopped(SECONDS)
    thaw = asyncio.get_running_loop().time() + FROZEN_SECONDS
    first, second = await chain.worker("lives"), await chain.worker("lives")
    await kill(stack.home, "kafka")
    await eventually(partial(once_it_is_up, chain.tell_again), SECONDS)
    await kill(stack.home, "mongo")
    await asyncio.sleep(random.uniform(0, 2))
    first.send(signal.SIGKILL)
    await chain.worker("lives")
    await asyncio.sleep(thaw - asyncio.get_running_loop().time())
    frozen.send(signal.SIGCONT)
    assert second.alive


async def once_it_is_up(work: Callable[[], Awaitable[None]]) -> bool | None:
    """The broker has another process by now, which may not answer yet."""
    try:
        await work()
    except KafkaError:
        return None
    return True


def check(chain: Chain, stories: Mapping[str, Story], mails: Mails, hooks: Hooks) -> None:
    """Once, or a doubt that is listed; and nobody long after a no."""
    assert all(len(each.outcomes) == 1 for each in stories.values()), "one outcome each"
    found = {(each.campaign, each.customer): each.outcomes[0] for each in stories.values()}
    assert len(found) == len(stories) == 2 * CUSTOMERS
    for channel, accepted in (("email", mails.accepted.times), ("webhook", hooks.accepted.times)):
        assert all(len(times) == 1 for times in accepted.values()), "somebody got it twice"
        for name, (at,) in accepted.items():
            assert at <= chain.withdrawn.get(name, at) + LATEST_SECONDS
        for name in chain.names.values():
            outcome = found[channel, name]
            if outcome == "sent":
                assert name in accepted
            elif outcome == "suppressed":
                assert name in chain.withdrawn
                assert name not in accepted
            else:
                # Of mail nobody can say; what is known again is only in doubt after a no.
                assert outcome == "uncertain"
                assert channel == "email" or name in chain.withdrawn
    counts = {
        channel: dict(Counter(found[channel, name] for name in chain.names.values()))
        for channel in ("email", "webhook")
    }
    # What those who died had in hand, and no more. With few customers that may be nearly all.
    assert counts["email"].get("uncertain", 0) <= (len(FATES) + 1) * PAGE
    assert counts["email"].get("sent", 0) > 0
    print(json.dumps({"messages": len(stories), "posted": hooks.asked, **counts}))  # noqa: T201 - figures of the long run


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
