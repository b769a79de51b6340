"""A mail catcher: an SMTP server that delivers to a folder, and a page to look into it.

What must hold: a mail that was answered with 250 is on disk, whatever is killed afterwards; a
second mail of the same Message-ID is answered with 250 and stored no second time. The file name
is a hash of the Message-ID, and the file system's refusal to give one name to two files is what
decides between two that arrive at once.
"""

import argparse
import asyncio
import hashlib
import os
import secrets
import signal
import sys
import threading
from collections.abc import Sequence
from datetime import UTC, datetime
from email import policy
from email.parser import BytesHeaderParser
from pathlib import Path
from typing import Final

from aiosmtpd.smtp import SMTP, Envelope, Session

from deploy.embedded.mail_page import page_server
from deploy.embedded.ports import LOOPBACK

LARGEST_MAIL_BYTES: Final = 32 * 1024 * 1024


def store(folder: Path, content: bytes, sender: str, recipients: Sequence[str]) -> bool:
    """Put a mail on disk for good; False when its Message-ID was there already.

    The envelope goes on top as Return-Path and Delivered-To, as a mail server does it.
    """
    path = folder / f"{_name(content)}.eml"
    if path.exists():
        return False
    now = datetime.now(UTC)  # noqa: TID251 - the wall clock of a mail server, no business time
    lines = [f"Return-Path: <{sender}>", *(f"Delivered-To: {r}" for r in recipients)]
    lines.append(f"X-Caught-At: {now.isoformat(timespec='milliseconds')}")
    envelope = "".join(f"{line}\r\n" for line in lines).encode("utf-8", "surrogateescape")
    draft = folder / f".{secrets.token_hex(8)}.draft"
    try:
        with draft.open("xb") as file:
            file.write(envelope + content)
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(draft, path)
        except FileExistsError:
            return False
    finally:
        draft.unlink(missing_ok=True)
        # In every case: the other one's name may not be on disk yet either.
        _sync_folder(folder)
    return True


def _name(content: bytes) -> str:
    headers = BytesHeaderParser(policy=policy.compat32).parsebytes(content)
    identity = str(headers.get("Message-ID", "")).strip()
    # Without one nothing says that two mails are the same, not even equal content.
    return hashlib.sha256(
        (identity or secrets.token_hex(16)).encode("utf-8", "replace")
    ).hexdigest()


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class Catcher:
    """aiosmtpd's handler: the answer to DATA comes after the disk's."""

    def __init__(self, folder: Path) -> None:
        """Store into `folder`, which exists."""
        self._folder = folder

    async def handle_DATA(  # noqa: N802 - the name that aiosmtpd calls
        self, _server: SMTP, _session: Session, envelope: Envelope
    ) -> str:
        """Store the mail and answer; a full disk is a temporary failure, so nothing is lost."""
        content = envelope.original_content or b""
        sender = envelope.mail_from or ""
        try:
            new = await asyncio.to_thread(
                store, self._folder, content, sender, list(envelope.rcpt_tos)
            )
        except OSError as error:
            return f"451 not stored: {error.strerror}"
        return "250 stored" if new else "250 known already, stored once"


async def serve(folder: Path, smtp_port: int, page_port: int) -> None:
    """Run both servers until SIGTERM or SIGINT."""
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    page = page_server(folder, page_port)
    threading.Thread(target=page.serve_forever, daemon=True).start()
    catcher = Catcher(folder)
    smtp = await loop.create_server(
        lambda: SMTP(
            catcher,
            data_size_limit=LARGEST_MAIL_BYTES,
            enable_SMTPUTF8=True,
            # Otherwise the resolver is asked for it, on some machines for seconds.
            hostname="localhost",
            loop=loop,
        ),
        LOOPBACK,
        smtp_port,
    )
    async with smtp:
        await ended.wait()
    page.server_close()


def run(arguments: Sequence[str]) -> None:
    """Parse the command line and serve."""
    parser = argparse.ArgumentParser(prog="python -m deploy.embedded.mail")
    parser.add_argument("--folder", type=Path, required=True, help="where mails are stored")
    parser.add_argument("--smtp-port", type=int, required=True)
    parser.add_argument("--page-port", type=int, required=True)
    options = parser.parse_args(arguments)
    options.folder.mkdir(parents=True, exist_ok=True)
    for draft in options.folder.glob(".*.draft"):  # of a killed run: never acknowledged
        draft.unlink(missing_ok=True)
    asyncio.run(serve(options.folder, options.smtp_port, options.page_port))


if __name__ == "__main__":
    run(sys.argv[1:])
