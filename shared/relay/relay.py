"""The relay: one per service at a time, by a lease; any number may stand by.

It tails the change stream of `commits` a batch per round trip, publishes, waits for the acks, and
saves the resume token behind its fencing number. A crash repeats the last batch, which readers
pass over; a frozen relay that wakes repeats what its successor has sent, and can save nothing.
First appearances stay in order, because every relay sends from a point at or before the first
event that is missing, in the order of the store.
"""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import structlog

from shared import telemetry
from shared.clock import Clock
from shared.eventstore import StoreUnavailable
from shared.progress import Progress, encode_progress
from shared.readmodel import Lease, Leases
from shared.relay.ports import (
    BrokerUnavailable,
    CommitFeed,
    CommitLog,
    Outgoing,
    Place,
    Publisher,
    Record,
    Token,
    TokenLost,
)
from shared.relay.records import InOrder, Router, version_of

LEASE_SECONDS = 5.0
RENEW_SECONDS = 1.0
RETRY_SECONDS = 0.5
REFUSED_RETRY_SECONDS = 60.0

log = structlog.stdlib.get_logger(__name__)


class LeaseLost(Exception):  # noqa: N818 - a state of the world, answered by standing by
    """Another relay leads now."""


@dataclass(slots=True)
class _Lead:
    """What a relay knows while it leads.

    `tailing`: the feed has answered since it was opened.
    """

    lease: Lease
    renewed: float
    token: Token | None = None
    refused: dict[str, tuple[int, str]] = field(default_factory=dict)
    offsets: dict[Place, int] = field(default_factory=dict)
    tailing: bool = False
    until: datetime | None = None
    told: float = 0.0
    retried: float = 0.0

    def state(self) -> dict[str, Any]:
        """What is saved behind the fencing number."""
        return {
            "token": self.token,
            "refused": [
                {"stream": stream, "seq": seq, "key": key}
                for stream, (seq, key) in sorted(self.refused.items())
            ],
        }


