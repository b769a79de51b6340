"""Receipts through the batch endpoint until they are in Kafka, and whether they keep their rate.

A till's batches come two at a time, 1,000 receipts each; the customers are known by their cards.
Two processes are watched: the service as `api`, and as `relay`. First so many receipts come as
`REGULARS_BENCH_RECEIPTS` says (500,000 is what the product is held to; fewer is the default, so
that the rows fit among the others), and the last tenth of them is held against the first; then
rounds of both sides follow.
"""

import asyncio
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import httpx2

from benchmarks.bare import bare_database
from benchmarks.figures import Figure
from benchmarks.kafka_log import PARTITIONS
from benchmarks.measuring import Cost, Side
from benchmarks.place import Place
from benchmarks.processes import Processes
from benchmarks.sample import ReceiptLog
from benchmarks.taking import (
    AT_A_TIME,
    Arrivals,
    Bare,
    Ledger,
    Watch,
    Watched,
    arrivals,
    bare_writing,
    figure_of,
    known_by_cards,
    of_all,
)
from deploy.embedded.supervisor import Supervisor
from shared.access import Role, issue
from shared.kafka import KafkaUrl, ensure_topics
from shared.mongo import Database, MongoApiKeys, connect

GROWN = int(os.environ.get("REGULARS_BENCH_RECEIPTS", "10000"))
CUSTOMERS = max(2_500, GROWN // 40)
OF_A_BATCH = 1_000
BATCHES = 4
ROUNDS = 3
TENTHS = 10
SLOWER = 0.8
TIMEOUT_SECONDS = 60.0


@dataclass(slots=True)
class Tills:
    """Whoever sends receipts."""

    http: httpx2.AsyncClient
    url: str
    log: ReceiptLog

    def bodies(self, batches: int) -> list[bytes]:
        """The next batches."""
        return [
            b'{"items":[' + b",".join(self.log.items(OF_A_BATCH)) + b"]}" for _ in range(batches)
        ]

    async def send(self, bodies: Sequence[bytes]) -> None:
        """Send them, some at a time. Raises RuntimeError where a receipt was not recorded."""
        queue = iter(bodies)

        async def one_after_the_other() -> None:
            for body in queue:
                answer = await self.http.post(f"{self.url}/v1/receipts/batch", content=body)
                if answer.content.count(b'"status":200') != OF_A_BATCH:
                    raise RuntimeError(answer.text[:500])

        await asyncio.gather(*(one_after_the_other() for _ in range(AT_A_TIME)))


@dataclass(slots=True)
class Run:
    """Receipts on their way, and both sides in rounds."""

    tills: Tills
    watched: Watched
    arrived: Arrivals
    ledger: Ledger
    bare: Bare

    async def tenths(self) -> Sequence[Mapping[str, Cost]]:
        """Our costs of each tenth of the receipts, by process."""
        costs: list[Mapping[str, Cost]] = []
        for _ in range(TENTHS):
            count = GROWN // TENTHS // OF_A_BATCH * OF_A_BATCH
            bodies = self.tills.bodies(count // OF_A_BATCH)
            watch = Watch(self.watched)
            await self.tills.send(bodies)
            costs.append(watch.costs(count))
        return costs

    async def round(self) -> tuple[Mapping[str, Cost], tuple[Cost, Cost]]:
        """Our costs by process, and the bare ones."""
        bodies = self.tills.bodies(BATCHES)
        there = await self.arrived.count()
        count = BATCHES * OF_A_BATCH
        begun = time.time()  # noqa: TID251 - commits are told apart by the system's time
        watch = Watch(self.watched)
        await self.tills.send(bodies)
        await self.arrived.until(there + count)
        ours = watch.costs(count)
        written = await self.ledger.since(begun)
        if written.receipts != count:
            raise RuntimeError(f"{written.receipts} of {count} receipts were recorded")
        return ours, await self.bare.write(list(written.parts(OF_A_BATCH)))


async def measured(place: Place, run: Run) -> dict[str, Figure]:
    """The rows."""
    tenths = await run.tenths()
    await run.arrived.until(sum(of_all(each).count for each in tenths))
    rounds = [await run.round() for _ in range(1 + ROUNDS)][1:]
    ours = Side([of_all(each) for each, _ in rounds])
    rates = [Side([of_all(each)]).per_wall_second for each in tenths]
    cpu = [of_all(each).cpu for each in tenths]
    return {
        "receipts_http": figure_of(
            ours,
            [bare for _, bare in rounds],
            "accepted over HTTP and in Kafka",
            place,
            api=Side([each["api"] for each, _ in rounds]).cpu_each,
            relay=Side([each["relay"] for each, _ in rounds]).cpu_each,
        ),
        "receipts_growth": Figure(
            value=rates[-1],
            unit=f"receipts per second over HTTP, the last tenth of {GROWN:,}",
            bare=rates[0],
            goal=f"≥ {SLOWER:g} × the first tenth",
            met=rates[-1] >= SLOWER * rates[0],
            server=f"{place.mongo_server}, {place.kafka_server}",
            beside={
                "ratio": rates[-1] / rates[0],
                "client_cpu_ratio": cpu[-1] / cpu[0],
                "tenths": [round(rate) for rate in rates],
            },
        ),
    }


async def measure(place: Place) -> dict[str, Figure]:
    """Measure the rows."""
    url = KafkaUrl(place.kafka_url, place.prefix)
    await ensure_topics(url, PARTITIONS)
    client, name = connect(place.mongo_url), f"{place.prefix}interaction"
    ledger = bare_database(place.mongo_url, name)
    try:
        async with (
            Supervisor(place.folder) as supervisor,
            httpx2.AsyncClient(timeout=TIMEOUT_SECONDS) as http,
            arrivals(url) as arrived,
            bare_writing(place, "http") as bare,
        ):
            processes = Processes(place, supervisor, http)
            await known_by_cards(Database(client, name), processes.hmac_secret, CUSTOMERS)
            key, stored = issue(processes.hmac_secret, title="tills", roles=[Role.SERVICE])
            await MongoApiKeys(Database(client, f"{place.prefix}access")).add(stored)
            http.headers["Authorization"] = f"Bearer {key}"
            (api, address), (relay, _) = await asyncio.gather(
                processes.role("interaction", "api"), processes.role("interaction", "relay")
            )
            tills = Tills(http, address, ReceiptLog(CUSTOMERS, 1))
            watched = Watched({"api": api, "relay": relay})
            return await measured(place, Run(tills, watched, arrived, Ledger(ledger), bare))
    finally:
        client.close()
        ledger.client.close()
