"""What every store of API keys must do."""

from dataclasses import replace

import pytest

from shared.access import ApiKeys, StoredApiKey
from shared.memory import MemoryApiKeys
from shared.mongo import MongoApiKeys
from shared.testing import MongoSpace

CHAIN_WIDE = StoredApiKey("0123456789ab", "hash", ("owner",), None, "the owner's")
OF_A_BRANCH = StoredApiKey("ba9876543210", "other", ("cashier", "reader"), ("b7",), "till 7")
OF_NO_BRANCH = StoredApiKey("aaaaaaaaaaaa", "third", (), (), "nothing yet")


@pytest.fixture
def api_keys(space: MongoSpace | None) -> ApiKeys:
    """No keys yet."""
    return MemoryApiKeys() if space is None else MongoApiKeys(space.database("access"))


async def test_keys_are_found_by_their_prefix_as_they_were_stored(api_keys: ApiKeys) -> None:
    stored = (CHAIN_WIDE, OF_A_BRANCH, OF_NO_BRANCH)
    for key in stored:
        assert await api_keys.add(key)
    for key in stored:
        assert await api_keys.find(key.prefix) == key
    assert await api_keys.find("ffffffffffff") is None


async def test_a_revoked_key_is_kept_and_said_to_be_so(api_keys: ApiKeys) -> None:
    for key in (CHAIN_WIDE, OF_A_BRANCH):
        await api_keys.add(key)
    assert await api_keys.revoke(OF_A_BRANCH.prefix)
    assert not await api_keys.revoke(OF_A_BRANCH.prefix)
    assert not await api_keys.revoke("ffffffffffff")
    assert await api_keys.all() == [CHAIN_WIDE, replace(OF_A_BRANCH, revoked=True)]
    assert await api_keys.find(OF_A_BRANCH.prefix) == replace(OF_A_BRANCH, revoked=True)


async def test_a_taken_prefix_keeps_its_key(api_keys: ApiKeys) -> None:
    await api_keys.add(CHAIN_WIDE)
    thief = StoredApiKey(CHAIN_WIDE.prefix, "mine", ("owner",), None, "a thief's")
    assert not await api_keys.add(thief)
    assert await api_keys.find(CHAIN_WIDE.prefix) == CHAIN_WIDE
