"""What an import has brought is lived once it has ended, whenever it comes, and killed anywhere.

At the barrier that is whatever is there, but for documents whose log is not complete: their key is
parked, or Kafka refused it. Their turn comes later, and so does that of a fact that joins its
import after the end: replayed, published late, or recorded by a batch that raced with the end. The
ends that a partition has passed are noted durably, so that its owner can look for such documents:
after each assignment, when it folds a late fact, and when a key that was left out is free.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Generic, TypeVar

from shared.decider import NewEvent
from shared.projection import SteppedDocument
from shared.projector.stepped import SteppedFolder
from shared.readmodel import EndedImport

HISTORY_SLICE = 50
LOOKS_SLICE = 8
"""Partitions that are looked at in a slice, if there is nothing in them: each is a round trip."""

SteppedT = TypeVar("SteppedT", bound=SteppedDocument)


@dataclass(slots=True)
class Histories(Generic[SteppedT]):
    """The histories of one stepped projection; `blocked` are ids whose log is not complete."""

    folder: SteppedFolder[SteppedT]
    _ends: dict[int, dict[str, datetime]] = field(default_factory=dict)
    """By partition, once its notes were read: import → end."""
    _late: dict[int, set[str]] = field(default_factory=lambda: defaultdict(set))
    """By partition: ended imports that some document may still keep facts of."""
    _left_out: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        """Be told of each fact of an import that is folded."""
        self.folder.on_history = self._met

    def forget(self) -> None:
        """Partitions have changed hands: look for everything again."""
        self._ends.clear()
        self._late.clear()
        self._left_out.clear()

    async def live_at_end(self, end: EndedImport, blocked: Collection[str]) -> bool:
        """Live a slice of what the import brought; True once none is left and the end is noted."""
        if await self._live_slice(end.partition, {end.id: end.until}, blocked):
            return False
        await self.folder.stepped_documents.note_ended(end)
        if (ends := self._ends.get(end.partition)) is not None:
            ends[end.id] = end.until
        return True

    async def live_late(self, partitions: Sequence[int], blocked: Collection[str]) -> bool:
        """Live a slice of what is late in the partitions; True when there may be more."""
        await self._learn(partitions)
        if not self._left_out <= set(blocked):
            # In which partition the freed ones are is not known.
            self._left_out &= set(blocked)
            self._look_everywhere(self._ends)
        late = [partition for partition in partitions if partition in self._late]
        for partition in late[:LOOKS_SLICE]:
            ends = {name: self._ends[partition][name] for name in self._late[partition]}
            if await self._live_slice(partition, ends, blocked):
                return True
            del self._late[partition]
        return len(late) > LOOKS_SLICE

    def _met(self, partition: int, import_id: str) -> None:
        if import_id in self._ends.get(partition, ()):
            self._late[partition].add(import_id)

    async def _learn(self, partitions: Sequence[int]) -> None:
        """Read the notes of partitions that are new to this owner, and look for all of them."""
        new = [partition for partition in partitions if partition not in self._ends]
        if new:
            ended = await self.folder.stepped_documents.ended(new)
            self._ends.update({partition: {} for partition in new})
            for end in ended:
                self._ends[end.partition][end.id] = end.until
            self._look_everywhere(new)

    def _look_everywhere(self, partitions: Collection[int]) -> None:
        for partition in partitions:
            if self._ends[partition]:
                self._late[partition] |= self._ends[partition].keys()

    async def _live_slice(
        self, partition: int, ends: Mapping[str, datetime], blocked: Collection[str]
    ) -> bool:
        """Live at most a slice of documents up to the ends of the imports; False: none is left."""
        documents = await self.folder.stepped_documents.with_history(
            partition, ends.keys(), HISTORY_SLICE, blocked
        )
        self._left_out.update(blocked)
        await self.folder.revise(documents, lambda document: self._lived(document, ends))
        return bool(documents)

    def _lived(
        self, document: SteppedT, ends: Mapping[str, datetime]
    ) -> tuple[SteppedT, Sequence[NewEvent]]:
        """The document after the ends that concern it, in their order."""
        stepped = self.folder.source.stepped
        transitions: list[NewEvent] = []
        mine = ends.keys() & set(document.history)
        for until, import_id in sorted((ends[name], name) for name in mine):
            document, more = stepped.live(document, import_id, until)
            transitions += more
        return document, transitions
