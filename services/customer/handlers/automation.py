"""Automation: what happens to customers becomes commands, in the name of the chain's rules.

Each command's id says rule, cause and what is done, so a batch that is carried out again after a
crash changes nothing. The configuration is read after the cause was, so a rule that was defined
before a cause never misses it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from services.customer.domain.automating import (
    Cause,
    Reaction,
    applies,
    commands_of,
    reactions,
    restoring,
)
from services.customer.domain.commands import Command
from services.customer.domain.configuration.chosen import Configuration
from services.customer.domain.customer import CUSTOMER
from services.customer.domain.state import stream_of
from services.customer.handlers.configuration import ConfigurationBook
from services.customer.handlers.customers import MAX_REDIRECTS, Request, carry_out_all
from shared import telemetry
from shared.decider import Refused
from shared.envelope import Causation
from shared.eventstore import body_hash
from shared.execute import Outcome, Writer

log = structlog.stdlib.get_logger(__name__)
Asked = tuple[Request, Command]


@dataclass(frozen=True, slots=True)
class Automating:
    """Carries out what follows from causes."""

    writer: Writer
    book: ConfigurationBook

    async def react(self, causes: Sequence[Cause]) -> None:
        """Carry out all that follows, in the order of the causes. Raises `StoreUnavailable`."""
        configuration = await self.book.now()
        asked: list[Asked] = []
        for cause in causes:
            asked += await self._asked(configuration, cause)
        if asked:
            for outcome in await carry_out_all(self.writer, asked):
                _count(outcome)

    async def _asked(self, configuration: Configuration, cause: Cause) -> list[Asked]:
        if cause.on is None:
            return [(_request("activity", "restore", cause), restoring(cause))]
        found: list[Asked] = []
        for reaction in reactions(configuration, cause):
            if cause.too_deep:
                telemetry.AUTOMATION.labels("too_deep").inc()
                log.error(
                    "a chain of causes is too long: rules cause each other",
                    alarm="automation-loop",
                    rule=reaction.rule,
                    cause=cause.event,
                )
            elif applies(reaction, await self._branch(reaction, cause)):
                found += [
                    (_request(reaction.rule, part, cause), command)
                    for part, command in commands_of(configuration, reaction, cause)
                ]
        return found

    async def _branch(self, reaction: Reaction, cause: Cause) -> str | None:
        """Where it happened; where the event does not say, where the customer belongs."""
        if not reaction.asks_branch or cause.branch is not None:
            return cause.branch
        customer = cause.customer
        for _ in range(MAX_REDIRECTS):
            state, _version = await self.writer.state(CUSTOMER, stream_of(customer))
            if state.merged is None:
                return state.record.home_branch
            customer = state.merged.survivor
        return None


def _request(rule: str, part: str, cause: Cause) -> Request:
    """The same for the same rule, cause and part, whatever the rule has become meanwhile."""
    command_id = f"automation|{rule}|{cause.event}|{part}"
    why = Causation(cause.correlation, cause.event, cause.depth + 1)
    return Request(command_id, body_hash(command_id), cause.time, why)


def _count(outcome: Outcome) -> None:
    if isinstance(outcome, Refused):
        telemetry.AUTOMATION.labels("refused").inc()
        log.info("a rule could not be carried out", reason=outcome.type)
    elif outcome.repeated:
        telemetry.AUTOMATION.labels("repeated").inc()
    else:
        telemetry.AUTOMATION.labels("done" if outcome.changed else "unchanged").inc()
