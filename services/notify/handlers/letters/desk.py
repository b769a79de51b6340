"""What an employee writes to one customer: a message like any other, without a campaign.

Its words are in its own stream, sealed with the customer's key, and are read from there when it is
looked at: no read model holds them, and an erase leaves nothing of them. In the place of a campaign
it has a name of its own and a definition that follows from what was written, so all questions are
asked of it, and asked in the same order.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

import msgspec

from services.notify.domain import (
    MESSAGE,
    Campaign,
    MessageCommand,
    Schedule,
    message_id,
    message_stream,
)
from services.notify.handlers.books.campaigns import Entry
from services.notify.handlers.letters.trials import WORDS_ALONE
from services.notify.handlers.letters.writing import check
from services.notify.handlers.recipients.reading import People
from services.notify.projections import QueuedMessage, Recipient, queued
from shared.decider import FieldError, Refused, invalid, not_found
from shared.envelope import Causation
from shared.events.campaign import CampaignDefined, OnEvent, Purpose, Template
from shared.events.customer import Channel
from shared.events.notification import MessageScheduled
from shared.events.single import MessageWritten
from shared.execute import Command, Writer
from shared.ids import derived_id
from shared.keyring import keyed_hash

PREFIX = "written/"
"""What the names of these begin with; no campaign has a stroke in its name."""
OCCURRENCE = "written"
NOT_SHOWN = "-"
"""The subject where there is none."""


@dataclass(frozen=True, slots=True)
class Letter:
    """What is written, to whom and by whom; `at_once`: not even quiet hours are waited for."""

    customer: str
    channel: Channel
    text: str = field(repr=False)
    topic: str
    purpose: Purpose
    subject: str = field(default="", repr=False)
    at_once: bool = False
    by: str | None = None


@dataclass(frozen=True, slots=True)
class Written:
    """The message that it is."""

    message: str
    repeated: bool


@dataclass(frozen=True, slots=True)
class LetterDesk:
    """Takes what is written; `ways` are those that there are, `scheduled` is told of messages."""

    writer: Writer
    people: People
    ways: Collection[str]
    secret: bytes = field(repr=False)
    scheduled: Callable[[Sequence[QueuedMessage]], None] = lambda _messages: None

    async def write(
        self, command_id: str, letter: Letter, may_reach: Callable[[str | None], None]
    ) -> Written:
        """Schedule it, once for an id; `may_reach` refuses a home branch that is not the caller's.

        Raises `Refused` that names what is wrong.
        """
        recipient = await self._recipient(letter.customer)
        may_reach(recipient.home_branch)
        at = self.writer.clock.now()
        self._check(letter, at)
        name = f"{PREFIX}{derived_id('written', command_id)}"
        message = message_id(name, letter.customer, OCCURRENCE)
        why = Causation(correlation=command_id)
        command: MessageCommand = Schedule(
            message=message,
            at=at,
            campaign=name,
            occurrence=OCCURRENCE,
            channel=letter.channel,
            written=self._written(message, name, letter),
        )
        done = await self.writer.one(
            MESSAGE,
            Command(
                id=command_id,
                hash=self._hash_of(letter),
                stream=message_stream(message),
                key=letter.customer,
                body=command,
                causation=why,
                subject=letter.customer,
            ),
        )
        if not done.repeated:
            scheduled = MessageScheduled(
                message=message, campaign=name, occurrence=OCCURRENCE, channel=letter.channel
            )
            recorded = self.writer.clock.system_now()
            self.scheduled(
                [queued(message, scheduled, letter.customer, at=at, recorded=recorded, why=why)]
            )
        return Written(message, done.repeated)

    async def _recipient(self, customer: str) -> Recipient:
        found = (await self.people.load([customer])).get(customer)
        if found is None or found.removed or not found.registered:
            kind = "customer"
            raise not_found(kind, customer)
        if found.merged is not None:
            raise Refused(
                "customer-merged",
                409,
                "The customer is another one by now.",
                "write to the survivor",
                extra={"survivor": found.merged},
            )
        return found

    def _check(self, letter: Letter, at: datetime) -> None:
        if letter.channel not in self.ways:
            raise invalid("channel", f"these channels exist: {', '.join(sorted(self.ways))}")
        if letter.at_once and letter.purpose != "service":
            raise invalid("now", "advertising keeps to quiet hours")
        if letter.channel not in WORDS_ALONE and not letter.subject.strip():
            raise invalid("subject", "is shown by this channel")
        try:
            check(definition_of(self._written("", "", letter), at))
        except Refused as refusal:
            raise replace(refusal, errors=tuple(map(_in_letter, refusal.errors))) from refusal

    def _written(self, message: str, name: str, letter: Letter) -> MessageWritten:
        return MessageWritten(
            message=message,
            campaign=name,
            channel=letter.channel,
            topic=letter.topic,
            purpose=letter.purpose,
            at_once=letter.at_once,
            subject=letter.subject,
            text=letter.text,
            by=letter.by,
        )

    def _hash_of(self, letter: Letter) -> str:
        """What tells it from another one under the same id, without saying what it says."""
        how = (letter.customer, letter.channel, letter.topic, letter.purpose, letter.at_once)
        words = msgspec.json.encode((*how, letter.subject, letter.text))
        return keyed_hash(self.secret, "command", words.decode())


def _in_letter(error: FieldError) -> FieldError:
    """Of its template only the words are the writer's, and no pool of codes can be named."""
    path = error.field.removeprefix("template.")
    return replace(error, field="text" if path == "coupon" else path)


@dataclass(frozen=True, slots=True)
class Letters:
    """Those of a batch: in the place of campaigns, and whether they keep to quiet hours."""

    entries: Mapping[str, Entry] = field(default_factory=dict)
    waits: Mapping[str, bool] = field(default_factory=dict)


async def letters_of(writer: Writer, found: Sequence[QueuedMessage]) -> Letters:
    """Read those of the messages that an employee wrote. Raises `StoreUnavailable`."""
    asked = {message_stream(each.id): each for each in found if each.campaign.startswith(PREFIX)}
    if not asked:
        return Letters()
    histories = await writer.histories(sorted(asked))
    entries, waits = {}, {}
    for stream, (events, _) in histories.items():
        for data in events:
            if isinstance(data, MessageWritten):
                message = asked[stream]
                campaign = Campaign(
                    definition=definition_of(data, message.scheduled_at), state="running"
                )
                entries[data.campaign] = Entry(data.campaign, campaign)
                waits[message.id] = not data.at_once
    return Letters(entries, waits)


def definition_of(written: MessageWritten, at: datetime) -> CampaignDefined:
    """The campaign that it would be; of whoever was erased there is no text any more."""
    return CampaignDefined(
        campaign=written.campaign,
        title="",
        trigger=OnEvent(event=MessageWritten.type),
        channel=written.channel,
        topic=written.topic,
        purpose=written.purpose,
        template=Template(subject=written.subject or NOT_SHOWN, text=written.text or ""),
        start=at,
        holdout_percent=0,
    )
