"""Identifiers: one normal form per kind, so that the same phone is the same claim everywhere.

Every service that meets an identifier hashes the normal form with the chain's secret; only the
hash is compared, stored in the clear, or used to look somebody up.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import msgspec
import phonenumbers
from email_validator import EmailNotValidError, validate_email

from shared.decider import invalid
from shared.events.customer import IdentifierKind
from shared.keyring import keyed_hash

MAX_CHARACTERS = 200
LONGEST = 4_096
"""Of what a device gave out: tokens and subscriptions have no documented length."""
_LONGER: Mapping[str, int] = MappingProxyType({"push": LONGEST})
_TOKEN = re.compile(r"[!-~]+")
_BASE64URL = re.compile(r"[A-Za-z0-9_-]+=*")


class KnownIdentifier(msgspec.Struct, frozen=True, gc=False):
    """A normalised identifier with its keyed hash; the value never shows in a repr."""

    kind: IdentifierKind
    hash: str
    value: str

    def __repr__(self) -> str:
        """Without the value."""
        return f"KnownIdentifier(kind={self.kind!r}, hash={self.hash!r})"

    @property
    def claim_id(self) -> str:
        """The id of the claim on it."""
        return claim_id(self.kind, self.hash)


def claim_id(kind: str, value_hash: str) -> str:
    """The id of the claim on an identifier."""
    return f"{kind}|{value_hash}"


@dataclass(frozen=True, slots=True)
class IdentifierRules:
    """How the chain reads identifiers: its secret, and the region of phones without a prefix."""

    secret: bytes = field(repr=False)
    region: str | None = None

    def known(self, kind: IdentifierKind, value: str, path: str) -> KnownIdentifier:
        """The normal form and hash. Raises `Refused` that names the field at `path`."""
        longest = _LONGER.get(kind, MAX_CHARACTERS)
        if len(value) > longest:
            raise invalid(path, f"at most {longest} characters")
        normal = self._normal(kind, value.strip(), path)
        return KnownIdentifier(kind, keyed_hash(self.secret, kind, normal), normal)

    def _normal(self, kind: IdentifierKind, value: str, path: str) -> str:
        if not value:
            raise invalid(path, "must not be empty")
        match kind:
            case "phone":
                return _phone(value, self.region, path)
            case "email":
                return _email(value, path)
            case "card":
                return _card(value, path)
            case "external":
                return value
            case "messenger":
                return _messenger(value, path)
            case "social":
                return _profile(value, path)
            case "push":
                return _device(value, path)


def _phone(value: str, region: str | None, path: str) -> str:
    """E.164."""
    try:
        number = phonenumbers.parse(value, region)
    except phonenumbers.NumberParseException as failure:
        raise invalid(path, "a phone number with its country code, like +4930123456") from failure
    if not phonenumbers.is_possible_number(number):
        raise invalid(path, "no phone number has this length")
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def _email(value: str, path: str) -> str:
    """Lower case; special-use domains pass, since test and inner mail uses them."""
    try:
        found = validate_email(value, check_deliverability=False, test_environment=True)
    except EmailNotValidError as failure:
        raise invalid(path, "an e-mail address, like name@example.com") from failure
    return found.normalized.lower()


def _messenger(value: str, path: str) -> str:
    """As a profile; of WhatsApp the number in E.164, which it writes without the plus."""
    network, _, name = _profile(value, path).partition(":")
    if network != "whatsapp":
        return f"{network}:{name}"
    number = _phone("+" + name.removeprefix("+"), None, path)
    return f"{network}:{number}"


def _device(value: str, path: str) -> str:
    """`<provider>:<what the device gave out>`, whose letters count as they are.

    Of Web Push it is the JSON of the subscription, without what does not say where it leads.
    """
    provider, colon, token = (part.strip() for part in value.partition(":"))
    provider = provider.casefold()
    if provider == "webpush":
        return f"{provider}:{_subscription(token, path)}"
    if not (colon and provider.isascii() and provider.isalnum() and _TOKEN.fullmatch(token)):
        raise invalid(path, "a push provider and the token of the device, like fcm:dGhpcw")
    return f"{provider}:{token}"


class _Keys(msgspec.Struct):
    auth: str
    p256dh: str


class _Subscription(msgspec.Struct):
    """`PushSubscription.toJSON()` of the Push API."""

    endpoint: str
    keys: _Keys


def _subscription(token: str, path: str) -> str:
    form = "webpush: and the subscription as JSON, with endpoint, keys.auth and keys.p256dh"
    try:
        found = msgspec.json.decode(token, type=_Subscription)
    except (msgspec.MsgspecError, RecursionError) as failure:
        raise invalid(path, form) from failure
    keys = (found.keys.auth, found.keys.p256dh)
    safe = found.endpoint.startswith("https://") and _TOKEN.fullmatch(found.endpoint)
    if not (safe and all(_BASE64URL.fullmatch(key) for key in keys)):
        raise invalid(path, form)
    return msgspec.json.encode(found).decode()


def _profile(value: str, path: str) -> str:
    """`<network>:<name there>`, lower case, without the @ that people write before names."""
    network, colon, name = (part.strip() for part in value.casefold().partition(":"))
    name = name.removeprefix("@")
    if not (colon and name and network.isascii() and network.isalnum()):
        raise invalid(path, "a network and the name there, like telegram:anna")
    return f"{network}:{name}"


def _card(value: str, path: str) -> str:
    """Letters and digits, upper case; blanks and dashes are for the eye."""
    normal = value.replace(" ", "").replace("-", "").upper()
    if not (normal.isascii() and normal.isalnum()):
        raise invalid(path, "a card number of letters and digits")
    return normal
