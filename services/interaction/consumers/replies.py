"""Kafka in: what people write back becomes a message of theirs, once.

Who is not known here yet is found by the contact point that it came from, and a reply of somebody
unknown waits for whoever is registered with it later, as any fact does.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
import structlog

from services.interaction.consumers.reacting import Subscription
from services.interaction.domain.facts import RecordFact, fact_id
from services.interaction.handlers.facts import Recorder, SentFact
from services.interaction.handlers.inbox_reasons import WAITING
from services.interaction.projections.identifiers import own_id
from shared.clock import Clock
from shared.decider import Refused
from shared.envelope import Light
from shared.events.contract import pii_paths
from shared.events.customer import IdentifierKind
from shared.events.interaction import FactIdentifier, MessageRecorded
from shared.events.replies import ReplyReceived
from shared.eventstore import body_hash
from shared.hearing import heard
from shared.identifiers import KnownIdentifier
from shared.keyring import Keyring, key_ids, unseal
from shared.records import RawRecord

TOPICS = ("notification.events.v1",)
GROUP = "interaction.replies"
READER = "replies"
SOURCE = "replies"
PATHS = pii_paths(ReplyReceived)
Json = dict[str, Any]

log = structlog.stdlib.get_logger(__name__)


class StillMoving(Exception):  # noqa: N818 - a state of the world, retried by the loop
    """Facts of the customer are being moved just now: the same is recorded in a moment."""


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """Of `reply.received`, opened; what was erased is absent."""

    reply: str
    provider: str
    kind: IdentifierKind
    contact: str
    at: datetime
    message: str | None = None
    campaign: str | None = None
    address: str | None = None
    text: str | None = None


def _plain(raw: msgspec.Raw) -> Json:
    found: Json = msgspec.json.decode(raw)
    return found


_DECODERS: Mapping[bytes, Any] = {ReplyReceived.type.encode(): _plain}


def sent_of(light: Light, told: Told, now: datetime) -> SentFact | None:
    """The fact that a reply is; None where it was erased, and nobody is left whose it is."""
    known: tuple[KnownIdentifier, ...] = ()
    if told.address is not None:
        known = (KnownIdentifier(told.kind, told.contact, told.address),)
    elif light.subject is None:
        return None
    about = {"campaign": told.campaign, "message": told.message}
    data = MessageRecorded(
        fact=fact_id(SOURCE, None, told.reply),
        source=SOURCE,
        source_id=told.reply,
        identified_by=FactIdentifier(kind=told.kind, hash=told.contact),
        extra={name: value for name, value in about.items() if value is not None} or None,
        direction="in",
        channel=told.provider,
        text=told.text,
    )
    own = () if light.subject is None else (own_id(light.subject),)
    return SentFact(
        RecordFact(data=data, branch=None, time=told.at, now=now),
        (*own, *(each.claim_id for each in known)),
        body_hash(told.reply),
        known,
    )


def subscription(recorder: Recorder, keyring: Keyring, clock: Clock) -> Subscription:
    """The reaction that records what people write."""

    async def react(records: Sequence[RawRecord]) -> None:
        found = [(light, data) for _, light, data in heard(records, _DECODERS, READER)]
        if not found:
            return
        wanted = {key for _, data in found for key in key_ids(data, PATHS)}
        keys = await keyring.get(wanted) if wanted else {}
        # Nobody's key seals what nobody is known to have written, but the reply's own.
        unknown = {light.stream for light, _ in found if light.subject is None} & wanted
        facts, recorded = [], set[str]()
        for light, data in found:
            unseal(data, PATHS, keys)
            fact = sent_of(light, msgspec.convert(data, Told), clock.now())
            if fact is not None:
                facts.append(fact)
        outcomes = await recorder.record(facts) if facts else []
        for fact, outcome in zip(facts, outcomes, strict=True):
            reply = fact.command.data.source_id
            if not isinstance(outcome, Refused):
                recorded.add(reply)
                continue
            if outcome.type in WAITING and not fact.named:
                raise StillMoving
            log.warning("a reply is not recorded", reply=reply, why=outcome.type)
        own = {light.stream for light, data in found if data["reply"] in recorded} & unknown
        if own:
            await keyring.erase(own, GROUP)

    return Subscription(
        TOPICS, GROUP, react, "replies", "What people write back becomes a message of theirs."
    )
