"""One batch of records into documents: two round trips, and nothing half done.

Load all touched documents with one query, skip what they have, fold, write each once behind its
revision. A lost guard means that another worker was there: that document is loaded and folded
again. An event that cannot be applied is parked with every later event of its key, in the same
batch and after; its neighbours go on.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, TypeVar

import msgspec
import structlog

from shared import telemetry
from shared.keyring import Keyring
from shared.projection import Document, Event, Projection
from shared.projector.decoding import Decoder, Entry, Poison
from shared.readmodel import (
    Documents,
    ParkedEvent,
    Parking,
    RawDocument,
    UnwritableDocuments,
)
from shared.records import RawRecord

PARKING_LIMIT = 1_000
REASON_CHARACTERS = 200

DocumentT = TypeVar("DocumentT", bound=Document)
log = structlog.stdlib.get_logger(__name__)


class ParkingFull(Exception):  # noqa: N818 - stops the worker
    """Too much is parked: a bad deployment must not park the world."""


class Gap(Exception):  # noqa: N818 - a finding about the stream
    """A version is missing in a stream that the document reads whole."""


@dataclass(slots=True)
class Folded(Generic[DocumentT]):
    """A document after its events: to be written if `changed`.

    `failed` is the position of the first event that could not be applied.
    """

    document: DocumentT | None
    changed: bool
    failed: int | None = None
    reason: str = ""


@dataclass(slots=True)
class Folder(Generic[DocumentT]):
    """Folds batches for one projection.

    `on_folded` is called after each batch, once it is durable, so that whoever waits for news in
    this process need not ask; it must be quick and must not raise.
    """

    projection: Projection[DocumentT]
    documents: Documents
    parking: Parking
    keyring: Keyring | None = None
    parking_limit: int = PARKING_LIMIT
    parked_keys: set[bytes] = field(default_factory=set)
    on_folded: Callable[[], None] = lambda: None
    _decoder: Decoder = field(init=False)

    def __post_init__(self) -> None:
        """Build the decoder; personal fields are opened only where the projection asks."""
        keyring = self.keyring if self.projection.opens else None
        self._decoder = Decoder(
            self.projection.name, self.projection.reads, keyring, whole=self.projection.gapless
        )

    async def assigned(self, partitions: Sequence[int]) -> None:
        """Learn which keys are parked in the partitions that are owned from now on."""
        parked = await self.parking.parked(partitions)
        self.parked_keys = {event.key for event in parked}
        telemetry.PARKED.labels(self.projection.name).set(len(parked))

    async def fold(self, records: Sequence[RawRecord]) -> None:
        """Apply the records durably. Raises `StoreUnavailable`, `MissingKey`, `ParkingFull`."""
        entries = await self._decoder.decode(records)
        await self._fold_entries(entries)
        telemetry.PROJECTION_APPLIED.labels(self.projection.name).inc(len(records))
        self.on_folded()

    async def replay(self, partitions: Sequence[int]) -> None:
        """Apply parked events whose replay was asked for, in order; what fails stays parked."""
        if not self.parked_keys:
            return
        parked = await self.parking.parked(partitions)
        wanted = {event.key for event in parked if event.replay}
        again = [event for event in parked if event.key in wanted]
        if not again:
            self.parked_keys = {event.key for event in parked}
            return
        self.parked_keys -= wanted
        try:
            await self._fold_entries(await self._decoder.decode(again))
            failed = wanted & self.parked_keys
            await self.parking.keep([event for event in again if event.key in failed])
            await self.parking.release([event for event in again if event.key not in failed])
        except BaseException:
            # They are parked still: nothing of their keys may pass them.
            self.parked_keys |= wanted
            raise
        telemetry.PARKED.labels(self.projection.name).set(await self.parking.count())

    async def _fold_entries(self, entries: Sequence[Entry]) -> None:
        parked: dict[int, str] = {}
        blocked: dict[bytes, int] = dict.fromkeys(self.parked_keys, -1)
        for index, entry in enumerate(entries):
            if isinstance(entry.outcome, Poison) and entry.key not in blocked:
                blocked[entry.key] = index
                parked[index] = entry.outcome.reason
        await self._fold_until_stable(entries, blocked, parked)
        await self._park(entries, blocked, parked)

    async def _fold_until_stable(
        self, entries: Sequence[Entry], blocked: dict[bytes, int], parked: dict[int, str]
    ) -> None:
        """Fold and write; where an event fails, leave out its key from there, and fold again."""
        pending: set[str] | None = None
        parts: dict[int, Mapping[str, Event]] = {}
        while pending is None or pending:
            groups = self._group(entries, blocked, pending, parts)
            if not groups:
                return
            stored = await self.documents.load(list(groups))
            await self._loaded(stored.values())
            failures = False
            folded: dict[str, Folded[DocumentT]] = {}
            for target, places in groups.items():
                events = [parts[i][target] if i in parts else entries[i].outcome for i in places]
                result = self._fold_document(stored.get(target), events)
                folded[target] = result
                if result.failed is not None:
                    failures = True
                    index = places[result.failed]
                    key = entries[index].key
                    blocked[key] = min(index, blocked.get(key, index))
                    parked[index] = result.reason
            if failures:
                # Nothing of this round is written: other documents may hold later events of
                # a key that is blocked now.
                continue
            try:
                pending = await self._write(
                    {target: result for target, result in folded.items() if result.changed}
                )
            except UnwritableDocuments as failure:
                if not failure.ids & groups.keys():
                    raise
                for target in failure.ids:
                    # Which of its events is too much cannot be told: the last one stands for it.
                    index = groups[target][-1]
                    key = entries[index].key
                    blocked[key] = min(index, blocked.get(key, index))
                    parked[index] = "the document cannot be written"

    def _group(
        self,
        entries: Sequence[Entry],
        blocked: Mapping[bytes, int],
        pending: set[str] | None,
        parts: dict[int, Mapping[str, Event]],
    ) -> dict[str, list[int]]:
        """Document id → indexes of its events, in order, without what is blocked.

        Of an event that many documents share, `parts` gets what each of them folds.
        """
        groups: dict[str, list[int]] = defaultdict(list)
        target_of = self.projection.target
        for index, entry in enumerate(entries):
            event = entry.outcome
            if not isinstance(event, Event):
                continue
            if blocked and (start := blocked.get(entry.key)) is not None and index >= start:
                continue
            target = target_of(event)
            if isinstance(target, str):
                if pending is None or target in pending:
                    groups[target].append(index)
            elif target is not None:
                parts[index] = target
                for each in target if pending is None else target.keys() & pending:
                    groups[each].append(index)
        return groups

    def _fold_document(self, raw: RawDocument | None, events: Sequence[Any]) -> Folded[DocumentT]:
        try:
            document = None if raw is None else msgspec.convert(raw, self.projection.document)
        except msgspec.ValidationError as failure:
            return Folded(None, changed=False, failed=0, reason=f"document unreadable: {failure}")
        changed = False
        for position, event in enumerate(events):
            try:
                if not self._is_new(document, event):
                    telemetry.PROJECTION_STALE.labels(self.projection.name).inc()
                    continue
                document = self._after(document, event)
            except Exception as failure:  # noqa: BLE001 - whatever a fold raises is parked, not lost
                return Folded(None, changed=False, failed=position, reason=_reason(failure))
            if document is not None:
                document.versions[event.light.stream] = event.light.streamversion
                changed = True
        return Folded(document, changed=changed)

    def _after(self, document: DocumentT | None, event: Event) -> DocumentT | None:
        """The document after an event, which may be of a type that is not read."""
        if event.data is not None or event.type in self.projection.reads:
            return self._apply(document, event)
        if document is None and self.projection.blank is not None:
            target = self.projection.target(event)
            return self.projection.blank(target if isinstance(target, str) else "")
        return document

    def _is_new(self, document: DocumentT | None, event: Event) -> bool:
        """Whether the document lacks the event. Raises `Gap` where it lacks more."""
        have = 0 if document is None else document.versions.get(event.light.stream, 0)
        version = event.light.streamversion
        if self.projection.gapless and version > have + 1:
            message = f"version {have + 1} is missing before {version}"
            raise Gap(message)
        return version > have

    def _apply(self, document: DocumentT | None, event: Event) -> DocumentT:
        return self.projection.apply(document, event)

    async def _loaded(self, raws: Iterable[RawDocument]) -> None:
        """A place for what must happen between loading and folding."""

    async def _write(self, folded: Mapping[str, Folded[DocumentT]]) -> set[str]:
        raws = [raw_document(result.document) for result in folded.values() if result.document]
        return await self.documents.write(raws)

    async def _park(
        self, entries: Sequence[Entry], blocked: Mapping[bytes, int], reasons: Mapping[int, str]
    ) -> None:
        held = [
            (index, entry)
            for index, entry in enumerate(entries)
            if entry.outcome is not None
            and (start := blocked.get(entry.key)) is not None
            and index >= start
        ]
        if not held:
            return
        await self.parking.park(
            [
                parked_event(entry, reasons.get(index, "behind a parked event"))
                for index, entry in held
            ]
        )
        self.parked_keys |= {entry.key for _, entry in held}
        count = await self.parking.count()
        telemetry.PARKED.labels(self.projection.name).set(count)
        for index, entry in held:
            if index in reasons:
                log.error(
                    "event parked",
                    projection=self.projection.name,
                    topic=entry.record.topic,
                    partition=entry.record.partition,
                    offset=entry.record.offset,
                    reason=reasons[index],
                )
        if count > self.parking_limit:
            message = (
                f"{self.projection.name} has parked {count} events, "
                f"the limit is {self.parking_limit}"
            )
            raise ParkingFull(message)


def raw_document(document: Document) -> RawDocument:
    """The document as it is stored, at its next revision."""
    document.rev += 1
    raw: RawDocument = msgspec.to_builtins(document, builtin_types=(datetime, bytes))
    return raw


def parked_event(entry: Entry, reason: str) -> ParkedEvent:
    """A record as it is parked."""
    record = entry.record
    return ParkedEvent(
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        key=entry.key,
        value=record.value or b"",
        timestamp=record.timestamp,
        reason=reason,
    )


def _reason(failure: Exception) -> str:
    """What a person needs of a failure, without quoting values that may be personal."""
    if isinstance(failure, Gap):
        return str(failure)
    trace = failure.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = "" if trace is None else f" in {trace.tb_frame.f_code.co_name}:{trace.tb_lineno}"
    return f"{type(failure).__name__}{place}"[:REASON_CHARACTERS]
