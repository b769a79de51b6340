"""What comes back by mail: bounces, complaints, answers of people. Pure; takes any bytes.

| mail | becomes |
| --- | --- |
| `multipart/report; report-type=delivery-status` (RFC 3464), each recipient: failed | bounced |
| … delivered | delivered |
| … delayed, relayed, expanded | nothing: it is still under way, or nobody can tell |
| `multipart/report; report-type=feedback-report` (RFC 5965): abuse, fraud, virus, other | complained |
| … opt-out | unsubscribed |
| a bounce in plain words: from a mailer, and naming a Message-ID of ours | bounced |
| anything else that a machine wrote (RFC 3834: `Auto-Submitted`, or no way back) | nothing |
| anything else | a reply |

A bounce is permanent where the status (RFC 3463) is of the address: 5.1.x, 5.2.1. Another 5.x.x (full,
too large, refused as spam) says nothing against the address. Nobody signs such mail: who takes it in
marks only the address that its message was sent to.
"""  # noqa: E501 - a row of a table is one line

import codecs
import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import Message
from email.utils import parseaddr, parsedate_to_datetime

from services.notify.channels.email_writing import DOMAIN
from services.notify.channels.reports import Heard, Reply, Report, What

LONGEST_TEXT = 20_000
MOST_PARTS = 50
_OURS = re.compile(rf"<([A-Za-z0-9-]{{1,100}})@{re.escape(DOMAIN)}>")
_STATUS = re.compile(r"(?<![\d.])([245]\.\d{1,3}\.\d{1,3})(?![\d.])")
_CODE = re.compile(r"(?<![\d.])([45]\d\d)(?![\d.])")
_BAD_ADDRESS = re.compile(r"5\.(1\.\d{1,3}|2\.1)")
_MAILER = re.compile(r"^(mailer-daemon|postmaster)@?", re.IGNORECASE)
_COMPLAINTS: Mapping[str, What] = {
    "abuse": "complained",
    "fraud": "complained",
    "virus": "complained",
    "other": "complained",
    "opt-out": "unsubscribed",
}
_MARKUP = re.compile(r"<[^<>]{0,2000}>")
"""No tag holds the beginning of another: each letter is looked at once."""
_CHARSETS = re.compile(
    r"ascii|utf-(8|8-sig|16|16-le|16-be)|iso8859-\d+|cp\d+|koi8-[rtu]|mac-\w+|tis-620"
    r"|gb2312|gbk|gb18030|big5|big5hkscs|hz|shift_jis\w*|euc_\w+|iso2022_\w+|johab"
)
"""Those of mails, as Python calls them; others give halves of characters, or take hours."""


def heard(raw: bytes) -> Sequence[Heard]:
    """What a mail of the mailbox that bounces and answers go to says. Raises nothing."""
    mail = message_from_bytes(raw, policy=policy.compat32)
    parts = list(_parts(mail))
    at = _date(mail)
    for kind, read in (
        ("message/delivery-status", _delivery),
        ("message/feedback-report", _feedback),
    ):
        if mail.get_content_type() == "multipart/report":
            for part in parts:
                if part.get_content_type() == kind:
                    return list(read(part, _message_in(parts, raw), at))
    sender = parseaddr(_field(mail, "From"))[1]
    by_itself = _field(mail, "Auto-Submitted").strip().lower()
    no_way_back = _field(mail, "Return-Path").strip() == "<>"
    # A note of absence has no way back either (RFC 3834, section 3.3), but it answers a message.
    is_note = by_itself.startswith("auto-replied") or _answered(mail) is not None
    if _MAILER.match(sender) or (no_way_back and not is_note):
        return _in_words(mail, parts, raw, at)
    if no_way_back or by_itself not in ("", "no") or not sender:
        return ()
    return (_reply(mail, parts, sender, raw),)


def _parts(mail: Message) -> Iterator[Message]:
    """The mail and its parts, not deeper or more than anybody means."""
    waiting, given = [mail], 0
    while waiting and given < MOST_PARTS:
        part = waiting.pop(0)
        given += 1
        yield part
        if part.get_content_maintype() in ("multipart", "message"):
            waiting += _blocks(part)


def _field(mail: Message, name: str) -> str:
    """A header as a text; what no charset can say is left out."""
    found = mail.get(name)
    return "" if found is None else str(found)


def _date(mail: Message) -> datetime | None:
    return _moment(_field(mail, "Date"))


