"""Personal fields: sealed, opened, redacted; and nothing passes for sealed that is not."""

import asyncio
import base64
import copy
import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import example, given, settings
from hypothesis import strategies as st

from shared import events
from shared.events import EVENT_TYPES
from shared.events.contract import pii_paths
from shared.events.customer import CustomerRegistered, IdentifierAdded
from shared.keyring import (
    ERASED,
    PREFIX,
    Keyring,
    Keys,
    MissingKey,
    StoredKey,
    is_token,
    key_ids,
    keyed_hash,
    redact,
    seal,
    tokens,
    unseal,
)
from shared.memory import MemoryKeyStore

EXAMPLES = Path(events.__file__).parent / "examples"
KEY = AESGCM(bytes(range(32)))
OTHER = AESGCM(bytes(range(1, 33)))
PATHS = (("surname",), ("identifiers", "*", "value"), ("custom", "*"))
STREAM = "customer-1"
KEYS: Keys = {"1": KEY}


def somebody() -> dict[str, Any]:
    return {
        "surname": "Иванова",
        "gender": "female",
        "identifiers": [
            {"kind": "email", "hash": "aa", "value": "a@example.com"},
            {"kind": "card", "hash": "bb"},
            {"kind": "phone", "hash": "cc", "value": "+70000000000"},
        ],
        "custom": {"shoe: left": 38, "vip": True, "pets": ["cat", "dog"], "": ""},
    }


def sealed() -> dict[str, Any]:
    data = somebody()
    seal(data, PATHS, "1", KEY, STREAM)
    return data


def parts(token: str) -> list[str]:
    """`pii`, `v1`, key, stream, field, secret."""
    head, _, secret = token.rpartition(":")
    return [*head.split(":", 4), secret]


def test_what_was_sealed_opens_to_what_it_was() -> None:
    data = sealed()
    unseal(data, PATHS, KEYS)
    assert data == somebody()


def test_a_sealed_event_shows_no_personal_value() -> None:
    text = repr(data := sealed())
    # Shorter ones would stand in a ciphertext by chance now and then.
    for personal in ("Иванова", "example.com", "+7000"):
        assert personal not in text
    assert all(is_token(each) for each in data["custom"].values())
    assert "female" in text
    assert "bb" in text


def test_a_token_names_its_key_stream_and_field() -> None:
    data = sealed()
    assert parts(data["surname"])[:5] == ["pii", "v1", "1", STREAM, "surname"]
    assert parts(data["identifiers"][2]["value"])[4] == "identifiers.*.value"
    assert parts(data["custom"]["vip"])[4] == "custom.vip"


def test_absent_fields_stay_absent() -> None:
    data: dict[str, Any] = {"surname": None, "identifiers": []}
    seal(data, (*PATHS[1:], ("name",)), "1", KEY, STREAM)
    assert data == {"surname": None, "identifiers": []}
    unseal(data, PATHS, KEYS)
    assert data == {"surname": None, "identifiers": []}


def test_the_same_value_never_gives_the_same_token() -> None:
    assert sealed()["surname"] != sealed()["surname"]


@pytest.mark.parametrize("place", [2, 3, 4])
def test_a_token_that_is_said_to_stand_elsewhere_is_refused(place: int) -> None:
    """Its key's name, stream or field was changed: the ciphertext vouches for all three."""
    moved = parts(sealed()["surname"])
    moved[place] = {2: "2", 3: "customer-2", 4: "name"}[place]
    keys = {"1": KEY, "2": OTHER}
    with pytest.raises(InvalidTag):
        unseal({"surname": ":".join(moved)}, PATHS, keys)


@settings(max_examples=50)
@given(position=st.integers(min_value=0, max_value=33), bit=st.integers(min_value=0, max_value=7))
def test_a_token_with_one_changed_bit_is_refused(position: int, bit: int) -> None:
    data = {"surname": "Ivan"}
    seal(data, PATHS, "1", KEY, STREAM)
    *place, secret = parts(data["surname"])
    # 12 bytes of nonce, 6 of the JSON text `"Ivan"`, 16 of the tag: 34.
    raw = bytearray(base64.urlsafe_b64decode(secret))
    assert len(raw) == 34
    raw[position] ^= 1 << bit
    changed = ":".join([*place, base64.urlsafe_b64encode(raw).decode()])
    with pytest.raises(InvalidTag):
        unseal({"surname": changed}, PATHS, KEYS)


def test_a_value_of_another_stream_opens_with_the_place_that_it_names() -> None:
    """An absorbed value keeps the key and place of its first stream."""
    foreign = {"name": "Anna"}
    seal(foreign, (("name",),), "2", OTHER, "customer-2")
    data = {"surname": foreign["name"]}
    assert key_ids(data, PATHS) == {"2"}
    unseal(data, PATHS, {"1": KEY, "2": OTHER})
    assert data == {"surname": "Anna"}


