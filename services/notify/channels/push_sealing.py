"""What a push service is given: sealed for the browser alone, and signed by the chain. Pure.

Sealing is RFC 8291 (with RFC 8188, `aes128gcm`, one record), the signature RFC 8292 (VAPID).
"""

import base64
import binascii
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import urlsplit

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from joserfc import jwt
from joserfc.jwk import ECKey

RECORD_BYTES = 4096
"""What every push service takes (RFC 8030, section 7.2); salt, key, tag and mark are part of it."""
_OVERHEAD = 16 + 4 + 1 + 65 + 16 + 1
LARGEST = RECORD_BYTES - _OVERHEAD
SALT_BYTES = 16
AUTH_BYTES = 16
KEY_BYTES = 32
_LAST_RECORD = b"\x02"


class _Keys(msgspec.Struct):
    p256dh: str
    auth: str


class _Given(msgspec.Struct):
    endpoint: str
    keys: _Keys


@dataclass(frozen=True, slots=True)
class Subscription:
    """What a browser gave out: `PushSubscription.toJSON()` of the Push API."""

    endpoint: str = field(repr=False)
    public: ec.EllipticCurvePublicKey = field(repr=False)
    auth: bytes = field(repr=False)

    @classmethod
    def of(cls, text: str) -> Self:
        """From its JSON. Raises ValueError for what is none."""
        given = msgspec.json.decode(text, type=_Given)
        auth = from_base64url(given.keys.auth)
        parts = urlsplit(given.endpoint)
        if len(auth) != AUTH_BYTES or parts.scheme not in ("https", "http") or not parts.hostname:
            message = "no subscription"
            raise ValueError(message)
        point = from_base64url(given.keys.p256dh)
        public = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
        return cls(given.endpoint, public, auth)


def from_base64url(text: str) -> bytes:
    """The bytes, with or without padding. Raises ValueError."""
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except binascii.Error as failure:
        message = "no base64url"
        raise ValueError(message) from failure


def to_base64url(raw: bytes) -> str:
    """Without padding."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def sealed(text: bytes, to: Subscription, own: ec.EllipticCurvePrivateKey, salt: bytes) -> bytes:
    """The body for a browser; `own` and `salt` are used once. At most `LARGEST` bytes of text."""
    shared = own.exchange(ec.ECDH(), to.public)
    mine, theirs = _point(own.public_key()), _point(to.public)
    info = b"WebPush: info\x00" + theirs + mine
    key_material = HKDF(SHA256(), 32, to.auth, info).derive(shared)
    key = HKDF(SHA256(), 16, salt, b"Content-Encoding: aes128gcm\x00").derive(key_material)
    nonce = HKDF(SHA256(), 12, salt, b"Content-Encoding: nonce\x00").derive(key_material)
    header = salt + RECORD_BYTES.to_bytes(4, "big") + bytes([len(mine)]) + mine
    return header + AESGCM(key).encrypt(nonce, text + _LAST_RECORD, None)


@dataclass(frozen=True, slots=True)
class Vapid:
    """Who the chain is for push services: a key of its own, and where somebody can be asked."""

    key: ec.EllipticCurvePrivateKey = field(repr=False)
    subject: str

    @classmethod
    def of(cls, private: str, subject: str) -> Self:
        """From the 32 bytes of the key in base64url. Raises ValueError without the value."""
        try:
            raw = from_base64url(private)
        except ValueError:
            raw = b""
        if len(raw) != KEY_BYTES:
            message = f"the VAPID key must be {KEY_BYTES} bytes in base64url"
            raise ValueError(message)
        return cls(ec.derive_private_key(int.from_bytes(raw, "big"), ec.SECP256R1()), subject)

    @property
    def public(self) -> str:
        """What browsers are given as `applicationServerKey`."""
        return to_base64url(_point(self.key.public_key()))

    def authorization(self, endpoint: str, until: int) -> str:
        """The header for a push service; `until` is unix seconds, at most a day from now."""
        parts = urlsplit(endpoint)
        claims = {"aud": f"{parts.scheme}://{parts.netloc}", "exp": until, "sub": self.subject}
        numbers = self.key.private_numbers()
        key = ECKey.import_key(
            {
                "kty": "EC",
                "crv": "P-256",
                "x": to_base64url(numbers.public_numbers.x.to_bytes(KEY_BYTES, "big")),
                "y": to_base64url(numbers.public_numbers.y.to_bytes(KEY_BYTES, "big")),
                "d": to_base64url(numbers.private_value.to_bytes(KEY_BYTES, "big")),
            }
        )
        token = jwt.encode({"alg": "ES256", "typ": "JWT"}, claims, key)
        return f"vapid t={token}, k={self.public}"


def _point(key: ec.EllipticCurvePublicKey) -> bytes:
    return key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