@dataclass(slots=True)
class Relay:
    """Publishes the commits of one service."""

    router: Router
    owner: str
    feed: CommitFeed
    commits: CommitLog
    publisher: Publisher
    leases: Leases
    clock: Clock
    append_deadline: timedelta
    lease_seconds: float = LEASE_SECONDS
    leading: bool = False

    @property
    def name(self) -> str:
        """The name of the lease."""
        return f"relay-{self.router.service}"

    async def run(self) -> None:
        """Stand by, lead, and stand by again, until cancelled."""
        try:
            while True:
                try:
                    await self.stand_by_and_lead()
                except (StoreUnavailable, BrokerUnavailable, LeaseLost) as failure:
                    log.warning("relay stands by", service=self.router.service, reason=str(failure))
                finally:
                    self.leading = False
                    telemetry.RELAY_LAG_SECONDS.set(0)
                await asyncio.sleep(RETRY_SECONDS)
        finally:
            await self.publisher.close()

    async def stand_by_and_lead(self) -> None:
        """Take the lease when it is free, and lead until it is lost."""
        lease = await self.leases.acquire(self.name, self.owner, self.lease_seconds)
        if lease is None:
            return
        try:
            lead = _Lead(lease, asyncio.get_running_loop().time())
            await self._begin(lead)
            self.leading = True
            while True:
                await self._step(lead)
        finally:
            await self.feed.close()
            # Best effort: a relay that ends in good order need not be waited out.
            with _ignoring_absence():
                await asyncio.shield(self.leases.release(lease))

    async def audit(self) -> int:
        """Publish every commit that the topics lack; gives how many records were missing.

        Streams are compared in order: what Kafka has of a stream is a prefix of it. A stream that
        Kafka refuses is left where it stands.
        """
        return await self._audit({})

    async def _audit(self, refused: dict[str, tuple[int, str]]) -> int:
        """Audit but the refused streams, which grow by those that are refused now."""
        have = dict(await self.publisher.published())
        in_order = InOrder()
        missing = 0
        async for batch in self.commits.all():
            records = [
                record
                for record in self.router.records(in_order.of(batch))
                if record.stream not in refused
                and version_of(record) > have.get((record.stream, record.partition), 0)
            ]
            if records:
                _, turned_away = await self._publish_until_taken(records)
                self._stop(refused, turned_away)
                missing += sum(
                    record.stream not in refused or record.seq < refused[record.stream][0]
                    for record in records
                )
        return missing

    async def _begin(self, lead: _Lead) -> None:
        state = await self.leases.state(self.name)
        lead.token = state.get("token")
        lead.refused = {
            entry["stream"]: (entry["seq"], entry["key"]) for entry in state.get("refused", ())
        }
        lead.offsets = dict(await self.publisher.end_offsets())
        if lead.token is not None:
            try:
                await self.feed.open(lead.token)
            except TokenLost:
                log.warning("resume token lost, auditing", service=self.router.service)
            else:
                return
        await self._begin_with_audit(lead)

    async def _begin_with_audit(self, lead: _Lead) -> None:
        """Keep a token first, then audit: what is written meanwhile lies after the token."""
        await self.feed.open(None)
        first = await self.feed.next(0.001)
        renewing = asyncio.create_task(self._keep_lease(lead))
        try:
            missing = await self._audit(lead.refused)
            await self._publish(lead, first.commits)
        finally:
            renewing.cancel()
            # Whatever it died of, saving the state says whether the lease is still held.
            await asyncio.gather(renewing, return_exceptions=True)
        if missing:
            log.warning("audit published", service=self.router.service, records=missing)
        lead.offsets = dict(await self.publisher.end_offsets())
        lead.token = first.token
        lead.tailing = True
        await self._save(lead)

    async def _keep_lease(self, lead: _Lead) -> None:
        while True:
            await asyncio.sleep(RENEW_SECONDS)
            await self._renew(lead)

    async def _step(self, lead: _Lead) -> None:
        """One batch, or the wait for one."""
        now = asyncio.get_running_loop().time()
        if now - lead.renewed >= RENEW_SECONDS:
            await self._renew(lead)
            now = lead.renewed
        if lead.refused and now - lead.retried >= REFUSED_RETRY_SECONDS:
            lead.retried = now
            await self._retry_refused(lead)
        wait = max(0.001, lead.renewed + RENEW_SECONDS - now)
        # Only a renewal that was acknowledged before the feed came back empty proves anything, and
        # not by its first answer: a server may give that one before it has looked.
        renewed_at = lead.lease.at if lead.tailing else None
        try:
            batch = await self.feed.next(wait)
        except TokenLost:
            log.warning("feed overtaken, auditing", service=self.router.service)
            await self._begin_with_audit(lead)
            return
        lead.tailing = True
        if batch.commits:
            await self._publish(lead, batch.commits)
        if batch.token is not None and batch.token != lead.token:
            lead.token = batch.token
            # An idle feed moves its token too; once a second is enough for that one.
            if batch.commits or now - lead.told >= RENEW_SECONDS:
                await self._save(lead)
        seen = batch.time if batch.commits else renewed_at
        if seen is not None and (lead.until is None or seen > lead.until):
            lead.until = seen
        if now - lead.told >= RENEW_SECONDS:
            lead.told = now
            await self._tell(lead)

    async def _publish(self, lead: _Lead, commits: Sequence[Outgoing]) -> None:
        free = [commit for commit in commits if commit.stream not in lead.refused]
        records = list(self.router.records(free))
        if records:
            offsets, refused = await self._publish_until_taken(records)
            self._note(lead, offsets)
            self._stop(lead.refused, refused)
            for topic, count in Counter(record.topic for record in records).items():
                telemetry.RELAY_PUBLISHED.labels(topic).inc(count)

    async def _publish_until_taken(
        self, records: Sequence[Record]
    ) -> tuple[Mapping[Place, int], Sequence[Record]]:
        while True:
            try:
                published = await self.publisher.publish(records)
            except BrokerUnavailable as failure:
                log.warning("broker away", service=self.router.service, reason=str(failure))
                await asyncio.sleep(RETRY_SECONDS)
            else:
                return published.offsets, published.refused

    def _note(self, lead: _Lead, offsets: Mapping[Place, int]) -> None:
        for place, offset in offsets.items():
            lead.offsets[place] = max(offset, lead.offsets.get(place, 0))

    def _stop(self, refused: dict[str, tuple[int, str]], records: Sequence[Record]) -> None:
        """Note the streams that Kafka refused, where each stands."""
        for record in records:
            if record.stream not in refused:
                refused[record.stream] = (record.seq, record.key.decode())
                telemetry.RELAY_REFUSED.inc()
                log.error(
                    "kafka refused a record; its stream is stopped",
                    service=self.router.service,
                    stream=record.stream,
                    seq=record.seq,
                )

    async def _retry_refused(self, lead: _Lead) -> None:
        for stream, (seq, _key) in sorted(lead.refused.items()):
            commits = await self.commits.since(stream, seq)
            records = list(self.router.records(commits))
            offsets, refused = await self._publish_until_taken(records)
            if refused:
                continue
            del lead.refused[stream]
            self._note(lead, offsets)
        await self._save(lead)

    async def _renew(self, lead: _Lead) -> None:
        renewed = await self.leases.renew(lead.lease, self.lease_seconds)
        if renewed is None:
            raise LeaseLost(self.name)
        lead.lease = renewed
        lead.renewed = asyncio.get_running_loop().time()

    async def _save(self, lead: _Lead) -> None:
        if not await self.leases.save(lead.lease, lead.state()):
            raise LeaseLost(self.name)

    async def _tell(self, lead: _Lead) -> None:
        if lead.until is None:
            return
        known = lead.until - self.append_deadline
        progress = Progress(
            service=self.router.service,
            system=known,
            chain=self.clock.at_system(known),
            offsets=_by_topic(lead.offsets),
            refused=sorted({key for _, key in lead.refused.values()}),
        )
        telemetry.RELAY_LAG_SECONDS.set(
            max(0.0, (self.clock.system_now() - lead.until).total_seconds())
        )
        await self.publisher.progress(encode_progress(progress))


def _by_topic(offsets: Mapping[Place, int]) -> dict[str, dict[int, int]]:
    topics: dict[str, dict[int, int]] = {}
    for (topic, partition), offset in sorted(offsets.items()):
        topics.setdefault(topic, {})[partition] = offset
    return topics


class _ignoring_absence:  # noqa: N801 - reads as a phrase where it is used
    """Swallow an absent database: there is nobody to tell, and the lease expires by itself."""

    def __enter__(self) -> None:
        """Nothing."""

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> bool:
        """Swallow only that."""
        return kind is not None and issubclass(kind, StoreUnavailable)
