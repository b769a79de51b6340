"""Calls, meetings, messages, complaints and answers: what is said by customers and to them."""

from typing import Annotated, Any, Literal

from pydantic import Field

from services.interaction.domain.facts import fact_id
from services.interaction.handlers.incoming.forms import At, Input, Text
from services.interaction.handlers.incoming.receipts import ReceiptName
from services.interaction.handlers.incoming.who import (
    FactInput,
    LongText,
    NotNegative,
    SourceOf,
)
from shared.decider import invalid
from shared.events.interaction import (
    Answer,
    CallRecorded,
    ComplaintRecorded,
    MeetingRecorded,
    MessageRecorded,
    SurveyAnswered,
)

Direction = Annotated[
    Literal["in", "out"], Field(description="from the customer, or to the customer")
]
Score = Annotated[int, Field(strict=True, ge=-1_000, le=1_000)]


def receipt_fact(named: ReceiptName | None, branch: str | None) -> str | None:
    """The id of the receipt's fact; nobody asks whether it is recorded already."""
    if named is None:
        return None
    return fact_id(named.source, named.branch or branch, named.source_id)


class CallInput(FactInput):
    """Somebody called, or was called."""

    kind: Literal["call"] = "call"
    source: SourceOf = "calls"
    direction: Direction
    answered: bool = True
    seconds: NotNegative | None = None
    employee: Text | None = None
    recording: Text | None = Field(
        default=None, description="where it is kept, by that system's id"
    )
    text: LongText | None = None

    def data(self, about: dict[str, Any]) -> CallRecorded:
        """The event's data."""
        return CallRecorded(
            **about,
            direction=self.direction,
            answered=self.answered,
            seconds=self.seconds,
            employee=self.employee,
            recording=self.recording,
            text=self.text,
        )


class MeetingInput(FactInput):
    """An employee met the customer."""

    kind: Literal["meeting"] = "meeting"
    source: SourceOf = "meetings"
    minutes: NotNegative | None = None
    employee: Text | None = None
    place: LongText | None = None
    text: LongText | None = None

    def data(self, about: dict[str, Any]) -> MeetingRecorded:
        """The event's data."""
        return MeetingRecorded(
            **about,
            minutes=self.minutes,
            employee=self.employee,
            place=self.place,
            text=self.text,
        )


class MessageInput(FactInput):
    """A letter or message that another system sent or got."""

    kind: Literal["message"] = "message"
    source: SourceOf = "messages"
    direction: Direction
    channel: Text = Field(description="e.g. `email`, `sms`, `letter`, `telegram`")
    employee: Text | None = None
    headline: LongText | None = Field(default=None, description="what a letter is about")
    text: LongText | None = None

    def data(self, about: dict[str, Any]) -> MessageRecorded:
        """The event's data."""
        return MessageRecorded(
            **about,
            direction=self.direction,
            channel=self.channel,
            employee=self.employee,
            headline=self.headline,
            text=self.text,
        )


class ComplaintInput(FactInput):
    """The customer complains, or asks for something that somebody must see to."""

    kind: Literal["complaint"] = "complaint"
    source: SourceOf = "complaints"
    about: Text | None = Field(default=None, description="a word of the chain's own list")
    department: Text | None = None
    channel: Text | None = None
    receipt: ReceiptName | None = None
    due: At | None = Field(default=None, description="when it must be settled")
    text: LongText | None = None

    def data(self, about: dict[str, Any]) -> ComplaintRecorded:
        """The event's data."""
        return ComplaintRecorded(
            **about,
            about=self.about,
            department=self.department,
            channel=self.channel,
            receipt=receipt_fact(self.receipt, self.branch),
            due=self.due,
            text=self.text,
        )


class AnswerInput(Input):
    """An answer to one question: in words, as a score, or both."""

    question: Text
    answer: LongText | None = None
    score: Score | None = None


class SurveyInput(FactInput):
    """A survey was answered, or a review written."""

    kind: Literal["survey"] = "survey"
    source: SourceOf = "surveys"
    survey: Text
    score: Score | None = None
    scale: Annotated[int, Field(strict=True, ge=1, le=1_000)] | None = Field(
        default=None, description="the best score there is"
    )
    answers: tuple[AnswerInput, ...] | None = Field(default=None, min_length=1, max_length=200)
    channel: Text | None = None
    employee: Text | None = Field(default=None, description="whom it is about")
    receipt: ReceiptName | None = None
    text: LongText | None = None

    def data(self, about: dict[str, Any]) -> SurveyAnswered:
        """The event's data; refuses a score above the scale."""
        if self.score is not None and self.scale is not None and self.score > self.scale:
            raise invalid("score", f"at most {self.scale}, which the scale says is the best")
        answers = tuple(
            Answer(question=each.question, answer=each.answer, score=each.score)
            for each in self.answers or ()
        )
        return SurveyAnswered(
            **about,
            survey=self.survey,
            score=self.score,
            scale=self.scale,
            answers=answers or None,
            channel=self.channel,
            employee=self.employee,
            receipt=receipt_fact(self.receipt, self.branch),
            text=self.text,
        )
