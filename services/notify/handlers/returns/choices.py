"""What a reader of a message can choose: topics by channels, and a channel before others."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import cast, get_args

from services.notify.channels.doors import Door
from services.notify.projections import Contact, Recipient
from shared.events.customer import Channel

CHANNELS: tuple[Channel, ...] = get_args(Channel)
NOT_FOR_PEOPLE = frozenset({"webhook"})


@dataclass(frozen=True, slots=True)
class Row:
    """Whether the customer hears about a topic by a channel."""

    topic: str
    channel: Channel
    given: bool


@dataclass(frozen=True, slots=True)
class Shown:
    """What the pages behind a link show.

    `contact` is the address at which the message was read, `reached` are the channels to choose
    from, `preferred` the one that was chosen.
    """

    topic: str
    channels: Sequence[Channel]
    contact: Contact | None
    language: str | None
    rows: Sequence[Row]
    reached: Sequence[Channel] = ()
    preferred: Channel | None = None


@dataclass(frozen=True, slots=True)
class Choices:
    """Made of what is known of a recipient.

    `doors` says for each channel which contact points it reaches.
    """

    doors: Mapping[str, Door]

    def pairs(
        self,
        recipient: Recipient,
        offered: Collection[str],
        refused: Collection[tuple[str, str]],
        went: Collection[tuple[str, str]],
    ) -> Sequence[tuple[str, Channel]]:
        """Topics by channels: all that is offered and was spoken of, by all that reach.

        And what the message was about, by the channels that it `went`, whatever has been read.
        """
        spoken = {
            tuple(key.split("|")[:2]) for key in (*recipient.consents, *recipient.withdrawals)
        }
        spoken |= {*refused, *went}
        topics = sorted({*offered, *(topic for topic, _ in spoken)})
        reached = self.reached(recipient)
        return [
            (topic, channel)
            for topic in topics
            for channel in CHANNELS
            if (topic, channel) in spoken or channel in reached
        ]

    def reached(self, recipient: Recipient) -> Collection[Channel]:
        """The channels by which the customer can be written to."""
        return {
            each
            for each in CHANNELS
            if each not in NOT_FOR_PEOPLE and any(self.contacts(recipient, each))
        }

    def contacts(self, recipient: Recipient, channel: Channel) -> Iterator[str]:
        """Hashes of the contact points that a channel reaches."""
        door = self.doors.get(channel)
        for each in recipient.contacts:
            usable = door is not None and each.value is not None and each.state != "bad"
            if usable and cast("Door", door).address(each.kind, cast("str", each.value)):
                yield each.hash
