"""Personal fields are sealed from the first event on, with a key of each customer's own.

AES-256-GCM (NIST SP 800-38D) with a random 96-bit nonce; the additional data is stream and field,
so that a token cannot be moved to another place unnoticed. A token names its key, stream and field,
because a value that is absorbed or moved keeps those of its first stream:

    pii:v1:<key>:<stream>:<field>:<base64url of nonce + ciphertext>

Keys are wrapped by a master key (AES-256-GCM too, additional data = the key's id) and live in the
`keyring` database. A missing key stops the reader; only a tombstone, left by an erase, redacts. A
tombstone is for good: no key is ever stored in its place.
"""

import base64
import hmac
import os
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Protocol

import msgspec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from shared.events.contract import EACH, Path

Json = Any
"""Any JSON value."""

PREFIX = "pii:v1:"
_TOKEN = re.compile(r"pii:v1:[^:]+:[^:]+:.+:[\w-]{38,}={0,2}", re.DOTALL | re.ASCII)
"""A secret is 28 bytes at the least, nonce and tag: 38 characters."""
NONCE_BYTES = 12
KEY_BYTES = 32
CACHE_SECONDS = 30.0
CACHE_KEYS = 50_000


class MissingKey(LookupError):  # noqa: N818 - says what is missing
    """A sealed field names a key that the keyring does not hold: stop, never pass over."""


@dataclass(frozen=True, slots=True)
class StoredKey:
    """A key as the keyring database holds it: wrapped, or a tombstone (`wrapped` is None).

    `erased_by` names the erase that left the tombstone.
    """

    id: str
    wrapped: bytes | None
    erased_by: str | None = None


class KeyStore(Protocol):
    """Where wrapped keys live."""

    async def load(self, ids: Sequence[str]) -> Mapping[str, StoredKey]:
        """The stored ones of the keys."""
        ...

    async def insert(self, keys: Sequence[StoredKey]) -> None:
        """Store each key whose id is not taken, also by a tombstone; leave the others alone."""
        ...

    async def erase(self, ids: Sequence[str], by: str) -> None:
        """Leave a tombstone at each id for good, also where no key was; the first `by` stays."""
        ...


class Erased:
    """What stands in a key's place after an erase."""


ERASED = Erased()
KeyOrErased = AESGCM | Erased
Keys = Mapping[str, KeyOrErased]


@dataclass(slots=True)
class Keyring:
    """Keys by id, unwrapped, through a short cache."""

    store: KeyStore
    master: AESGCM
    _cache: dict[str, tuple[float, KeyOrErased]] = field(default_factory=dict)

    async def ensure(self, ids: Iterable[str]) -> Keys:
        """The keys, those that are not there made first."""
        wanted = set(ids)
        found = await self._find(wanted)
        if missing := sorted(wanted - found.keys()):
            made = [StoredKey(key_id, self._wrap(key_id)) for key_id in missing]
            await self.store.insert(made)
            # Another process may have been faster: what the store holds counts.
            found |= await self._find(set(missing))
        return found

    async def get(self, ids: Iterable[str]) -> Keys:
        """The keys, or their tombstones. Raises `MissingKey` where there is neither."""
        wanted = set(ids)
        found = await self._find(wanted)
        if missing := wanted - found.keys():
            message = f"the keyring holds no key {min(missing)}"
            raise MissingKey(message)
        return found

    async def erase(self, ids: Iterable[str], by: str) -> None:
        """Destroy the keys for good; `by` is the id of the erase. Done again, it changes nothing.

        An id that had no key gets none any more. Other processes may seal and open for
        `CACHE_SECONDS` yet; what they seal then can be read by nobody after that.
        """
        erased = sorted(set(ids))
        await self.store.erase(erased, by)
        expires = time.monotonic() + CACHE_SECONDS
        self._cache.update(dict.fromkeys(erased, (expires, ERASED)))

    async def erased(self, ids: Iterable[str]) -> Mapping[str, str | None]:
        """Those of the keys that are erased, and by which erase, as it is stored now."""
        stored = await self.store.load(sorted(set(ids)))
        return {key.id: key.erased_by for key in stored.values() if key.wrapped is None}

    async def _find(self, wanted: set[str]) -> dict[str, KeyOrErased]:
        now = time.monotonic()
        found = {
            key_id: entry[1]
            for key_id in wanted
            if (entry := self._cache.get(key_id)) is not None and entry[0] > now
        }
        if missing := wanted - found.keys():
            stored = await self.store.load(sorted(missing))
            # An erase that ended while the store was asked is final, whatever was read.
            fresh = {
                key.id: ERASED if self._cached(key.id) is ERASED else self._unwrap(key)
                for key in stored.values()
            }
            if len(self._cache) + len(fresh) > CACHE_KEYS:
                self._cache.clear()
            expires = now + CACHE_SECONDS
            self._cache.update({key_id: (expires, key) for key_id, key in fresh.items()})
            found |= fresh
        return found

    def _cached(self, key_id: str) -> KeyOrErased | None:
        entry = self._cache.get(key_id)
        return None if entry is None else entry[1]

    def _wrap(self, key_id: str) -> bytes:
        nonce = os.urandom(NONCE_BYTES)
        return nonce + self.master.encrypt(nonce, os.urandom(KEY_BYTES), key_id.encode())

    def _unwrap(self, key: StoredKey) -> KeyOrErased:
        if key.wrapped is None:
            return ERASED
        nonce, wrapped = key.wrapped[:NONCE_BYTES], key.wrapped[NONCE_BYTES:]
        return AESGCM(self.master.decrypt(nonce, wrapped, key.id.encode()))


