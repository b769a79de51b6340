"""HTTP of why: the tree of a rule about one customer, now or at an earlier moment."""

import asyncio
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Response
from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field

from services.segment.api.access import Reader, whole_chain
from services.segment.api.speaking import Accepted, Speech
from services.segment.domain import rule_of
from services.segment.engine.explaining import Explained, explain
from services.segment.engine.profile import Profile
from services.segment.engine.stepping import Engine
from services.segment.queries.definitions import Defined, Definitions
from services.segment.queries.members import Members, logged_at
from services.segment.queries.profiles import Profiles
from services.segment.queries.rules import PresentRules
from services.segment.rules.instants import instant, moment
from services.segment.rules.language.tree import Rule
from services.segment.rules.reading import parse_rule
from services.segment.rules.ruleset import RuleSet, waiting_name
from services.segment.rules.sentences.tree import describe
from shared.clock import Clock, to_milliseconds
from shared.decider import invalid, not_found
from shared.events.contract import show_moment
from shared.wording import Wording

AT_ONCE = 2
"""Explanations that are made at the same time; others wait for their turn."""


class BehindView(BaseModel):
    """Something that a clause rests on."""

    event: str = Field(description="id of the event that told it")
    time: str | None = Field(default=None, description="when it counts from, of a fact")
    total: int | None = Field(default=None, description="minor units, of a fact")


class ClauseView(BaseModel):
    """One clause: whether it is true, since when, and until when if only time passes."""

    kind: str
    sentence: str
    true: bool
    since: str | None = Field(
        description="null: it was never otherwise, as far as is known; of very many facts, while"
        " the last of them came"
    )
    until: str | None = Field(description="null: time alone does not change it")
    value: str | int | bool | list[str] | None = Field(description="what was found; null: nothing")
    of: int = Field(description="how many things it rests on")
    behind: list[BehindView] = Field(description="the latest of them")
    clauses: list["ClauseView"]


class LoggedView(BaseModel):
    """What the log of memberships says of the moment."""

    inside: bool
    since: str | None = None
    definition: int | None = None


class Explanation(BaseModel):
    """Why a customer is in a segment or not.

    `logged` is what was so at the moment; the clauses go by what is known now, so that a fact that
    came late may make them differ. `left_out` says why nobody asks the rule of this customer: the
    clauses are what it would say of what is kept.
    """

    customer: str
    at: str
    sentence: str
    logged: LoggedView | None
    left_out: str | None = Field(
        description="`merged`; `crowded`: too many receipts; `rebuilding`: facts that the rule"
        " looks back to are being brought back; `evaluating`: the customer's turn has not come."
        " Or nobody is asked: the definition is `archived`, on `trial`, `held` for a yes,"
        " `stopped`, or in a `circle` of segments that name each other"
    )
    rule: ClauseView


