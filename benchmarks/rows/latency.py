"""From an accepted receipt to the mail that it causes, through the whole system.

The four services run as processes of their own. Everybody who buys enters a segment, and entering
it causes one mail. First buyers come as fast as the system takes them, so many at a time: what
comes out is the highest steady rate. Then they come at half of it, evenly, each one's receipt on
its own, and for each the time is taken from its acceptance (the answer to the till) until the mail
server has its mail. Bare is the same chain of hops at the same rate with none of our code: insert,
change stream, Kafka, insert, change stream, Kafka, insert, SMTP.
"""

import asyncio
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from statistics import quantiles
from typing import Any

import httpx2

from benchmarks.bare_chain import bare_latencies
from benchmarks.figures import Figure
from benchmarks.measuring import as_a_service
from benchmarks.place import Place
from benchmarks.processes import Processes
from benchmarks.sink import Arrivals, Sink, listening
from deploy.client import Chain, connect
from deploy.embedded.supervisor import Supervisor
from shared.access import Role, issue
from shared.mongo import Database, MongoApiKeys
from shared.mongo import connect as connect_mongo

SERVICES = ("customer", "interaction", "segment", "notify")
CUSTOMERS = int(os.environ.get("REGULARS_BENCH_BUYERS", "2000"))
REGISTERED_AT_ONCE = 250
AT_A_TIME = 48
"""Receipts under way while the highest rate is found."""
FULL_SECONDS = 6.0
HALF_SECONDS = CUSTOMERS / 200
SETTLE_SECONDS = 1.0
PATIENCE_SECONDS = 20.0
GOAL_P50_MS, GOAL_P99_MS = 50.0, 200.0
SEGMENT, CAMPAIGN, TOPIC = "buyers", "thanks", "marketing"
"""Nothing but the fewest that make a mail of a receipt."""
NO_BRAKE = {"REGULARS_WAVE_SHARE": "100"}
"""Everybody enters within a minute, as a wrong rule would have it; here it is meant so."""


def address(customer: int) -> str:
    """The e-mail address of a customer."""
    return f"customer-{customer}@example.com"


@dataclass(slots=True)
class Tills:
    """Customers who buy once each, one after the other."""

    chain: Chain
    arrivals: Arrivals
    accepted: dict[int, float] = field(default_factory=dict)
    _numbers: Iterator[int] = field(default_factory=lambda: iter(range(CUSTOMERS)))

    async def register(self, services: Sequence[str] = SERVICES) -> list[str]:
        """Register everybody, and wait until they can be found; gives their ids."""
        everybody, ids = list(range(CUSTOMERS)), []
        for begin in range(0, CUSTOMERS, REGISTERED_AT_ONCE):
            some = everybody[begin : begin + REGISTERED_AT_ONCE]
            answers = await self.chain.batch(
                "customer", "/v1/customers/batch", [_registration(number) for number in some]
            )
            ids += [answer["id"] for answer in answers]
        await caught_up(self.chain, services)
        return ids

    async def buy(self) -> int | None:
        """The next customer buys; None when everybody has."""
        number = next(self._numbers, None)
        if number is not None:
            await self.chain.post("interaction", "/v1/receipts", _receipt(number))
            self.accepted[number] = time.perf_counter()
        return number

    async def full(self) -> float:
        """Buy as fast as what it causes comes, for a while; gives arrivals per second."""
        begin = time.perf_counter()
        end = begin + FULL_SECONDS
        await asyncio.gather(*(self._buyer(end) for _ in range(AT_A_TIME)))
        warm = begin + FULL_SECONDS / 4
        came = [at for at in self.arrivals.arrived.values() if warm <= at < end]
        return len(came) / (end - warm)

    async def _buyer(self, end: float) -> None:
        while time.perf_counter() < end:
            number = await self.buy()
            if number is None:
                return
            await self._arrival_of(number)

    async def at_rate(self, rate: float) -> list[float]:
        """Buy evenly for a while; gives milliseconds from acceptance to arrival."""
        self.accepted.clear()
        begin = time.perf_counter()
        buyers = []
        for turn in range(int(rate * HALF_SECONDS)):
            await asyncio.sleep(max(0.0, begin + turn / rate - time.perf_counter()))
            buyers.append(asyncio.create_task(self._one()))
        await asyncio.gather(*buyers)
        return [
            (self.arrivals.arrived[address(number)] - at) * 1_000
            for number, at in self.accepted.items()
        ]

    async def _one(self) -> None:
        number = await self.buy()
        if number is not None:
            await self._arrival_of(number)

    async def _arrival_of(self, number: int) -> None:
        async with asyncio.timeout(PATIENCE_SECONDS):
            await self.arrivals.expect(address(number)).wait()


