"""Recording facts: whose each one is, then decide and append; a closed stream says where to go.

What is known of a person finds the customer; of a fact that finds nobody, nothing is lost: it waits
in the stream of somebody unknown, or, when its source knows nothing at all, in one of its own.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import msgspec
from msgspec.structs import replace

from services.interaction.domain.facts import FACTS, RecordFact
from services.interaction.domain.imports import IMPORTS, import_stream_of
from services.interaction.domain.streams import customer_of, stream_of, unknown_stream
from services.interaction.handlers.lines import Snapshots, with_lines
from services.interaction.handlers.places import UNDER_WAY
from services.interaction.queries.customers import Owners
from shared.decider import Refused
from shared.envelope import Causation
from shared.events.hot import HotIdentifier, HotReceipt
from shared.events.interaction import Fact, FactIdentifier
from shared.execute import Command, Outcome, Writer
from shared.execute.commands import REDIRECTED
from shared.identifiers import KnownIdentifier

MOVES = 50
"""Closed streams that are followed before something must be wrong: merges are not chained so far,
and an unknown person's stream is closed once for each change of who has their identifier."""
UNKNOWN_CUSTOMER = Refused(
    "unknown-customer",
    409,
    "Nobody is known by this.",
    "register the customer first; just after a registration, send the same again a little later",
)


class SentFact(msgspec.Struct, frozen=True):
    """A fact as it was sent, whom it names, and its hash.

    `who` holds `<kind>|<hash>` in the order in which they are asked, or one `customer|<id>`;
    `known` the same identifiers with their values, to register somebody by. The hash covers
    the fact as its source sees it: neither whom the identifier finds today, nor the import that
    brought it, nor what is computed.
    """

    command: RecordFact
    who: tuple[str, ...]
    hash: str
    known: tuple[KnownIdentifier, ...] = ()

    @property
    def named(self) -> bool:
        """Whether it names a customer by the customer's own id."""
        return bool(self.who) and not self.known

    @property
    def unknown(self) -> str:
        """The name of the stream in which it waits while nobody is known by it."""
        return self.known[0].hash if self.known else self.command.data.fact


class _Placed(msgspec.Struct, frozen=True):
    """A fact and the stream that it is meant for; `number` counts streams of somebody unknown.

    `seen` are the customers whose closed streams it was sent on from.
    """

    sent: SentFact
    customer: str | None
    number: int = 1
    seen: frozenset[str] = frozenset()

    @property
    def stream(self) -> str:
        if self.customer is not None:
            return stream_of(self.customer)
        return unknown_stream(self.sent.unknown, self.number)


