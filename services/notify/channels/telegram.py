"""Telegram by its Bot API (core.telegram.org/bots/api, `sendMessage`, "Making requests").

| what happens | receipt |
| --- | --- |
| `ok` | accepted, by `message_id` |
| 429 | away, for `parameters.retry_after` seconds |
| 403: the bot was blocked, the person is gone, or never wrote to it | rejected: bad address |
| 400 "chat not found" | rejected: bad address |
| 400, other | rejected |
| 401, 404: the token is wrong | away |
| 500 and other 5xx; an answer that is none | unknown |
| anything else | as `channels/asking.py` has it |

It deduplicates nothing. A text has at most 4,096 letters, the bot says at most 30 a second.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import ClassVar

import msgspec
from pydantic import SecretStr

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
from services.notify.channels.reports import Heard, Reply, Report, check, header, moment, shaped
from services.notify.channels.turns import Turns

SECRET_HEADER = "X-Telegram-Bot-Api-Secret-Token"  # noqa: S105 - the name of a header
PER_SECOND = 30.0
AT_ONCE = 20
LONGEST = 4096
_BUSY, _FORBIDDEN, _WRONG = 429, 403, 400
_GONE = frozenset({"kicked", "left"})


class _Parameters(msgspec.Struct):
    retry_after: float | None = None


class _Sent(msgspec.Struct):
    message_id: int


class _Said(msgspec.Struct):
    """An answer of the API."""

    ok: bool
    result: _Sent | None = None
    error_code: int = 0
    description: str = ""
    parameters: _Parameters | None = None


@dataclass(slots=True)
class Telegram:
    """Writes as a bot; addresses are ids of chats."""

    url: str
    token: SecretStr
    per_second: float | None = PER_SECOND
    name: ClassVar[str] = "telegram"
    serves: ClassVar[Way] = "messenger"
    reaches: ClassVar[Contact] = "messenger"
    deduplicates: ClassVar[timedelta | None] = None
    longest: ClassVar[int | None] = LONGEST
    at_once: ClassVar[int] = AT_ONCE
    _asking: Asking = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._asking = Asking(Turns(self.at_once, self.per_second))

    async def send(self, message: Outgoing) -> Receipt:
        """Hand one message over."""
        if len(message.text) > LONGEST:
            return Rejected("too-long")
        request = Request(
            url=f"{self.url}/bot{self.token.get_secret_value()}/sendMessage",
            content=msgspec.json.encode({"chat_id": message.address, "text": message.text}),
            headers={"Content-Type": "application/json"},
        )
        return await self._asking.ask(request, message.deadline, receipt)

    async def close(self) -> None:
        """Let go of connections."""
        await self._asking.close()


def receipt(answer: Answer) -> Receipt:
    """What an answer says."""
    said = answer.of(_Said)
    if said is None:
        return undocumented(answer)
    if said.ok:
        return Unknown() if said.result is None else Accepted(str(said.result.message_id))
    code = str(said.error_code)
    if said.error_code == _BUSY:
        asked = None if said.parameters is None else said.parameters.retry_after
        return NotTaken("away", code, answer.retry_after if asked is None else asked)
    if said.error_code == _FORBIDDEN:
        return Rejected(code, address=True)
    if said.error_code == _WRONG:
        return Rejected(code, address="chat not found" in said.description)
    return undocumented(answer)


class _Chat(msgspec.Struct):
    id: int


class _Quoted(msgspec.Struct):
    message_id: int


class _Message(msgspec.Struct):
    message_id: int
    date: int
    chat: _Chat
    text: str | None = None
    caption: str | None = None
    reply_to_message: _Quoted | None = None


class _Membership(msgspec.Struct):
    status: str


class _Changed(msgspec.Struct):
    date: int
    chat: _Chat
    new_chat_member: _Membership


class _Update(msgspec.Struct):
    update_id: int
    message: _Message | None = None
    my_chat_member: _Changed | None = None


def heard(headers: Mapping[str, str], body: bytes, secret: str) -> Sequence[Heard]:
    """What an update says ("Getting updates", `setWebhook` with `secret_token`).

    Who blocks the bot is bad as an address until a person releases it. Telegram tells nothing of
    what was delivered or read. Raises `BadSignature`, `Unreadable`.
    """
    # Of equal length, so that the comparison tells nothing of the secret's.
    expected = hashlib.sha256(secret.encode()).hexdigest() if secret else ""
    check(hashlib.sha256(header(headers, SECRET_HEADER).encode()).hexdigest(), expected)
    update = shaped(body, _Update)
    if update.message is not None:
        return _reply(update.update_id, update.message)
    changed = update.my_chat_member
    if changed is None or changed.new_chat_member.status not in _GONE:
        return ()
    address = str(changed.chat.id)
    gone = changed.new_chat_member.status
    return (Report("bounced", permanent=True, code=gone, at=moment(changed.date), address=address),)


def _reply(update: int, message: _Message) -> Sequence[Heard]:
    quoted = message.reply_to_message
    return (
        Reply(
            address=str(message.chat.id),
            text=message.text or message.caption or "",
            id=str(update),
            at=moment(message.date),
            answers=None if quoted is None else str(quoted.message_id),
        ),
    )
