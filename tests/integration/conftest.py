"""Fixtures of tests that run services."""

from pathlib import Path

import pytest

from shared.testing import LocalChain, Servers


@pytest.fixture
def chain(servers: Servers, tmp_path: Path) -> LocalChain:
    """A chain of this test alone; none of its services runs yet."""
    return LocalChain(servers, tmp_path)
