"""The configuration as this service's own store has it, and what can be asked of it.

Nobody waits for Kafka to see a change: heads are asked at most each second, only streams that have
grown are read again, and whoever changes something here reads it at once.
"""

from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import Any

import structlog

from services.customer.domain.configuration.chosen import DECIDERS, Configuration, stream_of
from services.customer.domain.configuration.employees import (
    EraseEmployee,
    check_erasable,
    subject_of,
)
from shared.envelope import Causation
from shared.execute import Command, Done, Writer
from shared.freshness import Freshness
from shared.recurring import again_and_again

OLDEST_SECONDS = 1.0
FOLLOW_SECONDS = 0.5
STREAMS = {stream_of(kind): kind for kind in DECIDERS}

log = structlog.stdlib.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Request:
    """Under which id something is asked for, a keyed hash of what was asked, and when."""

    command_id: str
    hash: str
    at: datetime


@dataclass(slots=True)
class ConfigurationBook:
    """All configuration, never older than a second."""

    writer: Writer
    _known: Configuration = field(default_factory=Configuration)
    _versions: dict[str, int] = field(default_factory=dict)
    _freshness: Freshness = field(init=False)

    def __post_init__(self) -> None:
        """Nothing is read yet."""
        self._freshness = Freshness(self._read, OLDEST_SECONDS)

    async def fresh(self) -> Configuration:
        """The configuration as it was within the last second. Raises `StoreUnavailable`."""
        await self._freshness.ensure()
        return self._known

    async def now(self) -> Configuration:
        """The configuration as it is. Raises `StoreUnavailable`."""
        await self._freshness.renew()
        return self._known

    @property
    def latest(self) -> Configuration:
        """What was read last, for those who cannot wait; `follow` keeps it fresh."""
        return self._known

    async def follow(self) -> None:
        """Read ahead until cancelled, so that nobody who is in a hurry has to wait for it."""
        await again_and_again(
            self.now, FOLLOW_SECONDS, partial(log.warning, "configuration unread")
        )

    async def change(
        self, kind: str, request: Request, command: object, subject: str | None = None
    ) -> Done:
        """Carry out a command of a kind's decider; who asks next, sees it. Raises its refusal."""
        stream = stream_of(kind)
        try:
            return await self.writer.one(
                DECIDERS[kind],
                Command(
                    id=request.command_id,
                    hash=request.hash,
                    stream=stream,
                    key=stream,
                    body=command,
                    causation=Causation(correlation=request.command_id),
                    subject=subject,
                ),
            )
        finally:
            self._freshness.forget()

    async def erase_employee(self, request: Request, employee: str) -> Done:
        """Let the name of somebody who left be unknown for ever. Raises its refusal.

        The key goes first: cut off in between, the name is gone, and the same again says so.
        """
        known = (await self.now()).employees.items.get(employee)
        if known is not None:
            check_erasable(known)
            await self.writer.keyring.erase([subject_of(employee)], request.command_id)
        return await self.change("employees", request, EraseEmployee(employee, request.at))

    async def _read(self) -> None:
        heads = await self.writer.store.heads(list(STREAMS))
        grown = [
            stream
            for stream, head in heads.items()
            if self._versions.get(stream, 0) != head.version
        ]
        if grown:
            histories = await self.writer.histories(grown)
            states: dict[str, Any] = {}
            for stream, (events, head) in histories.items():
                kind = STREAMS[stream]
                states[kind] = DECIDERS[kind].fold(events)
                self._versions[stream] = head.version
            number = sum(self._versions.values())
            self._known = replace(self._known, number=number, **states)
