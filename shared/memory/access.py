"""Keys of callers and of customers in dicts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from shared.access import StoredApiKey
from shared.keyring import StoredKey


@dataclass(slots=True)
class MemoryKeyStore:
    """Wrapped keys in a dict."""

    _keys: dict[str, StoredKey] = field(default_factory=dict)

    async def load(self, ids: Sequence[str]) -> Mapping[str, StoredKey]:
        """The stored ones of the keys."""
        return {key_id: self._keys[key_id] for key_id in ids if key_id in self._keys}

    async def insert(self, keys: Sequence[StoredKey]) -> None:
        """Store each key whose id is not taken."""
        for key in keys:
            self._keys.setdefault(key.id, key)

    async def erase(self, ids: Sequence[str], by: str) -> None:
        """Leave a tombstone at each id for good."""
        for key_id in ids:
            present = self._keys.get(key_id)
            if present is None or present.wrapped is not None:
                self._keys[key_id] = StoredKey(key_id, None, by)


@dataclass(slots=True)
class MemoryApiKeys:
    """API keys in a dict."""

    _stored: dict[str, StoredApiKey] = field(default_factory=dict)

    async def find(self, prefix: str) -> StoredApiKey | None:
        """The key with the prefix."""
        return self._stored.get(prefix)

    async def add(self, key: StoredApiKey) -> bool:
        """Store a key; False when the prefix is taken."""
        if key.prefix in self._stored:
            return False
        self._stored[key.prefix] = key
        return True

    async def all(self) -> Sequence[StoredApiKey]:
        """Every key by its prefix, revoked ones too."""
        return [key for _, key in sorted(self._stored.items())]

    async def revoke(self, prefix: str) -> bool:
        """Revoke a key; False when there is none, or none that is not revoked already."""
        stored = self._stored.get(prefix)
        if stored is None or stored.revoked:
            return False
        self._stored[prefix] = replace(stored, revoked=True)
        return True
