"""Automation: what happens to customers becomes commands, in the name of the chain's rules.

Each command's id says rule, cause and what is done, so a batch that is carried out again after a
crash changes nothing. The configuration is read after the cause was, so a rule that was defined
before a cause never misses it.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

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
from services.customer.domain.state import Customer, stream_of
from services.customer.handlers.configuration import ConfigurationBook
from services.customer.handlers.customers import MAX_REDIRECTS, Request, carry_out_all
from shared import telemetry
from shared.decider import Refused
from shared.envelope import Causation
from shared.eventstore import StoreUnavailable, body_hash
from shared.execute import Outcome, Writer

log = structlog.stdlib.get_logger(__name__)
TRIES = 5
"""How often it is tried for a customer for whom it fails, while the others go on."""
MOST_BROKEN = 20
"""Customers of a batch: if it fails for more, it is not they who are broken, and all waits."""
Asked = tuple[Request, Command]


@dataclass(frozen=True, slots=True)
class Automating:
    """Carries out what follows from causes."""

    writer: Writer
    book: ConfigurationBook
    failures: dict[str, int] = field(default_factory=dict)
    """Customer → how often in a row nothing could be carried out for them."""

    async def react(self, causes: Sequence[Cause]) -> None:
        """Carry out all that follows, in the order of the causes.

        Raises `StoreUnavailable`, and what else went wrong as long as it may pass: the caller then
        asks again, and those who do not wait for it are done meanwhile.
        """
        configuration = await self.book.now()
        try:
            await self._carry_out(configuration, causes)
        except StoreUnavailable:
            raise
        except Exception as failure:  # noqa: BLE001 - whatever it is, it must not stop the others
            await self._apart(configuration, causes, failure)

    async def _carry_out(self, configuration: Configuration, causes: Sequence[Cause]) -> None:
        found = [(cause, each) for cause in causes for each in reactions(configuration, cause)]
        homes = await self._homes(
            {cause.customer for cause, each in found if each.asks_branch and cause.branch is None}
        )
        asked: list[Asked] = [
            (_request("activity", "restore", cause), restoring(cause))
            for cause in causes
            if cause.on is None
        ]
        for cause, reaction in found:
            if cause.too_deep:
                _alarm(reaction, cause)
            elif applies(reaction, cause.branch or homes.get(cause.customer)):
                asked += [
                    (_request(reaction.rule, part, cause), command)
                    for part, command in commands_of(configuration, reaction, cause)
                ]
        if asked:
            for outcome in await carry_out_all(self.writer, asked):
                _count(outcome)

    async def _apart(
        self, configuration: Configuration, causes: Sequence[Cause], failure: Exception
    ) -> None:
        """Customer by customer; those for whom it fails again and again are passed over."""
        theirs: dict[str, list[Cause]] = {}
        for cause in causes:
            theirs.setdefault(cause.customer, []).append(cause)
        waits: Exception | None = None
        for customer, each in theirs.items():
            try:
                await self._carry_out(configuration, each)
            except StoreUnavailable:
                raise
            except Exception as why:  # noqa: BLE001 - as above
                self.failures[customer] = self.failures.get(customer, 0) + 1
                if self.failures[customer] < TRIES:
                    waits = why
            else:
                self.failures.pop(customer, None)
        broken = [each for each in theirs if self.failures.get(each, 0) >= TRIES]
        if waits is not None or len(broken) > MOST_BROKEN:
            raise waits or failure
        for customer in broken:
            del self.failures[customer]
            telemetry.AUTOMATION.labels("failed").inc()
            log.error(
                "rules cannot be carried out for a customer",
                alarm="automation-failed",
                causes=[cause.event for cause in theirs[customer]],
                reason=type(failure).__name__,
            )

    async def _homes(self, customers: Collection[str]) -> Mapping[str, str | None]:
        """Where customers belong, those who were merged where the survivor does."""
        now = {customer: customer for customer in customers}
        states: dict[str, Customer] = {}
        for _ in range(MAX_REDIRECTS):
            wanted = sorted(set(now.values()) - states.keys())
            if not wanted:
                break
            streams = [stream_of(each) for each in wanted]
            histories = await self.writer.histories(streams, sealed=True)
            for each in wanted:
                events, _head = histories.get(stream_of(each), ((), None))
                states[each] = CUSTOMER.fold(events)
            for customer, each in now.items():
                if (merged := states[each].merged) is not None:
                    now[customer] = merged.survivor
        return {
            customer: states[each].record.home_branch
            for customer, each in now.items()
            if each in states
        }


def _request(rule: str, part: str, cause: Cause) -> Request:
    """The same for the same rule, cause and part, whatever the rule has become meanwhile."""
    command_id = f"automation|{rule}|{cause.event}|{part}"
    why = Causation(cause.correlation, cause.event, cause.depth + 1)
    return Request(command_id, body_hash(command_id), cause.time, why)


def _alarm(reaction: Reaction, cause: Cause) -> None:
    telemetry.AUTOMATION.labels("too_deep").inc()
    log.error(
        "a chain of causes is too long: rules cause each other",
        alarm="automation-loop",
        rule=reaction.rule,
        cause=cause.event,
    )


def _count(outcome: Outcome) -> None:
    if isinstance(outcome, Refused):
        telemetry.AUTOMATION.labels("refused").inc()
        log.info("a rule could not be carried out", reason=outcome.type)
    elif outcome.repeated:
        telemetry.AUTOMATION.labels("repeated").inc()
    else:
        telemetry.AUTOMATION.labels("done" if outcome.changed else "unchanged").inc()
