"""Every port in both of its forms: each test of this folder that asks for one runs over both."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest

from shared.clock import ManualClock
from shared.eventstore import EventStore
from shared.keyring import KeyStore
from shared.memory import (
    MemoryDocuments,
    MemoryEventStore,
    MemoryKeyStore,
    MemoryLeases,
    MemoryParking,
)
from shared.mongo import (
    MongoDocuments,
    MongoEventStore,
    MongoKeyStore,
    MongoLeases,
    MongoParking,
)
from shared.mongo.documents import STEPPED_INDEXES
from shared.readmodel import Leases, Parking, SteppedDocuments
from shared.testing import DAY, MongoSpace

Pass = Callable[[float], Awaitable[None]]
"""Lets seconds pass on the database's clock."""


@pytest.fixture(params=["memory", "mongodb"])
def space(request: pytest.FixtureRequest) -> MongoSpace | None:
    """The databases of the test, or None for memory."""
    if request.param == "memory":
        return None
    space: MongoSpace = request.getfixturevalue("mongo")
    return space


@pytest.fixture
async def store(space: MongoSpace | None) -> EventStore:
    """An empty event store."""
    if space is None:
        return MemoryEventStore()
    store = MongoEventStore(space.database("customer"))
    await store.create_indexes()
    return store


@pytest.fixture
async def documents(space: MongoSpace | None, store: EventStore) -> SteppedDocuments:
    """An empty collection beside the commits of `store`."""
    if space is None:
        assert isinstance(store, MemoryEventStore)
        return MemoryDocuments(store)
    documents = MongoDocuments(space.database("customer"), "profiles_v2")
    await documents.create_indexes(STEPPED_INDEXES)
    return documents


@pytest.fixture
def keys(space: MongoSpace | None) -> KeyStore:
    """An empty keyring."""
    return MemoryKeyStore() if space is None else MongoKeyStore(space.database("keyring"))


@pytest.fixture
def parkings(space: MongoSpace | None) -> tuple[Parking, Parking]:
    """The parked events of two projections of one service; none yet."""
    if space is None:
        return MemoryParking(), MemoryParking()
    database = space.database("segment")
    return MongoParking(database, "profiles_v2"), MongoParking(database, "members_v1")


@pytest.fixture
def leases_and_time(space: MongoSpace | None) -> tuple[Leases, Pass]:
    """No leases yet, and what lets time pass for them."""
    if space is not None:
        return MongoLeases(space.database("customer")), asyncio.sleep
    clock = ManualClock(DAY)

    async def advance(seconds: float) -> None:
        clock.advance(timedelta(seconds=seconds))

    return MemoryLeases(clock), advance
