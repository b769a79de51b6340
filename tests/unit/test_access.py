"""API keys, roles and scopes: who may do what, and where."""

from dataclasses import replace

import pytest

from shared.access import (
    CACHE_SECONDS,
    GRANTS,
    Authenticator,
    Kind,
    Permission,
    Principal,
    Role,
    StoredApiKey,
    issue,
    prefix_of,
    scope,
    stored_key,
)
from shared.decider import Refused
from shared.memory import MemoryApiKeys

SECRET = b"s" * 32


async def keys_with(*stored: StoredApiKey) -> MemoryApiKeys:
    keys = MemoryApiKeys()
    for key in stored:
        assert await keys.add(key)
    return keys


async def test_an_issued_key_proves_who_calls() -> None:
    text, stored = issue(SECRET, title="till 4", roles=[Role.CASHIER], branches=["b1", "b2"])
    authenticator = Authenticator(await keys_with(stored), SECRET)
    assert await authenticator.authenticate(text) == Principal(
        f"key:{stored.prefix}", frozenset({Role.CASHIER}), frozenset({"b1", "b2"})
    )


def test_two_keys_are_never_the_same() -> None:
    assert issue(SECRET, title="a", roles=[])[0] != issue(SECRET, title="a", roles=[])[0]


def test_what_is_stored_does_not_hold_the_key() -> None:
    text, stored = issue(SECRET, title="till", roles=[Role.CASHIER])
    secret_part = text.split("_", 2)[2]
    assert secret_part not in repr(stored)
    assert stored.hash != issue(b"other" * 8, title="till", roles=[])[1].hash


def test_the_stored_form_can_be_computed_again_from_the_text() -> None:
    text, stored = issue(SECRET, title="owner", roles=[Role.OWNER])
    assert stored_key(text, SECRET, title="owner", roles=[Role.OWNER]) == stored


def test_a_text_of_another_form_cannot_become_a_key() -> None:
    with pytest.raises(ValueError, match="an API key is rg_"):
        stored_key("rg_short_key", SECRET, title="", roles=[])


@pytest.mark.parametrize("text", [None, "", "rg_", "Bearer x", "rg_000000000000_" + "a" * 43])
async def test_a_missing_malformed_or_unknown_key_is_refused_alike(text: str | None) -> None:
    _, stored = issue(SECRET, title="other", roles=[Role.OWNER])
    with pytest.raises(Refused) as refused:
        await Authenticator(await keys_with(stored), SECRET).authenticate(text)
    assert (refused.value.status, refused.value.type) == (401, "unauthenticated")


async def test_a_right_prefix_with_another_secret_is_refused() -> None:
    text, stored = issue(SECRET, title="owner", roles=[Role.OWNER])
    forged = text[:-4] + ("aaaa" if text[-4:] != "aaaa" else "bbbb")
    with pytest.raises(Refused):
        await Authenticator(await keys_with(stored), SECRET).authenticate(forged)


async def test_a_verified_key_is_asked_for_again_only_after_its_time() -> None:
    text, stored = issue(SECRET, title="till", roles=[Role.CASHIER])
    keys = await keys_with(stored)
    seconds = 0.0
    authenticator = Authenticator(keys, SECRET, monotonic=lambda: seconds)
    first = await authenticator.authenticate(text)
    authenticator.keys = MemoryApiKeys()  # the key was taken away
    seconds = CACHE_SECONDS - 1
    assert await authenticator.authenticate(text) == first
    seconds = CACHE_SECONDS
    with pytest.raises(Refused):
        await authenticator.authenticate(text)


async def test_a_revoked_key_opens_nothing_once_it_is_asked_for_again() -> None:
    text, stored = issue(SECRET, title="till", roles=[Role.CASHIER])
    keys = await keys_with(stored)
    seconds = 0.0
    authenticator = Authenticator(keys, SECRET, monotonic=lambda: seconds)
    principal = await authenticator.authenticate(text)
    prefix = prefix_of(principal.id)
    assert prefix == stored.prefix
    assert prefix is not None
    assert await keys.revoke(prefix)
    seconds = CACHE_SECONDS
    with pytest.raises(Refused):
        await authenticator.authenticate(text)
    assert prefix_of("token:eva") is None


async def test_a_role_that_is_not_known_grants_nothing() -> None:
    text, stored = issue(SECRET, title="newer", roles=[])
    keys = await keys_with(replace(stored, roles=("emperor", "reader")))
    principal = await Authenticator(keys, SECRET).authenticate(text)
    assert principal.roles == frozenset({Role.READER})


def test_every_role_has_its_grants_and_only_the_owner_has_all() -> None:
    assert set(GRANTS) == set(Role)
    assert [role for role in Role if GRANTS[role] == frozenset(Permission)] == [Role.OWNER]


def test_a_reader_changes_nothing() -> None:
    reader = Principal("key:1", frozenset({Role.READER}))
    assert reader.may(Permission.CUSTOMERS_READ)
    assert not any(reader.may(each) for each in Permission if not each.endswith(":read"))


def test_a_missing_permission_is_named() -> None:
    cashier = Principal("key:1", frozenset({Role.CASHIER}))
    cashier.require(Permission.FACTS_WRITE)
    with pytest.raises(Refused) as refused:
        cashier.require(Permission.CAMPAIGNS_WRITE)
    assert refused.value.status == 403
    assert refused.value.detail == "it needs the permission campaigns:write"


def test_a_key_for_the_chain_sees_every_branch() -> None:
    everything = scope(Principal("key:1", frozenset()), Kind.CUSTOMER)
    assert everything.everything
    assert everything.allows("b1")
    assert everything.allows(None)


def test_a_key_for_branches_sees_these_and_nothing_that_belongs_to_the_chain() -> None:
    narrow = scope(Principal("key:1", frozenset(), frozenset({"b1"})), Kind.FACT)
    narrow.require("b1")
    assert not narrow.everything
    assert not narrow.allows(None)
    with pytest.raises(Refused) as refused:
        narrow.require("b2")
    assert refused.value.status == 403
    assert refused.value.detail == "the fact is not of a branch of this key"


async def test_a_prefix_is_given_once() -> None:
    _, stored = issue(SECRET, title="till", roles=[Role.CASHIER])
    keys = await keys_with(stored)
    assert not await keys.add(replace(stored, title="another"))
    assert await keys.find(stored.prefix) == stored


def test_a_command_id_hides_what_the_caller_named_it() -> None:
    authenticator = Authenticator(MemoryApiKeys(), SECRET)
    one, two = Principal("key:1", frozenset()), Principal("key:2", frozenset())
    name = "+79161234567"
    assert name not in authenticator.command_id(one, name)
    assert authenticator.command_id(one, name) == authenticator.command_id(one, name)
    assert authenticator.command_id(one, name) != authenticator.command_id(two, name)
    assert authenticator.command_id(one, name).startswith("http|key:1|")
