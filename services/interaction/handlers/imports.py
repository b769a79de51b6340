"""What can be done with imports of facts: load, decide, append, and nothing else."""

from datetime import datetime

from services.interaction.domain.imports import (
    IMPORTS,
    BeginImport,
    EndImport,
    ImportCommand,
    import_stream_of,
)
from shared.envelope import Causation
from shared.eventstore import body_hash
from shared.execute import Command, Done, Writer


async def begin_import(
    writer: Writer, command_id: str, import_id: str, title: str, at: datetime
) -> Done:
    """Begin an import, or go on with it. Raises `Refused` when there is another of this id."""
    command = BeginImport(import_id=import_id, title=title, at=at)
    return await writer.one(IMPORTS, _importing(command_id, command, title))


async def end_import(
    writer: Writer, command_id: str, import_id: str, facts: int, at: datetime
) -> Done:
    """End an import; one that has ended stays as it is. Raises `Refused` when there is none."""
    command = EndImport(import_id=import_id, facts=facts, at=at)
    return await writer.one(IMPORTS, _importing(command_id, command, facts))


def _importing(
    command_id: str, command: ImportCommand, content: str | int
) -> Command[ImportCommand]:
    return Command(
        id=command_id,
        hash=body_hash([command.import_id, content]),
        stream=import_stream_of(command.import_id),
        key=command.import_id,
        body=command,
        causation=Causation(correlation=command_id),
    )
