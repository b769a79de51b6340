"""Documents of read models in a dict."""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from shared.clock import to_milliseconds
from shared.eventstore import Append, Commit
from shared.memory.events import MemoryEventStore, check_in_time
from shared.readmodel import EndedImport, Patch, RawDocument


@dataclass(slots=True)
class MemoryDocuments:
    """One collection of a read model in a dict, beside the commits of its service."""

    commits: MemoryEventStore = field(default_factory=MemoryEventStore)
    _documents: dict[str, RawDocument] = field(default_factory=dict)
    _ended: dict[tuple[int, str], EndedImport] = field(default_factory=dict)

    async def load(self, ids: Sequence[str]) -> Mapping[str, RawDocument]:
        """Those of the documents that exist."""
        return {name: stored(self._documents[name]) for name in ids if name in self._documents}

    async def write(self, documents: Sequence[RawDocument]) -> set[str]:
        """Write each where the stored `rev` is one less; gives the ids whose guard was lost."""
        return await self.write_stepped([(document, None) for document in documents])

    async def write_stepped(self, steps: Sequence[tuple[RawDocument, Commit | None]]) -> set[str]:
        """Each document with its commit, or neither; gives the ids that were not written."""
        await asyncio.sleep(0)
        check_in_time(commit for _, commit in steps if commit is not None)
        return {document["_id"] for document, commit in steps if not self._step(document, commit)}

    def _step(self, document: RawDocument, commit: Commit | None) -> bool:
        present = self._documents.get(document["_id"])
        if present is not None and present["rev"] != document["rev"] - 1:
            return False
        if commit is not None and not self.commits.append_now(Append(commit)):
            return False
        self._documents[document["_id"]] = stored(document)
        return True

    async def due(self, partitions: Sequence[int], before: datetime, limit: int) -> Sequence[str]:
        """The ids of the partitions' documents whose `due_at` is before the moment, in its order.

        All that are due are looked at, whatever the limit.
        """
        found = [
            document
            for document in self._of(partitions)
            if document.get("due_at") is not None and document["due_at"] < before
        ]
        found.sort(key=lambda document: document["due_at"])
        return [document["_id"] for document in found[:limit]]

    async def with_older_rules(
        self,
        partitions: Sequence[int],
        rules: int,
        limit: int,
        without: Collection[str] = (),
    ) -> Sequence[RawDocument]:
        """Documents of the partitions that were evaluated with an older rule set."""
        found = [doc for doc in self._of(partitions) if doc.get("rules", 0) < rules]
        return [
            {name: value for name, value in stored(document).items() if name not in without}
            for document in found[:limit]
        ]

    async def patch(self, patches: Sequence[Patch]) -> None:
        """Give fields of documents new values; one that has another revision stays as it is."""
        await asyncio.sleep(0)
        for patch in patches:
            for name in patch.ids:
                present = self._documents.get(name)
                if present is not None and present["rev"] == patch.rev:
                    changed = {**present, **stored(dict(patch.fields)), "rev": patch.rev + 1}
                    self._documents[name] = changed

    async def with_history(
        self,
        partition: int,
        imports: Collection[str],
        limit: int,
        without: Collection[str] = (),
    ) -> Sequence[RawDocument]:
        """Documents of the partition that keep facts of the imports unlived."""
        found = [
            document
            for document in self._of([partition])
            if not set(imports).isdisjoint(document.get("history", ()))
            and document["_id"] not in without
        ]
        return [stored(document) for document in found[:limit]]

    async def lacking(
        self, partitions: Sequence[int], names: Collection[str], limit: int, after: str = ""
    ) -> Sequence[str]:
        """The next ids of the partitions' documents whose `lacks` has one of the names."""
        found: list[str] = [
            document["_id"]
            for document in self._of(partitions)
            if document["_id"] > after and not set(names).isdisjoint(document.get("lacks", ()))
        ]
        return sorted(found)[:limit]

    async def drop(self) -> None:
        """Let go of the collection and of all that is in it."""
        self._documents.clear()

    async def note_ended(self, end: EndedImport) -> None:
        """Remember the end; one that is noted already stays as it is."""
        self._ended.setdefault(
            (end.partition, end.id), replace(end, until=to_milliseconds(end.until))
        )

    async def ended(self, partitions: Sequence[int]) -> Sequence[EndedImport]:
        """The ends that were noted in the partitions."""
        return [end for end in self._ended.values() if end.partition in partitions]

    def everything(self) -> Sequence[RawDocument]:
        """All documents, in the order of their first writing."""
        return self.those(lambda _document: True)

    def those(
        self, test: Callable[[RawDocument], bool], ids: Sequence[str] | None = None
    ) -> Sequence[RawDocument]:
        """The documents that pass the test, of the ids alone where they are given.

        Only what is found is copied: the test may keep nothing of what it is shown.
        """
        among = (
            self._documents.values()
            if ids is None
            else (self._documents[name] for name in ids if name in self._documents)
        )
        return [stored(document) for document in among if test(document)]

    def _of(self, partitions: Sequence[int]) -> list[RawDocument]:
        """The documents themselves, not to be handed out."""
        return [
            document
            for document in self._documents.values()
            if document.get("partition") in partitions
        ]


def stored(value: Any) -> Any:  # noqa: ANN401 - any value of a document
    """A copy as a database gives it back: no tuples, moments in UTC with milliseconds."""
    if isinstance(value, dict):
        return {name: stored(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [stored(inner) for inner in value]
    return to_milliseconds(value) if isinstance(value, datetime) else value
