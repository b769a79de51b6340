"""Webhooks: signed, repeated with growing pauses, given up with an event, never into the house."""

import asyncio
import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta

import pytest

from services.customer.domain.pipeline import is_web_address
from services.customer.handlers.calling import HttpCaller, Unreachable
from services.customer.handlers.webhooks import (
    LEASE_SECONDS,
    LONGEST_PAUSE_SECONDS,
    MOST_ATTEMPTS,
    Webhooks,
    pause_after,
)
from shared.calling import REQUEST, SIGNATURE, is_private, signature, signing_key
from shared.envelope import decode
from shared.memory import MemoryOutbox
from shared.outbox import Letter
from tests.unit.dealing import Office

SECRET = b"s" * 32
LETTER = Letter(
    id="q1", url="https://erp.example/x", body="{}", about="d1", key="anna", subject="anna",
    branch="12", correlation="c", cause="robots-d1@1", depth=2,
)  # fmt: skip


@dataclass(slots=True)
class Answering:
    """Another system that answers as it is told, and remembers what it got."""

    answers: list[str | None] = field(default_factory=list)
    got: list[str] = field(default_factory=list)
    frozen: asyncio.Event | None = None

    async def call(self, url: str, body: str, request: str) -> None:
        """Answer with the next of the answers; None is well."""
        del url, body
        self.got.append(request)
        if self.frozen is not None:
            await self.frozen.wait()
        answer = self.answers.pop(0) if self.answers else None
        if answer == "fault":
            raise LookupError(answer)
        if answer is not None:
            raise Unreachable(answer)


@dataclass(slots=True)
class Post:
    """An outbox with somebody who hands over."""

    office: Office = field(default_factory=Office)
    other: Answering = field(default_factory=Answering)
    outbox: MemoryOutbox = field(init=False)

    def __post_init__(self) -> None:
        self.outbox = MemoryOutbox(self.office.clock)

    def webhooks(self) -> Webhooks:
        return Webhooks(self.office.writer, self.outbox, self.other, lambda: 1.0)

    def told(self) -> list[str]:
        return [decode(t).data.__bytes__().decode() for c in self.office.store.commits
                for t in c.events]  # fmt: skip


async def test_a_letter_is_handed_over_once_when_all_is_well() -> None:
    post = Post()
    await post.outbox.put([LETTER])
    assert await post.webhooks().step() == 1
    assert await post.webhooks().step() == 0
    assert (post.other.got, await post.outbox.waiting()) == (["q1"], 0)


async def test_what_fails_is_repeated_with_the_same_id_after_growing_pauses() -> None:
    post = Post(other=Answering(["status-500", "away"]))
    await post.outbox.put([LETTER])
    await post.webhooks().step()
    # Two seconds, then four.
    for seconds, times in ((1.9, 1), (0.2, 2), (3.8, 2), (0.3, 3)):
        post.office.clock.advance(timedelta(seconds=seconds))
        await post.webhooks().step()
        assert len(post.other.got) == times
    assert (set(post.other.got), await post.outbox.waiting()) == ({"q1"}, 0)


def test_pauses_grow_to_an_hour_and_are_spread() -> None:
    # 2, 4, 8 … at the most, half of it at the least.
    assert [pause_after(n, 1.0) for n in range(3)] == [2, 4, 8]
    assert [pause_after(n, 0.0) for n in range(3)] == [1, 2, 4]
    assert pause_after(40, 1.0) == LONGEST_PAUSE_SECONDS


@pytest.mark.parametrize(("answer", "attempts"), [("status-500", MOST_ATTEMPTS), ("address", 1)])
async def test_after_the_last_attempt_an_event_tells_that_it_was_given_up(
    answer: str, attempts: int
) -> None:
    post = Post(other=Answering([answer] * 50))
    await post.outbox.put([LETTER])
    for _ in range(MOST_ATTEMPTS + 3):
        await post.webhooks().step()
        post.office.clock.advance(timedelta(hours=2))
    assert len(post.other.got) == attempts
    (commit,) = post.office.store.commits
    assert (commit.stream, commit.key) == ("webhook-q1", "anna")
    envelope = decode(commit.events[0])
    assert json.loads(bytes(envelope.data)) == {
        "request": "q1", "deal": "d1", "attempts": attempts, "reason": answer,
    }  # fmt: skip
    assert (envelope.subject, envelope.branch, envelope.causationid) == (
        "anna", "12", "robots-d1@1",
    )  # fmt: skip


async def test_what_a_killed_worker_had_in_hand_is_handed_over_by_the_next() -> None:
    post = Post(other=Answering(frozen=asyncio.Event()))
    await post.outbox.put([LETTER])
    killed = asyncio.create_task(post.webhooks().step())
    await asyncio.sleep(0)
    while not post.other.got:
        await asyncio.sleep(0)
    killed.cancel()
    post.other.frozen = None
    assert await post.webhooks().step() == 0
    post.office.clock.advance(timedelta(seconds=LEASE_SECONDS + 1))
    assert await post.webhooks().step() == 1
    # At least once, and the other tells by the id that it is the same.
    assert post.other.got == ["q1", "q1"]
    assert await post.outbox.waiting() == 0