def _moment(text: str) -> datetime | None:
    try:
        found = parsedate_to_datetime(text)
        return found.replace(tzinfo=found.tzinfo or UTC).astimezone(UTC)
    except (ValueError, OverflowError, TypeError):
        return None


def _message_in(parts: Sequence[Message], raw: bytes) -> str | None:
    """Our id: of the mail that is enclosed, else wherever a Message-ID of ours stands."""
    for part in parts[1:]:
        headers = _field(part, "Message-ID")
        if part.get_content_type() == "text/rfc822-headers":
            headers = _text(part)
        found = _OURS.search(headers)
        if found is not None:
            return found[1]
    anywhere = _OURS.search(raw.decode("ascii", "replace"))
    return None if anywhere is None else anywhere[1]


def _delivery(part: Message, message: str | None, at: datetime | None) -> Iterator[Report]:
    for block in _blocks(part):
        action = _field(block, "Action").strip().lower()
        if action not in ("failed", "delivered"):
            continue
        address = _field(block, "Final-Recipient") or _field(block, "Original-Recipient")
        code = _code(_field(block, "Status"), _field(block, "Diagnostic-Code"))
        yield Report(
            what="bounced" if action == "failed" else "delivered",
            message=message,
            permanent=action == "failed" and _is_permanent(code),
            code=code,
            at=_moment(_field(block, "Last-Attempt-Date")) or at,
            address=address.partition(";")[2].strip() or None,
        )


def _blocks(part: Message) -> Sequence[Message]:
    payload = part.get_payload()
    return (
        [each for each in payload if isinstance(each, Message)] if isinstance(payload, list) else []
    )


def _feedback(part: Message, message: str | None, at: datetime | None) -> Iterator[Report]:
    # The parser takes the fields for a message of their own where it knows the type.
    fields = next(iter(_blocks(part)), None) or message_from_bytes(_bytes(part))
    kind = _field(fields, "Feedback-Type").strip().lower()
    what = _COMPLAINTS.get(kind)
    if what is not None:
        address = _field(fields, "Original-Rcpt-To").strip().strip("<>")
        yield Report(what=what, message=message, code=kind, at=at, address=address or None)


def _in_words(
    mail: Message, parts: Sequence[Message], raw: bytes, at: datetime | None
) -> Sequence[Heard]:
    message = _message_in((mail, *parts), raw)
    if message is None:
        return ()
    said = "\n".join(_text(part) for part in parts if part.get_content_maintype() == "text")
    code = _code(said, said)
    return (
        Report(what="bounced", message=message, permanent=_is_permanent(code), code=code, at=at),
    )


def _code(status: str, diagnostic: str) -> str | None:
    """The enhanced status, else that of SMTP."""
    found = _STATUS.search(status) or _STATUS.search(diagnostic) or _CODE.search(diagnostic)
    return None if found is None else found[1]


def _is_permanent(code: str | None) -> bool:
    return code is not None and _BAD_ADDRESS.fullmatch(code) is not None


def _reply(mail: Message, parts: Sequence[Message], sender: str, raw: bytes) -> Reply:
    texts = dict.fromkeys(("text/html", "text/plain"), "")
    for part in parts:
        kind = part.get_content_type()
        if texts.get(kind) == "" and part.get_filename() is None:
            texts[kind] = _text(part)
    text = texts["text/plain"] or _MARKUP.sub(" ", texts["text/html"])
    return Reply(
        address=sender.lower(),
        text=text.strip()[:LONGEST_TEXT],
        id=_field(mail, "Message-ID").strip() or hashlib.sha256(raw).hexdigest(),
        at=_date(mail),
        answers=_answered(mail),
    )


def _answered(mail: Message) -> str | None:
    """Our id of the message that a mail answers."""
    found = _OURS.search(_field(mail, "In-Reply-To")) or _OURS.search(_field(mail, "References"))
    return None if found is None else found[1]


def _bytes(part: Message) -> bytes:
    payload = part.get_payload(decode=True)
    return payload if isinstance(payload, bytes) else b""


def _text(part: Message) -> str:
    raw = _bytes(part)
    try:
        charset = codecs.lookup(part.get_content_charset("utf-8")).name
        if _CHARSETS.fullmatch(charset):
            return raw.decode(charset, "replace")
    except (LookupError, ValueError):
        pass
    return raw.decode("utf-8", "replace")