class RuleInput(BaseModel):
    """A rule that is not saved."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rule: dict[str, Any]


class Wishes(BaseModel):
    """What about the customer is asked for, and in which words."""

    model_config = ConfigDict(extra="forbid")

    at: Annotated[AwareDatetime, AfterValidator(to_milliseconds)] | None = Field(
        default=None, description="a moment; now when left out"
    )
    language: Literal["en", "ru"] | None = Field(
        default=None, description="else what `Accept-Language` likes best"
    )


@dataclass(frozen=True, slots=True)
class ExplainingApi:
    """The endpoints, on what they need."""

    definitions: Definitions
    members: Members
    profiles: Profiles
    rules: PresentRules
    speech: Speech
    clock: Clock
    horizon: timedelta
    turns: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))

    def router(self) -> APIRouter:
        """Explanations of segments, and of rules that are not saved."""
        router = APIRouter(prefix="/v1", tags=["segments"])
        path = "/customers/{customer}/explanations"
        router.add_api_route(path, self.of_rule, methods=["POST"])
        router.add_api_route(path + "/{name}", self.of_segment, methods=["GET"])
        return router

    async def of_segment(
        self,
        customer: str,
        name: str,
        calling: Reader,
        *,
        wishes: Annotated[Wishes, Query()],
        accepted: Accepted = "",
        response: Response,
    ) -> Explanation:
        """Why the customer is in the segment, or not, by the definition as it stands."""
        whole_chain(calling)
        defined = await self.definitions.require(name)
        rule = parse_rule(dict(defined.segment.rule))
        member = await self.members.of(name, customer)
        when = self._when(wishes.at)
        interval = None if member is None else logged_at(member, when)
        logged = LoggedView(inside=interval is not None)
        if interval is not None:
            logged.since = show_moment(interval.entered)
            logged.definition = interval.definition
        wording = self.speech.wording(wishes.language, accepted)
        response.headers["Content-Language"] = wording.language
        return await self._explanation(customer, rule, when, logged, wording, defined)

    async def of_rule(
        self,
        customer: str,
        body: RuleInput,
        calling: Reader,
        *,
        wishes: Annotated[Wishes, Query()],
        accepted: Accepted = "",
        response: Response,
    ) -> Explanation:
        """What a rule that is not saved says of the customer."""
        whole_chain(calling)
        rule = rule_of(body.rule, self.horizon, self.clock.now())
        await self.rules.require_named(rule)
        wording = self.speech.wording(wishes.language, accepted)
        response.headers["Content-Language"] = wording.language
        return await self._explanation(customer, rule, self._when(wishes.at), None, wording)

    def _when(self, at: datetime | None) -> datetime:
        now = self.clock.now()
        if at is not None and at > now:
            raise invalid("at", "is not later than now")
        return at or now

    async def _explanation(  # noqa: PLR0917 - an explanation, and in which words
        self,
        customer: str,
        rule: Rule,
        at: datetime,
        logged: LoggedView | None,
        wording: Wording,
        defined: Defined | None = None,
    ) -> Explanation:
        profile = await self.profiles.get(customer)
        if profile is None:
            raise not_found("customer", customer)
        # A long past takes a while, during which others are to be answered.
        rules = await self.rules.get()
        async with self.turns:
            explained = await asyncio.to_thread(explain, profile, rule, instant(at), rules)
        return Explanation(
            customer=customer,
            at=show_moment(at),
            sentence=describe(rule, wording),
            logged=logged,
            left_out=self._left_out(profile, defined, rules),
            rule=_clause(explained, wording),
        )

    def _left_out(self, profile: Profile, defined: Defined | None, rules: RuleSet) -> str | None:
        if profile.away:
            return "merged"
        if profile.crowded:
            return "crowded"
        if defined is None:
            return None
        trial = defined.segment.trial
        asked = waiting_name(defined.name, trial) if trial else defined.name
        known = profile.rules == rules.number
        lacks = profile.lacks if known else Engine(rules, self.horizon).lacks(profile)
        return "rebuilding" if asked in lacks else _set_aside(profile, defined, rules)


def _set_aside(profile: Profile, defined: Defined, rules: RuleSet) -> str | None:
    """Why the definition that is shown is not asked of the customer; None where it is."""
    segment = defined.segment
    live = rules.rules.get(defined.name)
    # A rule that closes a circle is in no rule set, so the whole set stands for it.
    begins = rules.number if live is None else rules.number_of(live)
    reasons = {
        "archived": segment.archived,
        "trial": segment.trial > 0,
        "held": segment.wave is not None,
        "stopped": not segment.stands,
        "evaluating": profile.rules < begins,
        "circle": live is None,
    }
    return next((reason for reason, holds in reasons.items() if holds), None)


def _clause(explained: Explained, wording: Wording) -> ClauseView:
    value = explained.value
    return ClauseView(
        kind=explained.rule.kind,
        sentence=describe(explained.rule, wording),
        true=explained.true,
        since=_shown(explained.since),
        until=_shown(explained.until),
        value=list(value) if isinstance(value, tuple) else value,
        of=explained.of,
        behind=[
            BehindView(event=each.event, time=_shown(each.time), total=each.total)
            for each in explained.behind
        ],
        clauses=[_clause(clause, wording) for clause in explained.clauses],
    )


def _shown(at: int | None) -> str | None:
    return None if at is None else show_moment(moment(at))