def _registration(number: int) -> dict[str, Any]:
    return {
        "request_id": f"benchmark-{number}",
        "identifiers": [
            {"kind": "external", "value": str(number)},
            {"kind": "email", "value": address(number)},
        ],
        "acquisition": "benchmark",
        "consents": [
            {"topic": TOPIC, "channel": "email", "source": "benchmark", "wording": "benchmark"}
        ],
    }


def _receipt(number: int) -> dict[str, Any]:
    return {
        "source_id": str(number),
        "branch": f"store-{number % 20}",
        "time": datetime.now(UTC).isoformat(),  # noqa: TID251 - the till's clock, as a person sees it
        "identifier": {"kind": "external", "value": str(number)},
        "lines": [{"product": "1", "quantity": 1, "amount": 250}],
    }


async def define_segment(chain: Chain) -> None:
    """The segment that everybody enters who buys."""
    rule = {"kind": "receipts", "aggregate": "count", "compare": {"op": ">=", "value": 1}}
    await chain.put("segment", f"/v1/segments/{SEGMENT}", {"title": "Buyers", "rule": rule})


async def define_campaign(chain: Chain) -> None:
    """The campaign that writes to whoever enters it."""
    campaign = {
        "title": "Thanks",
        "trigger": {"kind": "on_entering", "segment": SEGMENT},
        "channel": "email",
        "topic": TOPIC,
        "template": {"subject": "Thank you", "text": "Thank you for buying with us."},
        "start": "2017-01-01T00:00:00Z",
        "holdout_percent": 0,
    }
    await chain.put("notify", f"/v1/campaigns/{CAMPAIGN}", campaign)
    await chain.post("notify", f"/v1/campaigns/{CAMPAIGN}/start", {}, "benchmark-start")


async def caught_up(chain: Chain, services: Sequence[str]) -> None:
    """Wait until every service says so."""
    while True:
        reports = [await chain.get(service, "/v1/progress") for service in services]
        if all(report["caught_up"] for report in reports):
            return
        await asyncio.sleep(0.3)


async def owners_key(place: Place, secret: bytes) -> str:
    """A new key that may do everything."""
    text, stored = issue(secret, title="benchmark", roles=[Role.OWNER])
    client = connect_mongo(place.mongo_url)
    try:
        await MongoApiKeys(Database(client, place.prefix + "access")).add(stored)
    finally:
        client.close()
    return text


@dataclass(frozen=True, slots=True)
class Found:
    """Arrivals per second at most, and the milliseconds of each at half of that."""

    rate: float
    milliseconds: Sequence[float]


async def of_the_system(place: Place, sink: Sink) -> Found:
    """Measure our side."""
    async with Supervisor(place.folder) as supervisor, httpx2.AsyncClient() as http:
        processes = Processes(place, supervisor, http)
        mail = {"REGULARS_SMTP_URL": sink.url, "REGULARS_SMTP_DEDUPLICATES": "P1D"}
        started = await asyncio.gather(
            *(processes.service(name, **mail, **NO_BRAKE) for name in SERVICES)
        )
        urls = dict(zip(SERVICES, started, strict=True))
        async with connect(urls, await owners_key(place, processes.hmac_secret)) as chain:
            await define_segment(chain)
            await define_campaign(chain)
            tills = Tills(chain, sink)
            await tills.register()
            as_a_service()
            rate = await tills.full()
            await asyncio.sleep(SETTLE_SECONDS)
            return Found(rate, await tills.at_rate(rate / 2))


def percentiles(milliseconds: Sequence[float]) -> tuple[float, float]:
    """p50 and p99."""
    cuts = quantiles(milliseconds, n=100, method="inclusive")
    return cuts[49], cuts[98]


async def measure(place: Place) -> Figure:
    """Measure the row."""
    async with listening() as sink:
        found = await of_the_system(place, sink)
        bare = await bare_latencies(place, sink, found.rate / 2, len(found.milliseconds))
    p50, p99 = percentiles(found.milliseconds)
    bare_p50, bare_p99 = percentiles(bare)
    return Figure(
        value=p99,
        unit="ms from acceptance to mail, p99",
        bare=bare_p99,
        goal=f"p50 ≤ {GOAL_P50_MS:g} ms, p99 ≤ {GOAL_P99_MS:g} ms",
        met=p50 <= GOAL_P50_MS and p99 <= GOAL_P99_MS,
        server=f"{place.mongo_server}, {place.kafka_server}",
        beside={
            "p50": p50,
            "bare_p50": bare_p50,
            "mails": len(found.milliseconds),
            "mails_per_second": found.rate / 2,
            "highest_mails_per_second": found.rate,
        },
    )
