"""Use cases of definitions of segments: each loads, decides and appends, and nothing else."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial

from services.segment.domain import (
    ArchiveSegment,
    Command,
    DefineSegment,
    References,
    RestoreDefinition,
    rule_set,
    segment_stream,
    segments,
)
from services.segment.domain.tables import table_stream
from services.segment.domain.zones import ZONES
from services.segment.queries.lists import standing_lists
from services.segment.rules.ruleset import NO_RULES, RuleSet
from shared.envelope import Causation, decode
from shared.eventstore import EventStore, Head, body_hash
from shared.execute import Command as Execution
from shared.execute import Done, Writer

DEFINITIONS = segment_stream("")
TABLES = table_stream("")


@dataclass(frozen=True, slots=True)
class Request:
    """Under which id something is asked for, the JSON that was asked, and when."""

    command_id: str
    body: object
    at: datetime


async def carry_out(writer: Writer, horizon: timedelta, request: Request, command: Command) -> Done:
    """Carry out what is asked of a segment. Raises `Refused` that says what is wrong with it."""
    found = await _with_references(writer.store, command)
    return await writer.one(segments(horizon), _execution(request, found.name, found))


async def define(
    writer: Writer, horizon: timedelta, request: Request, command: DefineSegment
) -> Done:
    """Give a segment its (new) definition. Raises `Refused` that names what is wrong in it."""
    return await carry_out(writer, horizon, request, command)


async def archive(
    writer: Writer, horizon: timedelta, request: Request, name: str, by: str | None = None
) -> Done:
    """Evaluate a segment no longer; who was in it leaves."""
    return await carry_out(writer, horizon, request, ArchiveSegment(name, request.at, by))


@dataclass(slots=True)
class StandingRules:
    """The rule set, made anew only where something was recorded since: making it parses all."""

    store: EventStore
    _heads: Mapping[str, Head] | None = None
    _rules: RuleSet = NO_RULES

    async def get(self) -> RuleSet:
        """The rule set that all definitions recorded so far make. Raises `StoreUnavailable`."""
        # Read first: what is recorded meanwhile is found by the next who asks.
        heads = await self.store.heads(await _sources(self.store))
        if heads != self._heads:
            self._rules = await load_rules(self.store)
            self._heads = heads
        return self._rules


async def load_rules(store: EventStore) -> RuleSet:
    """The rule set that all definitions recorded so far make."""
    commits = await store.read(await _sources(store))
    return rule_set(
        decode(text) for stream in commits.values() for commit in stream for text in commit.events
    )


async def _sources(store: EventStore) -> Sequence[str]:
    """The streams that make rules what they are."""
    return [*await store.names(DEFINITIONS), *await store.names(TABLES), ZONES]


async def _with_references(store: EventStore, command: Command) -> Command:
    """The command with what it must know of other segments."""
    if not isinstance(command, DefineSegment | RestoreDefinition | ArchiveSegment):
        return command
    rules = await load_rules(store)
    standing = {**rules.rules, **rules.held}
    references = References(
        {name: live.rule for name, live in standing.items()},
        rules.surroundings.tables.keys(),
        await standing_lists(store),
    )
    if isinstance(command, ArchiveSegment):
        return replace(command, naming=references.naming(command.name))
    return replace(command, refers=partial(references.require, command.name))


def _execution(request: Request, name: str, command: Command) -> Execution[Command]:
    stream = segment_stream(name)
    return Execution(
        id=request.command_id,
        hash=body_hash([name, request.body]),
        stream=stream,
        key=stream,
        body=command,
        causation=Causation(correlation=request.command_id),
    )
