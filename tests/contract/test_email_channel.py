"""E-mail beyond what test_channels.py asks of every channel: SMTP's steps, connections, headers."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from services.notify.channels import (
    Accepted,
    Channel,
    NotTaken,
    Outgoing,
    Receipt,
    Rejected,
    Unknown,
)
from services.notify.channels.email import EmailChannel, SmtpServer, StartTls
from services.notify.channels.email_writing import written
from shared.testing.certificates import make_certificate
from shared.testing.mail_server import DROP, SILENT, MailServer, Step, mail_server

AT = datetime(2018, 1, 2, tzinfo=UTC)
MESSAGE = "0b6f3c1e-0000-5000-8000-000000000001"


@pytest.fixture
async def server() -> AsyncIterator[MailServer]:
    async with mail_server() as server:
        yield server


@pytest.fixture
async def channel(server: MailServer) -> AsyncIterator[Channel]:
    channel = EmailChannel(SmtpServer.of(server.url), "Shop <news@example.com>")
    yield channel
    await channel.close()


def outgoing(seconds: float = 5.0) -> Outgoing:
    return Outgoing(
        id=MESSAGE,
        address="anna@example.com",
        subject="Grüße",
        text="Schön, Sie zu sehen.\n.\nBis bald",
        at=AT,
        deadline=asyncio.get_running_loop().time() + seconds,
    )


async def test_what_was_accepted_is_there_once(channel: Channel, server: MailServer) -> None:
    receipt = await channel.send(outgoing())
    assert receipt == Accepted("4F2A")
    (mail,) = server.taken
    assert mail["Message-ID"] == f"<{MESSAGE}@regulars.invalid>"
    assert (mail["From"], mail["To"]) == ("Shop <news@example.com>", "anna@example.com")
    assert mail["Subject"] == "Grüße"
    assert mail["Date"] == "Tue, 02 Jan 2018 00:00:00 +0000"
    assert mail.get_content().splitlines() == ["Schön, Sie zu sehen.", ".", "Bis bald"]
    assert (server.senders, server.recipients) == (["news@example.com"], ["anna@example.com"])


@pytest.mark.parametrize("step", ["MAIL", "RCPT", "DATA"])
@pytest.mark.parametrize(
    ("answer", "receipt"),
    [
        ("550 never", Rejected("550")),
        ("451 not now", NotTaken("refused", "451")),
        ("421 closing", NotTaken("away", "421")),
    ],
)
async def test_a_refusal_is_told_by_its_code(
    channel: Channel, server: MailServer, step: Step, answer: str, receipt: Receipt
) -> None:
    server.answers[step] = answer
    assert await channel.send(outgoing()) == receipt
    assert server.taken == []
    server.answers.clear()
    assert await channel.send(outgoing()) == Accepted("4F2A")


@pytest.mark.parametrize("step", ["MAIL", "RCPT"])
@pytest.mark.parametrize("misbehaviour", [DROP, SILENT])
async def test_what_happens_before_the_mail_is_given_is_certain(
    channel: Channel, server: MailServer, step: Step, misbehaviour: str
) -> None:
    server.answers[step] = misbehaviour
    assert await channel.send(outgoing(0.5)) == NotTaken("away")
    assert server.taken == []


@pytest.mark.parametrize("misbehaviour", [DROP, SILENT])
async def test_nobody_knows_what_became_of_a_mail_that_was_given_and_not_answered(
    channel: Channel, server: MailServer, misbehaviour: str
) -> None:
    server.answers["DATA"] = misbehaviour
    assert await channel.send(outgoing(0.5)) == Unknown()
    assert len(server.taken) == 1


async def test_a_hand_over_ends_by_its_deadline(channel: Channel, server: MailServer) -> None:
    server.answers["DATA"] = SILENT
    began = asyncio.get_running_loop().time()
    await channel.send(outgoing(0.3))
    assert 0.25 < asyncio.get_running_loop().time() - began < 1.0


async def test_nothing_is_handed_over_after_the_deadline(
    channel: Channel, server: MailServer
) -> None:
    assert await channel.send(outgoing(-1.0)) == NotTaken("late")
    assert server.connections == 0


async def test_a_server_that_is_not_there_is_away() -> None:
    async with mail_server() as gone:
        url = gone.url
    absent = EmailChannel(SmtpServer.of(url), "news@example.com")
    assert await absent.send(outgoing()) == NotTaken("away")


async def test_one_connection_serves_mails_one_after_another(
    channel: Channel, server: MailServer
) -> None:
    for _ in range(3):
        assert isinstance(await channel.send(outgoing()), Accepted)
    server.answers["RCPT"] = "550 never"
    await channel.send(outgoing())
    server.answers.clear()
    await channel.send(outgoing())
    assert server.connections == 1


async def test_a_connection_that_the_server_let_go_is_replaced_unnoticed(
    channel: Channel, server: MailServer
) -> None:
    await channel.send(outgoing())
    server.hang_up()
    assert await channel.send(outgoing()) == Accepted("4F2A")
    assert (len(server.taken), server.connections) == (2, 2)


async def test_after_a_lost_answer_the_connection_is_not_used_again(
    channel: Channel, server: MailServer
) -> None:
    server.answers["DATA"] = SILENT
    await channel.send(outgoing(0.3))
    server.answers.clear()
    assert await channel.send(outgoing()) == Accepted("4F2A")
    assert server.connections == 2


async def test_many_at_once_share_few_connections(channel: Channel, server: MailServer) -> None:
    receipts = await asyncio.gather(*(channel.send(outgoing()) for _ in range(12)))
    assert receipts == [Accepted("4F2A")] * 12
    assert server.connections <= 4


@pytest.mark.parametrize(
    "address",
    [
        "anna@example.com\r\nBcc: eve@example.com",
        "anna@example.com>\r\nRCPT TO:<eve@example.com",
        "anna@example.com, eve@example.com",
        "Anna <anna@example.com>",
        "anna example@example.com",
        "anna",
        "",
    ],
)
async def test_what_is_no_address_is_never_sent_to(
    channel: Channel, server: MailServer, address: str
) -> None:
    refused = await channel.send(replace(outgoing(), address=address))
    assert refused == Rejected("unwritable", address=True)
    assert server.connections == 0


@pytest.mark.parametrize("subject", ["a\r\nBcc: eve@example.com", "a\nX-Evil: 1", "a\rb", "\ud800"])
async def test_a_subject_cannot_become_another_header(
    channel: Channel, server: MailServer, subject: str
) -> None:
    assert await channel.send(replace(outgoing(), subject=subject)) == Rejected("unwritable")
    assert server.taken == []


async def test_a_text_stays_a_text(channel: Channel, server: MailServer) -> None:
    text = "a\r\n.\r\nMAIL FROM:<eve@example.com>\r\n\r\nBcc: eve@example.com"
    await channel.send(replace(outgoing(), text=text))
    (mail,) = server.taken
    assert mail.get_content().split() == text.split()
    assert mail["Bcc"] is None
    assert server.recipients == ["anna@example.com"]


async def test_an_address_of_another_script_is_written_as_it_is(
    channel: Channel, server: MailServer
) -> None:
    await channel.send(replace(outgoing(), address="анна@example.com"))
    assert server.recipients == ["анна@example.com"]
    assert server.taken[0]["To"] == "анна@example.com"


def test_smtp_deduplicates_only_what_somebody_has_declared() -> None:
    server = SmtpServer.of("smtps://user:p%40ss@mail.example.com")
    assert EmailChannel(server, "news@example.com").deduplicates is None
    declared = EmailChannel(server, "news@example.com", timedelta(days=1))
    assert declared.deduplicates == timedelta(days=1)
    assert server == SmtpServer("mail.example.com", 465, tls=True, user="user", password="p@ss")
    assert "p@ss" not in repr(declared)


LINK = "https://shop.example/u/eyJhbGciOi?x=1"
LONG = f"https://news.{'of-a-shop.' * 20}example/m/" + "A" * 46


@pytest.mark.parametrize("link", [LINK, LONG])
@pytest.mark.parametrize("address", ["anna@example.com", "анна@example.com"])
async def test_a_mail_has_the_one_click_way_out(
    channel: Channel, server: MailServer, link: str, address: str
) -> None:
    message = replace(outgoing(), unsubscribe=link, address=address)
    # In one line: what is encoded or broken no program reads as a link.
    line = f"\r\nList-Unsubscribe: <{link}>\r\n"
    assert line.encode() in written("Shop <news@shop.example>", message)
    await channel.send(message)
    (mail,) = server.taken
    # RFC 8058, section 8.1.
    assert mail["List-Unsubscribe"] == f"<{link}>"
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    await channel.send(outgoing())
    assert server.taken[1]["List-Unsubscribe"] is None


@pytest.mark.parametrize(
    "link",
    ["https://x.example/>,<mailto:eve@x.example", "ftp://x.example", "x\r\nBcc: eve", "ü", ""],
)
async def test_what_is_no_link_is_no_way_out(
    channel: Channel, server: MailServer, link: str
) -> None:
    refused = await channel.send(replace(outgoing(), unsubscribe=link))
    assert (refused, server.taken) == (Rejected("unwritable"), [])


async def test_a_mail_has_both_forms_the_richer_one_last(
    channel: Channel, server: MailServer
) -> None:
    await channel.send(replace(outgoing(), html="<p>Schön, Sie zu sehen.</p>"))
    (mail,) = server.taken
    plain, rich = mail.iter_parts()
    assert mail.get_content_type() == "multipart/alternative"
    assert (plain.get_content_type(), rich.get_content_type()) == ("text/plain", "text/html")
    assert rich.get_content().strip() == "<p>Schön, Sie zu sehen.</p>"


async def test_a_mail_goes_in_the_name_that_it_is_given(
    channel: Channel, server: MailServer
) -> None:
    await channel.send(replace(outgoing(), sender="Branch 12 <b12@example.com>"))
    await channel.send(outgoing())
    assert [mail["From"] for mail in server.taken] == [
        "Branch 12 <b12@example.com>",
        "Shop <news@example.com>",
    ]
    assert server.senders == ["b12@example.com", "news@example.com"]
    wrong = replace(outgoing(), sender="x\r\nBcc: eve@example.com")
    assert await channel.send(wrong) == Rejected("unwritable")


async def test_where_encryption_is_required_nothing_goes_without_it(server: MailServer) -> None:
    strict = EmailChannel(SmtpServer.of(server.url, "required"), "news@example.com")
    assert await strict.send(outgoing()) == NotTaken("away")
    assert (server.taken, server.senders) == ([], [])


@pytest.mark.parametrize("start_tls", ["offered", "required"])
async def test_encryption_is_taken_where_it_is_offered_and_only_from_who_proves_himself(
    start_tls: StartTls, tmp_path: Path
) -> None:
    async with mail_server(make_certificate(tmp_path)) as server:
        unknown = EmailChannel(SmtpServer.of(server.url, start_tls), "news@example.com")
        assert await unknown.send(outgoing()) == NotTaken("away")
        assert server.taken == []
        never = EmailChannel(SmtpServer.of(server.url, "never"), "news@example.com")
        assert isinstance(await never.send(outgoing()), Accepted)
        await never.close()


async def test_a_mail_goes_encrypted_to_who_proves_himself(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    certificate = make_certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate.authority))
    async with mail_server(certificate) as server:
        channel = EmailChannel(SmtpServer.of(server.url, "required"), "news@example.com")
        assert isinstance(await channel.send(outgoing()), Accepted)
        assert server.encrypted == [True]
        await channel.close()
