"""What is counted in pages, as the store has it: the end of each count, read and written on.

Who writes rests on the version of the page that was read; of two that count at once one is told
that it has moved on, and reads again. Only pages that have grown are read.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from services.notify.domain.budget import page_of
from shared.decider import Decider, NewEvent, Refused
from shared.envelope import Causation
from shared.eventstore import StoreUnavailable, body_hash
from shared.execute import Joint, JointDecider, Writer
from shared.execute.commands import MOVED_ON
from shared.ids import new_id

Events = Mapping[str, Sequence[NewEvent]]


class Counted(Protocol):
    """What a page comes to; `version` counts its events, `next_page` is where it goes on."""

    @property
    def version(self) -> int:
        """How many events it has."""
        ...

    @property
    def next_page(self) -> int | None:
        """The number of the next one, once it is full."""
        ...


CountedT = TypeVar("CountedT", bound=Counted)


@dataclass(frozen=True, slots=True)
class Page(Generic[CountedT]):
    """The last page of a count, as it was read or written here."""

    number: int
    spent: CountedT


def _as_it_is(events: Events, _states: object, _claims: object) -> Events:
    return events


@dataclass(slots=True)
class Pages(Generic[CountedT]):
    """The last page of each count, by name.

    `decider` folds a page; `prefix` is what the streams of a name begin with, `stream` that of a
    page.
    """

    writer: Writer
    decider: Decider[object, CountedT]
    prefix: Callable[[str], str]
    stream: Callable[[str, int], str]
    _last: dict[str, Page[CountedT]] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Page[CountedT]:
        """The last page of what was read before."""
        return self._last[name]

    async def append(self, name: str, events: Events) -> bool:
        """Write on the end of the page as it is known; False where it is another one by now.

        Raises `StoreUnavailable`: then nobody knows, and it is to be read again.
        """
        page = self._last[name]
        known = self.stream(name, page.number)
        command = f"budget|{new_id()}"
        joint = Joint(
            id=command,
            hash=body_hash(command),
            streams=dict.fromkeys(events),
            body=events,
            causation=Causation(correlation=command),
            expected={stream: page.spent.version if stream == known else 0 for stream in events},
        )
        try:
            await self.writer.together(JointDecider(self.decider, _as_it_is), joint)
        except Refused as refusal:
            if refusal.type != MOVED_ON:
                raise
            return False
        except StoreUnavailable:
            del self._last[name]
            raise
        first = next(iter(events))
        before = page.spent if first == known else self.decider.initial()
        after = self.decider.evolve(before, events[first][0].data)
        self._last[name] = Page(page_of(first), after)
        return True

    async def refresh(self, names: Collection[str]) -> None:
        """Read the pages that have grown since; a full one leads to the next.

        Raises `StoreUnavailable`.
        """
        for name in names:
            if name not in self._last:
                found = await self.writer.store.names(self.prefix(name))
                self._last[name] = self._empty(page_of(found[-1]) if found else 1)
        left = set(names)
        while left:
            streams = {self.stream(name, self._last[name].number): name for name in left}
            heads = await self.writer.store.heads(sorted(streams))
            grown = {
                stream: streams[stream]
                for stream, head in heads.items()
                if head.version != self._last[streams[stream]].spent.version
            }
            histories = await self.writer.histories(sorted(grown)) if grown else {}
            left = set()
            for stream, (events, _) in histories.items():
                name, spent = grown[stream], self.decider.fold(events)
                if spent.next_page is None:
                    self._last[name] = Page(page_of(stream), spent)
                else:
                    self._last[name] = self._empty(spent.next_page)
                    left.add(name)

    def _empty(self, number: int) -> Page[CountedT]:
        return Page(number, self.decider.initial())
