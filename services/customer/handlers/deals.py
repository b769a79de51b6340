"""What can be done with deals: each handler loads, decides and appends, and nothing else.

A deal that has moved on with its merged customer is asked where it goes on. Deals that are opened
at the same time share a transaction, because whose turn it is rests on the one before.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from services.customer.domain.deal import Deal, deal_stream, deal_version
from services.customer.domain.deal_claims import DEAL_CLAIMS
from services.customer.domain.deal_terms import Ground, Patch
from services.customer.domain.dealing import (
    DEAL,
    MOVED,
    OUTDATED,
    AssignResponsible,
    Change,
    Command,
    Lose,
    MoveStage,
    Open,
    Reopen,
    Win,
    whatever,
)
from services.customer.domain.state import stream_of
from shared.decider import Refused, invalid, not_found
from shared.envelope import Causation, decode
from shared.events import EVENT_TYPES
from shared.events.contract import EventData
from shared.events.deal import WordField, Words
from shared.eventstore import StoreUnavailable
from shared.execute import Command as Execution
from shared.execute import Done, Outcome, Writer
from shared.ids import derived_id

ATTEMPTS = 20
"""Ends of streams and other changes that a command may meet on its way."""
MOST_AT_ONCE = 200


@dataclass(frozen=True, slots=True)
class Request:
    """Under which id something is asked for, a keyed hash of what was asked, when, and why.

    `may_touch` is asked with the branch of the deal, `rests_on` with its version.
    """

    command_id: str
    hash: str
    at: datetime
    may_touch: Callable[[str | None], None] = whatever
    rests_on: Callable[[int], None] = whatever
    why: Causation | None = None

    @property
    def causation(self) -> Causation:
        """What its events follow from."""
        return self.why or Causation(correlation=self.command_id)


@dataclass(frozen=True, slots=True)
class Opening:
    """A deal to be opened, with a customer or a company."""

    pipeline: str
    terms: Patch
    customer: str | None = None
    company: str | None = None
    stage: str | None = None
    words: Words = field(default_factory=Words)
    responsible: str | None = None


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of a command: the deal's id and version, and whether it was recorded before.

    `changed`: it gave events, now or then.
    """

    deal: str
    version: int
    repeated: bool
    changed: bool


@dataclass(frozen=True, slots=True)
class DealLog:
    """One stream of a deal: whose it is, its state with texts still sealed, and its events."""

    stream: str
    key: str
    subject: str | None
    state: Deal
    events: Sequence[tuple[datetime, EventData]]


async def deal_log(writer: Writer, stream: str) -> DealLog | None:
    """A stream of a deal as it is stored; None when there is none."""
    commits = (await writer.store.read([stream])).get(stream)
    if not commits:
        return None
    envelopes = [decode(text) for commit in commits for text in commit.events]
    events = [
        (
            datetime.fromisoformat(each.time),
            EVENT_TYPES[each.type].model_validate_json(bytes(each.data)),
        )
        for each in envelopes
    ]
    state = DEAL.fold(data for _, data in events)
    return DealLog(stream, commits[0].key, envelopes[0].subject, state, events)


def new_deal_id(command_id: str) -> str:
    """The id of the deal that a command opens: the same each time it is sent."""
    return derived_id("deal", command_id)


