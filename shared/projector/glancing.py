"""A new rule set over documents that it mostly does not move: glances, the quickest one first.

A glance reads few fields and says what changes, or that more has to be looked at. Who is not
settled by the first one is read whole and shown to the next; what is left is revised. A glance that
settles too few is passed over for as long as the rule set stands, so that hardly anybody is read
twice.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import msgspec

from shared.projection import Glance, SteppedDocument
from shared.projector.stepped import SteppedFolder
from shared.readmodel import Patch, RawDocument

MOST_LEFT = 0.5
"""Of those who are shown to the first glance; when it leaves more, the next one is the first."""

SteppedT = TypeVar("SteppedT", bound=SteppedDocument)


@dataclass(slots=True)
class Glancing(Generic[SteppedT]):
    """Glances at documents of one folder."""

    folder: SteppedFolder[SteppedT]
    _number: int = 0
    _passed: int = 0

    def present(self) -> Sequence[Glance[SteppedT]]:
        """Those of the present stepping that are worth it."""
        source = self.folder.source
        if source.number != self._number:
            self._number, self._passed = source.number, 0
        return source.stepped.glances[self._passed :]

    async def settle(
        self, glances: Sequence[Glance[SteppedT]], raws: Sequence[RawDocument]
    ) -> Sequence[RawDocument]:
        """Bring up to the rules of the glances those documents for which that is quickly done.

        Gives the others, whole; `raws` may lack what the first glance does not need to see.
        """
        if not glances:
            return raws
        left = await self._settled(glances[0], raws)
        if len(glances) > 1 and len(left) > len(raws) * MOST_LEFT:
            self._passed += 1
        whole = list((await self.folder.documents.load(left)).values()) if left else []
        for glance in glances[1:]:
            named = frozenset(await self._settled(glance, whole)) if whole else frozenset()
            whole = [raw for raw in whole if raw["_id"] in named]
        return whole

    async def _settled(
        self, glance: Glance[SteppedT], raws: Sequence[RawDocument]
    ) -> Sequence[str]:
        """Write what the glance says; gives the ids of whom it says nothing."""
        kind = self.folder.projection.document
        same: dict[tuple[int, Any], list[str]] = defaultdict(list)
        single: list[Patch] = []
        left: list[str] = []
        for raw in raws:
            fields = glance(msgspec.convert(raw, kind))
            if fields is None:
                left.append(raw["_id"])
            elif "due" in fields:
                single.append(Patch([raw["_id"]], raw["rev"], fields))
            else:
                same[raw["rev"], tuple(fields.items())].append(raw["_id"])
        alike = [Patch(ids, rev, dict(fields)) for (rev, fields), ids in same.items()]
        await self.folder.stepped_documents.patch([*alike, *single])
        return left
