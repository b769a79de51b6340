"""What the slower stand-in of MongoDB does otherwise: assertions about that prove nothing there."""

from typing import Any

import pytest

from shared.mongo import Database

PROBE = "plan_probe"


def scans(plan: Any) -> bool:  # noqa: ANN401 - what the server explains
    """Whether the plan reads the whole collection."""
    return "COLLSCAN" in str(plan["queryPlanner"]["winningPlan"])


async def require_short_locks(database: Database) -> None:
    """Skip the test on a server that keeps the transaction of a dead client for minutes.

    The slower stand-in does (its version has no hyphen). MongoDB ends it after
    `transactionLifetimeLimitSeconds`, the faster stand-in within a minute.
    """
    version = (await database.motor.command("buildInfo")).get("secantusVersion")
    if version is not None and "-" not in version:
        pytest.skip("this server keeps what a dead client's transaction wrote locked for minutes")


async def require_plans(database: Database) -> None:
    """Skip the test on a server that plans `$in` on an indexed field as a scan.

    The slower stand-in does; MongoDB, and the faster stand-in, do not.
    """
    probe = database.motor[PROBE]
    await probe.insert_many([{"a": number} for number in range(3)])
    await probe.create_index([("a", 1)])
    if scans(await probe.find({"a": {"$in": [1, 2]}}).explain()):
        pytest.skip("this server plans no index for $in")
