"""Commands on deals, and the events that follow from them.

The number of open deals of each employee changes in the same transaction as the deal (see
`assignment.py`), so a command names who it thinks answers for the deal: a decision that finds
somebody else is taken again with what is true by then.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import assert_never

from services.customer.domain.assignment import (
    Candidates,
    candidates,
    choose,
)
from services.customer.domain.deal import NO_WORDS, Deal, evolve
from services.customer.domain.deal_terms import Ground, Patch, changed_terms, closed, new_terms
from shared.decider import Decider, NewEvent, Refused, invalid, not_found
from shared.events.deal import (
    DealChanged,
    DealContinued,
    DealLost,
    DealOpened,
    DealReopened,
    DealResponsibleAssigned,
    DealStageMoved,
    DealTransferred,
    DealWon,
    WordField,
    Words,
)
from shared.eventstore import Claim

MOVED = "deal-moved"
"""The type of the refusal that tells where a deal goes on: its `stream` is asked next."""
OUTDATED = "deal-outdated"
"""The type of the refusal of a command that rests on a responsible who is not any more."""


def whatever(_value: object) -> None:
    """Nothing is refused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DealCommand:
    """A command on one deal.

    `ground` is the configuration, `claims` are those the decision rests on; `may_touch` is asked
    with the deal's branch and `rests_on` with the version that callers see; both may refuse.
    """

    deal: str
    at: datetime
    ground: Ground = field(default_factory=Ground)
    claims: Mapping[str, Claim] = field(default_factory=dict)
    may_touch: Callable[[str | None], None] = whatever
    rests_on: Callable[[int], None] = whatever

    @property
    def employees(self) -> Sequence[str]:
        """Those whose number of open deals may change."""
        return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Open(DealCommand):
    """Begin a deal; `stage` None is the first one, `responsible` None leaves it to the rule."""

    pipeline: str
    terms: Patch
    company: str | None = None
    stage: str | None = None
    words: Words = NO_WORDS
    responsible: str | None = None

    @property
    def candidates(self) -> Candidates | None:
        """Who may be chosen; None where somebody is named, or no rule is there."""
        rule = self.ground.assignments.rule(self.terms.get("deal_type"))
        if self.responsible is not None or rule is None:
            return None
        return candidates(rule, self.terms.get("branch"), self.ground.active(rule.employees))

    @property
    def employees(self) -> Sequence[str]:
        """Who is named, or may be chosen."""
        if self.responsible is not None:
            return (self.responsible,)
        among = self.candidates
        return () if among is None else among.employees


