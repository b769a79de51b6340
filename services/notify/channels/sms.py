"""SMS by whatever gateway the chain has: what it takes and says is configured (`SmsGateway`).

| what happens | receipt |
| --- | --- |
| the value at `code_at` is in `accepted`; without `code_at`: 2xx | accepted, by the value at `id_at` |
| the value is in `refused`, `away`, `rejected` or `bad_address` | that |
| the value is in none of them, or not there, with 2xx; no id where `id_at` is set | unknown |
| anything else, also every status that is not 2xx without a known value | as `channels/asking.py` has it |
| more segments than `most_segments`; an address that is no number | rejected |

It deduplicates as long as the gateway is declared to, by the `{id}` that it is given. A text is
counted in segments (`channels/sms_segments.py`), which is what it costs.
"""  # noqa: E501 - a row of a table is one line

import hashlib
import hmac
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, ClassVar
from urllib.parse import parse_qsl, urlencode

from pydantic import JsonValue, SecretStr

from services.notify.channels import (
    Accepted,
    Contact,
    NotTaken,
    Outgoing,
    Receipt,
    Rejected,
    Unknown,
    Way,
)
from services.notify.channels.asking import Answer, Asking, Request, undocumented
from services.notify.channels.reports import (
    Heard,
    Reply,
    Report,
    Unreadable,
    What,
    check,
    header,
    shaped,
)
from services.notify.channels.sms_segments import segments_of
from services.notify.channels.turns import Turns
from services.notify.settings import SmsGateway, SmsReports

_NUMBER = re.compile(r"\+[1-9][0-9]{4,14}")
_BLANK = re.compile(r"\{(id|to|digits|text|sender|secret)\}")
_PART = 153


@dataclass(slots=True)
class Sms:
    """Writes by one gateway; addresses are E.164 numbers."""

    gateway: SmsGateway
    secret: SecretStr
    name: ClassVar[str] = "sms"
    serves: ClassVar[Way] = "sms"
    reaches: ClassVar[Contact] = "phone"
    deduplicates: timedelta | None = field(init=False)
    longest: int | None = field(init=False)
    at_once: int = field(init=False)
    per_second: float | None = field(init=False)
    _asking: Asking = field(init=False, repr=False)

    def __post_init__(self) -> None:
        gateway = self.gateway
        self.deduplicates = gateway.deduplicates
        self.longest = 160 if gateway.most_segments == 1 else gateway.most_segments * _PART
        self.at_once, self.per_second = gateway.at_once, gateway.per_second
        self._asking = Asking(Turns(self.at_once, self.per_second))

    async def send(self, message: Outgoing) -> Receipt:
        """Hand one message over."""
        if _NUMBER.fullmatch(message.address) is None:
            return Rejected("unwritable", address=True)
        if segments_of(message.text).count > self.gateway.most_segments:
            return Rejected("too-long")
        return await self._asking.ask(self._request(message), message.deadline, self.receipt)

    async def close(self) -> None:
        """Let go of connections."""
        await self._asking.close()

    def receipt(self, answer: Answer) -> Receipt:
        """What an answer says."""
        gateway = self.gateway
        document = answer.of(dict[str, Any])
        reference = None if gateway.id_at is None else _at(document, gateway.id_at)
        if gateway.code_at is not None:
            return _by_code(gateway, answer, _at(document, gateway.code_at), reference)
        if not answer.well:
            return undocumented(answer)
        if gateway.id_at is not None and reference is None:
            return Unknown()
        return Accepted(reference)

    def _request(self, message: Outgoing) -> Request:
        values = {
            "id": message.id,
            "to": message.address,
            "digits": message.address.removeprefix("+"),
            "text": message.text,
            "sender": message.sender or self.gateway.sender,
            "secret": self.secret.get_secret_value(),
        }

        def filled(text: str) -> str:
            # In one pass: what a text says is never taken for a blank.
            return _BLANK.sub(lambda found: values[found[1]], text)

        fields = _filled(self.gateway.fields, filled)
        headers = {name: filled(text) for name, text in self.gateway.headers.items()}
        url, content, kind = self.gateway.url, b"", None
        match self.gateway.form:
            case "json":
                content, kind = json.dumps(fields).encode(), "application/json"
            case "form":
                content, kind = urlencode(fields).encode(), "application/x-www-form-urlencoded"
            case "query":
                url = f"{url}?{urlencode(fields)}"
        if kind is not None:
            headers.setdefault("Content-Type", kind)
        return Request(url=url, content=content, headers=headers, method=self.gateway.method)


def _by_code(
    gateway: SmsGateway, answer: Answer, code: str | None, reference: str | None
) -> Receipt:
    if code in gateway.accepted:
        return Unknown() if gateway.id_at is not None and reference is None else Accepted(reference)
    if code in gateway.refused:
        return NotTaken("refused", code, answer.retry_after)
    if code in gateway.away:
        return NotTaken("away", code, answer.retry_after)
    if code is not None and code in gateway.rejected | gateway.bad_address:
        return Rejected(code, address=code in gateway.bad_address)
    return undocumented(answer)


def _filled(value: JsonValue, filled: Callable[[str], str]) -> Any:  # noqa: ANN401 - JSON of any shape
    match value:
        case str():
            return filled(value)
        case dict():
            return {name: _filled(each, filled) for name, each in value.items()}
        case list():
            return [_filled(each, filled) for each in value]
        case _:
            return value


def _at(document: object, path: str) -> str | None:
    """What stands at a path, as a text; None where nothing does, or more than one value."""
    found = document
    for step in path.split("."):
        if isinstance(found, dict):
            found = found.get(step)
        elif isinstance(found, list) and step.isdecimal() and int(step) < len(found):
            found = found[int(step)]
        else:
            return None
    if isinstance(found, bool):
        return "true" if found else "false"
    return str(found) if isinstance(found, str | int | float) else None


def heard(how: SmsReports, headers: Mapping[str, str], body: bytes, secret: str) -> Sequence[Heard]:
    """What a callback says, JSON or a form. Raises `BadSignature`, `Unreadable`."""
    made = hmac.digest(secret.encode(), body, hashlib.sha256).hex()
    check(header(headers, how.signature).lower(), made if secret else "")
    document = _callback(header(headers, "Content-Type"), body)
    reference, text = _at(document, how.id_at), _at(document, how.text_at)
    if reference is None:
        raise Unreadable(f"nothing at {how.id_at}")
    address = _at(document, how.from_at)
    if text is not None:
        if address is None:
            raise Unreadable(f"nothing at {how.from_at}")
        return (Reply(address=address, text=text, id=reference),)
    status = _at(document, how.status_at)
    if status is None:
        raise Unreadable(f"nothing at {how.status_at}")
    what = _what(how, status)
    if what is None:
        return ()  # on its way: it says no more than the answer did
    return (
        Report(
            what=what,
            message=None if how.message_at is None else _at(document, how.message_at),
            reference=reference,
            permanent=what == "bounced",
            code=None if how.error_at is None else _at(document, how.error_at),
        ),
    )


def _callback(content_type: str, body: bytes) -> Mapping[str, Any]:
    if content_type.startswith("application/x-www-form-urlencoded"):
        try:
            pairs = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=100)
        except ValueError as failure:
            raise Unreadable("not a form") from failure
        return dict(pairs)
    return shaped(body, dict[str, Any])


def _what(how: SmsReports, status: str) -> What | None:
    if status in how.delivered:
        return "delivered"
    if status in how.bounced:
        return "bounced"
    return "failed" if status in how.failed else None