@dataclass(frozen=True, slots=True)
class Recorder:
    """Records facts; `snapshots` says what the catalogue knows of products now."""

    writer: Writer
    owners: Owners
    snapshots: Snapshots

    async def record(
        self, sent: Sequence[SentFact], import_id: str | None = None
    ) -> Sequence[Outcome]:
        """Record facts, each with its own outcome; `import_id` marks them as history.

        What was recorded before is answered as it was then, also when its identifier finds somebody
        else today, or its import has ended since.
        """
        customers, closed = await asyncio.gather(
            self.owners({who for each in sent for who in each.who}),
            self._closed(import_id),
        )
        placed = [_Placed(each, _owner(each, customers)) for each in sent]
        barred = [
            each.sent.command.id
            for each in placed
            if closed or (each.customer is None and each.sent.named)
        ]
        known = await self.writer.store.known(barred) if barred else {}
        outcomes: list[Outcome | None] = []
        for index, each in enumerate(placed):
            recorded = known.get(each.sent.command.id) if known else None
            if recorded is not None:
                # It is answered by its commit; any stream would do.
                placed[index] = replace(each, customer=customer_of(recorded.stream))
                outcomes.append(None)
            elif closed or (each.customer is None and each.sent.named):
                outcomes.append(closed or UNKNOWN_CUSTOMER)
            else:
                outcomes.append(None)
        await self._carry_out(placed, outcomes, import_id)
        return [outcome for outcome in outcomes if outcome is not None]

    async def _carry_out(
        self, placed: list[_Placed], outcomes: list[Outcome | None], import_id: str | None
    ) -> None:
        """Fill in the outcomes that are missing; follow streams that were closed."""
        for _ in range(MOVES):
            open_ = [index for index, outcome in enumerate(outcomes) if outcome is None]
            if not open_:
                return
            commands = await self._commands([placed[index] for index in open_], import_id)
            done = await self.writer.many(FACTS, commands, stateless=True)
            gone: list[int] = []
            for index, outcome in zip(open_, done, strict=True):
                if not (isinstance(outcome, Refused) and outcome.type == REDIRECTED):
                    outcomes[index] = outcome
                elif outcome.extra["to"] in placed[index].seen:
                    # Of a merge that was undone and done the other way round, only a part was
                    # heard of yet.
                    outcomes[index] = UNDER_WAY
                else:
                    placed[index] = self._redirected(placed[index], outcome.extra["to"])
                    gone.append(index)
            await self._known_by_now(placed, gone)
        message = f"{MOVES} streams in a row were closed"
        raise RuntimeError(message)

    def _redirected(self, placed: _Placed, to: str) -> _Placed:
        """Where it goes from a closed stream: to the survivor, or to the next unknown one."""
        if placed.customer is not None:
            return replace(placed, customer=to, seen=placed.seen | {placed.customer})
        return replace(placed, number=placed.number + 1)

    async def _known_by_now(self, placed: list[_Placed], gone: Sequence[int]) -> None:
        """An unknown stream closes because its person became known: ask who has the identifier.

        It may be nobody again; then another stream of somebody unknown is right.
        """
        asked = [index for index in gone if placed[index].customer is None]
        if not asked:
            return
        owners = await self.owners({who for index in asked for who in placed[index].sent.who})
        for index in asked:
            owner = _owner(placed[index].sent, owners)
            if owner is not None:
                placed[index] = replace(placed[index], customer=owner)

    async def _commands(
        self, placed: Iterable[_Placed], import_id: str | None
    ) -> list[Command[RecordFact]]:
        wanted = list(placed)
        facts = await with_lines(self.snapshots, [each.sent.command.data for each in wanted])
        return [_recording(each, fact, import_id) for each, fact in zip(wanted, facts, strict=True)]

    async def _closed(self, import_id: str | None) -> Refused | None:
        """Why no fact may name the import, if so."""
        if import_id is None:
            return None
        state, _ = await self.writer.state(IMPORTS, import_stream_of(import_id))
        if state.open:
            return None
        why = "has ended" if state.begun else "was never begun"
        return Refused(
            "import-not-open", 409, "The import is not open.", f"the import {import_id} {why}"
        )


def _owner(sent: SentFact, customers: Mapping[str, str]) -> str | None:
    """The first who is found: sources name what is surest first."""
    return next((customers[who] for who in sent.who if who in customers), None)


def _recording(
    placed: _Placed, fact: Fact | HotReceipt, import_id: str | None
) -> Command[RecordFact]:
    sent, stream = placed.sent, placed.stream
    body = sent.command
    name = body.id
    if placed.customer is None:
        fact = _with_values(fact, sent.known)
    if fact is not body.data:
        body = replace(body, data=fact)
    return Command(
        id=name,
        hash=sent.hash,
        stream=stream,
        key=placed.customer or stream,
        body=body,
        causation=Causation(correlation=name, history=import_id),
        subject=placed.customer,
        sealed_by=None if placed.customer else stream,
    )


def _with_values(fact: Fact | HotReceipt, known: Sequence[KnownIdentifier]) -> Fact | HotReceipt:
    """The fact with the identifiers themselves, so that somebody may be registered by them."""
    if not known:
        return fact
    kind = HotIdentifier if isinstance(fact, HotReceipt) else FactIdentifier
    first, *others = (kind(kind=each.kind, hash=each.hash, value=each.value) for each in known)
    return fact.with_values(identified_by=first, also=tuple(others) or None)
