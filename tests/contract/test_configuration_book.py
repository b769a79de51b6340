"""The book of the configuration, over both stores: what is read, and how often."""

import asyncio

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from services.customer.domain.configuration.catalogue import Archive, Define
from services.customer.handlers import configuration
from services.customer.handlers.configuration import ConfigurationBook, Request
from shared.clock import ManualClock
from shared.decider import Refused
from shared.events.configuration import CategoryDefined, FieldDefined
from shared.eventstore import EventStore
from shared.execute import Writer
from shared.keyring import Keyring
from shared.memory import MemoryKeyStore
from shared.testing import DAY, InterceptedStore

GOLD = CategoryDefined(category="gold", titles={"en": "Gold"}, colour="#ffd700")
PETS = FieldDefined(field="pets", titles={"en": "Pets"}, kind="text", group="needs", purpose="x")


def writer_on(store: EventStore) -> Writer:
    keyring = Keyring(MemoryKeyStore(), AESGCM(b"m" * 32))
    return Writer(store, keyring, ManualClock(DAY), "customer")


def request(name: str) -> Request:
    return Request(name, name, DAY)


async def test_what_one_process_changes_it_reads_at_once(store: EventStore) -> None:
    book = ConfigurationBook(writer_on(store))
    empty = await book.fresh()
    assert (empty.number, empty.statuses.initial) == (0, "new")
    await book.change("categories", request("1"), Define("gold", GOLD, DAY))
    after = await book.fresh()
    assert after.categories.get("gold") == GOLD
    assert after.number == 1
    # What was handed out before does not change.
    assert empty.categories.get("gold") is None


async def test_what_another_process_changes_is_seen_within_a_second(
    store: EventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(configuration, "OLDEST_SECONDS", 0.05)
    here, there = ConfigurationBook(writer_on(store)), ConfigurationBook(writer_on(store))
    await here.fresh()
    await there.change("categories", request("1"), Define("gold", GOLD, DAY))
    await there.change("fields", request("2"), Define("pets", PETS, DAY))
    await asyncio.sleep(0.06)
    seen = await here.fresh()
    assert (seen.categories.get("gold"), seen.fields.get("pets")) == (GOLD, PETS)
    assert seen.number == 2


async def test_heads_are_asked_at_most_once_a_second_and_only_what_grew_is_read(
    store: EventStore,
) -> None:
    counted = InterceptedStore(store)
    book = ConfigurationBook(writer_on(counted))
    await asyncio.gather(*(book.fresh() for _ in range(20)))
    assert counted.questions == ["heads"]
    await book.change("categories", request("1"), Define("gold", GOLD, DAY))
    counted.questions.clear()
    await asyncio.gather(*(book.fresh() for _ in range(20)))
    assert counted.questions == ["heads", "read"]
    await book.now()
    assert counted.questions == ["heads", "read", "heads"]


async def test_a_change_that_overtakes_a_reading_is_read_again(store: EventStore) -> None:
    book = ConfigurationBook(writer_on(store))
    reading = asyncio.ensure_future(book.now())
    await asyncio.sleep(0)
    await book.change("categories", request("1"), Define("gold", GOLD, DAY))
    await reading
    assert (await book.fresh()).categories.lives("gold")


async def test_a_refusal_is_raised_and_a_repetition_known(store: EventStore) -> None:
    book = ConfigurationBook(writer_on(store))
    with pytest.raises(Refused):
        await book.change("categories", request("0"), Archive("gold", DAY))
    asked = Define("gold", GOLD, DAY)
    first = await book.change("categories", request("1"), asked)
    again = await book.change("categories", request("1"), asked)
    assert (first.repeated, again.repeated, again.version) == (False, True, 1)
