"""Notify on real servers: from published events to mail, once, or to a reason why not."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import httpx2
import pytest

from services.customer.main import build as build_customer
from services.notify.main import NotifySettings
from services.notify.main import build as build_notify
from shared.decider import NewEvent
from shared.events.contract import EventData
from shared.events.segment import Cause, SegmentEntered, SegmentExited
from shared.process import Kernel
from shared.settings import Settings
from shared.testing import LocalChain, eventually
from shared.testing.facts import tell
from shared.testing.kafka_log import producing
from shared.testing.mail_server import DROP, MailServer, mail_server

Json = Any
ROOT = Path(__file__).resolve().parents[2]
NOW = datetime(2018, 1, 2, tzinfo=UTC)
BEGINS = datetime(2017, 12, 1, tzinfo=UTC)
EARLIER = BEGINS - timedelta(milliseconds=1)
HISTORY = Cause(kind="history", import_id="i")
WE_MISS_YOU = {
    "title": "We miss you",
    "trigger": {"kind": "on_entering", "segment": "lapsed"},
    "channel": "email",
    "topic": "marketing",
    "template": {
        "subject": "We miss you, {{ customer.name | default: 'friend' }}",
        "text": "Your shop",
    },
    "start": "2017-12-01T00:00:00Z",
    "holdout_percent": 0,
}
COUPONS = {**WE_MISS_YOU, "trigger": {"kind": "broadcast", "segment": "coupon"}}
FROZEN = {"clock_frozen_at": NOW}


@dataclass(frozen=True, slots=True)
class Town:
    """A chain with customers, somebody who publishes memberships, notify, and a mail server."""

    chain: LocalChain
    customers: httpx2.AsyncClient
    segments: Kernel
    mails: MailServer

    @asynccontextmanager
    async def notify(self, **more: object) -> AsyncIterator[httpx2.AsyncClient]:
        settings = self.chain.settings(NotifySettings, smtp_url=self.mails.url, **FROZEN, **more)
        async with self.chain.running(build_notify, settings) as client:
            yield client

    async def register(self, name: str, *, consent: bool = True, email: bool = True) -> str:
        consents = [{"topic": "marketing", "channel": "email", "source": "till"}]
        identifiers = [{"kind": "email", "value": f"{name}@example.com"}] if email else []
        answer = await self.customers.post(
            "/v1/customers",
            json={
                "name": name,
                "identifiers": identifiers,
                "consents": consents if consent else [],
            },
        )
        assert answer.status_code == 201, answer.text
        customer: str = answer.json()["id"]
        return customer

    async def withdraw(self, customer: str) -> None:
        answer = await self.customers.post(
            f"/v1/customers/{customer}/consents",
            json={"topic": "marketing", "channel": "email", "given": False, "source": "till"},
        )
        assert answer.is_success, answer.text

    async def enter(self, customer: str, segment: str, *times: datetime) -> None:
        """Enter, and leave again but for the last time."""
        events: list[NewEvent] = []
        for time in times:
            if events:
                events.append(self._transition(SegmentExited, segment, time))
            events.append(self._transition(SegmentEntered, segment, time))
        await tell(self.segments.writer, f"membership-{customer}", customer, events)

    async def published(self) -> None:
        """Wait until everything recorded so far is known to be in Kafka."""
        now = self.segments.clock.system_now()

        async def passed() -> bool | None:
            latest = self.segments.progress.latest
            known = [latest.get(name) for name in ("customer", "segment")]
            return True if all(each and each.system > now for each in known) else None

        await eventually(passed)

    def _transition(self, kind: Callable[..., EventData], segment: str, at: datetime) -> NewEvent:
        return NewEvent(kind(segment=segment, definition=1, cause=HISTORY), at)


@pytest.fixture
async def town(chain: LocalChain) -> AsyncIterator[Town]:
    async with opened(chain) as town:
        yield town


@asynccontextmanager
async def opened(chain: LocalChain) -> AsyncIterator[Town]:
    async with AsyncExitStack() as exits:
        mails = await exits.enter_async_context(mail_server())
        customers = await exits.enter_async_context(
            chain.running(build_customer, chain.settings(Settings, **FROZEN))
        )
        segments = await Kernel.build(chain.settings(Settings, **FROZEN), "segment")
        exits.push_async_callback(segments.close)
        for work in (segments.relay().run, segments.progress.run):
            task = asyncio.ensure_future(work())
            exits.push_async_callback(ended, task)
        yield Town(chain, customers, segments, mails)


async def ended(task: "asyncio.Future[None]") -> None:
    task.cancel()
    await asyncio.wait([task])


async def run(notify: httpx2.AsyncClient, name: str, campaign: Json) -> None:
    answer = await notify.put(f"/v1/campaigns/{name}", json=campaign)
    assert answer.is_success, answer.text
    answer = await notify.post(f"/v1/campaigns/{name}/start", json={})
    assert answer.is_success, answer.text


async def settled(town: Town, notify: httpx2.AsyncClient) -> None:
    """Wait until notify says twice that it has caught up, with the same commits in between."""
    await town.published()
    before: list[int] = []

    async def caught_up() -> bool | None:
        report = (await notify.get("/v1/progress")).json()
        commits = report["commits"] if report["caught_up"] else -1
        same = commits in before and commits >= 0
        before[:] = [commits]
        await asyncio.sleep(0.3)
        return True if same else None

    await eventually(caught_up)


async def figures(notify: httpx2.AsyncClient, name: str) -> Json:
    return (await notify.get(f"/v1/campaigns/{name}")).json()["figures"]


def result(**counts: object) -> Json:
    nothing = {"sent": 0, "suppressed": {}, "holdout": 0, "failed": 0, "uncertain": 0, "open": 0}
    return {**nothing, **counts}


async def test_each_entering_at_or_after_the_start_gives_one_mail_or_one_reason(
    town: Town,
) -> None:
    anna = await town.register("anna")
    boris = await town.register("boris", consent=False)
    clara = await town.register("clara", email=False)
    # Three enterings of anna: one too early, two in time; boris and clara in time; one of nobody.
    await town.enter(anna, "lapsed", EARLIER, BEGINS, NOW)
    await town.enter(boris, "lapsed", BEGINS)
    await town.enter(clara, "lapsed", BEGINS)
    await town.enter("nobody", "lapsed", BEGINS)
    await town.enter(anna, "other", BEGINS)
    async with town.notify() as notify:
        await run(notify, "we-miss-you", WE_MISS_YOU)
        await settled(town, notify)
        reasons = {"no_consent": 1, "no_address": 1, "no_customer": 1}
        assert await figures(notify, "we-miss-you") == result(sent=2, suppressed=reasons)
        assert [mail["To"] for mail in town.mails.taken] == ["anna@example.com"] * 2
        assert {mail["Subject"] for mail in town.mails.taken} == {"We miss you, anna"}
        page = (await notify.get("/v1/messages", params={"state": "suppressed"})).json()
        assert {each["reason"] for each in page["items"]} == set(reasons)
        again = await notify.post("/v1/campaigns/we-miss-you/start", json={})
        assert again.json()["version"] == 2
    # Everything is read again by nobody: a second process finds the messages there.
    async with town.notify() as notify:
        await settled(town, notify)
        assert await figures(notify, "we-miss-you") == result(sent=2, suppressed=reasons)
    assert len(town.mails.taken) == 2


async def all_told(notify: httpx2.AsyncClient, name: str) -> Json:
    """The figures of the campaign, once what was bought after it counts for all."""
    told = (await notify.get(f"/v1/campaigns/{name}/figures")).json()
    if told["bought"]["customers"] < 4 or told["bought_in_holdout"]["customers"] < 4:
        return None
    assert (told["sent"], told["holdout"], told["people"], told["scheduled"]) == (4, 4, 4, 8)
    assert [(each["channel"], each["sent"]) for each in told["by_channel"]] == [("email", 4)]
    assert sum(each["sent"] for each in told["by_day"]) == 4
    assert (told["by_variant"], told["links"], told["uplift"]) == ([], [], [])
    # Everybody was in both groups, so nobody can be compared.
    assert told["bought"]["share_of_buyers"] == 0
    return told


async def test_a_broadcast_reaches_every_member_once_per_run(town: Town) -> None:
    customers = [await town.register(f"c{number}") for number in range(5)]
    for customer in customers[:4]:
        await town.enter(customer, "coupon", BEGINS)
    async with town.notify() as notify:
        await run(notify, "coupons", {**COUPONS, "holdout_percent": 100})
        await settled(town, notify)
        assert await figures(notify, "coupons") == result(holdout=4)
        changed = await notify.put("/v1/campaigns/coupons", json=COUPONS)
        assert changed.status_code == 428
        # It may have come to its end by itself before: then this says nothing new.
        await notify.post("/v1/campaigns/coupons/stop", json={})
        etag = {"If-Match": "*"}
        changed = await notify.put("/v1/campaigns/coupons", json=COUPONS, headers=etag)
        assert changed.is_success
        for _ in range(2):
            await notify.post("/v1/campaigns/coupons/start", headers={"Idempotency-Key": "second"})
        await settled(town, notify)
        assert await figures(notify, "coupons") == result(holdout=4, sent=4)
        assert (await notify.get("/v1/campaigns/coupons")).json()["run"] == 2
        await eventually(partial(all_told, notify, "coupons"))
    assert len({mail["To"] for mail in town.mails.taken}) == len(town.mails.taken) == 4


async def test_a_withdrawal_just_before_the_sending_is_in_time(town: Town) -> None:
    anna = await town.register("anna")
    async with town.notify() as notify:
        await run(notify, "we-miss-you", WE_MISS_YOU)
        await town.enter(anna, "other", BEGINS)
        await settled(town, notify)
        await town.withdraw(anna)
        await settled(town, notify)
        await town.enter(anna, "lapsed", NOW)
        await settled(town, notify)
        # By the chain's clock, which stands still, it is withdrawn at the occasion.
        assert await figures(notify, "we-miss-you") == result(suppressed={"withdrawn": 1})
    assert town.mails.taken == []


async def test_broken_and_foreign_records_keep_no_trigger_waiting(town: Town) -> None:
    anna = await town.register("anna")
    await town.enter(anna, "lapsed", NOW)
    url = town.segments.kafka
    async with producing(url.bootstrap) as producer:
        for value in (b"no json", b'{"type":"segment.entered.v1"}', b"", b"segment.entered.v1"):
            for partition in range(3):
                await producer.send_and_wait(
                    url.topic("segment.events.v1"), value, key=b"x", partition=partition
                )
    boris = await town.register("boris")
    await town.enter(boris, "lapsed", NOW)
    async with town.notify() as notify:
        await run(notify, "we-miss-you", WE_MISS_YOU)
        await eventually(lambda: _taken(town, 2))


async def _taken(town: Town, count: int) -> bool | None:
    return True if len(town.mails.taken) >= count else None


@pytest.mark.parametrize(
    ("more", "expected", "mails"),
    [
        ({}, result(uncertain=1), 1),
        ({"smtp_deduplicates": timedelta(days=1)}, result(sent=1), 2),
    ],
)
async def test_what_was_handed_over_without_an_answer_is_settled_by_what_the_channel_declares(
    town: Town, more: dict[str, object], expected: Json, mails: int
) -> None:
    anna = await town.register("anna")
    town.mails.answers["DATA"] = DROP
    async with town.notify(**more) as notify:
        await run(notify, "we-miss-you", WE_MISS_YOU)
        await town.enter(anna, "lapsed", NOW)
        await eventually(lambda: _taken(town, 1))
        town.mails.answers.clear()
        await settled(town, notify)
        assert await figures(notify, "we-miss-you") == expected
    assert len(town.mails.taken) == mails
    assert len({mail["Message-ID"] for mail in town.mails.taken}) == 1
