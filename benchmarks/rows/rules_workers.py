"""A worker of segments: its memory with rules, and what a second worker costs beside it.

As `workers`, for the service that decides: 25 rules that ask everybody are defined over HTTP, then
one worker reads the topic of receipts from its beginning, then two do, into databases of their own.
A worker keeps all the read models of its service; it is counted by the profiles. How many receipts
there are is `REGULARS_BENCH_RULED_RECEIPTS`; the product is held to a million.
"""

import asyncio
import os
from dataclasses import replace

import httpx2

from benchmarks.figures import Figure
from benchmarks.kafka_log import fill
from benchmarks.place import Place
from benchmarks.processes import Processes
from benchmarks.rows.latency import owners_key
from benchmarks.rows.workers import (
    CUSTOMERS,
    PER_TURN,
    SECONDS,
    Reading,
    memory,
    rewind,
    two_workers,
    watch,
)
from benchmarks.ruled import everybodys_rule
from benchmarks.sample import ReceiptLog
from deploy.client import connect
from deploy.embedded.supervisor import Supervisor
from services.segment.engine.stepping import Engine
from services.segment.projections import ACTIVITY, profiles_v2
from services.segment.rules.ruleset import NO_RULES
from shared.kafka import KafkaUrl

RECEIPTS = int(os.environ.get("REGULARS_BENCH_RULED_RECEIPTS", "60000"))
RULES = 25
SERVICE = "segment"
PROFILES = profiles_v2(Engine(NO_RULES)).projection.name


async def define(processes: Processes, prefix: str) -> None:
    """Define the rules in databases of this prefix."""
    _, url = await processes.role(SERVICE, "api", REGULARS_DATABASE_PREFIX=prefix)
    there = replace(processes.place, prefix=prefix)
    key = await owners_key(there, processes.hmac_secret)
    async with connect({SERVICE: url}, key) as chain:
        for number in range(RULES):
            body = {"title": f"Rule {number}", "rule": everybodys_rule(number)}
            await chain.put(SERVICE, f"/v1/segments/rule-{number}", body)


async def reading_by(place: Place, count: int, events: int) -> Reading:
    """What so many workers do with the topic."""
    folder = place.folder / f"workers-{count}"
    folder.mkdir(parents=True)
    prefix = f"{place.prefix}{count}-"
    async with Supervisor(folder) as supervisor, httpx2.AsyncClient() as http:
        processes = Processes(place, supervisor, http)
        await define(processes, prefix)
        running = await asyncio.gather(
            *(processes.worker(SERVICE, PROFILES, prefix) for _ in range(count))
        )
        return await watch(running, events)


async def measure(place: Place) -> dict[str, Figure]:
    """Measure both rows."""
    url = KafkaUrl(place.kafka_url, place.prefix)
    events = await fill(url, ReceiptLog(CUSTOMERS, PER_TURN), RECEIPTS, SECONDS)
    one = await reading_by(place, 1, events)
    for name in (PROFILES, ACTIVITY.name):
        await rewind(url, f"{SERVICE}.{name}")
    two = await reading_by(place, 2, events)
    return {"rules_memory": memory(one, place), "rules_workers": two_workers(one, two, place)}
