"""Settings of notify: which providers there are, and how the chain is let in.

A channel exists where what it needs is set. Secrets never show: not in a repr, not in what is said
of a wrong setting.
"""

import re
from collections.abc import Mapping
from datetime import timedelta
from email.utils import parseaddr
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, FilePath, JsonValue, SecretStr, field_validator

from shared.settings import Settings

ADDRESS = re.compile(r"[^\s<>()\[\],;:\\\"@\x00-\x1f\x7f]+@[^\s<>()\[\],;:\\\"@\x00-\x1f\x7f]+")
"""What can be written as an address into an envelope and a header."""
_URL = r"^https?://[^\s?#]+$"

Url = Annotated[str, Field(pattern=_URL)]
Codes = frozenset[str]


def is_sender(text: str) -> bool:
    """Whether it can be the From of mail: an address, alone or after a name."""
    return text.isprintable() and ADDRESS.fullmatch(parseaddr(text)[1]) is not None


STOP_WORDS = frozenset({"stop", "stopall", "unsubscribe", "cancel", "end", "quit", "стоп"})
"""What carriers oblige senders to understand (CTIA, Messaging Principles and Best Practices)."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class SmsReports(_Part):
    """How the gateway tells what became of a message, and what people answer.

    Paths are as in `SmsGateway`. `signature` is the header that holds HMAC-SHA-256 of the body, in
    hex, by the secret. A callback with `text_at` filled is an answer of a person.
    """

    signature: str = "X-Signature"
    message_at: str | None = Field(default=None, description="our id, where it is given back")
    id_at: str = "id"
    status_at: str = "status"
    error_at: str | None = None
    from_at: str = "from"
    text_at: str = "text"
    delivered: Codes = frozenset({"delivered"})
    bounced: Codes = frozenset({"undeliverable"})
    failed: Codes = frozenset({"failed", "expired"})


class SmsGateway(_Part):
    """A gateway that takes messages by HTTP.

    Texts of `fields` and `headers` hold `{id}`, `{to}` (with a plus), `{digits}` (without),
    `{text}`, `{sender}` and `{secret}`. Paths into its JSON answers are names and numbers joined by
    dots: `messages.0.id`. What the value at `code_at` means is said by the sets; one that is in
    none of them is unknown. Without `code_at` the HTTP status alone counts. `segment_price` is what
    each message of a text costs, in minor units of the chain's currency.
    """

    url: Url
    method: Literal["POST", "PUT", "GET"] = "POST"
    form: Literal["json", "form", "query"] = "json"
    fields: dict[str, JsonValue]
    headers: Mapping[str, str] = {}
    sender: str = ""
    segment_price: int | None = Field(default=None, ge=0)
    id_at: str | None = None
    code_at: str | None = None
    accepted: Codes = frozenset()
    refused: Codes = frozenset()
    away: Codes = frozenset()
    rejected: Codes = frozenset()
    bad_address: Codes = frozenset()
    deduplicates: timedelta | None = Field(default=None, gt=timedelta(0))
    most_segments: int = Field(default=10, ge=1, le=255)
    at_once: int = Field(default=20, ge=1)
    per_second: float | None = Field(default=None, gt=0)
    reports: SmsReports | None = None


class ChannelSettings(Settings):
    """How the chain is let in by its providers.

    `mail_from` is the From of all mail that names none. `smtp_deduplicates` says for how long the
    server behind `smtp_url` delivers a Message-ID once (ISO 8601 duration); absent, it does not at
    all. `smtp_starttls` is what is done about TLS on a connection that began without. Messages of
    the webhook channel are posted to `webhook_url`; `webhook_deduplicates` says for how long who
    answers there takes an id once, `webhook_tells_deliveries` that it tells of what arrived.
    `sms_gateway` is JSON. `fcm_credentials_file` is the key file of a service account.
    `vapid_private_key` is the 32 bytes of a P-256 key in base64url, `vapid_subject` a `mailto:` or
    `https:` address for whoever runs a push service.
    """

    mail_from: str = "Regulars <news@regulars.invalid>"
    smtp_deduplicates: timedelta | None = Field(default=None, gt=timedelta(0))
    smtp_starttls: Literal["offered", "required", "never"] = "offered"
    sms_gateway: SmsGateway | None = None
    sms_secret: SecretStr = SecretStr("")
    webhook_url: Url | None = None
    webhook_deduplicates: timedelta | None = Field(default=None, gt=timedelta(0))
    webhook_tells_deliveries: bool = False
    telegram_url: Url = "https://api.telegram.org"
    telegram_token: SecretStr | None = None
    telegram_webhook_secret: SecretStr | None = None
    whatsapp_url: Url = "https://graph.facebook.com/v23.0"
    whatsapp_token: SecretStr | None = None
    whatsapp_phone_number_id: str | None = Field(default=None, pattern=r"^\d{1,30}$")
    whatsapp_app_secret: SecretStr | None = None
    whatsapp_verify_token: SecretStr | None = None
    fcm_url: Url = "https://fcm.googleapis.com"
    fcm_credentials_file: FilePath | None = None
    vapid_private_key: SecretStr | None = None
    vapid_subject: str | None = Field(default=None, pattern=r"^(mailto:|https://)\S+$")

    @field_validator("mail_from")
    @classmethod
    def _an_address(cls, value: str) -> str:
        if not is_sender(value):
            message = "should be an address, or a name with one: Shop <news@example.com>"
            raise ValueError(message)
        return value


class NotifySettings(ChannelSettings):
    """Notify's own settings; `zone` (IANA name) is the chain's, for customers who have no other.

    A broadcast to more than `broadcast_unconfirmed` is started by who confirms their number. An
    address from which `failures_most` messages came back within `failures_within` gets nothing.
    Who answers an SMS, or in a messenger, by one of `stop_words` alone gets no more that way.
    Bounces, complaints and answers by mail are read from `mailbox_folder` at `mailbox_url`.
    """

    zone: ZoneInfo = ZoneInfo("UTC")
    broadcast_unconfirmed: int = Field(default=10_000, ge=0)
    failures_most: int = Field(default=3, ge=1, le=100)
    failures_within: timedelta = Field(default=timedelta(days=30), gt=timedelta(0))
    stop_words: frozenset[str] = STOP_WORDS
    mailbox_url: str | None = Field(default=None, pattern=r"^imaps?://[^\s:@/]+@[^\s:@/]+(:\d+)?$")
    mailbox_password: SecretStr = SecretStr("")
    mailbox_folder: str = Field(default="INBOX", pattern=r"^[\x20-\x7e]{1,200}$")
