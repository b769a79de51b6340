"""The suppression list as this service's own store has it: put on, released, and asked.

What is on the list is asked of the streams themselves with each batch, so it counts at once, and
nobody who is put on it hears anything more by a look that begins later.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from services.notify.domain.suppression import (
    ADDRESS,
    ADDRESS_PREFIX,
    AddressCommand,
    NoteFailure,
    ReleaseAddress,
    SuppressAddress,
    address_stream,
)
from shared.envelope import Causation, glimpse_type
from shared.events.suppression import AddressReleased, AddressSuppressed
from shared.eventstore import Commit, EventStore, body_hash
from shared.execute import Command, Done, Writer

_SUPPRESSED = AddressSuppressed.type.encode()
_RELEASED = AddressReleased.type.encode()


@dataclass(frozen=True, slots=True)
class Returned:
    """What a message that came back asks of its address, and the event that says that it did."""

    command: SuppressAddress | NoteFailure
    why: Causation


async def suppressed(store: EventStore, contacts: Collection[str]) -> set[str]:
    """Those of the addresses (by their hashes) that get nothing. Raises `StoreUnavailable`."""
    if not contacts:
        return set()
    found = await store.read([address_stream(each) for each in sorted(contacts)])
    return {
        stream.removeprefix(ADDRESS_PREFIX)
        for stream, commits in found.items()
        if _is_suppressed(commits)
    }


async def note(writer: Writer, returned: Sequence[Returned]) -> None:
    """Draw what follows from what came back; told twice, it is once. Raises `StoreUnavailable`."""
    commands: dict[str, Command[AddressCommand]] = {}
    for each in returned:
        name = _name(each.command)
        commands[name] = _execution(name, each.command, each.why)
    if commands:
        await writer.many(ADDRESS, list(commands.values()))


async def by_hand(
    writer: Writer, command_id: str, body: object, command: SuppressAddress | ReleaseAddress
) -> Done:
    """Put an address on the list, or release it. Raises `Refused` (404) for one that is not."""
    execution = _execution(command_id, command, Causation(command_id), body_hash(body))
    return await writer.one(ADDRESS, execution)


def _is_suppressed(commits: Sequence[Commit]) -> bool:
    """What the last word of a stream is."""
    found = False
    for commit in commits:
        for text in commit.events:
            kind = glimpse_type(text.encode())
            found = kind == _SUPPRESSED or (found and kind != _RELEASED)
    return found


def _name(command: SuppressAddress | NoteFailure) -> str:
    """The id of what follows by itself: of one message, for one reason, once."""
    reason = "failed" if isinstance(command, NoteFailure) else command.reason
    about = command.message or command.at.isoformat()
    return f"address|{command.contact}|{reason}|{about}"


def _execution(
    name: str, command: AddressCommand, why: Causation, sent: str | None = None
) -> Command[AddressCommand]:
    stream = address_stream(command.contact)
    return Command(
        id=name,
        hash=sent or body_hash(name),
        stream=stream,
        key=stream,
        body=command,
        causation=why,
        sealed_by=stream,
    )
