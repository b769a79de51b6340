"""How clauses are joined, and what is asked of a rule as a whole."""

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter

from services.segment.rules.language.dates import Age, Date
from services.segment.rules.language.deals import Deals
from services.segment.rules.language.facts import Facts, Sequence
from services.segment.rules.language.forms import Form, Leaf, Several
from services.segment.rules.language.record import Attribute, Consent, Contact
from services.segment.rules.language.relations import InSegment, OnList, RandomShare
from services.segment.rules.language.rfm import Percentile, Rfm, RfmCell
from services.segment.rules.language.tasks import Tasks

MOST_CLAUSES = 100
DEEPEST = 8


class All(Form):
    """Every clause is true."""

    kind: Literal["all"]
    clauses: Annotated[tuple["Rule", ...], Several] = Field(min_length=1, max_length=MOST_CLAUSES)


class AnyOf(Form):
    """At least one clause is true."""

    kind: Literal["any"]
    clauses: Annotated[tuple["Rule", ...], Several] = Field(min_length=1, max_length=MOST_CLAUSES)


class Not(Form):
    """The clause is false."""

    kind: Literal["not"]
    clause: "Rule"


Rule = Annotated[
    All
    | AnyOf
    | Not
    | Facts
    | Sequence
    | Attribute
    | Consent
    | Contact
    | Date
    | Age
    | Deals
    | Tasks
    | InSegment
    | OnList
    | RandomShare
    | Rfm
    | RfmCell
    | Percentile,
    Field(discriminator="kind"),
]
All.model_rebuild()
AnyOf.model_rebuild()
Not.model_rebuild()

RULE: TypeAdapter[Rule] = TypeAdapter(Rule)


def rule_schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of the language."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Segment rule",
        **RULE.json_schema(),
    }


def to_json(rule: Rule) -> dict[str, Any]:
    """The rule's one JSON form: what means the same in the same words is written the same."""
    written: dict[str, Any] = RULE.dump_python(rule, mode="json", by_alias=True, exclude_none=True)
    return written


def leaves(rule: Rule) -> Iterator[Leaf]:
    """The clauses that look at the customer, in the order of the rule."""
    match rule:
        case All() | AnyOf():
            for clause in rule.clauses:
                yield from leaves(clause)
        case Not():
            yield from leaves(rule.clause)
        case _:
            yield rule


def reads(rule: Rule) -> frozenset[str]:
    """What the rule looks at: only what touches this can change it."""
    return frozenset(name for leaf in leaves(rule) for name in leaf.reads())


def look_back(rule: Rule) -> int:
    """The longest span (milliseconds) in which the rule asks for single facts; 0 for none."""
    return max((leaf.look_back() for leaf in leaves(rule)), default=0)


def since(rule: Rule) -> int | None:
    """The instant from which on the rule asks for single facts, whatever time it is."""
    told = (leaf.since() for leaf in leaves(rule))
    return min((each for each in told if each is not None), default=None)
