"""A mail as it is written (RFC 5322): nothing that is said can become a header. Pure.

The standard library parses and folds each header of each mail by the full grammar, which takes
longer than all the rest of a hand-over. So what is alike in all mails of a sender is written by it
once, and the person's part is put in here: every value is of a form that cannot end its line, or
is encoded. `tests/unit/test_email_writing.py` has the library read back whatever is written.
"""

import re
from binascii import b2a_base64, b2a_qp
from collections.abc import Iterator
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP, SMTPUTF8
from email.utils import format_datetime, parseaddr
from functools import lru_cache
from urllib.parse import urlsplit

from services.notify.channels import Outgoing
from services.notify.settings import ADDRESS, is_sender

LEAVING = "List-Unsubscribe"
DOMAIN = "regulars.invalid"
"""Of Message-IDs: reserved by RFC 2606, so it is nobody's, and never says where it came from."""
LINE = 78
"""Letters of a line, but for those of addresses and links: these are never broken, since what is
encoded or broken no program reads. RFC 5322 (section 2.1.1) has room for 998."""
ENCODED_BYTES = 39
"""Bytes of UTF-8 in one encoded word: beside `Subject: ` it fits the 76 letters of RFC 2047."""
SENDERS = 1_000
_ID = re.compile(r"[A-Za-z0-9._-]{1,200}")


def is_written(address: str) -> bool:
    """Whether it can be written as an address."""
    return ADDRESS.fullmatch(address) is not None


@lru_cache(maxsize=SENDERS)
def envelope_sender(sender: str) -> str:
    """The bare address of a From. Raises ValueError where it is none."""
    if not is_sender(sender):
        reason = "no address"
        raise ValueError(reason)
    return parseaddr(sender)[1]


def written(sender: str, message: Outgoing) -> bytes:
    """The mail, its lines ended by CRLF. Raises ValueError for what no header can hold.

    With `unsubscribe` it has the one-click way out of RFC 8058: whoever signs mail (DKIM) has to
    cover both headers. The text comes first, then the richer form: a reader takes the last that it
    understands (RFC 2046, section 5.1.4).
    """
    if not is_written(message.address):
        reason = "no address"
        raise ValueError(reason)
    if _ID.fullmatch(message.id) is None:
        reason = "no id"
        raise ValueError(reason)
    head = [
        _sender(sender, plain=(envelope_sender(sender) + message.address).isascii()),
        f"To: {message.address}".encode(),
        _subject(message.subject),
        f"Date: {format_datetime(message.at)}".encode(),
        f"Message-ID: <{message.id}@{DOMAIN}>".encode(),
    ]
    if message.unsubscribe is not None:
        head.append(f"{LEAVING}: <{_link(message.unsubscribe)}>".encode())
        head.append(b"List-Unsubscribe-Post: List-Unsubscribe=One-Click")
    head.append(b"MIME-Version: 1.0")
    text = _part("plain", message.text)
    if message.html is None:
        return b"\r\n".join([*head, text])
    # No quoted-printable text has these two letters: `=` is written as `=3D`.
    boundary = f"=_{message.id}".encode()
    return b"\r\n".join(
        [
            *head,
            b'Content-Type: multipart/alternative; boundary="%b"\r\n' % boundary,
            b"--%b\r\n%b" % (boundary, text),
            b"--%b\r\n%b" % (boundary, _part("html", message.html)),
            b"--%b--\r\n" % boundary,
        ]
    )


@lru_cache(maxsize=2 * SENDERS)
def _sender(sender: str, *, plain: bool) -> bytes:
    """The header of a sender, without the end of its last line."""
    address = envelope_sender(sender)
    mail = EmailMessage(SMTP if plain else SMTPUTF8)
    mail["From"] = Address(parseaddr(sender)[0], addr_spec=address)
    return mail.as_bytes().strip()


def _subject(text: str) -> bytes:
    """The header of a subject: as it is where every reader takes it so, else in encoded words."""
    if "\r" in text or "\n" in text:
        reason = "a subject is one line"
        raise ValueError(reason)
    line = f"Subject: {text}"
    plain = text.isascii() and text.isprintable() and "=?" not in text and text == text.strip()
    if plain and len(line) <= LINE:
        return line.encode()
    return b"Subject: " + b"\r\n ".join(_encoded_words(text.encode()))


def _encoded_words(data: bytes) -> Iterator[bytes]:
    """UTF-8 in words of RFC 2047; none of them ends within a letter."""
    while data:
        end = min(ENCODED_BYTES, len(data))
        while end < len(data) and data[end] & 0xC0 == 0x80:  # noqa: PLR2004 - it goes on in there
            end -= 1
        yield b"=?utf-8?b?%b?=" % b2a_base64(data[:end], newline=False)
        data = data[end:]


def _part(subtype: str, text: str) -> bytes:
    """A text with the headers that say what it is."""
    lines = b"\r\n".join([*text.encode().splitlines(), b""])
    return (
        b'Content-Type: text/%b; charset="utf-8"\r\n'
        b"Content-Transfer-Encoding: quoted-printable\r\n\r\n%b"
        % (subtype.encode(), b2a_qp(lines, istext=True))
    )


def _link(url: str) -> str:
    """A URL that can stand between angle brackets. Raises ValueError."""
    parts = urlsplit(url)
    clean = url.isascii() and url.isprintable() and not set(url) & set(" <>")
    if not (clean and parts.scheme in ("https", "http") and parts.hostname):
        reason = "no link"
        raise ValueError(reason)
    return url
