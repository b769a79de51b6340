"""What comes back by mail is read as the standards have it, and any bytes are survived."""

import random
from collections.abc import Mapping
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.notify.channels.mailbox import heard
from services.notify.channels.reports import Reply, Report

MESSAGE = "0b6f3c1e-0000-5000-8000-000000000001"
AT = datetime(2018, 1, 2, 10, 0, tzinfo=UTC)


def dsn(
    action: str = "failed",
    status: str = "5.1.1",
    diagnostic: str = "smtp; 550 5.1.1 <anna@x.example>: user unknown",
    enclosed: str = "message/rfc822",
) -> bytes:
    """As RFC 3464, section 7, shows them."""
    return f"""Return-Path: <>
Date: Tue, 02 Jan 2018 11:00:00 +0100
From: Mail Delivery System <MAILER-DAEMON@mx.example>
To: news@shop.example
Subject: Undelivered Mail Returned to Sender
Auto-Submitted: auto-replied
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="b1"

--b1
Content-Type: text/plain

I'm sorry to have to inform you …

--b1
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example
Arrival-Date: Tue, 02 Jan 2018 10:59:00 +0100

Final-Recipient: rfc822; anna@x.example
Action: {action}
Status: {status}
Diagnostic-Code: {diagnostic}

--b1
Content-Type: {enclosed}

From: Shop <news@shop.example>
To: anna@x.example
Message-ID: <{MESSAGE}@regulars.invalid>
Subject: Hello

Come back
--b1--
""".encode()


@pytest.mark.parametrize("enclosed", ["message/rfc822", "text/rfc822-headers"])
@pytest.mark.parametrize(
    ("status", "diagnostic", "permanent", "code"),
    [
        ("5.1.1", "smtp; 550 no", True, "5.1.1"),
        ("5.2.1", "smtp; 550 disabled", True, "5.2.1"),
        # Of the mail, of the moment: nothing against the address.
        ("5.7.1", "smtp; 554 spam", False, "5.7.1"),
        ("5.2.2", "smtp; 552 full", False, "5.2.2"),
        ("4.4.7", "smtp; 421 expired", False, "4.4.7"),
        # Where the status is missing, the diagnosis has it, in words or in digits alone.
        ("", "smtp; 550 5.1.1 unknown", True, "5.1.1"),
        ("", "smtp; 550 unknown", False, "550"),
        ("", "", False, None),
    ],
)
def test_a_bounce_says_which_message_for_good_or_not_and_why(
    enclosed: str, status: str, diagnostic: str, *, permanent: bool, code: str | None
) -> None:
    (report,) = heard(dsn(status=status, diagnostic=diagnostic, enclosed=enclosed))
    assert report == Report(
        "bounced", MESSAGE, permanent=permanent, code=code, at=AT, address="anna@x.example"
    )


def test_a_mail_that_arrived_is_delivered_and_one_under_way_is_nothing_yet() -> None:
    (report,) = heard(dsn(action="delivered", status="2.0.0", diagnostic=""))
    assert report == Report("delivered", MESSAGE, code="2.0.0", at=AT, address="anna@x.example")
    for action in ("delayed", "relayed", "expanded", "", "what"):
        assert heard(dsn(action=action, status="4.4.1")) == []


def test_each_recipient_of_a_bounce_is_told_of() -> None:
    second = b"Final-Recipient: rfc822; boris@x.example\nAction: failed\nStatus: 5.2.2\n\n--b1"
    both = dsn().replace(
        b"--b1\nContent-Type: message/rfc822", second + b"\nContent-Type: message/rfc822"
    )
    found = [(each.address, each.permanent) for each in heard(both) if isinstance(each, Report)]
    assert found == [("anna@x.example", True), ("boris@x.example", False)]


