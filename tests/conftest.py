"""Fixtures: what `shared.testing` makes, handed out. Servers start when the first test asks."""

import asyncio
from collections.abc import Iterator

import pytest

from shared.testing import (
    MongoSpace,
    Servers,
    drop_databases,
    servers_for_tests,
    unique_prefix,
)


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    """Kafka and MongoDB, up for the session."""
    with servers_for_tests() as servers:
        yield servers
        if servers.embedded is None:
            asyncio.run(drop_databases(servers.mongo_url))


@pytest.fixture
def mongo(servers: Servers) -> Iterator[MongoSpace]:
    """Databases of this test alone: `mongo.database("customer")`, `mongo.url`, `mongo.prefix`."""
    space = MongoSpace(servers.mongo_url)
    yield space
    space.close()


@pytest.fixture
def kafka_url(servers: Servers) -> str:
    """The brokers' address."""
    return servers.kafka_url


@pytest.fixture
def kafka_prefix() -> str:
    """A prefix for topics and groups of this test alone."""
    return unique_prefix()
