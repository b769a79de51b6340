"""What the slower stand-in of MongoDB does otherwise: assertions about that prove nothing there."""

from typing import Any

import pytest

from shared.mongo import Database


def scans(plan: Any) -> bool:  # noqa: ANN401 - what the server explains
    """Whether the plan reads the whole collection."""
    return "COLLSCAN" in str(plan["queryPlanner"]["winningPlan"])


async def require_plans(database: Database) -> None:
    """Skip the test on a server that explains `$in` on an indexed field as a scan."""
    await _not_on_the_slower_one(database, "this server plans no index for $in")


async def require_short_locks(database: Database) -> None:
    """Skip the test on a server that keeps the transaction of a dead client for minutes.

    MongoDB ends it after `transactionLifetimeLimitSeconds`, the faster stand-in within a minute.
    """
    await _not_on_the_slower_one(
        database, "this server keeps what a dead client's transaction wrote locked for minutes"
    )


async def _not_on_the_slower_one(database: Database, why: str) -> None:
    """The version of the slower stand-in has no hyphen; MongoDB has no such version at all."""
    version = (await database.motor.command("buildInfo")).get("secantusVersion")
    if version is not None and "-" not in version:
        pytest.skip(why)
