"""Settings come from the environment, are checked once at the start, and never change.

Every process of a chain reads the same names (prefix `REGULARS_`), so that clocks, prefixes and
keys cannot differ between them. A process with wrong settings does not start: it says what is
wrong, one line per setting, and exits with 2. Values are never repeated in such a line: a URL may
hold a password.
"""

import base64
import binascii
import re
import sys
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal, TypeVar

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from pydantic import (
    AfterValidator,
    AwareDatetime,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic_settings import BaseSettings, SettingsConfigDict
from pydantic_settings.exceptions import SettingsError

from shared.clock import SystemClock

PREFIX = "REGULARS_"
EXIT_CODE = 2
KEY_BYTES = 32
_SERVERS = re.compile(r"[^\s,:/]+:\d+(,[^\s,:/]+:\d+)*|\[[0-9a-fA-F:]+\]:\d+")

LogLevel = Literal["debug", "info", "warning", "error"]
SettingsT = TypeVar("SettingsT", bound="Settings")


def read_key(path: Path) -> bytes:
    """The key in a file: 32 bytes in base64. Raises ValueError that says what is wrong with it."""
    try:
        key = base64.b64decode(path.read_text(encoding="ascii").strip(), validate=True)
    except OSError as error:
        message = f"the file cannot be read: {error.strerror}"
        raise ValueError(message) from error
    except (binascii.Error, UnicodeDecodeError) as error:
        message = "the file holds no base64"
        raise ValueError(message) from error
    if len(key) != KEY_BYTES:
        message = f"the file must hold {KEY_BYTES} bytes in base64, and holds {len(key)}"
        raise ValueError(message)
    return key


def _holding_a_key(path: Path) -> Path:
    read_key(path)
    return path


def _bootstrap_servers(url: str) -> str:
    servers = url.removeprefix("kafka://")
    if not _SERVERS.fullmatch(servers):
        message = "should be host:port, several separated by commas"
        raise ValueError(message)
    return servers


KeyFile = Annotated[Path, AfterValidator(_holding_a_key)]


class Settings(BaseSettings):
    """What every service needs; a service adds its own by a subclass.

    `kafka_url` is `host:port[,host:port…]`; `kafka://` before it is dropped. `clock_shift` is an
    ISO 8601 duration (`P30D`, `-PT1H`); a frozen clock cannot be shifted as well. `replicas` is how
    many brokers keep each new topic. `phone_region` (ISO 3166) is that of phone numbers without a
    country code. `currency` (ISO 4217) is shown with amounts to people; without it they are plain
    numbers. `webhook_private_addresses` lets webhooks call hosts inside of the own network.
    `mail_from` is the From of all mail, `public_url` where people reach this service by the links
    in mails (its host and port when left out). `requests_in_flight` is how much a process takes on
    at once where that is bounded, in parts of 32 KiB. Records of the inbox are kept `inbox_days`,
    its dead letters `inbox_dead_days`, as said when the topics are made. What is bought together is
    found anew every `recommendations_hours`; a basket counts half after
    `recommendations_half_life_days`. Empty variables count as absent.
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_ignore_empty=True, frozen=True, hide_input_in_errors=True
    )

    kafka_url: Annotated[str, AfterValidator(_bootstrap_servers)]
    mongo_url: str = Field(pattern=r"^mongodb(\+srv)?://", repr=False)
    topic_prefix: str = Field(default="", pattern=r"^[A-Za-z0-9._-]{0,100}$")
    database_prefix: str = Field(default="", pattern=r"^[A-Za-z0-9_-]{0,30}$")
    partitions: int = Field(default=48, ge=1)
    replicas: int = Field(default=1, ge=1)
    clock_frozen_at: AwareDatetime | None = None
    clock_shift: timedelta = timedelta(0)
    master_key_file: KeyFile
    hmac_key_file: KeyFile
    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=0, le=65535)
    log_level: LogLevel = "info"
    smtp_url: str | None = Field(default=None, pattern=r"^smtps?://", repr=False)
    mail_from: str = "Regulars <news@regulars.invalid>"
    phone_region: str | None = Field(default=None, pattern=r"^[A-Z]{2}$")
    currency: str | None = Field(default=None, pattern=r"^[A-Z]{3}$")
    public_url: str | None = Field(default=None, pattern=r"^https?://[^\s?#]+[^\s?#/]$")
    webhook_private_addresses: bool = False
    recommendations_hours: float = Field(default=24.0, ge=0.1)
    recommendations_half_life_days: float = Field(default=180.0, gt=0)
    contact_reveals_per_hour: int = Field(default=1_000, ge=1)
    append_deadline_seconds: float = Field(default=2.0, gt=0)
    requests_in_flight: int = Field(default=256, ge=1)
    inbox_days: int = Field(default=7, ge=1)
    inbox_dead_days: int = Field(default=30, ge=1)

    @field_validator("log_level", mode="before")
    @classmethod
    def _any_case(cls, value: object) -> object:
        return value.lower() if isinstance(value, str) else value

    @field_validator("clock_shift")
    @classmethod
    def _not_frozen_too(cls, shift: timedelta, info: ValidationInfo) -> timedelta:
        if shift and info.data.get("clock_frozen_at") is not None:
            message = f"a clock that is frozen ({PREFIX}CLOCK_FROZEN_AT) cannot be shifted"
            raise ValueError(message)
        return shift

    @property
    def append_deadline(self) -> timedelta:
        """After this time a writer abandons an append; progress relies on it."""
        return timedelta(seconds=self.append_deadline_seconds)

    def clock(self) -> SystemClock:
        """The clock of this chain."""
        return SystemClock(frozen_at=self.clock_frozen_at, shift=self.clock_shift)

    def master_key(self) -> AESGCM:
        """The key that wraps the customers' keys. Raises ValueError when its file has changed."""
        return AESGCM(read_key(self.master_key_file))

    def hmac_secret(self) -> bytes:
        """The secret of all keyed hashes. Raises ValueError when its file has changed."""
        return read_key(self.hmac_key_file)


def complaints(error: ValidationError) -> list[str]:
    """One line per wrong setting, with the name of its variable and never its value."""
    lines = []
    for wrong in error.errors(include_input=False, include_url=False):
        name = PREFIX + ".".join(str(step) for step in wrong["loc"]).upper()
        text = "is not set" if wrong["type"] == "missing" else wrong["msg"]
        lines.append(f"{name}: {text.removeprefix('Value error, ')}")
    return lines


def read_settings(kind: type[SettingsT]) -> SettingsT:
    """The settings from the environment; with wrong ones, say which on stderr and exit with 2."""
    try:
        return kind()
    except ValidationError as error:
        lines = complaints(error)
    except SettingsError as error:
        lines = [str(error)]
    sys.stderr.write("".join(f"{line}\n" for line in lines))
    raise SystemExit(EXIT_CODE)
