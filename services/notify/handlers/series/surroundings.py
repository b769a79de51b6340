"""What the steps of a journey ask of its customer, as it is known at one moment."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from typing import assert_never

from services.notify.domain import message_id, message_stream
from services.notify.domain.series import NOT_YET, SHOWS, Said, occurrence_of_step
from services.notify.handlers.deciding.choosing import Zones
from services.notify.projections import Recipient
from services.notify.projections.journeys import JourneyDocument
from shared.envelope import decode
from shared.events.series import (
    BranchStep,
    FieldIs,
    IsMember,
    MessageState,
    MessageWas,
    SendStep,
    SeriesDefined,
    WaitMessageStep,
    WaitUntilStep,
)
from shared.eventstore import Commit, EventStore

Reached = Mapping[MessageState, datetime]
"""Since when a message has come to each state."""


@dataclass(frozen=True, slots=True)
class Around:
    """What is known of one customer: all that was recorded before `until`, and maybe more.

    `messages` are the states that the journey's messages have come to, by occurrence; one that is
    not there was not looked at. Of somebody who is not known nothing is so.
    """

    recipient: Recipient | None
    zones: Zones
    until: datetime | None
    messages: Mapping[str, Reached] = field(default_factory=dict)

    def zone(self, at: datetime) -> tzinfo | None:
        """By which clock the customer lives."""
        if not self._known(at):
            return None
        return self.zones.chain if self.recipient is None else self.zones.of(self.recipient)

    def reached(self, said: Said, state: MessageState) -> datetime | None:
        """Since when the message has come so far."""
        states = self.messages.get(said.occurrence)
        return None if states is None else states.get(state, NOT_YET)

    def answer(self, question: IsMember | FieldIs, at: datetime) -> bool | None:
        """Whether it is so."""
        match question:
            case IsMember(segment=segment):
                members = [] if self.recipient is None else self.recipient.memberships
                return any(each.segment == segment for each in members) if self._known(at) else None
            case FieldIs(field=name, values=values):
                return getattr(self.recipient, name, None) in values if self._known(at) else None
            case _:
                assert_never(question)

    def _known(self, at: datetime) -> bool:
        return self.until is not None and at < self.until


def asks_of_customer(definition: SeriesDefined) -> bool:
    """Whether a step needs to know the customer."""
    return any(
        isinstance(step, WaitUntilStep)
        or (isinstance(step, BranchStep) and not isinstance(step.question, MessageWas))
        for step in definition.steps
    )


async def states_of(
    store: EventStore, journeys: Iterable[tuple[JourneyDocument, SeriesDefined]]
) -> Mapping[str, Mapping[str, Reached]]:
    """By customer and occurrence, what has become of the messages that a step may ask about.

    Read from this service's own store, where all stands that was recorded before a moment that W
    has passed.
    """
    asked = [
        (journey.customer, occurrence, message_stream(message))
        for journey, definition in journeys
        for step in _asked_about(definition)
        for occurrence in [occurrence_of_step(journey.series, journey.number, step.id)]
        for message in [message_id(step.campaign, journey.customer, occurrence)]
    ]
    if not asked:
        return {}
    commits = await store.read(sorted({stream for _, _, stream in asked}))
    states: dict[str, dict[str, Reached]] = {}
    for customer, occurrence, stream in asked:
        states.setdefault(customer, {})[occurrence] = _reached(commits.get(stream, ()))
    return states


def asks_of_messages(definition: SeriesDefined) -> bool:
    """Whether a step needs to know what became of a message."""
    return bool(_asked_about(definition))


def _reached(commits: Iterable[Commit]) -> Reached:
    """The earliest moments: who reads a stream later finds the same."""
    found: dict[MessageState, datetime] = {}
    for text in (text for commit in commits for text in commit.events):
        envelope = decode(text)
        at = datetime.fromisoformat(envelope.recordedtime)
        for state in SHOWS.get(envelope.type, ()):
            found[state] = min(at, found.get(state, at))
    return found


def _asked_about(definition: SeriesDefined) -> Sequence[SendStep]:
    names = {
        step.question.step
        for step in definition.steps
        if isinstance(step, BranchStep) and isinstance(step.question, MessageWas)
    } | {step.step for step in definition.steps if isinstance(step, WaitMessageStep)}
    return [step for step in definition.steps if isinstance(step, SendStep) and step.id in names]