def test_fields_of_an_erased_customer_are_removed_and_only_they() -> None:
    data = sealed()
    unseal(data, PATHS, {"1": ERASED})
    assert data == {
        "gender": "female",
        "identifiers": [
            {"kind": "email", "hash": "aa"},
            {"kind": "card", "hash": "bb"},
            {"kind": "phone", "hash": "cc"},
        ],
        "custom": {},
    }


def test_items_of_an_erased_customer_leave_a_list_without_holes() -> None:
    notes: dict[str, Any] = {"notes": ["a", "b", "c"]}
    paths = (("notes", "*"),)
    seal(notes, paths, "1", KEY, STREAM)
    mixed = copy.deepcopy(notes)
    mixed["notes"].insert(1, "in the clear")
    unseal(mixed, paths, {"1": ERASED})
    assert mixed == {"notes": ["in the clear"]}
    unseal(notes, paths, KEYS)
    assert notes == {"notes": ["a", "b", "c"]}


def test_a_key_that_was_not_given_stops() -> None:
    data = sealed()
    before = copy.deepcopy(data)
    with pytest.raises(MissingKey, match="no key 1"):
        unseal(data, PATHS, {"2": OTHER})
    assert data == before


def test_the_keys_of_all_tokens_are_named() -> None:
    data = sealed()
    foreign = {"surname": "x"}
    seal(foreign, PATHS, "2", OTHER, "customer-2")
    data["identifiers"][0]["value"] = foreign["surname"]
    assert key_ids(data, PATHS) == {"1", "2"}
    assert key_ids(somebody(), PATHS) == set()


def test_text_that_only_looks_sealed_is_sealed_like_any_other() -> None:
    """Nobody gets another's field opened by sending its token as their own name."""
    data = {"surname": sealed()["surname"]}
    sent = data["surname"]
    seal(data, PATHS, "2", OTHER, "customer-2")
    unseal(data, PATHS, {"1": KEY, "2": OTHER})
    assert data == {"surname": sent}


@pytest.mark.parametrize(("key_id", "stream"), [("a:b", "customer-1"), ("1", "customer:1")])
def test_ids_that_a_token_cannot_name_are_refused(key_id: str, stream: str) -> None:
    with pytest.raises(ValueError, match="no colon"):
        seal({"surname": "x"}, PATHS, key_id, KEY, stream)


values = st.one_of(
    st.text(), st.integers(min_value=-(2**63), max_value=2**63 - 1), st.booleans(),
    st.lists(st.text(), max_size=3),
)  # fmt: skip


@settings(max_examples=60)
@given(
    surname=st.text(),
    custom=st.dictionaries(st.text(), values, max_size=4),
    stream=st.from_regex(r"[a-z]+-[0-9a-f-]{1,36}", fullmatch=True),
)
@example(surname="", custom={"shoe: left": 1, "a.b": "pii:v1:1:2:3:4", ":": ":"}, stream="a-1")
def test_any_value_under_any_name_comes_back(
    surname: str, custom: dict[str, Any], stream: str
) -> None:
    data: dict[str, Any] = {"surname": surname, "custom": dict(custom)}
    seal(data, PATHS, "1", KEY, stream)
    assert all(str(token).startswith(PREFIX) for token in data["custom"].values())
    unseal(data, PATHS, KEYS)
    assert data == {"surname": surname, "custom": custom}


def test_the_paths_of_personal_fields_are_found_in_the_models() -> None:
    assert set(pii_paths(CustomerRegistered)) >= {
        ("identifiers", "*", "value"),
        ("surname",),
        ("name",),
        ("patronymic",),
        ("birth_date",),
        ("custom", "*"),
    }
    assert ("gender",) not in pii_paths(CustomerRegistered)
    assert pii_paths(IdentifierAdded) == (("identifier", "value"),)


async def test_a_key_read_once_is_not_read_again_for_a_while() -> None:
    class Counting(MemoryKeyStore):
        loads = 0

        async def load(self, ids: Any) -> Any:  # noqa: ANN401 - as in the port
            Counting.loads += 1
            return await super().load(ids)

    ring = Keyring(Counting(), AESGCM(bytes(32)))
    first = await ring.ensure(["1", "2"])  # asks, makes them, and asks what the store holds
    assert Counting.loads == 2
    assert await ring.get(["1", "2"]) == first
    assert await ring.ensure(["2"]) == {"2": first["2"]}
    assert Counting.loads == 2


