"""What people do by the links in their messages: follow one, read it, say no, choose.

Whoever holds a link speaks for the customer of its message, about topics and channels, and about
nothing else. Where a link leads stands in the stored definition. A decision is durable before it is
answered; that a message was read or followed is noted afterwards, and lost and counted where the
store is away: nobody waits for it.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import cast

import structlog

from services.notify.content import Link, LinkTokens
from services.notify.domain.message import message_stream
from services.notify.domain.preference import PREFERENCE, Said, Say, Word, preferences_stream
from services.notify.handlers.books.campaigns import CampaignBook, Entry
from services.notify.handlers.deciding.choosing import SERVICE
from services.notify.handlers.letters.writing import target_of
from services.notify.handlers.recipients.preferences import SILENT, Heard, heeding
from services.notify.handlers.recipients.reading import People
from services.notify.handlers.returns.choices import CHANNELS, Choices, Row, Shown
from services.notify.handlers.returns.sent import Sent, read_sent
from services.notify.projections import Recipient
from shared import telemetry
from shared.decider import Decider, NewEvent, Refused
from shared.events.contract import EventData
from shared.events.customer import Channel
from shared.events.notification import (
    MessageClicked,
    MessageOpened,
)
from shared.events.preferences import (
    PreferenceGiven,
    PreferenceSource,
    PreferenceWithdrawn,
    PreferredChannelChosen,
)
from shared.eventstore import StoreUnavailable
from shared.execute import Command, Outcome, Writer
from shared.ids import new_id

WORDING = "messages-2"
"""Version of the texts of the pages, as evidence: other texts are another version."""
MOST_TRACES = 500
"""Commits of one message; what opens it more often is no person, and would make it slow to read."""
MOST_HOPS = 20
REMEMBERED = 10_000

_OUTCOMES: Mapping[type[EventData], str] = MappingProxyType(
    {
        PreferenceWithdrawn: "withdrawn",
        PreferenceGiven: "given",
        PreferredChannelChosen: "chosen",
    }
)

log = structlog.stdlib.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Reader:
    """Who speaks by a link, and about which message."""

    sent: Sent
    entry: Entry | None
    topic: str
    customer: str
    recipient: Recipient


def _decide(command: tuple[EventData, datetime], _state: None) -> Sequence[NewEvent]:
    return [NewEvent(*command)]


TRACE: Decider[tuple[EventData, datetime], None] = Decider(
    lambda: None, _decide, lambda _state, _data: None
)
"""That something was read or followed, each time anew."""


@dataclass(frozen=True, slots=True)
class Links:
    """What the links of messages do, on what it needs."""

    writer: Writer
    book: CampaignBook
    tokens: LinkTokens
    recipients: People
    choices: Choices
    _targets: dict[Link, str] = field(default_factory=dict, compare=False, repr=False)

    def read(self, token: str) -> Link:
        """What a token says. Raises `Refused` (404, 410)."""
        return self.tokens.read(token, self.writer.clock.system_now())

    def token(self, link: Link) -> str:
        """The token of another link of the same message."""
        return self.tokens.issue(link, self.writer.clock.system_now())

    async def target(self, link: Link) -> str:
        """Where a link leads. Raises `Refused` (404), `StoreUnavailable` where it is not known.

        One that was followed here before leads on while the store is away.
        """
        try:
            sent = await self._sent(link)
            entry = await self._entry(sent, link)
        except StoreUnavailable:
            if link in self._targets:
                return self._targets[link]
            raise
        found = None if entry is None else target_of(entry, link)
        if found is None:
            raise _nowhere()
        if len(self._targets) >= REMEMBERED:
            self._targets.clear()
        self._targets[link] = found
        return found

    async def followed(self, link: Link, target: str) -> None:
        """Note that a link was followed; where that cannot be done it is lost, and counted."""
        await self._trace(
            link,
            "click",
            lambda sent: MessageClicked(message=sent.message, campaign=sent.campaign, link=target),
        )

    async def opened(self, link: Link) -> None:
        """Note that a message was read; where that cannot be done it is lost, and counted."""
        await self._trace(
            link,
            "open",
            lambda sent: MessageOpened(
                message=sent.message, campaign=sent.campaign, channel=next(reversed(sent.ways))
            ),
        )

    async def shown(self, link: Link) -> Shown:
        """What the pages show. Raises `Refused` (404, 410), `StoreUnavailable`."""
        return await self._shown(await self._reader(link))

    async def withdraw(self, link: Link, source: PreferenceSource) -> Shown:
        """No more about the topic of a message by the channels it went by, from now on.

        Each time it is said it is recorded. Raises `Refused` (404, 410), `StoreUnavailable`.
        """
        reader = await self._reader(link)
        await self._say(
            reader, [_no(reader, reader.topic, channel, source) for channel in reader.sent.ways]
        )
        return await self._shown(reader)

    async def choose(
        self,
        link: Link,
        changes: Mapping[tuple[str, Channel], bool],
        preferred: Channel | None = None,
    ) -> Shown:
        """Withdraw and agree as the customer has changed it on the page; None: not chosen anew.

        What is not on the page is not looked at. Raises `Refused` (404, 410), `StoreUnavailable`.
        """
        reader = await self._reader(link)
        words: list[Said] = []
        before = await self._shown(reader)
        if preferred is not None and preferred in before.reached and preferred != before.preferred:
            words.append(_rather(reader, preferred))
        for row in before.rows:
            match changes.get((row.topic, row.channel)):
                case False:
                    words.append(_no(reader, row.topic, row.channel, "message-page"))
                case True if not row.given:
                    words += self._yes(reader, row)
        await self._say(reader, words)
        return await self._shown(reader, words)

    async def withdraw_all(self, link: Link) -> Shown:
        """No more about anything that was agreed to. Raises as `choose` does."""
        rows = (await self.shown(link)).rows
        return await self.choose(link, {(row.topic, row.channel): False for row in rows})

    async def _sent(self, link: Link) -> Sent:
        sent = await read_sent(self.writer.store, link.message)
        if sent is None:
            raise _nowhere()
        return sent

    async def _entry(self, sent: Sent, link: Link) -> Entry | None:
        """The campaign of a message, as it was when the message was written or later."""
        entry = (await self.book.fresh()).get(sent.campaign)
        if entry is None or entry.campaign.version < link.version:
            return (await self.book.now()).get(sent.campaign)
        return entry

    async def _reader(self, link: Link) -> _Reader:
        sent = await self._sent(link)
        entry = await self._entry(sent, link)
        topic = sent.topic or _topic_of(entry, link)
        if topic is None:
            raise _nowhere()
        customer, recipient = await self._living(sent.customer)
        return _Reader(sent, entry, topic, customer, recipient)

    async def _living(self, customer: str) -> tuple[str, Recipient]:
        """Whom the customer was merged into, or the customer. Raises `Refused` (410)."""
        for _ in range(MOST_HOPS):
            found = (await self.recipients.load([customer])).get(customer)
            if found is None:
                # Not read yet: a no is taken all the same.
                return customer, Recipient(id=customer)
            if found.removed:
                raise Refused("erased", 410, "The link has expired.", "nothing is kept of whom")
            if found.merged is None:
                return customer, found
            customer = found.merged
        raise _nowhere()

    async def _shown(self, reader: _Reader, words: Sequence[Said] = ()) -> Shown:
        """As it stands after what was said, whatever has been read of it."""
        heard = Heard(self.writer.store)
        people = {reader.customer: reader.recipient}
        said = await heard.with_merged(self.recipients, people, await heard.of(people))
        recipient = heeding(reader.recipient, said.get(reader.customer, SILENT))
        offered = {reader.topic, *self._offered(await self.book.fresh())}
        refused = said.get(reader.customer, SILENT).refusals
        went = {(reader.topic, channel) for channel in reader.sent.ways}
        agreed = {(word.topic, word.channel) for word in words if isinstance(word, PreferenceGiven)}
        rows = [
            Row(topic, channel, recipient.wants(topic, channel) or (topic, channel) in agreed)
            for topic, channel in self.choices.pairs(recipient, offered, refused, went)
        ]
        contact = next(reversed(reader.sent.ways.values()), None)
        chosen = (each.channel for each in words if isinstance(each, PreferredChannelChosen))
        return Shown(
            reader.topic,
            tuple(reader.sent.ways),
            next((each for each in recipient.contacts if each.hash == contact), None),
            recipient.language,
            rows,
            [each for each in CHANNELS if each in self.choices.reached(recipient)],
            next(chosen, cast("Channel | None", recipient.preferred_channel)),
        )

    def _offered(self, campaigns: Mapping[str, Entry]) -> Iterator[str]:
        """What the chain writes about now."""
        for entry in campaigns.values():
            definition = entry.campaign.definition
            living = entry.campaign.state in ("running", "paused")
            if living and definition is not None and definition.purpose != SERVICE:
                yield definition.topic

    def _yes(self, reader: _Reader, row: Row) -> Iterator[Word]:
        """A consent for each address of the channel; for any where there is none."""
        bound: list[str | None] = [*self.choices.contacts(reader.recipient, row.channel)]
        for contact in bound or [None]:
            yield PreferenceGiven(
                customer=reader.customer,
                topic=row.topic,
                channel=row.channel,
                source="message-page",
                contact=contact,
                message=reader.sent.message,
                wording=WORDING,
            )

    async def _say(self, reader: _Reader, words: Sequence[Said]) -> None:
        if not words:
            return
        name = f"preference|{new_id()}"
        command = Command(
            id=name,
            hash=name,
            stream=preferences_stream(reader.customer),
            key=reader.customer,
            body=Say(tuple(words), self.writer.clock.now()),
            causation=reader.sent.why,
            subject=reader.customer,
        )
        (outcome,) = await self.writer.many(PREFERENCE, [command], stateless=True)
        _require(outcome)
        for word in words:
            telemetry.MESSAGE_LINKS.labels(word.source, _OUTCOMES[type(word)]).inc()

    async def _trace(self, link: Link, kind: str, made: Callable[[Sent], EventData]) -> None:
        try:
            sent = await self._sent(link)
            if sent.size >= MOST_TRACES:
                telemetry.MESSAGE_LINKS.labels(kind, "passed_over").inc()
                return
            name = f"{kind}|{new_id()}"
            command = Command(
                id=name,
                hash=name,
                stream=message_stream(sent.message),
                key=sent.customer,
                body=(made(sent), self.writer.clock.now()),
                causation=sent.why,
                subject=sent.customer,
            )
            (outcome,) = await self.writer.many(TRACE, [command], stateless=True)
            _require(outcome)
        except (Refused, StoreUnavailable) as failure:
            telemetry.MESSAGE_LINKS.labels(kind, "lost").inc()
            log.warning("trace lost", kind=kind, reason=type(failure).__name__)
        else:
            telemetry.MESSAGE_LINKS.labels(kind, "recorded").inc()


def _topic_of(entry: Entry | None, link: Link) -> str | None:
    """What a message was about, by the definition that it was written by."""
    held = [] if entry is None else [each for each in entry.versions if each.number <= link.version]
    return held[-1].definition.topic if held else None


def _no(reader: _Reader, topic: str, channel: Channel, source: PreferenceSource) -> Word:
    return PreferenceWithdrawn(
        customer=reader.customer,
        topic=topic,
        channel=channel,
        source=source,
        contact=reader.sent.ways.get(channel),
        message=reader.sent.message,
        wording=WORDING,
    )


def _rather(reader: _Reader, channel: Channel) -> Said:
    return PreferredChannelChosen(
        customer=reader.customer,
        channel=channel,
        source="message-page",
        message=reader.sent.message,
        wording=WORDING,
    )


def _require(outcome: Outcome) -> None:
    if isinstance(outcome, Refused):
        raise outcome


def _nowhere() -> Refused:
    return Refused("link-invalid", 404, "The link is not valid.", "its message is not known")
