"""API keys: made here, shown once, stored only as a keyed hash."""

import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from deploy.embedded.errors import EmbeddedError
from shared.access import Role, StoredApiKey, issue, stored_key
from shared.mongo import Database, MongoApiKeys, connect
from shared.settings import read_key


async def add_key(
    mongo_url: str, secret: bytes, *, title: str, role: Role, branches: Sequence[str] | None
) -> str:
    """Make a key and store its hash; gives its text."""
    while True:
        text, stored = issue(secret, title=title, roles=[role], branches=branches)
        if await _store(mongo_url, stored):
            return text


async def all_keys(mongo_url: str) -> Sequence[StoredApiKey]:
    """Every key, revoked ones too; none of them can be shown again."""
    async with _keys(mongo_url) as keys:
        return await keys.all()


async def revoke_key(mongo_url: str, prefix: str) -> bool:
    """Let a key open nothing any more; False when there is none of the prefix that still does."""
    async with _keys(mongo_url) as keys:
        return await keys.revoke(prefix)


async def ensure_owner_key(home: Path, mongo_url: str) -> str:
    """The owner's key of a home: made once, in a file, and known to the services."""
    path = home / "owner.key"
    secret = read_key(home / "hmac.key")
    if not path.exists():
        text, _ = issue(secret, title="owner", roles=[Role.OWNER])
        draft = path.with_suffix(".tmp")
        draft.touch(mode=0o600)
        draft.write_text(text + "\n")
        draft.replace(path)
    text = read_owner_key(home)
    # Again at each start: a kill may have come between the file and the database.
    await _store(mongo_url, stored_key(text, secret, title="owner", roles=[Role.OWNER]))
    return text


def read_owner_key(home: Path) -> str:
    """The owner's key of a home that was started before."""
    return (home / "owner.key").read_text().strip()


def hmac_secret(home: Path) -> bytes:
    """The secret of keyed hashes: of the environment's settings, else of the home."""
    named = os.environ.get("REGULARS_HMAC_KEY_FILE")
    try:
        return read_key(Path(named) if named else home / "hmac.key")
    except ValueError as failure:
        raise EmbeddedError(f"The secret of keyed hashes: {failure}") from failure


async def _store(mongo_url: str, stored: StoredApiKey) -> bool:
    async with _keys(mongo_url) as keys:
        return await keys.add(stored)


@asynccontextmanager
async def _keys(mongo_url: str) -> AsyncIterator[MongoApiKeys]:
    client = connect(mongo_url)
    try:
        prefix = os.environ.get("REGULARS_DATABASE_PREFIX", "")
        yield MongoApiKeys(Database(client, f"{prefix}access"))
    finally:
        client.close()