async def test_stored_keys_are_wrapped() -> None:
    store = MemoryKeyStore()
    master = AESGCM(bytes(32))
    await Keyring(store, master).ensure(["1"])
    wrapped = (await store.load(["1"]))["1"].wrapped
    assert wrapped is not None
    # Nonce, key of 256 bits, tag.
    assert len(wrapped) == 12 + 32 + 16
    assert len(master.decrypt(wrapped[:12], wrapped[12:], b"1")) == 32


async def test_an_erased_key_is_given_as_a_tombstone() -> None:
    store = MemoryKeyStore()
    await store.insert([StoredKey("1", None)])
    assert await Keyring(store, AESGCM(bytes(32))).get(["1"]) == {"1": ERASED}


async def test_a_key_that_was_read_before_an_erase_ended_is_not_used_after_it() -> None:
    """The store was asked first and answers last: the erase counts all the same."""
    answered = asyncio.Event()

    class Slow(MemoryKeyStore):
        async def load(self, ids: Any) -> Any:  # noqa: ANN401 - as in the port
            found = await super().load(ids)
            await answered.wait()
            return found

    store = Slow()
    master = AESGCM(bytes(32))
    answered.set()
    await Keyring(store, master).ensure(["1"])
    answered.clear()
    ring = Keyring(store, master)
    reading = asyncio.create_task(ring.get(["1"]))
    await asyncio.sleep(0)
    await ring.erase(["1"], "erase-1")
    answered.set()
    assert await reading == {"1": ERASED}
    assert await ring.get(["1"]) == {"1": ERASED}


def test_tokens_are_told_from_other_texts_by_their_form() -> None:
    data = sealed()
    found = tokens(data, PATHS)
    # A surname, two values of identifiers, four custom ones.
    assert len(found) == 7
    assert all(map(is_token, found))
    token = str(data["surname"])
    for other in ("", "pii:v1:", "Ivanova", token[4:], token + "!", token.rpartition(":")[0],
                  "pii:v1:1:customer-1:surname:c2hvcnQ="):  # fmt: skip
        assert not is_token(other)


def test_texts_to_pass_over_stay_and_all_others_are_sealed() -> None:
    token = str(sealed()["surname"])
    data = somebody() | {"surname": token}
    seal(data, PATHS, "2", OTHER, "customer-2", passing={token}.__contains__)
    assert data["surname"] == token
    assert key_ids(data, PATHS) == {"1", "2"}
    unseal(data, PATHS, {"1": KEY, "2": OTHER})
    assert data == somebody()


def test_redacting_removes_what_was_erased_and_opens_nothing() -> None:
    data = sealed()
    foreign = {"surname": "x"}
    seal(foreign, PATHS, "2", OTHER, "customer-2")
    data["surname"] = foreign["surname"]
    redact(data, PATHS, {"1": ERASED, "2": OTHER})
    assert data["surname"] == foreign["surname"]
    assert data["custom"] == {}
    assert [sorted(each) for each in data["identifiers"]] == [["hash", "kind"]] * 3
    with pytest.raises(MissingKey, match="no key 2"):
        redact(data, PATHS, KEYS)
    clear = somebody()
    redact(clear, PATHS, {})
    assert clear == somebody()


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.json")), ids=lambda path: path.stem)
def test_every_event_can_be_read_while_it_is_sealed(path: Path) -> None:
    """A sealed copy passes through the models: a personal field takes the text of a token."""
    model = EVENT_TYPES[path.stem]
    paths = pii_paths(model)
    for event in json.loads(path.read_text()):
        read = model.model_validate(event["data"]).model_dump(mode="json", exclude_none=True)
        assert tokens(read, paths) == tokens(event["data"], paths)
        before = copy.deepcopy(read)
        seal(read, paths, "2", OTHER, "customer-2", passing=is_token)
        assert read == before


def test_hashes_of_identifiers_depend_on_secret_kind_and_value() -> None:
    hashes = {
        keyed_hash(secret, kind, value)
        for secret in (b"a", b"b")
        for kind in ("email", "card")
        for value in ("1", "2")
    }
    assert len(hashes) == 2 * 2 * 2
    assert keyed_hash(b"a", "email", "1") == keyed_hash(b"a", "email", "1")
    assert all(len(text) == 64 for text in hashes)


@pytest.mark.parametrize(
    "data",
    [5, "text", [1], {"surname": {"a": 1}}, {"identifiers": 5, "custom": 6, "surname": 7},
     {"identifiers": "value", "custom": "x"}, {"identifiers": [5, None, "value", [1]]}],
)  # fmt: skip
def test_data_of_another_shape_is_left_for_its_decoder_to_refuse(data: Any) -> None:  # noqa: ANN401 - any JSON value
    before = copy.deepcopy(data)
    assert key_ids(data, PATHS) == set()
    unseal(data, PATHS, KEYS)
    assert data == before
