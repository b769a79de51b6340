"""What every store of wrapped keys must do, and the keyring over it."""

import asyncio
import os

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from shared.keyring import Erased, Keyring, KeyStore, MissingKey, StoredKey, seal, unseal

PATHS = (("surname",),)


async def test_keys_come_back_as_they_were_stored(keys: KeyStore) -> None:
    stored = [StoredKey("1", b"\x00wrapped\xff"), StoredKey("2", None)]
    await keys.insert(stored)
    assert await keys.load(["1", "2", "3"]) == {"1": stored[0], "2": stored[1]}
    assert await keys.load([]) == {}


async def test_a_taken_id_keeps_its_key_and_its_tombstone(keys: KeyStore) -> None:
    await keys.insert([StoredKey("1", b"first"), StoredKey("2", None)])
    await keys.insert([StoredKey("1", b"late"), StoredKey("2", b"late"), StoredKey("3", b"new")])
    assert await keys.load(["1", "2", "3"]) == {
        "1": StoredKey("1", b"first"),
        "2": StoredKey("2", None),
        "3": StoredKey("3", b"new"),
    }


async def test_storing_nothing_is_nothing(keys: KeyStore) -> None:
    await keys.insert([])
    assert await keys.load(["1"]) == {}


async def test_processes_that_make_a_key_at_once_end_with_the_same_one(keys: KeyStore) -> None:
    master = AESGCM(os.urandom(32))
    rings = [Keyring(keys, master) for _ in range(4)]
    made = await asyncio.gather(*(ring.ensure(["1"]) for ring in rings))
    data = {"surname": "Ivanova"}
    key = made[0]["1"]
    assert isinstance(key, AESGCM)
    seal(data, PATHS, "1", key, "customer-1")
    for ring_keys in made:
        copy = dict(data)
        unseal(copy, PATHS, ring_keys)
        assert copy == {"surname": "Ivanova"}


async def test_a_key_opens_only_with_the_master_key_and_under_its_own_id(keys: KeyStore) -> None:
    ring = Keyring(keys, AESGCM(os.urandom(32)))
    await ring.ensure(["1"])
    with pytest.raises(InvalidTag):
        await Keyring(keys, AESGCM(os.urandom(32))).get(["1"])
    wrapped = (await keys.load(["1"]))["1"].wrapped
    await keys.insert([StoredKey("2", wrapped)])
    with pytest.raises(InvalidTag):
        await ring.get(["2"])


async def test_a_tombstone_is_never_replaced_by_a_new_key(keys: KeyStore) -> None:
    await keys.insert([StoredKey("1", None)])
    ring = Keyring(keys, AESGCM(os.urandom(32)))
    assert isinstance((await ring.ensure(["1"]))["1"], Erased)
    assert (await keys.load(["1"]))["1"].wrapped is None


async def test_a_missing_key_stops_and_is_found_once_it_is_there(keys: KeyStore) -> None:
    ring = Keyring(keys, AESGCM(os.urandom(32)))
    with pytest.raises(MissingKey, match="no key 2"):
        await ring.get(["2"])
    await ring.ensure(["2"])
    assert set(await ring.get(["2"])) == {"2"}


async def test_an_erase_leaves_tombstones_that_name_it(keys: KeyStore) -> None:
    await keys.insert([StoredKey("1", b"one"), StoredKey("2", b"two")])
    await keys.erase(["1", "never made"], "erase-1")
    assert await keys.load(["1", "2", "never made"]) == {
        "1": StoredKey("1", None, "erase-1"),
        "2": StoredKey("2", b"two"),
        "never made": StoredKey("never made", None, "erase-1"),
    }


async def test_a_second_erase_changes_nothing(keys: KeyStore) -> None:
    await keys.insert([StoredKey("1", b"one")])
    await keys.erase(["1"], "erase-1")
    await keys.erase(["1", "2"], "erase-2")
    await keys.erase([], "erase-3")
    assert await keys.load(["1", "2"]) == {
        "1": StoredKey("1", None, "erase-1"),
        "2": StoredKey("2", None, "erase-2"),
    }


async def test_no_key_is_stored_where_one_was_erased(keys: KeyStore) -> None:
    await keys.erase(["1"], "erase-1")
    await keys.insert([StoredKey("1", b"late"), StoredKey("2", b"two")])
    assert await keys.load(["1", "2"]) == {
        "1": StoredKey("1", None, "erase-1"),
        "2": StoredKey("2", b"two"),
    }


async def test_a_key_that_is_made_while_it_is_erased_does_not_stay(keys: KeyStore) -> None:
    master = AESGCM(os.urandom(32))
    ids = [str(number) for number in range(20)]
    await asyncio.gather(
        *(Keyring(keys, master).ensure([key_id]) for key_id in ids),
        *(keys.erase([key_id], "erase-1") for key_id in ids),
    )
    assert {key.wrapped for key in (await keys.load(ids)).values()} == {None}
    assert set(await Keyring(keys, master).erased(ids)) == set(ids)


async def test_the_process_that_erases_forgets_the_key_at_once(keys: KeyStore) -> None:
    ring = Keyring(keys, AESGCM(os.urandom(32)))
    await ring.ensure(["1", "2"])
    assert await ring.erased(["1", "2", "3"]) == {}
    await ring.erase(["1", "3"], "erase-1")
    found = await ring.ensure(["1", "2", "3"])
    assert [isinstance(found[key_id], Erased) for key_id in ("1", "2", "3")] == [True, False, True]
    assert await ring.erased(["1", "2", "3"]) == {"1": "erase-1", "3": "erase-1"}
