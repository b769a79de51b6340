"""The mailbox over IMAP: bounces, complaints and answers, once whoever is killed when."""

import asyncio
import re
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest

from services.notify.channels.imap import ImapMailbox, Mail, MailboxAway
from services.notify.channels.reports import Heard, Reply, Report
from services.notify.handlers.returns.mailbox import MailReading, mail_reading
from services.notify.settings import NotifySettings
from shared.clock import ManualClock
from shared.eventstore import StoreUnavailable
from shared.memory import MemoryLeases
from shared.testing import eventually

NOW = datetime(2018, 1, 2, tzinfo=UTC)
MESSAGE = "0b6f3c1e-0000-5000-8000-000000000001"
BOUNCE = f"""\
From: mailer-daemon@mx.example\r
Content-Type: multipart/report; report-type=delivery-status; boundary=b\r
\r
--b\r
Content-Type: message/delivery-status\r
\r
Reporting-MTA: dns; mx.example\r
\r
Final-Recipient: rfc822; anna@example.com\r
Action: failed\r
Status: 5.1.1\r
\r
--b\r
Content-Type: text/rfc822-headers\r
\r
Message-ID: <{MESSAGE}@regulars.invalid>\r
\r
--b--\r
""".encode()
ANSWER = (
    b"From: Anna <anna@example.com>\r\nMessage-ID: <r-1@x>\r\nSubject: Re\r\n\r\nYes, please\r\n"
)
OUT_OF_OFFICE = (
    b"From: Anna <anna@example.com>\r\nAuto-Submitted: auto-replied\r\n\r\nI am away\r\n"
)


@dataclass
class Post:
    """A server that speaks just what the client asks for; its folder is `In "1"`."""

    mails: list[bytes]
    flags: dict[int, set[str]] = field(default_factory=dict)
    validity: int = 7
    password: str = "pa ss"
    sessions: int = 0
    withheld: int | None = None

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.sessions += 1
        writer.write(b"* OK ready\r\n")
        try:
            while line := (await reader.readline()).decode().rstrip("\r\n"):
                tag, _, said = line.partition(" ")
                for each in self.answers(said):
                    writer.write(each)
                status = b"NO" if self._refused(said) else b"OK"
                writer.write(tag.encode() + b" " + status + b" done\r\n")
                await writer.drain()
                if said == "LOGOUT":
                    break
        finally:
            writer.close()

    def _refused(self, said: str) -> bool:
        wrong_login = said.startswith("LOGIN") and said != f'LOGIN bounces@x "{self.password}"'
        if self.withheld is not None and said.startswith(f"UID FETCH {self.withheld} "):
            return True
        return wrong_login or (said.startswith("SELECT") and said != 'SELECT "In \\"1\\""')

    def answers(self, said: str) -> Sequence[bytes]:
        if said.startswith("CAPABILITY"):
            return [b"* CAPABILITY IMAP4rev1\r\n"]
        if said.startswith("SELECT"):
            counts = b"* %d EXISTS\r\n" % len(self.mails)
            return [counts, b"* OK [UIDVALIDITY %d] ok\r\n" % self.validity]
        if said == "UID SEARCH UNSEEN":
            left = [str(uid) for uid in self.uids if "\\Seen" not in self.flags.get(uid, ())]
            return [f"* SEARCH {' '.join(left)}\r\n".encode()]
        if self._refused(said):
            return []
        if found := re.fullmatch(r"UID FETCH (\d+) \(BODY\.PEEK\[\]<0\.(\d+)>\)", said):
            uid, most = int(found[1]), int(found[2])
            raw = self.mails[uid - 101][:most]
            return [
                b"* %d FETCH (UID %d BODY[]<0> {%d}\r\n" % (uid - 100, uid, len(raw)),
                raw,
                b")\r\n",
            ]
        if found := re.fullmatch(r"UID STORE ([\d,]+) \+FLAGS\.SILENT \((.+)\)", said):
            for uid in map(int, found[1].split(",")):
                self.flags.setdefault(uid, set()).update(found[2].split())
        return []

    @property
    def uids(self) -> Sequence[int]:
        return range(101, 101 + len(self.mails))


