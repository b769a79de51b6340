"""A deal as its stream has it.

Where its customer is merged the stream ends and the deal goes on in another one, `deal-<id>-2` and
so on. The version that callers see grows through all of them, so that what was read before the
move is never taken for what came after.
"""

from dataclasses import dataclass, replace

from shared.events.contract import EventData
from shared.events.deal import (
    DealChanged,
    DealContinued,
    DealLost,
    DealOpened,
    DealReopened,
    DealResponsibleAssigned,
    DealStageMoved,
    DealStatus,
    DealTransferred,
    DealWon,
    Origin,
    Terms,
    WordField,
    Words,
)

GENERATION_VERSIONS = 1_000_000
"""More than any stream of a deal has events."""
NO_TERMS = Terms(amount=0)
NO_WORDS = Words()


def deal_stream(deal: str, generation: int = 1) -> str:
    """The stream of a deal, of its first customer or of a later one."""
    return f"deal-{deal}" if generation == 1 else f"deal-{deal}-{generation}"


def generation_of(stream: str, deal: str) -> int:
    """Which of the deal's streams it is, from 1."""
    rest = stream.removeprefix(deal_stream(deal))
    return int(rest[1:]) if rest else 1


def deal_version(stream: str, deal: str, version: int) -> int:
    """The version of the deal that a version of one of its streams is."""
    return (generation_of(stream, deal) - 1) * GENERATION_VERSIONS + version


@dataclass(frozen=True, slots=True)
class Deal:
    """What decisions need to know. `version` counts the events of this stream.

    `words` are the texts of the kind of the deal: of a person's deal the sealed ones.
    """

    version: int = 0
    id: str = ""
    company: str | None = None
    generation: int = 1
    pipeline: str = ""
    stage: str = ""
    status: DealStatus = "open"
    terms: Terms = NO_TERMS
    words: Words = NO_WORDS
    responsible: str | None = None
    lost_reason: str | None = None
    lost_comment: str | None = None
    origins: tuple[Origin, ...] = ()
    moved: DealTransferred | None = None

    @property
    def opened(self) -> bool:
        """Whether there is one."""
        return self.version > 0

    @property
    def deal_version(self) -> int:
        """The version that callers see."""
        return (self.generation - 1) * GENERATION_VERSIONS + self.version


def evolve(state: Deal, data: EventData) -> Deal:
    """The deal after an event."""
    state = replace(state, version=state.version + 1)
    match data:
        case DealOpened():
            return replace(
                state,
                id=data.deal,
                company=data.company,
                pipeline=data.pipeline,
                stage=data.stage,
                terms=data.terms,
                words=data.words,
                responsible=data.responsible,
            )
        case DealContinued():
            return replace(
                state,
                id=data.deal,
                generation=data.generation,
                pipeline=data.pipeline,
                stage=data.stage,
                status=data.status,
                terms=data.terms,
                words=data.words,
                responsible=data.responsible,
                lost_reason=data.lost_reason,
                lost_comment=data.lost_comment,
                origins=data.origins,
            )
        case DealChanged(terms=terms, words=words, cleared=cleared):
            return replace(
                state, terms=terms or state.terms, words=_worded(state.words, words, cleared)
            )
        case DealStageMoved(stage=stage):
            return replace(state, stage=stage)
        case DealWon():
            return replace(state, status="won")
        case DealLost(reason=reason, comment=comment):
            return replace(state, status="lost", lost_reason=reason, lost_comment=comment)
        case DealReopened(stage=stage):
            return replace(state, status="open", stage=stage, lost_reason=None, lost_comment=None)
        case DealResponsibleAssigned(responsible=responsible):
            return replace(state, responsible=responsible)
        case DealTransferred():
            return replace(state, moved=data)
        case _:
            message = f"a deal has no event {data.type}"
            raise TypeError(message)


def _worded(words: Words, changed: Words, cleared: tuple[WordField, ...]) -> Words:
    gone = {name: None for each in cleared for name in (each, f"company_{each}")}
    return words.model_copy(update={**gone, **changed.model_dump(exclude_none=True)})
