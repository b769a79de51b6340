"""What providers tell of messages is written down once, in whatever order, and then acknowledged.

A provider names a message by our id, by its own, or not at all. Its own id is known once the queue
shows the message as sent; a report that is faster waits, and is looked at again. What is told of a
message that there is not is counted and passed over: it may be another system's, by the same
account. Only what a message itself was sent to is marked by what comes back of it.
"""

import hashlib
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

import msgspec

from services.notify.channels.origins import ORIGINS
from services.notify.channels.reports import Report, What
from services.notify.domain import MESSAGE, Message, RecordReport, message_stream
from services.notify.domain.message import MessageCommand, Told
from services.notify.domain.suppression import (
    ADDRESS_PREFIX,
    NoteFailure,
    Patience,
    SuppressAddress,
)
from services.notify.handlers.books import suppression
from services.notify.handlers.books.suppression import Returned
from services.notify.projections import QueuedMessage
from services.notify.projections.queue import reference_key
from shared import telemetry
from shared.clock import Clock
from shared.envelope import Causation, decode, event_id
from shared.events import EVENT_TYPES
from shared.events.customer import Channel
from shared.eventstore import Commit, body_hash
from shared.execute import Command, Writer
from shared.identifiers import IdentifierRules
from shared.waiting import Waiter, WaitingPlace

LOOKED_AT = 200
LONGEST_CODE = 100
_CONTACT = re.compile(r"[^\s<>]*@[^\s<>]*|\+?\d(?:[ ()./-]{0,3}\d){6,}")
"""An address of mail, or seven digits and more: codes have less."""
_HIDDEN = "…"
SHORTEST_SECONDS, LONGEST_SECONDS = 1.0, 60.0
"""Between two looks at a report that waits: a quarter of how long it has, within these."""
PATIENCE_SECONDS = 3600.0
"""For how long a provider's own id may be unknown; after that it is no message of ours."""
OLDEST = timedelta(days=30)
"""A provider's time that is longer ago is a mistake: the present counts."""

_TOLD: Mapping[What, Told] = {
    "delivered": "delivered",
    "read": "opened",
    "complained": "complained",
    "failed": "failed",
}


class Sent(Protocol):
    """The queue."""

    async def referring(self, references: Collection[str]) -> Sequence[QueuedMessage]:
        """Messages that providers know by one of these (`reference_key`)."""
        ...


