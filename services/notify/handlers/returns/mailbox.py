"""Fetching what comes back by mail, in one process at a time; two at once would only work twice.

A mail is marked as done once everything that follows from it is durable. Whoever is killed before
that reads it again, and what follows is named by the message or by the mail's own id: it is once.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import structlog

from services.notify.channels.imap import ImapMailbox, Mail, MailboxAway
from services.notify.channels.mailbox import heard
from services.notify.channels.reports import Heard
from services.notify.settings import NotifySettings
from shared.eventstore import StoreUnavailable
from shared.readmodel import Lease, Leases

NAME = "mailbox"
PROVIDER = "email"
LEASE_SECONDS = 60.0
POLL_SECONDS = 10.0
BATCH = 50
FOR_A_PERSON = r"(\Seen \Flagged)"

log = structlog.stdlib.get_logger(__name__)


class Mailbox(Protocol):
    """The mailbox."""

    async def unread(self, limit: int) -> Sequence[Mail]:
        """The first of what nobody has done with. Raises `MailboxAway`."""
        ...

    async def done(self, mails: Sequence[Mail], flags: str = ...) -> None:
        """Mark them. Raises `MailboxAway`."""
        ...


class Ears(Protocol):
    """Who takes in what is heard."""

    async def take(self, provider: str, heard: Sequence[Heard]) -> None:
        """Write it down. Raises `StoreUnavailable`."""
        ...


@dataclass(frozen=True, slots=True)
class MailReading:
    """Reads the mailbox; `read` says what a mail says."""

    box: Mailbox
    hearing: Ears
    leases: Leases
    owner: str
    poll_seconds: float = POLL_SECONDS
    read: Callable[[bytes], Sequence[Heard]] = heard

    async def run(self) -> None:
        """Read again and again until cancelled."""
        while True:
            try:
                lease = await self.leases.acquire(NAME, self.owner, LEASE_SECONDS)
                if lease is not None:
                    await self._hold(lease)
            except (StoreUnavailable, MailboxAway) as failure:
                log.warning("the mailbox waits", reason=str(failure) or type(failure).__name__)
            await asyncio.sleep(self.poll_seconds)

    async def _hold(self, lease: Lease) -> None:
        try:
            while await self.leases.renew(lease, LEASE_SECONDS) is not None:
                if not await self.turn():
                    await asyncio.sleep(self.poll_seconds)
        finally:
            await self.leases.release(lease)

    async def turn(self) -> bool:
        """One batch; says whether there may be more. Raises `StoreUnavailable`, `MailboxAway`."""
        mails = await self.box.unread(BATCH)
        done: list[Mail] = []
        failed: list[Mail] = []
        for mail in mails:
            try:
                # Anybody writes mails: one that is long to read holds up nobody else's work.
                said = await asyncio.to_thread(self.read, mail.raw)
                await self.hearing.take(PROVIDER, said)
            except StoreUnavailable:
                await self.box.done(done)
                raise
            except Exception:
                # It must not keep the others from being read.
                log.exception("a mail cannot be taken in", alarm="mail-failed", uid=mail.uid)
                failed.append(mail)
            else:
                done.append(mail)
        await self.box.done(done)
        await self.box.done(failed, FOR_A_PERSON)
        return len(mails) == BATCH


def mail_reading(
    settings: NotifySettings, hearing: Ears, leases: Leases, owner: str
) -> Sequence[Callable[[], Awaitable[None]]]:
    """What a worker runs: nothing where there is no mailbox."""
    if settings.mailbox_url is None:
        return []
    password = settings.mailbox_password.get_secret_value()
    box = ImapMailbox.of(settings.mailbox_url, password, settings.mailbox_folder)
    return [MailReading(box, hearing, leases, owner).run]
