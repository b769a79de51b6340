"""What people write back is noted once, as theirs: by the message that it answers, else by address.

An address that several people have is of whoever got the latest message there. Whose address nobody
has is noted all the same: what the interaction service makes of it waits for whoever has it later.
Who answers an SMS, or in a messenger, by a word that ends messages has withdrawn every consent to
that way, here at once, under the id that is theirs by now; where nobody is known to have the
address, it is the address that gets nothing more.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from services.notify.channels.origins import ORIGINS
from services.notify.channels.reports import Reply
from services.notify.domain.preference import PREFERENCE, Say, preferences_stream
from services.notify.domain.reply import REPLY, ReceiveReply, reply_id, reply_stream
from services.notify.domain.suppression import SuppressAddress
from services.notify.handlers.books import suppression
from services.notify.handlers.returns.reporting import Known, moment_of, read
from services.notify.projections import QueuedMessage, Recipient
from services.notify.projections.queue import reference_key
from shared import telemetry
from shared.envelope import Causation
from shared.events.customer import Channel
from shared.events.preferences import PreferenceWithdrawn
from shared.events.replies import ReplyReceived
from shared.eventstore import body_hash
from shared.execute import Command, Writer
from shared.identifiers import IdentifierRules, KnownIdentifier

LONGEST_TEXT = 20_000
MOST_HOPS = 20
ENDED_BY_WORD: frozenset[Channel] = frozenset({"sms", "messenger"})
"""A mail may be from anybody; it has links that end them."""
_AROUND = " \t\r\n.,!?\"'«»/"


class Told(Protocol):
    """The queue."""

    async def referring(self, references: Collection[str]) -> Sequence[QueuedMessage]:
        """Messages that providers know by one of these (`reference_key`)."""
        ...

    async def latest_to(self, contact: str, customers: Collection[str]) -> QueuedMessage | None:
        """The latest message of these customers that went to the address."""
        ...


class Holders(Protocol):
    """The recipients."""

    async def load(self, customers: Collection[str]) -> Mapping[str, Recipient]:
        """Those of the customers that are known of."""
        ...

    async def holding(self, hashes: Collection[str]) -> Sequence[Recipient]:
        """Those who have one of the addresses."""
        ...


@dataclass(frozen=True, slots=True)
class _Writer:
    """Who wrote, as far as it is known, and to what it is an answer."""

    contact: KnownIdentifier = field(repr=False)
    customer: str | None = None
    message: str | None = None
    campaign: str | None = None
    why: Causation | None = None


@dataclass(frozen=True, slots=True)
class Replying:
    """Takes replies."""

    writer: Writer
    rules: IdentifierRules
    told: Told
    holders: Holders
    stop_words: Collection[str] = ()

    async def take(self, provider: str, replies: Sequence[Reply]) -> None:
        """Note what one provider brings. Raises `StoreUnavailable`: it may bring it again."""
        commands: dict[str, Command[ReceiveReply]] = {}
        for reply in replies:
            contacts = ORIGINS[provider].contacts(self.rules, reply.address)
            if not contacts:
                telemetry.REPORTS.labels("unknown").inc()
                continue
            who = await self._who(provider, reply, contacts)
            way = ORIGINS[provider].way
            if way in ENDED_BY_WORD and self._ends(reply.text):
                await self._stop(reply_id(provider, reply.id), who, way)
            command = self._command(provider, reply, who)
            commands[command.id] = command
        if commands:
            await self.writer.many(REPLY, list(commands.values()))
            telemetry.REPORTS.labels("taken").inc(len(commands))

    async def _who(
        self, provider: str, reply: Reply, contacts: Sequence[KnownIdentifier]
    ) -> _Writer:
        hashes = {each.hash: each for each in contacts}
        answered = await self._answered(provider, reply, hashes)
        if answered is not None:
            to = answered.message.ways.get(ORIGINS[provider].way, "")
            return _Writer(
                contact=hashes.get(to, contacts[0]),
                customer=answered.customer,
                message=answered.id,
                campaign=answered.message.campaign,
                why=answered.why,
            )
        holders = await self.holders.holding(hashes)
        holders = [each for each in holders if not each.removed and each.merged is None]
        # What is surest first: the account in the messenger before the phone of the same number.
        for contact in contacts:
            having = [
                each.id for each in holders if contact.hash in {one.hash for one in each.contacts}
            ]
            if not having:
                continue
            latest = await self.told.latest_to(contact.hash, having)
            if latest is not None:
                why = Causation(latest.correlation, depth=latest.depth + 1)
                return _Writer(contact, latest.customer, why=why)
            if len(having) == 1:
                return _Writer(contact, having[0])
        return _Writer(contacts[0])

    async def _answered(
        self, provider: str, reply: Reply, hashes: Mapping[str, KnownIdentifier]
    ) -> Known | None:
        """The message that it answers, by our id or by the provider's."""
        if reply.answers is None:
            return None
        known = await read(self.writer, [reply.answers])
        if reply.answers in known:
            return known[reply.answers]
        key = reference_key(ORIGINS[provider].way, reply.answers)
        found = [each for each in await self.told.referring([key]) if each.contact in hashes]
        if not found:
            return None
        latest = max(found, key=lambda each: each.turn)
        return (await read(self.writer, [latest.id])).get(latest.id)

    def _ends(self, text: str) -> bool:
        """Whether the text is a word that ends messages, and nothing else."""
        return text.strip(_AROUND).casefold() in self.stop_words

    async def _stop(self, name: str, who: _Writer, way: Channel) -> None:
        """Nothing more this way: a withdrawal of each consent, or the address itself."""
        at, why = self.writer.clock.now(), who.why or Causation(f"reply|{name}")
        recipient = await self._living(who.customer)
        if recipient is None:
            ended = SuppressAddress(
                contact=who.contact.hash, at=at, reason="unsubscribed", channel=way
            )
            await suppression.note(self.writer, [suppression.Returned(ended, why)])
            return
        asked = (key.split("|") for key in recipient.consents)
        topics = sorted({topic for topic, channel, _ in asked if channel == way})
        words = tuple(
            PreferenceWithdrawn(
                customer=recipient.id,
                topic=topic,
                channel=way,
                source="reply",
                contact=who.contact.hash,
                message=who.message,
            )
            for topic in topics
        )
        stream = preferences_stream(recipient.id)
        command = Command(
            f"stop|{name}", body_hash(name), stream, recipient.id, Say(words, at), why, recipient.id
        )
        await self.writer.many(PREFERENCE, [command])

    async def _living(self, customer: str | None) -> Recipient | None:
        """Whom the customer was merged into, or the customer; None where that is not known."""
        for _ in range(MOST_HOPS):
            found = (
                None if customer is None else (await self.holders.load([customer])).get(customer)
            )
            if found is None or found.merged is None:
                return found
            customer = found.merged
        return None

    def _command(self, provider: str, reply: Reply, who: _Writer) -> Command[ReceiveReply]:
        name = reply_id(provider, reply.id)
        stream = reply_stream(name)
        at = moment_of(self.writer.clock, reply.at)
        received = ReplyReceived(
            reply=name,
            channel=ORIGINS[provider].way,
            provider=provider,
            kind=who.contact.kind,
            contact=who.contact.hash,
            at=at,
            message=who.message,
            campaign=who.campaign,
            address=who.contact.value,
            text=reply.text.strip()[:LONGEST_TEXT] or None,
        )
        return Command(
            id=f"reply|{name}",
            hash=body_hash(name),
            stream=stream,
            key=who.customer or stream,
            body=ReceiveReply(received, at),
            causation=who.why or Causation(f"reply|{name}"),
            subject=who.customer,
            sealed_by=None if who.customer else stream,
        )
