r"""The mailbox that bounces and answers go to, by IMAP (RFC 3501).

Mail that is not `\Seen` is given out, without marking it (`BODY.PEEK`), and marked when the one
who asked says that it is done with; what could not be done is `\Flagged` for a person. A mailbox
whose numbers have begun anew meanwhile (`UIDVALIDITY`) is marked nowhere: its mail is given out
again. The client of the standard library blocks, so it runs in threads, a short session at a time.
"""

import asyncio
import imaplib
import ssl
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Self, TypeVar
from urllib.parse import unquote, urlsplit

LONGEST_MAIL = 1024 * 1024
"""Bytes that are read of a mail: what is said of a message stands at its beginning."""
TIMEOUT_SECONDS = 20.0
_PORTS = {"imap": 143, "imaps": 993}
ResultT = TypeVar("ResultT")


class MailboxAway(Exception):  # noqa: N818 - a state of the world, tried again
    """The server cannot be reached, does not let the chain in, or answers something else."""


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail by its number, which holds as long as `validity` does."""

    uid: str
    validity: str
    raw: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class ImapMailbox:
    """One folder of a mailbox."""

    host: str
    port: int
    tls: bool
    user: str = field(repr=False)
    password: str = field(repr=False)
    folder: str = "INBOX"

    @classmethod
    def of(cls, url: str, password: str, folder: str) -> Self:
        """From `imaps://user@host[:port]`, or `imap://…` for TLS where it is offered."""
        parts = urlsplit(url)
        return cls(
            host=parts.hostname or "localhost",
            port=parts.port or _PORTS[parts.scheme],
            tls=parts.scheme == "imaps",
            user=unquote(parts.username or ""),
            password=password,
            folder=folder,
        )

    async def unread(self, limit: int) -> Sequence[Mail]:
        """The first of what nobody has done with. Raises `MailboxAway`."""

        def read() -> Sequence[Mail]:
            with self._session() as (client, validity):
                found = _answer(client.uid("SEARCH", "UNSEEN"))
                uids = (found[0] or b"").split()[:limit]
                given = [(uid.decode(), _raw(client, uid.decode())) for uid in uids]
                return [Mail(uid, validity, raw) for uid, raw in given if raw is not None]

        return await _in_thread(read)

    async def done(self, mails: Sequence[Mail], flags: str = r"(\Seen)") -> None:
        """Mark them. Raises `MailboxAway`."""
        if not mails:
            return

        def mark() -> None:
            with self._session() as (client, validity):
                uids = [each.uid for each in mails if each.validity == validity]
                if uids:
                    _answer(client.uid("STORE", ",".join(uids), "+FLAGS.SILENT", flags))

        await _in_thread(mark)

    @contextmanager
    def _session(self) -> Iterator[tuple[imaplib.IMAP4, str]]:
        """A client with the folder open, and the validity of its numbers."""
        if self.tls:
            context = ssl.create_default_context()
            client: imaplib.IMAP4 = imaplib.IMAP4_SSL(
                self.host, self.port, ssl_context=context, timeout=TIMEOUT_SECONDS
            )
        else:
            client = imaplib.IMAP4(self.host, self.port, timeout=TIMEOUT_SECONDS)
        try:
            if not self.tls and "STARTTLS" in client.capabilities:
                client.starttls(ssl.create_default_context())
            client.login(self.user, self.password)
            _answer(client.select(_quoted(self.folder)))
            (validity,) = client.response("UIDVALIDITY")[1][:1]
            yield client, (validity or b"").decode()
        finally:
            _leave(client)


async def _in_thread(work: Callable[[], ResultT]) -> ResultT:
    try:
        return await asyncio.to_thread(work)
    except (imaplib.IMAP4.error, OSError, ValueError) as failure:
        # What a server says may repeat who logs in.
        raise MailboxAway(type(failure).__name__) from None


def _answer(said: tuple[str, Sequence[bytes | None]]) -> Sequence[bytes | None]:
    status, found = said
    if status != "OK":
        raise imaplib.IMAP4.error(status)
    return found


def _raw(client: imaplib.IMAP4, uid: str) -> bytes | None:
    """The mail, or its beginning; empty for one that is gone, None for one not given out now."""
    status, found = client.uid("FETCH", uid, f"(BODY.PEEK[]<0.{LONGEST_MAIL}>)")
    if status != "OK":
        return None
    return next((bytes(each[1]) for each in found if isinstance(each, tuple)), b"")


def _quoted(name: str) -> str:
    """A name as a quoted string (RFC 3501, section 4.3)."""
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _leave(client: imaplib.IMAP4) -> None:
    try:
        client.logout()
    except (imaplib.IMAP4.error, OSError):
        client.shutdown()
