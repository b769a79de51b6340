"""From a mail to its links on real servers: a no holds at once, and comes into the log of consents.

The relay of the customer service stands still meanwhile: nobody can learn of anything by way of it.
"""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import httpx2

from services.customer.main import build as build_customer
from services.notify.main import NotifySettings
from services.notify.main import build as build_notify
from shared.process import Kernel
from shared.settings import Settings
from shared.testing import LocalChain, eventually
from shared.testing.mail_server import mail_server
from tests.integration.test_notify_service import (
    BEGINS,
    FROZEN,
    NOW,
    WE_MISS_YOU,
    Json,
    Town,
    ended,
    run,
    settled,
)

SITE = "https://shop.example"
WITH_LINKS = {
    **WE_MISS_YOU,
    "template": {"subject": "Coats", "text": "See https://shop.example/coats"},
}


@asynccontextmanager
async def relaying(chain: LocalChain) -> AsyncIterator[None]:
    async with chain.running(build_customer, chain.settings(Settings, **FROZEN), "relay"):
        yield


@asynccontextmanager
async def town_without_relay(chain: LocalChain) -> AsyncIterator[Town]:
    """Customers with an API and a worker, and no relay yet."""
    async with AsyncExitStack() as exits:
        mails = await exits.enter_async_context(mail_server())
        settings = chain.settings(Settings, **FROZEN)
        customers = await exits.enter_async_context(chain.running(build_customer, settings, "api"))
        await exits.enter_async_context(chain.running(build_customer, settings, "worker"))
        segments = await Kernel.build(settings, "segment")
        exits.push_async_callback(segments.close)
        for work in (segments.relay().run, segments.progress.run):
            exits.push_async_callback(ended, asyncio.ensure_future(work()))
        yield Town(chain, customers, segments, mails)


async def test_a_no_by_one_click_holds_at_once_and_is_evidence_of_the_customer(
    chain: LocalChain,
) -> None:
    async with town_without_relay(chain) as town:
        notify_settings = chain.settings(
            NotifySettings, smtp_url=town.mails.url, public_url=SITE, **FROZEN
        )
        async with chain.running(build_notify, notify_settings) as notify:
            async with relaying(chain):
                anna = await town.register("anna")
                await run(notify, "we-miss-you", WITH_LINKS)
                await town.enter(anna, "lapsed", BEGINS)
                await settled(town, notify)
            # From here on nothing that happens to customers is heard of.
            (mail,) = town.mails.taken
            assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
            tracked = re.findall(r"/m/[\w-]{46}", mail.get_content())
            async with public(notify) as reader:
                answer = await reader.get(tracked[0])
                assert answer.headers["location"] == "https://shop.example/coats"
                leave = mail["List-Unsubscribe"].strip("<>").removeprefix(SITE)
                assert (await reader.get(leave)).status_code == 200
                answer = await reader.post(leave, data={"List-Unsubscribe": "One-Click"})
                assert answer.status_code == 200
            await town.enter(anna, "lapsed", BEGINS, NOW)

            async def kept_back() -> bool | None:
                params = {"state": "suppressed"}
                page = (await notify.get("/v1/messages", params=params)).json()
                reasons = {each["reason"] for each in page["items"]}
                return True if reasons == {"withdrawn"} else None

            await eventually(kept_back)

            async def evidence() -> Json | None:
                log = (await town.customers.get(f"/v1/customers/{anna}/consents")).json()["log"]
                return log[-1] if len(log) > 1 else None

            last = await eventually(evidence)
            assert (last["given"], last["evidence"]["source"]) == (False, "one-click")
            async with relaying(chain):
                await settled(town, notify)
                figures = (await notify.get("/v1/campaigns/we-miss-you")).json()["figures"]
                assert (figures["sent"], figures["suppressed"]) == (1, {"withdrawn": 2})
                await all_is_told_until_it_is_erased(town, notify, anna)
    assert len(town.mails.taken) == 1


async def all_is_told_until_it_is_erased(
    town: Town, notify: httpx2.AsyncClient, customer: str
) -> None:
    path = f"/v1/customers/{customer}/messages/access"
    told = (await notify.get(path)).json()
    assert told["customers"] == [customer]
    assert {
        "message.scheduled",
        "message.sent",
        "message.clicked",
        "message.suppressed",
        "preference.withdrawn",
    } <= {each["type"].removesuffix(".v1") for each in told["events"]}
    assert (await notify.get("/v1/customers/nobody/messages/access")).status_code == 404
    wish = {"confirm": "erase", "reason": "request"}
    answer = await town.customers.post(f"/v1/customers/{customer}/erase", json=wish)
    assert answer.is_success, answer.text

    async def gone() -> bool | None:
        return True if (await notify.get(path)).status_code == 410 else None

    await eventually(gone)


@asynccontextmanager
async def public(notify: httpx2.AsyncClient) -> AsyncIterator[httpx2.AsyncClient]:
    """Somebody without a key."""
    key = notify.headers.pop("Authorization")
    try:
        yield notify
    finally:
        notify.headers["Authorization"] = key
