"""What comes back, on real servers: a bounce by mail stops the address here and at the customer."""

import asyncio

from shared.testing import LocalChain, eventually
from tests.integration.test_notify_service import (
    BEGINS,
    NOW,
    WE_MISS_YOU,
    Json,
    opened,
    run,
    settled,
)
from tests.unit.test_mailbox_reading import BOUNCE, MESSAGE, Post


async def test_a_bounce_by_mail_stops_the_address(chain: LocalChain) -> None:
    post = Post([])
    server = await asyncio.start_server(post.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    box = {
        "mailbox_url": f"imap://bounces%40x@127.0.0.1:{port}",
        "mailbox_password": post.password,
        "mailbox_folder": 'In "1"',
    }
    async with server, opened(chain) as town, town.notify(**box) as notify:
        anna = await town.register("anna")
        await run(notify, "we-miss-you", WE_MISS_YOU)
        await town.enter(anna, "lapsed", BEGINS)
        await settled(town, notify)
        (mail,) = town.mails.taken
        message = mail["Message-ID"].strip("<>").partition("@")[0]
        post.mails.append(BOUNCE.replace(MESSAGE.encode(), message.encode()))

        async def bounced() -> Json | None:
            page = (await notify.get("/v1/messages", params={"state": "bounced"})).json()
            return next(iter(page["items"]), None)

        shown = await eventually(bounced)
        assert (shown["id"], shown["code"]) == (message, "5.1.1")

        async def listed() -> Json | None:
            page = (await notify.get("/v1/suppressions")).json()
            return next(iter(page["items"]), None)

        stopped = await eventually(listed)
        assert (stopped["reason"], stopped["message"]) == ("bounced", message)

        async def marked() -> bool | None:
            record = (await town.customers.get(f"/v1/customers/{anna}")).json()
            return True if record["identifiers"][0]["state"] == "bad" else None

        await eventually(marked)
        await town.enter(anna, "lapsed", BEGINS, NOW)
        await settled(town, notify)
        page = (await notify.get("/v1/messages", params={"state": "suppressed"})).json()
        assert {each["reason"] for each in page["items"]} == {"bad_address"}
        # A callback of nobody finds an address, and no way in.
        answer = await notify.post("/v1/callbacks/telegram", content=b"{}")
        assert answer.status_code == 404
    assert len(town.mails.taken) == 1
    assert post.flags == {101: {"\\Seen"}}
