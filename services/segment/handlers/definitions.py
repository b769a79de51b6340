"""Use cases of definitions of segments: each loads, decides and appends, and nothing else."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from typing import TypeVar

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
from services.segment.queries.definitions import Defined, defined_by
from services.segment.queries.lists import standing_lists
from services.segment.rules.ruleset import NO_RULES, RuleSet
from shared.envelope import Causation, decode
from shared.eventstore import Commit, EventStore, Head, body_hash
from shared.execute import Command as Execution
from shared.execute import Done, Writer

DEFINITIONS = segment_stream("")
TABLES = table_stream("")
BodyT = TypeVar("BodyT")


@dataclass(frozen=True, slots=True)
class Request:
    """Under which id something is asked for, the JSON that was asked, and when."""

    command_id: str
    body: object
    at: datetime

    def asks(self, name: str, stream: str, body: BodyT) -> Execution[BodyT]:
        """The command on the stream of whatever has that name."""
        return Execution(
            id=self.command_id,
            hash=body_hash([name, self.body]),
            stream=stream,
            key=stream,
            body=body,
            causation=Causation(correlation=self.command_id),
        )


async def carry_out(writer: Writer, horizon: timedelta, request: Request, command: Command) -> Done:
    """Carry out what is asked of a segment. Raises `Refused` that says what is wrong with it."""
    found = await _with_references(writer.store, command)
    return await writer.one(
        segments(horizon), request.asks(found.name, segment_stream(found.name), found)
    )


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


@dataclass(frozen=True, slots=True)
class Standing:
    """All segments by name, archived ones too, and the rule set that they make: of one reading."""

    segments: Sequence[Defined] = ()
    rules: RuleSet = NO_RULES


@dataclass(slots=True)
class StandingRules:
    """The rule set, made anew only where something was recorded since: making it parses all."""

    store: EventStore
    _heads: Mapping[str, Head] | None = None
    _standing: Standing = field(default_factory=Standing)

    async def get(self) -> RuleSet:
        """The rule set that all definitions recorded so far make. Raises `StoreUnavailable`."""
        return (await self.whole()).rules

    async def whole(self) -> Standing:
        """The segments beside it, by the same reading. Raises `StoreUnavailable`."""
        # Read first: what is recorded meanwhile is found by the next who asks.
        heads = await self.store.heads(await _sources(self.store))
        if heads != self._heads:
            self._standing = await load_standing(self.store)
            self._heads = heads
        return self._standing


async def load_standing(store: EventStore) -> Standing:
    """The segments, and the rule set that all definitions recorded so far make."""
    commits = await store.read(await _sources(store))
    return Standing(defined_by(commits), _rules_by(commits))


async def load_rules(store: EventStore) -> RuleSet:
    """The rule set that all definitions recorded so far make."""
    return _rules_by(await store.read(await _sources(store)))


def _rules_by(streams: Mapping[str, Sequence[Commit]]) -> RuleSet:
    return rule_set(
        decode(text) for stream in streams.values() for commit in stream for text in commit.events
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