@dataclass(frozen=True, slots=True, kw_only=True)
class Change(DealCommand):
    """Say something else of the deal; `words` are new texts, `cleared` those that go."""

    terms: Patch = field(default_factory=dict)
    words: Words = NO_WORDS
    cleared: tuple[WordField, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class MoveStage(DealCommand):
    """Let the deal come into another stage."""

    stage: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WithResponsible(DealCommand):
    """A command that changes how many open deals somebody has; `seen` is who answers for it."""

    seen: str | None = None

    @property
    def employees(self) -> Sequence[str]:
        """Who answers for it."""
        return () if self.seen is None else (self.seen,)


@dataclass(frozen=True, slots=True, kw_only=True)
class Win(WithResponsible):
    """Close the deal as won."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lose(WithResponsible):
    """Close the deal as lost."""

    reason: str
    comment: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reopen(WithResponsible):
    """Let a closed deal go on, where it was or in another stage."""

    stage: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AssignResponsible(WithResponsible):
    """Let somebody else, or nobody, answer for the deal.

    With `instead_of` only an open deal changes that this one answers for now.
    """

    responsible: str | None
    instead_of: str | None = None

    @property
    def employees(self) -> Sequence[str]:
        """Who did, and who will."""
        return [each for each in (self.seen, self.responsible) if each is not None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer(DealCommand):
    """End the stream: the deal goes on in another one."""

    stream: str
    customer: str
    merge: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Continue(DealCommand):
    """Begin a stream with the deal as it is."""

    continued: DealContinued


Command = Open | Change | MoveStage | Win | Lose | Reopen | AssignResponsible | Transfer | Continue


def decide(command: Command, state: Deal) -> Sequence[NewEvent]:
    """The events that follow from a command, or its refusal."""
    if isinstance(command, Open):
        return _event(command, _opened(command, state), command.terms.get("branch"))
    if isinstance(command, Continue):
        if state.opened:
            return ()
        return _event(command, command.continued, command.continued.terms.branch)
    if not state.opened:
        kind = "deal"
        raise not_found(kind, command.deal)
    if state.moved is not None:
        raise Refused(
            MOVED, 409, "The deal goes on elsewhere.", extra={"stream": state.moved.stream}
        )
    command.may_touch(state.terms.branch)
    data = _decided(command, state)
    if data is None:
        return ()
    if isinstance(command, WithResponsible) and command.seen != state.responsible:
        raise Refused(OUTDATED, 409, "Somebody else answers for the deal by now.")
    # After the no-op, so that the same change sent again is not taken for another one.
    command.rests_on(state.deal_version)
    return _event(command, data, state.terms.branch)


Data = (
    DealOpened
    | DealContinued
    | DealChanged
    | DealStageMoved
    | DealWon
    | DealLost
    | DealReopened
    | DealResponsibleAssigned
    | DealTransferred
)


def _event(command: Command, data: Data, branch: str | None) -> Sequence[NewEvent]:
    if isinstance(data, DealChanged) and data.terms is not None:
        branch = data.terms.branch
    return (NewEvent(data, command.at, branch),)


def _decided(
    command: Change | MoveStage | Win | Lose | Reopen | AssignResponsible | Transfer, state: Deal
) -> Data | None:
    match command:
        case Transfer(stream=stream, customer=customer, merge=merge):
            return DealTransferred(deal=state.id, stream=stream, customer=customer, merge=merge)
        case Reopen():
            return _reopened(command, state)
        case Win():
            return _won(state)
        case Lose():
            return _lost(command, state)
        case Change():
            return _changed(command, state)
        case MoveStage():
            return _stage_moved(command, state)
        case AssignResponsible():
            return _assigned(command, state)
        case _:
            assert_never(command)


def _require_open(state: Deal) -> None:
    if state.status != "open":
        raise closed()


def _opened(command: Open, state: Deal) -> DealOpened:
    if state.opened:
        raise Refused("already-opened", 409, "The deal is there already.")
    ground = command.ground
    definition = ground.pipeline(command.pipeline)
    first = next(each.stage for each in definition.stages if not each.archived)
    stage = ground.stage(command.pipeline, command.stage or first)
    terms = new_terms(command.terms, ground)
    command.may_touch(terms.branch)
    ground.require_responsible(command.responsible, terms.branch)
    among = command.candidates
    chosen = None if among is None else choose(among, command.claims)
    return DealOpened(
        deal=command.deal,
        company=command.company,
        pipeline=command.pipeline,
        stage=stage.stage,
        terms=terms,
        words=worded(command.words, command.company),
        responsible=command.responsible or chosen,
        rule=None if chosen is None or among is None else among.rule.deal_type,
    )


def _changed(command: Change, state: Deal) -> DealChanged | None:
    terms = changed_terms(state.terms, command.terms, command.ground)
    if terms.branch != state.terms.branch:
        command.may_touch(terms.branch)
    known = state.words.model_dump(exclude_none=True)
    wanted = worded(command.words, state.company).model_dump(exclude_none=True)
    words = {name: text for name, text in wanted.items() if known.get(name) != text}
    prefix = "" if state.company is None else "company_"
    cleared = tuple(each for each in command.cleared if f"{prefix}{each}" in known)
    if terms == state.terms and not words and not cleared:
        return None
    _require_open(state)
    return DealChanged(
        deal=state.id,
        terms=None if terms == state.terms else terms,
        words=Words(**words),
        cleared=cleared,
    )


def worded(words: Words, company: str | None) -> Words:
    """The texts as the kind of deal keeps them: a company has no key that could seal them."""
    if company is None:
        return words
    return Words(company_title=words.title, company_comment=words.comment)


def _won(state: Deal) -> DealWon | None:
    if state.status == "won":
        return None
    _require_open(state)
    return DealWon(
        deal=state.id, pipeline=state.pipeline, stage=state.stage, amount=state.terms.amount
    )


def _stage_moved(command: MoveStage, state: Deal) -> DealStageMoved | None:
    _require_open(state)
    if command.stage == state.stage:
        return None
    command.ground.stage(state.pipeline, command.stage)
    return DealStageMoved(
        deal=state.id, pipeline=state.pipeline, before=state.stage, stage=command.stage
    )


def _assigned(command: AssignResponsible, state: Deal) -> DealResponsibleAssigned | None:
    if command.responsible == state.responsible:
        return None
    if command.instead_of is not None and (
        state.status != "open" or state.responsible != command.instead_of
    ):
        return None
    _require_open(state)
    command.ground.require_responsible(command.responsible, state.terms.branch)
    return DealResponsibleAssigned(
        deal=state.id, before=state.responsible, responsible=command.responsible
    )


def _lost(command: Lose, state: Deal) -> DealLost | None:
    if state.status == "lost" and state.lost_reason == command.reason:
        return None
    _require_open(state)
    definition = command.ground.pipelines.get(state.pipeline)
    reasons = () if definition is None else definition.lost_reasons
    if reasons and command.reason not in {each.reason for each in reasons}:
        raise invalid("reason", "is no reason of this pipeline")
    personal = state.company is None
    return DealLost(
        deal=state.id,
        pipeline=state.pipeline,
        stage=state.stage,
        reason=command.reason,
        comment=command.comment if personal else None,
        company_comment=None if personal else command.comment,
    )


def _reopened(command: Reopen, state: Deal) -> DealReopened | None:
    if state.status == "open":
        return None
    stage = command.ground.stage(state.pipeline, command.stage or state.stage)
    return DealReopened(deal=state.id, pipeline=state.pipeline, stage=stage.stage)


DEAL: Decider[Command, Deal] = Decider(Deal, decide, evolve)
