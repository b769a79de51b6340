"""Taking facts from a topic: recorded, or waiting, or put aside with the reason; never passed over.

A record is acknowledged once what became of it is durable. The ids of commands are the facts' own,
so a record that is read again changes nothing. What may become right by itself waits and is looked
at again; what cannot, and what has waited too long, becomes a dead letter as it was.
"""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog
from pydantic import TypeAdapter

from services.interaction.handlers.facts import SentFact
from services.interaction.handlers.inbox_reasons import (
    FAILED,
    PLACE_FULL,
    WAITED_TOO_LONG,
    WAITING,
    letter_of,
)
from services.interaction.handlers.inbox_sealing import Sealer, Still
from services.interaction.handlers.incoming import ANY
from services.interaction.handlers.incoming.hot import hot_named_receipt
from services.interaction.handlers.intake import Intake, Sent
from services.interaction.handlers.returns import SentReturn
from services.interaction.queries.customers import Owners
from shared import telemetry
from shared.dead_letters import DeadLetter, DeadLetters
from shared.decider import Refused
from shared.eventstore import Known, StoreUnavailable
from shared.execute import Outcome
from shared.http import parse_items
from shared.records import RawRecord
from shared.waiting import Waiter, WaitingPlace

FAILURES_BEFORE = 3
"""So often a record may fail for a reason that nobody has foreseen, before it is put aside."""
MOST_FAILED = 100
"""Of those a process puts aside no more: a bad deployment must not drain the inbox."""
LOOKED_AT = 500
SHORTEST_SECONDS, LONGEST_SECONDS = 1.0, 30.0
"""Between two looks at what waits: a quarter of how long it has waited, within these."""
COMMAND = "command|"
READER: TypeAdapter[Any] = ANY

KnownCommands = Callable[[Sequence[str]], Awaitable[Mapping[str, Known]]]
log = structlog.stdlib.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Patience:
    """How many facts may wait at once, and for how long."""

    most: int = 100_000
    seconds: float = 7 * 24 * 3600.0


@dataclass(slots=True)
class Inbox:
    """Takes records; `known` and `owners` say whether what a fact waits for is there."""

    intake: Intake
    known: KnownCommands
    owners: Owners
    place: WaitingPlace
    dead: DeadLetters
    sealer: Sealer
    patience: Patience = field(default_factory=Patience)
    _failures: dict[tuple[int, int], int] = field(default_factory=dict)
    _failed: int = 0

    async def take(self, records: Sequence[RawRecord]) -> None:
        """Take a batch; returns when what became of each record is durable.

        Raises `StoreUnavailable` and `BrokerUnavailable`: the same may be taken again.
        """
        waiters, letters = [], []
        for record, sent, outcome in await self._outcomes(records):
            if not isinstance(outcome, Refused):
                _count("repeated" if outcome.repeated else "recorded")
            elif outcome.type in WAITING and not isinstance(sent, Refused):
                waiters.append(self._waiter(record, sent, outcome))
            else:
                letters.append(letter_of(record, outcome))
        if waiters and await self.place.count() + len(waiters) > self.patience.most:
            letters += [letter_of(self.sealer.opened(each), PLACE_FULL) for each in waiters]
            waiters = []
        if waiters:
            await self.place.admit(waiters)
            _count("waiting", len(waiters))
        await self._bury(letters)
        self._failures.clear()

    async def look_again(self) -> int:
        """Look at what waits and is due; gives how many that were."""
        due = await self.place.due(LOOKED_AT)
        if not due:
            return 0
        there = await self._there({each.waits_for for each in due})
        ready = [each for each in due if each.waits_for in there]
        unready = [each for each in due if each.waits_for not in there]
        late = [each for each in unready if each.age > self.patience.seconds]
        letters = [letter_of(self.sealer.opened(each), WAITED_TOO_LONG) for each in late]
        settled = [each.id for each in late]
        again = [each for each in unready if each.age <= self.patience.seconds]
        opened = [self.sealer.opened(each) for each in ready]
        for waiter, (record, _, outcome) in zip(ready, await self._outcomes(opened), strict=True):
            if isinstance(outcome, Refused) and outcome.type in WAITING:
                again.append(waiter)
                continue
            settled.append(waiter.id)
            if isinstance(outcome, Refused):
                letters.append(letter_of(record, outcome))
            else:
                _count("repeated" if outcome.repeated else "recorded")
        await self._bury(letters)
        if settled:
            await self.place.release(settled)
        await self.place.postpone({each.id: _pause(each) for each in again})
        self._failures.clear()
        return len(due)

    async def _bury(self, letters: Sequence[DeadLetter]) -> None:
        if letters:
            await self.dead.bury(letters)
            _count("dead", len(letters))

    async def _there(self, wanted: Collection[str]) -> set[str]:
        """Which of the things that are waited for have come."""
        commands = [each.removeprefix(COMMAND) for each in wanted if each.startswith(COMMAND)]
        customers = {each for each in wanted if not each.startswith(COMMAND)}
        known = await self.known(commands) if commands else {}
        owners = await self.owners(customers) if customers else {}
        return {COMMAND + each for each in known} | set(owners)

    async def _outcomes(
        self, records: Sequence[RawRecord]
    ) -> list[tuple[RawRecord, Sent | Refused, Outcome]]:
        """What became of each record; where that fails, each by itself finds the one to blame."""
        values = [record.value or b"" for record in records]
        sent = self.intake.sent(parse_items(READER, values, hot_named_receipt))
        try:
            outcomes = [outcome for _, outcome in await self.intake.take(sent)]
        except (StoreUnavailable, TimeoutError):
            raise
        except Exception:
            log.exception("facts of the inbox fail")
            outcomes = [
                await self._alone(record, each) for record, each in zip(records, sent, strict=True)
            ]
        return list(zip(records, sent, outcomes, strict=True))

    async def _alone(self, record: RawRecord, sent: Sent | Refused) -> Outcome:
        try:
            ((_, outcome),) = await self.intake.take([sent])
        except (StoreUnavailable, TimeoutError):
            raise
        except Exception:
            place = (record.partition, record.offset)
            self._failures[place] = self._failures.get(place, 0) + 1
            if self._failures[place] < FAILURES_BEFORE or self._failed >= MOST_FAILED:
                raise
            self._failed += 1
            log.exception("a fact of the inbox fails", alarm="inbox-failed", offset=record.offset)
            return FAILED
        return outcome

    def _waiter(self, record: RawRecord, sent: Sent, why: Refused) -> Waiter:
        return self.sealer.sealed(
            Still(
                topic=record.topic,
                partition=record.partition,
                offset=record.offset,
                timestamp=record.timestamp,
                key=record.key,
                value=record.value,
            ),
            f"{sent.command.id}|{sent.hash}",
            _waits_for(sent),
            why.type,
        )


def _waits_for(sent: Sent) -> str:
    match sent:
        case SentReturn(receipt=receipt):
            return COMMAND + receipt
        case SentFact(who=(customer, *_)):
            return customer
        case _:
            message = "a fact that names nobody waits for nobody"
            raise AssertionError(message)


def _pause(waiter: Waiter) -> float:
    return min(max(waiter.age / 4, SHORTEST_SECONDS), LONGEST_SECONDS)


def _count(outcome: str, number: int = 1) -> None:
    if number:
        telemetry.INBOX.labels(outcome).inc(number)
