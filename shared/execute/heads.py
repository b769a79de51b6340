"""Where streams end, remembered by whoever has written there last.

A batch without histories needs of each stream only its end. To ask for it costs a round trip, and
on servers that read all commits of a stream to find the last one it costs more the longer the
stream is. Who has just appended knows the end, and appending rests on it: a commit takes its seq or
loses it, so an end that is no longer true writes nothing and is asked for. What is remembered was
acknowledged by a majority; it may be behind the store, and is never ahead of it.

A closed stream is not remembered: a refusal rests on no seq, so it must be read, not believed.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from shared.eventstore import EventStore, Head

REMEMBERED = 1 << 14
"""Streams that were written to last; at most twice as many are held, some 10 MB."""
SAMPLE = 2_000
"""Of so many remembered ends it is counted how many were true."""
FALSE_ONE_IN = 10
"""When more of them are false, others write to the same streams: then asking first is cheaper."""


@dataclass(slots=True)
class RememberedHeads:
    """The ends of streams that this process has appended to."""

    most: int = REMEMBERED
    _new: dict[str, Head] = field(default_factory=dict)
    _old: dict[str, Head] = field(default_factory=dict)
    _true: int = 0
    _false: int = 0

    async def of(self, store: EventStore, names: Sequence[str]) -> dict[str, Head]:
        """The heads of the streams, remembered or asked for; an empty one may be left out."""
        remembered = {name: head for name in names if (head := self._get(name)) is not None}
        if self._trusted:
            asked = [name for name in names if name not in remembered]
            return remembered | dict(await store.heads(asked) if asked else {})
        found = dict(await store.heads(names))
        right = sum(found.get(name) == head for name, head in remembered.items())
        self._count(right, len(remembered) - right)
        return found

    def appended(self, heads: Mapping[str, Head]) -> None:
        """Remember where streams end that were just appended to."""
        if self._trusted:
            self._count(sum(self._get(name) is not None for name in heads), 0)
        for name, head in heads.items():
            before = self._get(name)
            if head.redirect is not None:
                self._forget(name)
            elif before is None or before.seq < head.seq:
                self._remember(name, head)

    def lost(self, names: Iterable[str]) -> None:
        """Forget streams whose seq somebody else had."""
        false = sum(self._forget(name) for name in names)
        if self._trusted:
            self._count(0, false)

    @property
    def _trusted(self) -> bool:
        return self._false * FALSE_ONE_IN <= max(SAMPLE // 2, self._true + self._false)

    def _count(self, true: int, false: int) -> None:
        self._true += true
        self._false += false
        while self._true + self._false > SAMPLE:
            self._true //= 2
            self._false //= 2

    def _get(self, name: str) -> Head | None:
        return self._new.get(name) or self._old.get(name)

    def _remember(self, name: str, head: Head) -> None:
        if len(self._new) >= self.most:
            self._new, self._old = {}, self._new
        self._new[name] = head

    def _forget(self, name: str) -> bool:
        """Forget the stream; says whether it was remembered."""
        new, old = self._new.pop(name, None), self._old.pop(name, None)
        return new is not None or old is not None