class Late(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A report that waits for its message; `contacts` are hashes of what its address may be."""

    provider: str
    what: What
    reference: str
    contacts: tuple[str, ...] = ()
    permanent: bool = False
    code: str | None = None
    at: datetime | None = None

    def report(self, message: str) -> Report:
        """What was told, of the message that it turned out to be about."""
        return Report(
            what=self.what,
            message=message,
            reference=self.reference,
            permanent=self.permanent,
            code=self.code,
            at=self.at,
        )


@dataclass(frozen=True, slots=True)
class Known:
    """A message as its stream has it, and whose it is."""

    id: str
    customer: str
    message: Message
    why: Causation


@dataclass(frozen=True, slots=True)
class Reporting:
    """Takes reports; `patience` says how often a message may come back from an address."""

    writer: Writer
    rules: IdentifierRules
    sent: Sent
    place: WaitingPlace
    patience: Patience = field(default_factory=Patience)

    async def take(self, provider: str, reports: Sequence[Report]) -> None:
        """Write down what one provider tells. Raises `StoreUnavailable`: it may tell it again."""
        named = [each for each in reports if each.message is not None]
        late = [
            self._late(provider, each)
            for each in reports
            if each.message is None and each.reference is not None
        ]
        found, waiting = await self._found(late)
        await self._record(provider, [*named, *found.get(provider, ())])
        await self._alone(provider, reports)
        if waiting:
            await self.place.admit([_waiter(each) for each in waiting])
            _count("waiting", len(waiting))

    async def look_again(self) -> int:
        """Look at what waits and is due; gives how many that were. Raises `StoreUnavailable`."""
        due = await self.place.due(LOOKED_AT)
        if not due:
            return 0
        late = {each.id: msgspec.json.decode(each.content, type=Late) for each in due}
        found, waiting = await self._found(list(late.values()))
        for provider, reports in found.items():
            await self._record(provider, reports)
        still = {_waiter(each).id for each in waiting}
        gone = {each.id for each in due if each.id in still and each.age > PATIENCE_SECONDS}
        _count("unknown", len(gone))
        await self.place.release((late.keys() - still) | gone)
        again = [each for each in due if each.id in still - gone]
        await self.place.postpone({each.id: _pause(each) for each in again})
        return len(due)

    def _late(self, provider: str, report: Report) -> Late:
        address = report.address or ""
        contacts = ORIGINS[provider].contacts(self.rules, address) if address else ()
        return Late(
            provider=provider,
            what=report.what,
            reference=report.reference or "",
            contacts=tuple(each.hash for each in contacts),
            permanent=report.permanent,
            code=_code(report),
            at=report.at,
        )

    async def _found(
        self, late: Sequence[Late]
    ) -> tuple[Mapping[str, Sequence[Report]], Sequence[Late]]:
        """Reports by provider, each with its message; and those whose message is not known."""
        keys = {_key(each) for each in late}
        messages = await self.sent.referring(keys) if keys else ()
        found: dict[str, list[Report]] = {}
        waiting = []
        for each in late:
            message = _of(each, messages)
            if message is None:
                waiting.append(each)
            else:
                found.setdefault(each.provider, []).append(each.report(message))
        return found, waiting

    async def _record(self, provider: str, reports: Sequence[Report]) -> None:
        if not reports:
            return
        known = await read(self.writer, {each.message or "" for each in reports})
        way = ORIGINS[provider].way
        told = [(known[name], each) for each in reports if (name := each.message or "") in known]
        _count("unknown", len(reports) - len(told))
        returned = [self._returned(whose, each, way) for whose, each in told]
        # First the address: should this end here, the provider tells it again.
        await suppression.note(self.writer, [each for each in returned if each is not None])
        commands: dict[str, Command[MessageCommand]] = {}
        for whose, report in told:
            word = _word(report)
            if word is not None:
                command = self._command(whose, report, way, word)
                commands[command.id] = command
        if commands:
            await self.writer.many(MESSAGE, list(commands.values()))
        _count("taken", len(told))

    def _command(
        self, whose: Known, report: Report, way: Channel, word: Told
    ) -> Command[MessageCommand]:
        name = f"report|{whose.id}|{way}|{word}"
        body = RecordReport(
            message=whose.id,
            at=moment_of(self.writer.clock, report.at),
            channel=way,
            what=word,
            reference=report.reference,
            code=_code(report),
        )
        stream = message_stream(whose.id)
        return Command(
            id=name,
            hash=body_hash(name),
            stream=stream,
            key=whose.customer,
            body=body,
            causation=whose.why,
            subject=whose.customer,
        )

    def _returned(self, whose: Known, report: Report, way: Channel) -> Returned | None:
        """What follows for the address that the message was sent to."""
        contact = whose.message.ways.get(way)
        if contact is None:
            return None
        at = moment_of(self.writer.clock, report.at)
        if _word(report) == "failed":
            failed = NoteFailure(
                contact=contact,
                at=at,
                channel=way,
                message=whose.id,
                customer=whose.customer,
                code=_code(report),
                patience=self.patience,
            )
            return Returned(failed, whose.why)
        if report.what not in ("bounced", "complained", "unsubscribed"):
            return None
        command = SuppressAddress(
            contact=contact,
            at=at,
            reason=report.what,
            channel=way,
            message=whose.id,
            customer=whose.customer,
        )
        return Returned(command, whose.why)

    async def _alone(self, provider: str, reports: Iterable[Report]) -> None:
        """What is told of an address and no message, by who is the provider for certain."""
        origin = ORIGINS[provider]
        returned = []
        for report in reports:
            if report.message or report.reference or not report.address or not origin.signs:
                continue
            if report.what == "bounced" and not report.permanent:
                continue
            if report.what not in ("bounced", "complained", "unsubscribed"):
                continue
            for contact in origin.contacts(self.rules, report.address):
                command = SuppressAddress(
                    contact=contact.hash,
                    at=moment_of(self.writer.clock, report.at),
                    reason=report.what,
                    channel=origin.way,
                )
                returned.append(Returned(command, Causation(f"{ADDRESS_PREFIX}{contact.hash}")))
        await suppression.note(self.writer, returned)
        _count("taken", len(returned))


def moment_of(clock: Clock, told: datetime | None) -> datetime:
    """When it was, by the chain's clock; a provider's clock that is wrong says nothing."""
    now = clock.now()
    if told is None:
        return now
    try:
        moment = clock.at_system(told)
    except OverflowError:
        # The last day of all calendars, in a chain whose clock is ahead.
        return now
    return moment if now - OLDEST <= moment <= now else now


async def read(writer: Writer, messages: Collection[str]) -> Mapping[str, Known]:
    """Those of the messages that there are. Raises `StoreUnavailable`."""
    names = {message_stream(each): each for each in sorted(messages)}
    found = await writer.store.read(list(names))
    return {names[stream]: _known(names[stream], commits) for stream, commits in found.items()}


def _known(message: str, commits: Sequence[Commit]) -> Known:
    state = MESSAGE.initial()
    first = decode(commits[0].events[0])
    for commit in commits:
        for text in commit.events:
            envelope = decode(text)
            data = EVENT_TYPES[envelope.type].model_validate_json(bytes(envelope.data))
            state = MESSAGE.evolve(state, data)
    why = Causation(first.correlationid, event_id(first.stream, 1), first.causedepth + 1)
    return Known(message, commits[0].key, state, why)


def _word(report: Report) -> Told | None:
    """What it says of the message; None where it is only about the person."""
    if report.what == "bounced":
        return "bounced" if report.permanent else "failed"
    return _TOLD.get(report.what)


def _code(report: Report) -> str | None:
    """What the provider said, without what may be somebody's address or number."""
    if report.code is None:
        return None
    return _CONTACT.sub(_HIDDEN, report.code[: 2 * LONGEST_CODE])[:LONGEST_CODE]


def _key(late: Late) -> str:
    return reference_key(ORIGINS[late.provider].way, late.reference)


def _of(late: Late, messages: Sequence[QueuedMessage]) -> str | None:
    """The message: of several with one id (messengers count per conversation) the address's own."""
    found = [
        each
        for each in messages
        if _key(late) in each.references and (not late.contacts or each.contact in late.contacts)
    ]
    latest = max(found, key=lambda each: each.turn, default=None)
    return None if latest is None else latest.id


def _waiter(late: Late) -> Waiter:
    told = f"{late.provider}|{late.reference}|{late.what}|{late.permanent}"
    return Waiter(
        id=hashlib.sha256(told.encode()).hexdigest(),
        content=msgspec.json.encode(late),
        waits_for=_key(late),
        reason="reference",
        topic="",
        partition=0,
        offset=0,
        timestamp=0,
    )


def _pause(waiter: Waiter) -> float:
    return min(max(waiter.age / 4, SHORTEST_SECONDS), LONGEST_SECONDS)


def _count(outcome: str, number: int) -> None:
    if number:
        telemetry.REPORTS.labels(outcome).inc(number)
