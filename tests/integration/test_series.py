"""Series on real servers: three customers go three ways, also past a restart of everything."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2

from services.customer.main import build as build_customer
from services.notify.main import NotifySettings
from services.notify.main import build as build_notify
from shared.decider import NewEvent
from shared.events.interaction import VisitRecorded
from shared.events.segment import Cause, SegmentEntered, SegmentExited
from shared.process import Kernel
from shared.settings import Settings
from shared.testing import LocalChain, eventually
from shared.testing.facts import tell
from shared.testing.mail_server import MailServer, mail_server

Json = Any
WEEK = timedelta(days=7)
BECAUSE = Cause(kind="event")
VISITED = VisitRecorded(fact="f", visit="v", state="kept", source="web", source_id="1")
WELCOME = {
    "title": "Welcome",
    "entry": {"kind": "on_entering", "segment": "new"},
    "steps": [
        {"kind": "send", "id": "hello", "campaign": "hello"},
        {
            "kind": "wait_event",
            "id": "visit",
            "event": "interaction.visit_recorded.v1",
            "at_most": "P7D",
            "next": "thanks",
        },
        {
            "kind": "branch",
            "id": "greeted",
            "question": {"kind": "message", "step": "hello", "state": "sent"},
            "otherwise": "done",
        },
        {"kind": "send", "id": "remind", "campaign": "remind", "next": "done"},
        {"kind": "send", "id": "thanks", "campaign": "thanks"},
        {"kind": "end", "id": "done"},
    ],
    "exits": [{"kind": "on_leaving", "segment": "new"}],
}


@dataclass(frozen=True, slots=True)
class Town:
    """A chain at a time: customers, who publishes memberships and visits, and notify."""

    customers: httpx2.AsyncClient
    segments: Kernel
    interactions: Kernel
    notify: httpx2.AsyncClient

    async def register(self, name: str) -> str:
        body = {
            "name": name,
            "identifiers": [{"kind": "email", "value": f"{name}@example.com"}],
            "consents": [{"topic": "marketing", "channel": "email", "source": "till"}],
        }
        return str((await done(self.customers.post("/v1/customers", json=body)))["id"])

    async def membership(self, customer: str, kind: type[SegmentEntered | SegmentExited]) -> None:
        data = kind(segment="new", definition=1, cause=BECAUSE)
        events = [NewEvent(data, self.segments.clock.now())]
        await tell(self.segments.writer, f"membership-{customer}", customer, events)

    async def visit(self, customer: str) -> None:
        events = [NewEvent(VISITED, self.interactions.clock.now())]
        await tell(self.interactions.writer, f"facts-{customer}", customer, events)

    async def stands(self, customer: str, state: str, step: str) -> Json:
        """Wait until the customer stands so."""

        async def so() -> Json:
            answer = await self.notify.get(f"/v1/series/welcome/journeys/{customer}")
            found = answer.json() if answer.is_success else {}
            return found if (found.get("state"), found.get("step")) == (state, step) else None

        return await eventually(so)


async def done(asked: Any) -> Json:  # noqa: ANN401 - an answer that is awaited
    answer = await asked
    assert answer.is_success, answer.text
    return answer.json()


@asynccontextmanager
async def opened(chain: LocalChain, mails: MailServer, shift: timedelta) -> AsyncIterator[Town]:
    """Everything runs, with the chain's clock so far ahead."""
    clock = {"clock_shift": shift}
    async with AsyncExitStack() as exits:
        customers = await exits.enter_async_context(
            chain.running(build_customer, chain.settings(Settings, **clock))
        )
        kernels = []
        for service in ("segment", "interaction"):
            kernel = await Kernel.build(chain.settings(Settings, **clock), service)
            exits.push_async_callback(kernel.close)
            for work in (kernel.relay().run, kernel.progress.run):
                exits.push_async_callback(ended, asyncio.ensure_future(work()))
            kernels.append(kernel)
        settings = chain.settings(NotifySettings, smtp_url=mails.url, **clock)
        notify = await exits.enter_async_context(chain.running(build_notify, settings))
        yield Town(customers, kernels[0], kernels[1], notify)


async def ended(task: "asyncio.Future[None]") -> None:
    task.cancel()
    await asyncio.wait([task])


async def begin(notify: httpx2.AsyncClient) -> None:
    for name in ("hello", "remind", "thanks"):
        campaign = {
            "title": name,
            "trigger": {"kind": "on_step"},
            "channel": "email",
            "topic": "marketing",
            "template": {"subject": name, "text": "Your shop"},
            "start": datetime(2018, 1, 1, tzinfo=UTC).isoformat(),
        }
        await done(notify.put(f"/v1/campaigns/{name}", json=campaign))
        await done(notify.post(f"/v1/campaigns/{name}/start", json={}))
    await done(notify.put("/v1/series/welcome", json=WELCOME))
    await done(notify.post("/v1/series/welcome/start", json={}))


async def test_each_goes_the_way_that_follows_from_what_happens(chain: LocalChain) -> None:
    async with mail_server() as mails:

        async def mailed() -> list[tuple[str, str]]:
            return sorted((str(mail["To"]), str(mail["Subject"])) for mail in mails.taken)

        async def so_many(count: int) -> bool | None:
            return True if len(mails.taken) >= count else None

        async with opened(chain, mails, timedelta(0)) as town:
            await begin(town.notify)
            anna, boris, clara = [await town.register(name) for name in ("anna", "boris", "clara")]
            for customer in (anna, boris, clara):
                await town.membership(customer, SegmentEntered)
                await town.stands(customer, "open", "visit")
            await town.visit(anna)
            await town.membership(clara, SegmentExited)
            await town.stands(anna, "finished", "thanks")
            await town.stands(clara, "exit", "visit")
            await eventually(lambda: so_many(4))
            due = (await town.stands(boris, "open", "visit"))["until"]
        async with opened(chain, mails, WEEK) as town:
            found = await town.stands(boris, "finished", "remind")
            assert (found["ended_at"], found["number"]) == (due, 1)
            await eventually(lambda: so_many(5))
            figures = (await done(town.notify.get("/v1/campaigns/remind")))["figures"]
            assert figures["sent"] + figures["open"] == 1
        assert await mailed() == [
            ("anna@example.com", "hello"),
            ("anna@example.com", "thanks"),
            ("boris@example.com", "hello"),
            ("boris@example.com", "remind"),
            ("clara@example.com", "hello"),
        ]
