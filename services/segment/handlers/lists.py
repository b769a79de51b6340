"""Use cases of static lists: each loads, decides and appends, and nothing else.

Who was merged is put on lists at the survivor, wherever that is by now. Who is not known here is
refused: an event would make somebody of an id that nobody has.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from services.segment.domain import References
from services.segment.domain.listing import LISTING, PutOn, TakeOff, listing_stream
from services.segment.domain.listing import Command as OfCustomer
from services.segment.domain.lists import LISTS, ArchiveList, NameList, list_stream
from services.segment.domain.lists import Command as OfList
from services.segment.handlers.definitions import Request, load_rules
from services.segment.queries.profiles import Profiles
from shared.decider import Refused, not_found
from shared.envelope import Causation
from shared.events.lists import ListCause
from shared.eventstore import body_hash
from shared.execute import Command, Done, Outcome, Writer
from shared.execute.commands import REDIRECTED

UNDER_WAY = Refused(
    "merge-under-way",
    409,
    "Of merges of this customer only a part was heard of yet.",
    "ask again in a moment",
)


async def name_list(writer: Writer, request: Request, command: NameList) -> Done:
    """Begin a list, or give it another title."""
    return await writer.one(LISTS, _asked(request, command))


async def archive_list(writer: Writer, request: Request, name: str, by: str | None) -> Done:
    """Use a list no more. Raises `Refused` (409) while segments name it."""
    rules = await load_rules(writer.store)
    standing = {**rules.rules, **rules.held}
    naming = References({each: live.rule for each, live in standing.items()}).naming_list(name)
    command = ArchiveList(name, request.at, by, naming)
    return await writer.one(LISTS, _asked(request, command))


def _asked(request: Request, command: OfList) -> Command[OfList]:
    return request.asks(command.name, list_stream(command.name), command)


@dataclass(frozen=True, slots=True)
class Entry:
    """A customer to be put on the list, or taken off: under which id somebody asks for it."""

    command_id: str
    customer: str


@dataclass(frozen=True, slots=True)
class Change:
    """What is to become of customers: on the list, or off it; why, and in which chain of causes.

    With `only`, those alone are taken off whom the job of that id has put on.
    """

    list: str
    on: bool
    cause: ListCause
    at: datetime
    correlation: str
    only: str | None = None


@dataclass(frozen=True, slots=True)
class _Placed:
    """Where an entry has got to; `seen` are those who were merged on the way."""

    entry: Entry
    customer: str
    seen: frozenset[str] = field(default=frozenset())


@dataclass(frozen=True, slots=True)
class ListWriting:
    """Puts customers on lists and takes them off."""

    writer: Writer
    profiles: Profiles

    async def change(self, change: Change, entries: Sequence[Entry]) -> Sequence[Outcome]:
        """What became of each entry. Raises `StoreUnavailable`; done again it changes nothing."""
        known = await self.profiles.known([each.customer for each in entries])
        outcomes: list[Outcome | None] = [
            None if each.customer in known else not_found("customer", each.customer)
            for each in entries
        ]
        placed = [_Placed(each, each.customer) for each in entries]
        while open_ := [index for index, outcome in enumerate(outcomes) if outcome is None]:
            commands = [_entry(change, placed[index]) for index in open_]
            done = await self.writer.many(LISTING, commands)
            for index, outcome in zip(open_, done, strict=True):
                if not (isinstance(outcome, Refused) and outcome.type == REDIRECTED):
                    outcomes[index] = outcome
                    continue
                each, to = placed[index], outcome.extra["to"]
                if to in each.seen:
                    outcomes[index] = UNDER_WAY
                placed[index] = replace(each, customer=to, seen=each.seen | {each.customer})
        return [outcome for outcome in outcomes if outcome is not None]


def _entry(change: Change, placed: _Placed) -> Command[OfCustomer]:
    stream = listing_stream(placed.customer)
    body: PutOn | TakeOff = TakeOff(change.list, change.cause, change.at, change.only)
    if change.on:
        body = PutOn(change.list, change.cause, change.at)
    return Command(
        id=placed.entry.command_id,
        hash=body_hash([change.list, placed.entry.customer, change.on]),
        stream=stream,
        key=placed.customer,
        body=body,
        causation=Causation(correlation=change.correlation),
        subject=placed.customer,
    )
