"""What a customer wants to hear about and by which channel, in the customer's own words.

The page shows topics by channels, one yes or no each. Behind a yes stand the contact points of the
channel: a withdrawal concerns all of them, and so does a consent that is given here.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import get_args

from services.customer.domain.commands import (
    ChangeRecord,
    Command,
    GiveConsent,
    WithdrawConsent,
)
from services.customer.domain.state import Customer
from shared.decider import invalid
from shared.events.customer import (
    Channel,
    ConsentGiven,
    ConsentWithdrawn,
    Evidence,
    IdentifierKind,
    RecordFields,
)

SOURCE = "preference-page"
HIMSELF = "customer"
"""Who says so, on a page that the customer's own link opens."""
CHANNELS: tuple[Channel, ...] = get_args(Channel)
KIND_OF: Mapping[Channel, IdentifierKind] = MappingProxyType(
    {"email": "email", "sms": "phone", "messenger": "messenger", "push": "push"}
)
"""Channel → the kind of contact point that it reaches."""


@dataclass(frozen=True, slots=True)
class Wish:
    """Whether the customer wants to hear about a topic by a channel."""

    topic: str
    channel: Channel
    given: bool


def wishes(state: Customer, topics: Collection[str]) -> list[Wish]:
    """Topics by channels: all topics given and those spoken of, by all channels that reach."""
    spoken = {(topic, channel) for topic, channel, _ in state.consents}
    every = {*topics, *(topic for topic, _ in spoken)}
    return [
        Wish(topic, channel, is_given(state, topic, channel))
        for topic in sorted(every)
        for channel in CHANNELS
        if (topic, channel) in spoken or contacts_of(state, channel)
    ]


def is_given(state: Customer, topic: str, channel: Channel) -> bool:
    """Whether a consent stands for any contact point."""
    return any(
        standing.given
        for (about, by, _), standing in state.consents.items()
        if (about, by) == (topic, channel)
    )


def contacts_of(state: Customer, channel: Channel) -> list[str]:
    """Hashes of the contact points that a channel reaches."""
    kind = KIND_OF.get(channel)
    return sorted(each.hash for each in state.identifiers.values() if each.kind == kind)


@dataclass(frozen=True, slots=True)
class Said:
    """What the customer says on the page; None for the channel: it stays as it is."""

    wishes: tuple[Wish, ...]
    preferred_channel: Channel | None = None
    wording: str | None = None


def commands_of(
    customer: str, state: Customer, topics: Collection[str], said: Said, at: datetime
) -> Iterator[Command]:
    """What differs from what stands. Raises `Refused` for a topic that is not on the page."""
    shown = {(each.topic, each.channel) for each in wishes(state, topics)}
    evidence = Evidence(source=SOURCE, wording=said.wording, by=HIMSELF, at=at)
    for number, wish in enumerate(said.wishes):
        if (wish.topic, wish.channel) not in shown:
            raise invalid(f"consents.{number}", "is not on the page")
        if wish.given is not is_given(state, wish.topic, wish.channel):
            yield from _told(customer, state, wish, evidence, at)
    preferred = said.preferred_channel
    if preferred is not None and preferred != state.record.preferred_channel:
        fields = RecordFields(preferred_channel=preferred)
        yield ChangeRecord(customer=customer, at=at, by=HIMSELF, fields=fields)


def _told(
    customer: str, state: Customer, wish: Wish, evidence: Evidence, at: datetime
) -> Iterable[Command]:
    if not wish.given:
        withdrawn = ConsentWithdrawn(topic=wish.topic, channel=wish.channel, evidence=evidence)
        yield WithdrawConsent(customer=customer, at=at, by=HIMSELF, withdrawn=withdrawn)
        return
    bound: list[str | None] = [*contacts_of(state, wish.channel)]
    for contact in bound or [None]:
        consent = ConsentGiven(
            topic=wish.topic, channel=wish.channel, contact=contact, evidence=evidence
        )
        yield GiveConsent(customer=customer, at=at, by=HIMSELF, consent=consent)
