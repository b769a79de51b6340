"""Use cases of zones: each loads, decides and appends, and nothing else."""

from collections.abc import Sequence

from services.segment.domain.zones import NOTING, ZONES, NoteZone
from shared.clock import Clock
from shared.decider import Refused
from shared.envelope import Causation
from shared.eventstore import body_hash
from shared.execute import Command, Writer


async def note_zones(writer: Writer, told: Sequence[tuple[NoteZone, Causation]]) -> None:
    """Note where branches are. Raises `Refused` where one cannot be noted."""
    commands = [
        _command(f"zone|{command.branch}|{command.version}", command, why) for command, why in told
    ]
    for outcome in await writer.many(NOTING, commands) if commands else ():
        if isinstance(outcome, Refused):
            raise outcome


async def note_chain(writer: Writer, zone: str, clock: Clock) -> None:
    """Note the chain's zone as it is set, if it is another than was noted last."""
    _, version = await writer.state(NOTING, ZONES)
    command_id = f"zone||{zone}|{version}"
    command = NoteZone(None, zone, version, clock.now())
    await writer.one(NOTING, _command(command_id, command, Causation(correlation=command_id)))


def _command(command_id: str, command: NoteZone, why: Causation) -> Command[NoteZone]:
    return Command(
        id=command_id,
        hash=body_hash([command.branch, command.zone]),
        stream=ZONES,
        key=ZONES,
        body=command,
        causation=why,
    )
