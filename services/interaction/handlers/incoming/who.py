"""Whom a fact names, and what every fact says of itself."""

from abc import abstractmethod
from datetime import datetime
from typing import Annotated, Any, ClassVar

from pydantic import Field, StringConstraints

from services.interaction.domain.facts import RecordFact, fact_id
from services.interaction.handlers.facts import SentFact
from services.interaction.handlers.incoming.forms import At, Branch, Input, Slug, Source, Text
from services.interaction.projections.identifiers import own_id
from shared.decider import invalid
from shared.events.contract import show_moment
from shared.events.customer import IdentifierKind
from shared.events.interaction import Fact, FactIdentifier
from shared.eventstore import body_hash
from shared.identifiers import IdentifierRules, KnownIdentifier

MOST_IDENTIFIERS = 10
MOST_EXTRA = 50
LONGEST_EXTRA = 1_000

LongText = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=20_000)]
"""What people have said or written."""
ExtraText = Annotated[str, StringConstraints(max_length=LONGEST_EXTRA)]
ExtraValue = Annotated[bool, Field(strict=True)] | Annotated[int, Field(strict=True)] | ExtraText
NotNegative = Annotated[int, Field(strict=True, ge=0, le=10**9)]


class IdentifierInput(Input):
    """What the source knows of the customer."""

    kind: IdentifierKind
    value: Annotated[str, StringConstraints(min_length=1, max_length=200)]


class FactInput(Input):
    """What every kind of fact says; its customer is named by `customer` or by identifiers."""

    anonymous: ClassVar[bool] = False
    """Whether it counts for its branch when its source knows nobody."""

    source_id: Text = Field(description="the id there, unique within source and branch")
    branch: Branch | None = None
    time: At = Field(description="by the clock of the source; at most a day ahead")
    customer: Text | None = Field(default=None, description="the customer's id")
    identifier: IdentifierInput | None = None
    identifiers: tuple[IdentifierInput, ...] | None = Field(
        default=None,
        min_length=1,
        max_length=MOST_IDENTIFIERS,
        description="in place of `identifier`, all that is known, what is surest first",
    )
    extra: dict[Slug, ExtraValue] | None = Field(
        default=None,
        max_length=MOST_EXTRA,
        description="the source's own fields: texts, whole numbers, true or false",
    )

    def from_source(self) -> str:
        """The system that reports it: each kind has a default of its own."""
        source: str = getattr(self, "source")  # noqa: B009 - each kind declares it
        return source

    @abstractmethod
    def data(self, about: dict[str, Any]) -> Fact:
        """The event's data; `about` is what all facts have. Raises `Refused`."""

    def completed(self, fact: Fact, rules: IdentifierRules) -> Fact:  # noqa: ARG002 - for kinds that name somebody else
        """The event's data with what takes the chain's way of reading identifiers."""
        return fact

    def sent(self, rules: IdentifierRules, now: datetime) -> SentFact:
        """The fact as it is recorded. Raises `Refused` that names the field."""
        known = self._known(rules)
        who = tuple(each.claim_id for each in known)
        if self.customer is not None:
            who = (own_id(self.customer),)
        identified = [FactIdentifier(kind=each.kind, hash=each.hash) for each in known]
        about = {
            "fact": fact_id(self.from_source(), self.branch, self.source_id),
            "source": self.from_source(),
            "source_id": self.source_id,
            "identified_by": identified[0] if identified else None,
            "also": tuple(identified[1:]) or None,
            "extra": self.extra or None,
        }
        command = RecordFact(
            data=self.completed(self.data(about), rules),
            branch=self.branch,
            time=self.time,
            now=now,
        )
        return SentFact(command, who, self._hash(who), known)

    def _known(self, rules: IdentifierRules) -> tuple[KnownIdentifier, ...]:
        given = [
            name
            for name in ("customer", "identifier", "identifiers")
            if getattr(self, name) is not None
        ]
        if len(given) > 1:
            raise invalid(given[0], f"should be left out when `{given[1]}` is there")
        if not given and not self.anonymous:
            raise invalid("customer", "should be there, or an `identifier` of the customer")
        if self.identifier is not None:
            return (self._one(rules, self.identifier, "identifier"),)
        return tuple(
            self._one(rules, each, f"identifiers.{index}")
            for index, each in enumerate(self.identifiers or ())
        )

    def _one(self, rules: IdentifierRules, given: IdentifierInput, path: str) -> KnownIdentifier:
        return rules.known(given.kind, given.value, f"{path}.value")

    def _hash(self, who: tuple[str, ...]) -> str:
        """Over what the source says, equal for equal content; a total adds nothing to its lines."""
        plain = self.model_dump(
            mode="json",
            exclude_none=True,
            exclude={"kind", "customer", "identifier", "identifiers", "time", "total"},
        )
        named = who[0] if len(who) == 1 else list(who)
        return body_hash([plain, named, show_moment(self.time)])


class BranchFactInput(FactInput):
    """A fact that happens at a branch."""

    branch: Branch
    anonymous: ClassVar[bool] = True


SourceOf = Annotated[Source, Field(description="the system that reports it")]
