"""The second shape of a folder: folding also decides, and document and commit are one write."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TypeVar

import msgspec

from shared.clock import Clock
from shared.decider import NewEvent
from shared.envelope import Causation, Placed
from shared.eventstore import CommandMark, Commit, StoreUnavailable, body_hash
from shared.execute import encode_event
from shared.parts import PartSize
from shared.projection import Event, SteppedDocument, SteppedSource
from shared.projector.folder import Folded, Folder, raw_document
from shared.readmodel import RawDocument, SteppedDocuments

MOST_STEPS = 2_000
"""In one write; a slower server gets fewer at once."""

SteppedT = TypeVar("SteppedT", bound=SteppedDocument)


@dataclass(slots=True)
class SteppedFolder(Folder[SteppedT]):
    """Folds batches whose transitions become commits of each document's own stream.

    `on_history` is called with partition and import for each fact of an import that is folded,
    before that is durable; it must be quick and must not raise.
    """

    source: SteppedSource[SteppedT] = field(kw_only=True)
    stepped_documents: SteppedDocuments = field(kw_only=True)
    clock: Clock = field(kw_only=True)
    service: str = field(kw_only=True)
    append_deadline: timedelta = field(kw_only=True)
    on_history: Callable[[int, str], None] = lambda _partition, _import: None
    _transitions: dict[str, list[NewEvent]] = field(default_factory=lambda: defaultdict(list))
    _part: PartSize = field(init=False, default_factory=lambda: PartSize(MOST_STEPS, MOST_STEPS))

    def _fold_document(self, raw: RawDocument | None, events: Sequence[Event]) -> Folded[SteppedT]:
        if raw is not None:
            self._transitions.pop(raw["_id"], None)
        elif events and isinstance(target := self.projection.target(events[0]), str):
            self._transitions.pop(target, None)
        return super(SteppedFolder, self)._fold_document(raw, events)

    async def _loaded(self, raws: Iterable[RawDocument]) -> None:
        """Never fold with older rules than a document has seen."""
        if any(raw.get("rules", 0) > self.source.number for raw in raws):
            await self.source.refresh()

    def _apply(self, document: SteppedT | None, event: Event) -> SteppedT:
        after, transitions = self.source.stepped.step(document, event)
        self._transitions[after.id] += transitions
        if event.light.history is not None:
            self.on_history(event.partition, event.light.history)
        return after

    async def _write(self, folded: Mapping[str, Folded[SteppedT]]) -> set[str]:
        return await self._write_in_parts(
            [
                (result.document, self._transitions.pop(target, []))
                for target, result in folded.items()
                if result.document is not None
            ]
        )

    async def _write_in_parts(
        self, changes: Sequence[tuple[SteppedT, Sequence[NewEvent]]]
    ) -> set[str]:
        """Write as many at once as the append deadline allows, which progress relies on.

        Raises TimeoutError and `StoreUnavailable`: what was written stays, and the next parts are
        smaller, since a batch that is too much for a slow server would be so for ever.
        """
        loop, patience = asyncio.get_running_loop(), self.append_deadline.total_seconds()
        lost: set[str] = set()
        while changes:
            part, changes = changes[: self._part.size], changes[self._part.size :]
            # The deadline begins first: a pause before the moment must not lengthen it.
            began = loop.time()
            moment = self.clock.system_now()
            try:
                async with asyncio.timeout_at(began + patience):
                    lost |= await self.stepped_documents.write_stepped(
                        [
                            self._step(document, transitions, moment, began + patience)
                            for document, transitions in part
                        ]
                    )
            except (TimeoutError, StoreUnavailable):
                self._part.failed(len(part))
                raise
            self._part.took(len(part), (loop.time() - began) / patience)
        return lost

    async def revise(
        self,
        raws: Sequence[RawDocument],
        change: Callable[[SteppedT], tuple[SteppedT, Sequence[NewEvent]]],
    ) -> set[str]:
        """Change documents beside the log (timers, rules, history); gives those that were lost.

        A lost one was written by somebody else meanwhile, and is found again if still due.
        """
        return await self._write_in_parts(
            [change(msgspec.convert(raw, self.projection.document)) for raw in raws]
        )

    def _step(
        self,
        document: SteppedT,
        transitions: Sequence[NewEvent],
        moment: datetime,
        expires: float,
    ) -> tuple[RawDocument, Commit | None]:
        """The document and the commit that belongs to it; moves the document's head."""
        commit = self._commit(document, transitions, moment, expires) if transitions else None
        return raw_document(document), commit

    def _commit(
        self,
        document: SteppedT,
        transitions: Sequence[NewEvent],
        moment: datetime,
        expires: float,
    ) -> Commit:
        stream = self.source.stepped.stream(document.id)
        recorded = self.clock.at_system(moment)
        first = document.stream_version + 1
        texts = [
            encode_event(
                Placed(
                    data=event.data,
                    service=self.service,
                    stream=stream,
                    version=version,
                    time=event.time,
                    recorded=recorded,
                    causation=event.causation or Causation(correlation=f"{stream}@{version}"),
                    subject=document.id if document.key is None else document.subject,
                    branch=event.branch,
                ),
                {},
            )
            for version, event in enumerate(transitions, start=first)
        ]
        document.stream_seq += 1
        document.stream_version += len(texts)
        mark = f"step|{stream}|{document.stream_seq}"
        return Commit(
            stream=stream,
            seq=document.stream_seq,
            version=document.stream_version,
            key=document.key or document.id,
            recorded_at=moment,
            commands=(CommandMark(mark, body_hash(mark), document.stream_version),),
            events=tuple(texts),
            expires=expires,
        )