def arf(kind: str) -> bytes:
    """As RFC 5965, appendix B, shows them."""
    return f"""From: <abuse@provider.example>
Date: Tue, 02 Jan 2018 10:00:00 +0000
Subject: FW: Hello
To: <abuse@shop.example>
MIME-Version: 1.0
Content-Type: multipart/report; report-type=feedback-report; boundary="b2"

--b2
Content-Type: text/plain

This is an email abuse report.

--b2
Content-Type: message/feedback-report

Feedback-Type: {kind}
User-Agent: SomeGenerator/1.0
Version: 1
Original-Rcpt-To: <anna@x.example>

--b2
Content-Type: message/rfc822

From: <news@shop.example>
Message-ID: <{MESSAGE}@regulars.invalid>

Come back
--b2--
""".encode()


@pytest.mark.parametrize(
    ("kind", "what"),
    [("abuse", "complained"), ("Fraud", "complained"), ("opt-out", "unsubscribed")],
)
def test_a_complaint_is_told_of(kind: str, what: str) -> None:
    (report,) = heard(arf(kind))
    assert isinstance(report, Report)
    assert (report.what, report.message, report.address) == (what, MESSAGE, "anna@x.example")
    assert report.at == AT


def test_who_says_that_it_is_no_spam_complains_of_nothing() -> None:
    assert heard(arf("not-spam")) == []


def test_a_bounce_in_plain_words_is_understood_by_the_message_that_it_names() -> None:
    # As qmail writes them.
    words = f"""Return-Path: <>
From: MAILER-DAEMON@mx.example
Date: Tue, 02 Jan 2018 10:00:00 +0000
Subject: failure notice

Hi. This is the qmail-send program at mx.example.
<anna@x.example>:
192.0.2.1 does not like recipient.
Remote host said: 550 5.1.1 No such user

--- Below this line is a copy of the message.

Message-ID: <{MESSAGE}@regulars.invalid>
"""
    assert heard(words.encode()) == (
        Report("bounced", MESSAGE, permanent=True, code="5.1.1", at=AT),
    )
    assert heard(words.replace(MESSAGE, "x@y").encode()) == ()


def answer(**headers: str) -> bytes:
    lines = {
        "From": "Anna Example <Anna@X.example>",
        "Date": "Tue, 02 Jan 2018 10:00:00 +0000",
        "Message-ID": "<r1@x.example>",
        "In-Reply-To": f"<{MESSAGE}@regulars.invalid>",
        **headers,
    }
    head = "".join(f"{name}: {value}\n" for name, value in lines.items())
    return f"{head}\nYes, please.\n".encode()


def test_what_a_person_writes_is_a_reply_to_the_message() -> None:
    (reply,) = heard(answer())
    assert reply == Reply("anna@x.example", "Yes, please.", "<r1@x.example>", AT, MESSAGE)
    assert "Yes" not in repr(reply)
    assert "anna" not in repr(reply)


def test_of_several_forms_the_plain_one_is_the_reply() -> None:
    both = answer(**{"Content-Type": 'multipart/alternative; boundary="b"'}).replace(
        b"Yes, please.",
        b"--b\nContent-Type: text/html\n\n<p>Rich</p>\n"
        b"--b\nContent-Type: text/plain; charset=latin1\n"
        b"Content-Transfer-Encoding: quoted-printable\n\nSch=F6n\n--b--",
    )
    (reply,) = heard(both)
    assert isinstance(reply, Reply)
    assert reply.text == "Schön"
    rich = answer(**{"Content-Type": "text/html"}).replace(b"Yes", b"<b>Yes</b>")
    (reply,) = heard(rich)
    assert isinstance(reply, Reply)
    assert reply.text == "Yes , please."


@pytest.mark.parametrize("value", ["auto-replied", "auto-generated"])
def test_what_a_machine_writes_is_nobodys_reply(value: str) -> None:
    assert heard(answer(**{"Auto-Submitted": value})) == ()


