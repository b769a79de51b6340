"""Mails are written by hand where they differ; the standard library reads every one of them."""

from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from services.notify.channels import Outgoing
from services.notify.channels.email_writing import is_written, written

AT = datetime(2018, 1, 2, tzinfo=UTC)
SENDER = "Käthe's Shop <news@example.com>"
HEADERS = ["From", "To", "Subject", "Date", "Message-ID", "MIME-Version", "Content-Type"]
ONE_LINE = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n"), min_size=1)
TEXT = st.text(st.characters(exclude_categories=["Cs"]))


def outgoing(
    subject: str = "News",
    text: str = "All is well.",
    html: str | None = None,
    address: str = "anna@example.com",
) -> Outgoing:
    return Outgoing(
        id="0b6f3c1e-0000-5000-8000-000000000001",
        address=address,
        subject=subject,
        text=text,
        at=AT,
        deadline=0.0,
        html=html,
    )


def read(content: bytes) -> EmailMessage:
    return message_from_bytes(content, policy=policy.default)


def said(part: EmailMessage | None) -> list[bytes]:
    """The lines of a part, as bytes; the standard library's own way of cutting them."""
    assert part is not None
    found = part.get_payload(decode=True)
    assert isinstance(found, bytes)
    return found.splitlines()


@settings(deadline=None)
@given(ONE_LINE)
@example("ш" * 200)
@example("=?utf-8?q?a?=")
@example("a" * 900)
@example("\x00\x0b\x1c\x85\u2028")
@example(" led and trailed ")
def test_a_subject_is_read_as_it_was_said_and_nothing_else_is_read(subject: str) -> None:
    content = written(SENDER, outgoing(subject))
    mail = read(content)
    assert mail.defects == []
    assert [name for name in mail if name != "Content-Transfer-Encoding"] == HEADERS
    # What is behind it stands where it always does.
    assert mail["To"] == "anna@example.com"
    assert said(mail) == [b"All is well."]
    words = content.partition(b"\r\nSubject: ")[2].partition(b"\r\nDate: ")[0]
    assert words.isascii()
    assert all(len(line) <= 76 for line in words.split(b"\r\n"))
    if subject.isprintable() and subject == subject.strip():
        assert mail["Subject"] == subject


@settings(deadline=None)
@given(TEXT, st.none() | TEXT)
@example(".\r\n..\r\nFrom me\r\n", "<p>.</p>")
@example("a = b \t\n\t", "--=_0b6f3c1e-0000-5000-8000-000000000001--")
@example("x" * 200 + " ", "ü" * 200)
@example("\r.\n\x0b\x1c", None)
@example("", "")
def test_texts_are_read_as_they_were_said(text: str, html: str | None) -> None:
    content = written(SENDER, outgoing(text=text, html=html))
    mail = read(content)
    assert mail.defects == []
    parts = {"plain": text} if html is None else {"plain": text, "html": html}
    for kind, wanted in parts.items():
        part = mail.get_body((kind,))
        assert isinstance(part, EmailMessage)
        assert part["Content-Type"].params["charset"] == "utf-8"
        assert said(part) == wanted.encode().splitlines()
    # Neither a bare CR nor a bare LF, nor more than SMTP has room for.
    assert b"\r" not in content.replace(b"\r\n", b"")
    assert b"\n" not in content.replace(b"\r\n", b"")
    body = content.partition(b"\r\n\r\n")[2]
    assert all(len(line) <= 76 for line in body.split(b"\r\n") if not line.startswith(b"--=_"))


@settings(deadline=None)
@given(st.text(max_size=30))
@example("anna@example.com\r\nBcc: eve@example.com")
@example("a@b\u2028Bcc:eve@example.com")
def test_what_is_taken_for_an_address_is_one_line(address: str) -> None:
    try:
        content = written(SENDER, outgoing(address=address))
    except ValueError:
        return
    assert is_written(address)
    lines = content.split(b"\r\n")
    assert f"To: {address}".encode() in lines
    assert content.partition(b"\r\n\r\n")[0].splitlines() == lines[: lines.index(b"")]


@pytest.mark.parametrize(
    ("sender", "address", "line"),
    [
        ("news@example.com", "a@example.com", b"From: news@example.com"),
        ("Shop <news@example.com>", "a@example.com", b"From: Shop <news@example.com>"),
        ('"Shop, the" <n@example.com>', "a@example.com", b'From: "Shop, the" <n@example.com>'),
        (SENDER, "a@example.com", b"From: =?utf-8?q?K=C3=A4the=27s?= Shop <news@example.com>"),
        (SENDER, "ä@example.com", "From: Käthe's Shop <news@example.com>".encode()),
    ],
)
def test_senders_are_written_by_the_standard_library(
    sender: str, address: str, line: bytes
) -> None:
    assert written(sender, outgoing(address=address)).split(b"\r\n")[0] == line


@pytest.mark.parametrize(
    "message",
    [
        outgoing("one\r\nBcc: eve@example.com"),
        outgoing("one\rBcc: eve@example.com"),
        outgoing("one\nBcc: eve@example.com"),
        outgoing("half a letter \ud800"),
        outgoing(text="half a letter \ud800"),
        outgoing(html="half a letter \ud800"),
        outgoing(address="\ud800@example.com"),
        Outgoing("x\r\nBcc: eve@example.com", "a@example.com", "News", "Text", AT, 0.0),
    ],
)
def test_what_no_header_can_hold_is_refused(message: Outgoing) -> None:
    with pytest.raises(ValueError, match=r"line|codec|id"):
        written(SENDER, message)


@pytest.mark.parametrize("sender", ["", "nobody", "Shop <>", "a@example.com\r\nBcc: e@example.com"])
def test_who_is_no_sender_sends_nothing(sender: str) -> None:
    with pytest.raises(ValueError, match="address"):
        written(sender, outgoing())
