"""Fixtures of tests that kill, freeze and restart processes."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from shared.mongo import connect
from shared.testing import Servers, unique_prefix
from tests.faults.children import Nursery, nursery
from tests.faults.scenes import Scenes


@pytest.fixture
def children(tmp_path: Path) -> Iterator[Nursery]:
    """Processes that end with the test."""
    with nursery(tmp_path) as found:
        yield found


@pytest.fixture
async def scenes(servers: Servers) -> AsyncIterator[Scenes]:
    """Places of this test alone, and what happens there."""
    client = connect(servers.mongo_url)
    try:
        yield Scenes(servers.kafka_url, servers.mongo_url, client, unique_prefix())
    finally:
        client.close()