@asynccontextmanager
async def serving(post: Post, password: str = "pa ss") -> AsyncIterator[ImapMailbox]:  # noqa: S107 - of the server in this test
    server = await asyncio.start_server(post.serve, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        yield ImapMailbox.of(f"imap://bounces%40x@127.0.0.1:{port}", password, 'In "1"')


@dataclass
class Ears:
    """Hears what a mail says, and is not always well; nothing is written down."""

    failures: list[Exception] = field(default_factory=list)
    taken: list[Heard] = field(default_factory=list)

    async def take(self, provider: str, heard: Sequence[Heard]) -> None:
        assert provider == "email"
        if self.failures:
            raise self.failures.pop(0)
        self.taken += heard


def reading(box: ImapMailbox, ears: Ears, leases: MemoryLeases | None = None) -> MailReading:
    held = leases or MemoryLeases(ManualClock(NOW))
    return MailReading(box, ears, held, "me", poll_seconds=0.01)


async def test_what_comes_by_mail_is_taken_in_once_and_marked() -> None:
    post, ears = Post([BOUNCE, ANSWER, OUT_OF_OFFICE]), Ears()
    async with serving(post) as box:
        for _ in range(2):
            assert not await reading(box, ears).turn()
    report, reply = ears.taken
    assert isinstance(report, Report)
    assert (report.what, report.message, report.permanent) == ("bounced", MESSAGE, True)
    assert isinstance(reply, Reply)
    assert (reply.address, reply.text) == ("anna@example.com", "Yes, please")
    # What a machine wrote says nothing, and is done with as well.
    assert post.flags == {uid: {"\\Seen"} for uid in post.uids}


async def test_what_is_not_durable_stays_unread() -> None:
    post, ears = Post([ANSWER, BOUNCE]), Ears([StoreUnavailable()])
    async with serving(post) as box:
        with pytest.raises(StoreUnavailable):
            await reading(box, ears).turn()
        assert post.flags == {}
        await reading(box, ears).turn()
    assert len(ears.taken) == 2
    assert post.flags == {uid: {"\\Seen"} for uid in post.uids}


async def test_one_that_cannot_be_taken_in_is_flagged_and_keeps_nobody() -> None:
    post, ears = Post([BOUNCE, ANSWER]), Ears([ValueError("a bug")])
    async with serving(post) as box:
        await reading(box, ears).turn()
    assert [type(each) for each in ears.taken] == [Reply]
    assert post.flags == {101: {"\\Seen", "\\Flagged"}, 102: {"\\Seen"}}


async def test_one_that_the_server_does_not_give_out_stays_unread() -> None:
    post, ears = Post([BOUNCE, ANSWER], withheld=101), Ears()
    async with serving(post) as box:
        await reading(box, ears).turn()
        assert post.flags == {102: {"\\Seen"}}
        post.withheld = None
        await reading(box, ears).turn()
    assert [type(each) for each in ears.taken] == [Reply, Report]


async def test_a_mail_is_read_beside_what_else_the_process_does() -> None:
    post, ears, threads = Post([ANSWER]), Ears(), set[int]()

    def slow(_raw: bytes) -> Sequence[Heard]:
        threads.add(threading.get_ident())
        return ()

    async with serving(post) as box:
        held = MemoryLeases(ManualClock(NOW))
        await MailReading(box, ears, held, "me", read=slow).turn()
    assert threads
    assert threading.get_ident() not in threads


async def test_more_than_a_batch_is_read_on_at_once() -> None:
    post, ears = Post([ANSWER] * 51), Ears()
    async with serving(post) as box:
        assert await reading(box, ears).turn()
        assert not await reading(box, ears).turn()
    assert len(ears.taken) == 51


async def test_of_a_huge_mail_the_beginning_is_read() -> None:
    post = Post([ANSWER + b"x" * 2_000_000])
    async with serving(post) as box:
        (mail,) = await box.unread(5)
    assert len(mail.raw) == 1024 * 1024


async def test_numbers_that_began_anew_mark_nothing() -> None:
    post = Post([ANSWER])
    async with serving(post) as box:
        mails = await box.unread(5)
        post.validity = 8
        await box.done(mails)
        assert post.flags == {}
        await box.done([])
        # Nothing to mark is nothing to ask.
        assert post.sessions == 2


async def test_who_is_not_let_in_waits_and_says_nothing_of_the_password() -> None:
    async with serving(Post([ANSWER]), password="wr ong") as box:
        with pytest.raises(MailboxAway) as away:
            await box.unread(5)
        assert "ong" not in repr(box) + str(away.value)
    with pytest.raises(MailboxAway):
        await box.unread(5)


async def test_one_process_reads_at_a_time_until_it_is_cancelled() -> None:
    post, mine, theirs = Post([ANSWER]), Ears(), Ears()
    leases = MemoryLeases(ManualClock(NOW))
    held = await leases.acquire("mailbox", "other", 60.0)
    assert held is not None
    async with serving(post) as box:
        task = asyncio.create_task(reading(box, mine, leases).run())
        await asyncio.sleep(0.05)
        assert mine.taken == []
        await leases.release(held)

        async def read() -> Heard | None:
            return next(iter(mine.taken), None)

        await eventually(read)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await leases.acquire("mailbox", "other", 60.0) is not None
    assert theirs.taken == []


def test_without_a_mailbox_nothing_runs() -> None:
    leases = MemoryLeases(ManualClock(NOW))
    without = NotifySettings.model_construct(mailbox_url=None)
    assert mail_reading(without, Ears(), leases, "me") == []
    there = NotifySettings.model_construct(mailbox_url="imaps://bounces@imap.example")
    assert len(mail_reading(there, Ears(), leases, "me")) == 1


def test_a_server_has_its_usual_ports() -> None:
    assert ImapMailbox.of("imaps://a@x", "p", "INBOX").port == 993
    assert ImapMailbox.of("imap://a@x", "p", "INBOX").port == 143
    assert Mail("1", "7", b"anna").raw not in repr(Mail("1", "7", b"anna")).encode()