@dataclass(slots=True)
class Deals:
    """The use cases; `ground` gives the configuration as it is."""

    writer: Writer
    ground: Callable[[], Awaitable[Ground]]
    _openings: list[tuple[Execution[Command], "asyncio.Future[Outcome]"]] = field(
        default_factory=list
    )
    _opener: "asyncio.Task[None] | None" = None

    async def open(self, request: Request, opening: Opening) -> Settled:
        """Begin a deal; who answers for it is chosen by the rule of its type."""
        deal = new_deal_id(request.command_id)
        owner = await self._owner(opening)
        command = Open(
            deal=deal,
            at=request.at,
            ground=await self.ground(),
            may_touch=request.may_touch,
            pipeline=opening.pipeline,
            terms=opening.terms,
            company=opening.company,
            stage=opening.stage,
            words=opening.words,
            responsible=opening.responsible,
        )
        stream = deal_stream(deal)
        outcome = await self._opened(_execution(request, stream, owner, opening.customer, command))
        if isinstance(outcome, Refused):
            raise outcome
        return _settled(deal, outcome)

    async def change(
        self,
        request: Request,
        deal: str,
        terms: Patch,
        words: Words,
        cleared: tuple[WordField, ...] = (),
    ) -> Settled:
        """Say something else of a deal; the same again changes nothing."""
        ground = await self.ground()
        return await self._carry_out(
            request,
            deal,
            lambda _state: Change(
                deal=deal,
                at=request.at,
                ground=ground,
                may_touch=request.may_touch,
                rests_on=request.rests_on,
                terms=terms,
                words=words,
                cleared=cleared,
            ),
        )

    async def move(self, request: Request, deal: str, stage: str) -> Settled:
        """Let a deal come into another stage."""
        ground = await self.ground()
        return await self._carry_out(
            request,
            deal,
            lambda _state: MoveStage(
                deal=deal, at=request.at, ground=ground, may_touch=request.may_touch, stage=stage
            ),
        )

    async def win(self, request: Request, deal: str) -> Settled:
        """Close a deal as won."""
        return await self._carry_out(
            request,
            deal,
            lambda state: Win(
                deal=deal, at=request.at, may_touch=request.may_touch, seen=state.responsible
            ),
        )

    async def lose(
        self, request: Request, deal: str, reason: str, comment: str | None = None
    ) -> Settled:
        """Close a deal as lost."""
        ground = await self.ground()
        return await self._carry_out(
            request,
            deal,
            lambda state: Lose(
                deal=deal,
                at=request.at,
                ground=ground,
                may_touch=request.may_touch,
                seen=state.responsible,
                reason=reason,
                comment=comment,
            ),
        )

    async def reopen(self, request: Request, deal: str, stage: str | None = None) -> Settled:
        """Let a closed deal go on."""
        ground = await self.ground()
        return await self._carry_out(
            request,
            deal,
            lambda state: Reopen(
                deal=deal,
                at=request.at,
                ground=ground,
                may_touch=request.may_touch,
                seen=state.responsible,
                stage=stage,
            ),
        )

    async def assign(
        self,
        request: Request,
        deal: str,
        responsible: str | None,
        *,
        instead_of: str | None = None,
    ) -> Settled:
        """Let somebody else, or nobody, answer; `instead_of` must do so now, if given."""
        ground = await self.ground()
        return await self._carry_out(
            request,
            deal,
            lambda state: AssignResponsible(
                deal=deal,
                at=request.at,
                ground=ground,
                may_touch=request.may_touch,
                seen=state.responsible,
                responsible=responsible,
                instead_of=instead_of,
            ),
        )

    async def _owner(self, opening: Opening) -> str:
        """The Kafka key of the deal. Raises `Refused` for an owner that is not there."""
        if opening.customer is not None:
            stream, key = stream_of(opening.customer), opening.customer
        else:
            stream = key = f"company-{opening.company}"
        if stream not in await self.writer.store.heads([stream]):
            raise invalid("customer" if opening.customer is not None else "company", "is unknown")
        return key

    async def _carry_out(
        self, request: Request, deal: str, build: Callable[[Deal], Command]
    ) -> Settled:
        """Carry out a command where the deal is now. Raises its refusal."""
        stream = deal_stream(deal)
        for _ in range(ATTEMPTS):
            found = await deal_log(self.writer, stream)
            if found is None:
                kind = "deal"
                raise not_found(kind, deal)
            command = build(found.state)
            execution = _execution(request, stream, found.key, found.subject, command)
            try:
                done = await self.writer.one(DEAL, execution, DEAL_CLAIMS)
            except Refused as refusal:
                if refusal.type == MOVED:
                    stream = refusal.extra["stream"]
                elif refusal.type != OUTDATED:
                    raise
            else:
                return _settled(deal, done)
        message = f"the deal changed {ATTEMPTS} times in a row"
        raise StoreUnavailable(message)

    async def _opened(self, execution: Execution[Command]) -> Outcome:
        """What became of an opening, which is carried out with those that come meanwhile."""
        outcome: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._openings.append((execution, outcome))
        if self._opener is None or self._opener.done():
            self._opener = asyncio.create_task(self._open_all())
        return await outcome

    async def _open_all(self) -> None:
        while self._openings:
            batch = self._openings[:MOST_AT_ONCE]
            del self._openings[:MOST_AT_ONCE]
            waiting = [outcome for _, outcome in batch]
            try:
                outcomes = await self.writer.many(
                    DEAL, [execution for execution, _ in batch], claims=DEAL_CLAIMS
                )
            except BaseException as failure:
                _fail([*waiting, *(outcome for _, outcome in self._openings)], failure)
                self._openings.clear()
                if not isinstance(failure, Exception):
                    raise
            else:
                for future, outcome in zip(waiting, outcomes, strict=True):
                    if not future.done():
                        future.set_result(outcome)


def _fail(futures: Sequence["asyncio.Future[Outcome]"], failure: BaseException) -> None:
    """Nobody waits for ever; each is told with an exception of its own."""
    for future in futures:
        if future.done():
            continue
        if isinstance(failure, Exception):
            future.set_exception(failure)
        else:
            future.cancel()


def _execution(
    request: Request, stream: str, key: str, subject: str | None, command: Command
) -> Execution[Command]:
    return Execution(
        id=request.command_id,
        hash=request.hash,
        stream=stream,
        key=key,
        body=command,
        causation=request.causation,
        subject=subject,
    )


def _settled(deal: str, done: Done) -> Settled:
    return Settled(deal, deal_version(done.stream, deal, done.version), done.repeated, done.changed)