def keyed_hash(secret: bytes, kind: str, value: str) -> str:
    """HMAC-SHA-256 (RFC 2104), hex, of a kind and a normalised value."""
    made = _prepared(secret).copy()
    made.update(f"{kind}|{value}".encode())
    return made.hexdigest()


@lru_cache(maxsize=4)
def _prepared(secret: bytes) -> hmac.HMAC:
    """The hash as it is before any value: to begin it takes twice as long as all the rest."""
    return hmac.new(secret, digestmod="sha256")


def is_token(text: str) -> bool:
    """Whether the text has the form of a token. It may be anybody's, and anybody may have sent it.

    Somebody who sends another customer's token as a name of his own would read it opened: so only
    text that certainly comes from events is ever asked this.
    """
    return _TOKEN.fullmatch(text) is not None


def nothing(_text: str) -> bool:
    """Passes over no text: each is sealed, whatever it looks like."""
    return False


def seal(
    data: dict[str, Any],
    paths: Sequence[Path],
    key_id: str,
    key: AESGCM,
    stream: str,
    *,
    passing: Callable[[str], bool] = nothing,
) -> None:
    """Replace each value at the paths by its token, in place, but texts that are `passing`.

    Raises ValueError for ids that a token cannot name.
    """
    if ":" in key_id or ":" in stream:
        raise ValueError("ids of keys and streams hold no colon")

    def sealed(value: Json, name: str) -> str:
        if isinstance(value, str) and passing(value):
            return value
        nonce = os.urandom(NONCE_BYTES)
        text = key.encrypt(nonce, msgspec.json.encode(value), _aad(stream, name))
        token = base64.urlsafe_b64encode(nonce + text).decode()
        return f"{PREFIX}{key_id}:{stream}:{name}:{token}"

    for path in paths:
        _replace(data, path, path, sealed)


def has_values(data: Json, paths: Sequence[Path]) -> bool:
    """Whether anything stands at the paths."""
    found: list[Any] = []

    def note(value: Json, _name: str) -> Json:
        found.append(value)
        return value

    for path in paths:
        _replace(data, path, path, note)
    return bool(found)


def key_ids(data: Json, paths: Sequence[Path]) -> set[str]:
    """The ids of the keys that the tokens at the paths name."""
    return {token.split(":", 3)[2] for token in tokens(data, paths)}


def tokens(data: Json, paths: Sequence[Path]) -> set[str]:
    """The tokens at the paths."""
    found: set[str] = set()

    def note(value: Json, _name: str) -> Json:
        if isinstance(value, str) and value.startswith(PREFIX):
            found.add(value)
        return value

    for path in paths:
        _replace(data, path, path, note)
    return found


def redact(data: dict[str, Any], paths: Sequence[Path], keys: Keys) -> None:
    """Remove each token at the paths whose key was erased, in place; the others stay as they are.

    Raises `MissingKey` for one whose key was not given.
    """

    def redacted(value: Json, _name: str) -> Json:
        if not (isinstance(value, str) and value.startswith(PREFIX)):
            return value
        return ERASED if isinstance(_key(keys, value.split(":", 3)[2]), Erased) else value

    for path in paths:
        _replace(data, path, path, redacted)


def unseal(data: dict[str, Any], paths: Sequence[Path], keys: Keys) -> None:
    """Replace each token at the paths by its value, in place; of an erased key, remove it.

    Raises `cryptography.exceptions.InvalidTag` for a token that was changed or moved, and
    `MissingKey` for one whose key was not given.
    """

    def opened(value: Json, _name: str) -> Json:
        if not (isinstance(value, str) and value.startswith(PREFIX)):
            return value
        # A field's name may hold colons (custom fields are named by people), nothing else does.
        place, _, token = value.rpartition(":")
        _, _, key_id, stream, name = place.split(":", 4)
        key = _key(keys, key_id)
        if isinstance(key, Erased):
            return ERASED
        raw = base64.urlsafe_b64decode(token)
        text = key.decrypt(raw[:NONCE_BYTES], raw[NONCE_BYTES:], _aad(stream, name))
        return msgspec.json.decode(text)

    for path in paths:
        _replace(data, path, path, opened)


def _key(keys: Keys, key_id: str) -> KeyOrErased:
    key = keys.get(key_id)
    if key is None:
        message = f"no key {key_id} was given"
        raise MissingKey(message)
    return key


def _aad(stream: str, name: str) -> bytes:
    return f"{stream}|{name}".encode()


def _replace(node: Json, path: Path, whole: Path, change: Callable[[Json, str], Json]) -> None:
    """Apply the change at the path below the node, and drop what it turned into ERASED."""
    step, rest = path[0], path[1:]
    if isinstance(node, dict):
        places = list(node) if step == EACH else [step] if step in node else []
    else:
        # Data of another shape is for its decoder to refuse.
        places = list(range(len(node))) if isinstance(node, list) and step == EACH else []
    for place in reversed(places):
        if rest:
            _replace(node[place], rest, whole, change)
            continue
        # The field's name in the token tells the values of one map apart, not items of a list.
        named = whole if isinstance(place, int) else (*whole[:-1], place)
        value = change(node[place], ".".join(named))
        if value is ERASED:
            del node[place]
        else:
            node[place] = value