@asynccontextmanager
async def listening(status: str) -> AsyncIterator[tuple[int, list[str]]]:
    """A server that answers with a status line; its port, and what it got."""
    got: list[str] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        length = next(
            int(line.partition(":")[2])
            for line in head.splitlines()
            if line.lower().startswith("content-length")
        )
        got.append(head + (await reader.readexactly(length)).decode())
        writer.write(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n".encode())
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1], got


def caller(*, private: bool) -> HttpCaller:
    return HttpCaller(SECRET, lambda: 1_500_000_000.9, private_addresses=private)


async def test_a_call_is_signed_so_that_the_other_can_tell_whose_it_is() -> None:
    async with listening("204 No Content") as (port, got):
        url = f"http://localhost:{port}/deals?x=1"
        calling = caller(private=True)
        await calling.call(url, '{"id":"q1"}', "q1")
        await calling.close()
    head, _, body = got[0].partition("\r\n\r\n")
    lines = head.splitlines()
    headers = {line.partition(":")[0].lower(): line.partition(":")[2].strip() for line in lines}
    assert (lines[0], body) == ("POST /deals?x=1 HTTP/1.1", '{"id":"q1"}')
    assert headers["host"] == f"localhost:{port}"
    assert headers[REQUEST.lower()] == "q1"
    key = signing_key(SECRET, url)
    expected = hmac.new(key.encode(), b'1500000000.{"id":"q1"}', hashlib.sha256).hexdigest()
    assert headers[SIGNATURE.lower()] == f"t=1500000000,v1={expected}"
    assert signature(key, 1_500_000_000, '{"id":"q1"}') == headers[SIGNATURE.lower()]
    assert signing_key(SECRET, url + "2") != key


@pytest.mark.parametrize("status", ["301 Moved", "404 Not Found", "500 Oops"])
async def test_other_answers_than_well_are_failures_and_redirects_are_not_followed(
    status: str,
) -> None:
    async with listening(status) as (port, got):
        calling = caller(private=True)
        with pytest.raises(Unreachable, match=f"status-{status[:3]}"):
            await calling.call(f"http://127.0.0.1:{port}/", "{}", "q")
        await calling.close()
    assert len(got) == 1


async def test_who_is_not_there_is_away() -> None:
    calling = caller(private=True)
    async with listening("200 OK") as (port, _):
        pass
    too_long = f"http://{'a' * 70}.example/"
    for url in (f"http://127.0.0.1:{port}/", "http://nowhere.invalid/", too_long):
        with pytest.raises(Unreachable, match="away"):
            await calling.call(url, "{}", "q")
    await calling.close()


async def test_addresses_of_the_own_network_are_refused_unless_a_setting_allows_them() -> None:
    calling = caller(private=False)
    async with listening("200 OK") as (port, got):
        for host in ("127.0.0.1", "localhost", "[::1]"):
            with pytest.raises(Unreachable, match="address"):
                await calling.call(f"http://{host}:{port}/", "{}", "q")
    await calling.close()
    assert got == []


@pytest.mark.parametrize(
    ("address", "private"),
    [
        ("127.0.0.1", True),
        ("10.1.2.3", True),
        ("192.168.0.1", True),
        ("169.254.169.254", True),
        ("100.64.0.1", True),
        ("0.0.0.0", True),  # noqa: S104 - nothing listens there
        ("224.0.0.1", True),
        ("::1", True),
        ("fe80::1%eth0", True),
        ("fd00::1", True),
        ("::ffff:10.0.0.1", True),
        ("64:ff9b::10.0.0.1", True),
        ("64:ff9b:1::10.0.0.1", True),
        ("2002:a00:1::", True),
        ("::10.0.0.1", True),
        ("::ffff:93.184.216.34", False),
        ("64:ff9b::93.184.216.34", False),
        ("93.184.216.34", False),
        ("2606:4700::1111", False),
    ],
)
def test_private_addresses_are_told_from_public_ones(address: str, *, private: bool) -> None:
    assert is_private(address) is private


@pytest.mark.parametrize(
    ("url", "is_one"),
    [
        ("https://erp.example/x?y=1", True),
        ("http://erp.example:8080", True),
        ("http://[2606:4700::1]/", True),
        ("ftp://erp.example/", False),
        ("https://user@erp.example/", False),
        ("https:///x", False),
        ("http://[", False),
        ("http://x:99999/", False),
    ],
)
def test_addresses_of_the_web_are_told_from_other_texts(url: str, *, is_one: bool) -> None:
    assert is_web_address(url) is is_one