@pytest.mark.parametrize(
    "headers",
    [
        # As RFC 3834 (sections 3.1.5 and 3.3) has it, and as older programs write it.
        {"Auto-Submitted": "auto-replied"},
        {"Auto-Submitted": "auto-replied", "In-Reply-To": "", "References": ""},
        {"Precedence": "bulk"},
        {"In-Reply-To": "", "References": f"<{MESSAGE}@regulars.invalid>"},
    ],
)
def test_a_note_of_absence_without_a_way_back_is_no_bounce(headers: Mapping[str, str]) -> None:
    # It names our message, and with a number it would look like a code; three of them would put
    # the address of somebody on holiday on the suppression list.
    note = answer(**{"Return-Path": "<>", **headers}).replace(
        b"Yes, please.", f"Call 550 instead. You wrote <{MESSAGE}@regulars.invalid>".encode()
    )
    assert heard(note) == ()


def test_who_has_no_way_back_and_names_a_message_tells_of_a_bounce() -> None:
    words = f"""Return-Path: <>
From: Mail Gateway <gateway@mx.example>
Auto-Submitted: auto-generated

550 5.1.1 No such user
Message-ID: <{MESSAGE}@regulars.invalid>
"""
    assert heard(words.encode()) == (Report("bounced", MESSAGE, permanent=True, code="5.1.1"),)


def test_a_mail_without_an_id_has_one_that_is_the_same_each_time() -> None:
    (first,), (again,) = (heard(answer(**{"Message-ID": ""})) for _ in range(2))
    assert isinstance(first, Reply)
    assert first == again
    assert first.id


@given(st.binary(max_size=400))
@settings(deadline=None, max_examples=150)
def test_any_bytes_are_read_without_a_fault(raw: bytes) -> None:
    assert len(heard(raw)) <= 1


@given(st.integers(0, 2**32), st.sampled_from([dsn(), arf("abuse"), answer()]))
@settings(deadline=None, max_examples=300)
def test_a_mail_that_is_damaged_anywhere_is_read_without_a_fault(seed: int, mail: bytes) -> None:
    chance = random.Random(seed)
    damaged = bytearray(mail)
    for _ in range(chance.randint(1, 12)):
        at = chance.randrange(len(damaged))
        end = at + chance.choice([0, 1, 5, 60])
        damaged[at:end] = chance.choice(
            [
                b"",
                b"\n",
                b"\n\n",
                b"\x00",
                b"\xff\xfe",
                b"--b1\n",
                b"=?utf-8?q?",
                b";",
                bytes(damaged[:40]),
            ]
        )
    for each in heard(bytes(damaged)):
        assert isinstance(each, Report | Reply)


def _worded(charset: str, said: bytes) -> bytes:
    head = f"From: anna@x.example\r\nContent-Type: text/plain; charset={charset}\r\n\r\n"
    return head.encode() + said


@pytest.mark.parametrize(
    ("charset", "said", "text"),
    [
        ("windows-1251", "да".encode("cp1251"), "да"),
        ("iso-2022-jp", "はい".encode("iso2022_jp"), "はい"),
        ("GB2312", "是".encode("gb2312"), "是"),
        ("utf-16", "yes".encode("utf-16"), "yes"),
        # Half a character, which nothing can be written with.
        ("utf-7", b"yes +2AA-", "yes +2AA-"),
        ("unicode_escape", b"yes \\ud800", "yes \\ud800"),
        # No charset of mails, and one that takes hours for what is made for it.
        ("punycode", b"xy-999", "xy-999"),
        ("idna", b"xn--e1a", "xn--e1a"),
        ("no-such", b"yes", "yes"),
    ],
)
def test_only_charsets_of_mails_are_believed(charset: str, said: bytes, text: str) -> None:
    (found,) = heard(_worded(charset, said))
    assert isinstance(found, Reply)
    assert found.text == text


def test_no_tag_reaches_over_the_beginning_of_another() -> None:
    # It would take what is between them; and of a mail of nothing but beginnings, two thousand
    # letters would be looked at from each of a million.
    mail = b"From: anna@x.example\r\nContent-Type: text/html\r\n\r\n1 < 2, <b>you</b> know"
    (found,) = heard(mail)
    assert isinstance(found, Reply)
    assert found.text == "1 < 2,  you  know"
