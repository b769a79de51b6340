"""What records that were merged into a recipient have got already of the same occasion.

A person is told once, under whichever of their ids. The messages of the ids that a survivor has
absorbed are read from their own streams, and only for who has absorbed somebody. A message that
still waits there is suppressed in the transaction in which the survivor's begins, so of two that
are under way one goes out.

A look at the absorbed customer that knows nothing of the merge yet began with a message that was
scheduled by then. So their streams are read after the reader of customers has passed the merge: no
message that is not there by then can go out any more.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from services.notify.domain import MESSAGE, Stage, message_id, message_stream
from services.notify.domain.handing import MAY_BE_TOLD
from services.notify.handlers.books.campaigns import Entry
from services.notify.handlers.recipients.reading import People
from services.notify.projections import Absorption, QueuedMessage, Recipient
from shared.events.campaign import Broadcast, BroadcastList, OnCalendar, OnDate, OnEvent
from shared.execute import Writer

Reached = Callable[[str], datetime | None]

SAME_FOR_ALL = (Broadcast, BroadcastList, OnCalendar, OnDate, OnEvent)
"""Occasions whose name does not depend on the id: a run, the year of a date, an event.

An entering is named after its place in the stream of one id: under another one there is no equal.
"""


@dataclass(slots=True)
class Elsewhere:
    """The messages of one occasion under the other ids of a person.

    `told`: one of them has gone out, or may have (None: that is not certain yet); `waiting` are
    those that have not begun, with their customers.
    """

    told: bool | None = False
    waiting: dict[str, str] = field(default_factory=dict)

    def note(self, message: str, customer: str, stage: Stage | None) -> None:
        """Take a message into account; one that there is not says nothing."""
        if stage is Stage.SCHEDULED:
            self.waiting[message] = customer
        elif stage is Stage.SENDING:
            self.told = self.told or None
        elif stage in MAY_BE_TOLD:
            self.told = True


@dataclass(frozen=True, slots=True)
class Merged:
    """Reads them; `reached` gives W of `customer.events` as far as `people` has applied it."""

    writer: Writer
    people: People
    reached: Reached

    async def of(
        self,
        campaigns: Mapping[str, Entry],
        found: Sequence[QueuedMessage],
        recipients: Mapping[str, Recipient],
    ) -> Mapping[str, Elsewhere]:
        """What there is elsewhere, by message; of most there is nothing to ask.

        Raises `StoreUnavailable`.
        """
        asked = [
            message
            for message in found
            if (recipient := recipients.get(message.customer)) is not None
            and recipient.absorbed
            and _is_same_for_all(campaigns.get(message.campaign))
        ]
        if not asked:
            return {}
        trees = await self._trees({each.customer: recipients[each.customer] for each in asked})
        others = {message.id: _others(message, trees[message.customer].ids) for message in asked}
        stages = await self._stages({other for each in others.values() for other in each})
        elsewhere = {}
        for message in asked:
            here = Elsewhere(told=False if trees[message.customer].read else None)
            for other, customer in others[message.id].items():
                here.note(other, customer, stages.get(other))
            elsewhere[message.id] = here
        return elsewhere

    async def _trees(self, survivors: Mapping[str, Recipient]) -> Mapping[str, "_Tree"]:
        """All that each of them has absorbed, and what these had absorbed before."""
        trees = {customer: _Tree() for customer in survivors}

        def note(root: str, absorption: Absorption) -> None:
            trees[root].ids.append(absorption.other)
            # Asked before it is read: what it has absorbed, it had when it was merged.
            trees[root].read &= self._passed(absorption)

        await absorptions(self.people, survivors, note)
        return trees

    def _passed(self, absorption: Absorption) -> bool:
        reach = self.reached(absorption.other)
        return reach is not None and reach > absorption.at

    async def _stages(self, messages: Collection[str]) -> Mapping[str, Stage | None]:
        streams = {message_stream(message): message for message in sorted(messages)}
        histories = await self.writer.histories(list(streams))
        return {
            streams[name]: MESSAGE.fold(events).stage for name, (events, _) in histories.items()
        }


async def absorptions(
    people: People, survivors: Mapping[str, Recipient], note: Callable[[str, Absorption], None]
) -> None:
    """Note whom each of them has absorbed, and whom these had absorbed before, each of them once.

    Documents are read at moments of their own: where one merge was reverted and the reverse of it
    made, two may seem to have absorbed each other. Raises `StoreUnavailable`.
    """
    seen = {(root, root) for root in survivors}
    layer = [(root, each) for root, found in survivors.items() for each in found.absorbed]
    while layer:
        new = {(root, each.other): each for root, each in layer if (root, each.other) not in seen}
        seen |= new.keys()
        for (root, _), each in new.items():
            note(root, each)
        below = await people.load({other for _, other in new}) if new else {}
        layer = [
            (root, deeper)
            for root, other in new
            if other in below
            for deeper in below[other].absorbed
        ]


@dataclass(slots=True)
class _Tree:
    """The ids that are somebody's by merges; `read`: nobody there is taken for a living one."""

    ids: list[str] = field(default_factory=list)
    read: bool = True


def _is_same_for_all(entry: Entry | None) -> bool:
    definition = None if entry is None else entry.campaign.definition
    return definition is not None and isinstance(definition.trigger, SAME_FOR_ALL)


def _others(message: QueuedMessage, customers: Sequence[str]) -> Mapping[str, str]:
    """The ids of the messages of the same occasion, with their customers."""
    return {
        message_id(message.campaign, customer, message.occurrence): customer
        for customer in customers
    }
