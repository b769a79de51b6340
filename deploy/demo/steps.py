"""The demo, phase by phase; each can be repeated after any kill, and adds nothing then."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Protocol, TypeVar

from deploy.client import BATCH, Chain
from deploy.demo.dataset import Dataset, load
from deploy.demo.definitions import (
    AS_OF,
    CAMPAIGNS,
    COUPON_BROADCAST,
    FIELDS,
    SEGMENTS,
    WE_MISS_YOU,
)
from deploy.installation import SERVICES

IMPORT = "complete-journey"
POLL_SECONDS = 0.5
REGISTER_BATCH = 200
ItemT = TypeVar("ItemT")


class Bars(Protocol):
    """Where a phase shows how far it is."""

    def begin(self, title: str, total: int | None) -> Callable[[int], None]:
        """A new bar of `total` steps (None: unknown); gives what moves it on."""
        ...


@dataclass(slots=True)
class Demo:
    """One run of the demo against running services."""

    chain: Chain
    households: int | None
    mail: Path
    bars: Bars
    seconds: dict[str, float] = field(default_factory=dict)
    sent_receipts: int = 0

    async def run(self) -> dict[str, Any]:
        """All phases, and the report."""
        async with self._phase("define", "Defining segments and campaigns", None):
            await self._define()
            data = await asyncio.to_thread(load, self.households)
        async with self._phase("register", "Registering customers", len(data.households)) as move:
            await self._register(data, move)
        async with self._phase(
            "receipts", "Sending a year of receipts", data.lines.num_rows
        ) as move:
            await self._send_receipts(data, move)
        async with self._phase("live", "Living the year", None):
            await self._caught_up()
        async with self._phase("broadcast", "Sending coupons", None):
            await self.chain.post(
                "notify", f"/v1/campaigns/{COUPON_BROADCAST}/start", {}, "demo-broadcast"
            )
            await self._caught_up()
        return await self._report(data)

    async def _define(self) -> None:
        for name, definition in FIELDS.items():
            await self.chain.put("customer", f"/v1/configuration/fields/{name}", definition)
        for name, segment in SEGMENTS.items():
            await self.chain.put("segment", f"/v1/segments/{name}", segment)
        for name, campaign in CAMPAIGNS.items():
            await self.chain.put("notify", f"/v1/campaigns/{name}", campaign)
        await self.chain.post("notify", f"/v1/campaigns/{WE_MISS_YOU}/start", {}, "demo-start")

    async def _register(self, data: Dataset, move: Callable[[int], None]) -> None:
        for items in chunks(data.customers(), REGISTER_BATCH):
            await self.chain.batch("customer", "/v1/customers/batch", items)
            move(len(items))

    async def _send_receipts(self, data: Dataset, move: Callable[[int], None]) -> None:
        """Unless the import has ended; one that was cut off is sent again from its start."""
        await self.chain.post(
            "interaction",
            "/v1/imports",
            {"id": IMPORT, "title": "The Complete Journey, 2017"},
            "demo-import",
        )
        begun = await self.chain.get("interaction", f"/v1/imports/{IMPORT}")
        if not begun["open"]:
            move(data.lines.num_rows)
            return
        await self._caught_up()
        for items in chunks(data.receipts(), BATCH):
            await self.chain.batch("interaction", "/v1/receipts/batch", items, import_id=IMPORT)
            self.sent_receipts += len(items)
            move(sum(len(item["lines"]) for item in items))
        await self.chain.post(
            "interaction",
            f"/v1/imports/{IMPORT}/end",
            {"facts": self.sent_receipts},
            "demo-import-end",
        )

    async def _caught_up(self) -> None:
        """Wait until every service says so twice, with the same commits in between."""
        before: list[int] | None = None
        while True:
            reports = [await self.chain.get(name, "/v1/progress") for name in SERVICES]
            commits = [report["commits"] for report in reports]
            if all(report["caught_up"] for report in reports):
                if commits == before:
                    return
                before = commits
            else:
                before = None
            await asyncio.sleep(POLL_SECONDS)

    async def _report(self, data: Dataset) -> dict[str, Any]:
        totals = await self.chain.get("interaction", "/v1/totals")
        customers = await self.chain.get("customer", "/v1/customers/count")
        segments = await self.chain.get("segment", "/v1/segments")
        campaigns = await self.chain.get("notify", "/v1/campaigns")
        reports = [await self.chain.get(name, "/v1/progress") for name in SERVICES]
        receipt_seconds = self.seconds["receipts"]
        return {
            "households": len(data.households),
            "customers": customers["count"],
            "receipts": totals["receipts"],
            "turnover_minor": totals["turnover_minor"],
            "as_of": AS_OF,
            "segments": {
                each["name"]: {key: each[key] for key in ("members", "entered", "exited")}
                for each in segments["items"]
                if each["name"] in SEGMENTS
            },
            "campaigns": {
                each["name"]: {
                    key: each["figures"][key] for key in ("sent", "suppressed", "holdout")
                }
                for each in campaigns["items"]
                if each["name"] in CAMPAIGNS
            },
            "mail_caught": sum(1 for _ in self.mail.glob("*.eml")),
            "lag": sum(report["unrelayed"] + sum(report["lag"].values()) for report in reports),
            "seconds": {name: round(taken, 2) for name, taken in self.seconds.items()},
            "per_second": {"receipts": round(self.sent_receipts / receipt_seconds, 1)},
        }

    @asynccontextmanager
    async def _phase(
        self, name: str, title: str, total: int | None
    ) -> AsyncIterator[Callable[[int], None]]:
        begun = time.monotonic()
        yield self.bars.begin(title, total)
        self.seconds[name] = time.monotonic() - begun


def chunks(items: Iterable[ItemT], size: int) -> Iterator[Sequence[ItemT]]:
    """The items in lists of `size`, the last one shorter."""
    source = iter(items)
    while chunk := list(islice(source, size)):
        yield chunk
