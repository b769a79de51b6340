"""The rule language: what a marketer may ask about a customer, as JSON.

A rule is a tree of forms told apart by `kind`. The models are strict and know no extra fields, so
that a typing error is an error and never a rule that means something else; their JSON Schema is
public (`rule_schema`). `services.segment.rules.reading` turns JSON into a rule and says what would
be right; nothing else makes rules from outside.

*Within P at t* means (t − P, t]. A receipt is any basket, also one worth 0. Amounts are minor
units. A rule is false or true, never unknown: what is not known of a customer is not equal to
anything.
"""

from collections.abc import Iterator
from functools import cached_property
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    Strict,
    StringConstraints,
    TypeAdapter,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import PydanticCustomError

from services.segment.rules.instants import SPAN_PATTERN, span
from shared.events.customer import Channel

MOST_CLAUSES = 100
DEEPEST = 8
LARGEST_NUMBER = 10**15
UNBOUNDED = 2**63
"""Beyond every count and every sum of money."""

CUSTOM = "custom."
"""What the name of a custom field begins with in a rule."""

Bounds = tuple[int, int]
"""A closed interval of whole numbers; `UNBOUNDED` stands for no end."""

Reads = Literal["receipts", "attributes", "consents"]


def wrong(field: str, sentence: str) -> PydanticCustomError:
    """The error for one field of a form, found when the whole form is looked at."""
    return PydanticCustomError("rule", "{sentence}", {"field": field, "sentence": sentence})


def _check_span(text: str) -> str:
    try:
        span(text)
    except ValueError as error:
        raise PydanticCustomError("rule", "{sentence}", {"sentence": str(error)}) from error
    return text


Span = Annotated[
    str,
    AfterValidator(_check_span),
    WithJsonSchema(
        {
            "type": "string",
            "format": "duration",
            "pattern": SPAN_PATTERN.replace("?P<week>", "")
            .replace("?P<day>", "")
            .replace("?P<hour>", "")
            .replace("?P<minute>", ""),
            "examples": ["P30D", "P2W", "PT36H"],
        }
    ),
]
Name = Annotated[str, StringConstraints(min_length=1, max_length=100)]
Value = Annotated[str, StringConstraints(max_length=200)] | int | bool
Several = Strict(strict=False)
"""A JSON array arrives as a list, and is kept as a tuple."""


class Form(BaseModel):
    """A part of a rule: strict, closed, never changed."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")


class Comparison(Form):
    """A comparison with a whole number (a count, or minor units)."""

    op: Literal[">=", ">", "<=", "<", "=="]
    value: int = Field(ge=-LARGEST_NUMBER, le=LARGEST_NUMBER)

    @cached_property
    def bounds(self) -> Bounds:
        """The numbers that satisfy it."""
        return {
            ">=": (self.value, UNBOUNDED),
            ">": (self.value + 1, UNBOUNDED),
            "<=": (-UNBOUNDED, self.value),
            "<": (-UNBOUNDED, self.value - 1),
            "==": (self.value, self.value),
        }[self.op]


FilterKey = tuple[frozenset[str] | None, bool | None, Bounds | None]


class Where(Form):
    """Which receipts count: those that satisfy every filter that is given."""

    branch: Annotated[tuple[Name, ...], Several] | None = Field(
        default=None, min_length=1, max_length=1000, description="any of these branches"
    )
    coupon: bool | None = Field(
        default=None, description="whether a line has a coupon's discount other than 0"
    )
    total: Comparison | None = Field(default=None, description="the receipt's total, minor units")

    @model_validator(mode="after")
    def _filters_something(self) -> Self:
        if self.branch is None and self.coupon is None and self.total is None:
            raise PydanticCustomError(
                "rule", "names no filter: give branch, coupon or total, or leave it out"
            )
        return self

    @cached_property
    def key(self) -> FilterKey:
        """The same for every `where` that lets the same receipts through."""
        branches = None if self.branch is None else frozenset(self.branch)
        return branches, self.coupon, None if self.total is None else self.total.bounds


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


class Receipts(Form):
    """The number, or the sum of the totals, of receipts within a span or ever."""

    kind: Literal["receipts"]
    aggregate: Literal["count", "sum"]
    within: Span | None = Field(default=None, description="looks back this far; ever when absent")
    where: Where | None = None
    compare: Comparison

    @model_validator(mode="after")
    def _can_be_kept_current(self) -> Self:
        if self.where is not None and self.within is None:
            raise wrong("within", "is needed beside `where`: filtered receipts have no 'ever' yet")
        if self.aggregate == "count" and self.compare.value < 0:
            raise wrong("compare.value", "a count is compared with 0 or more")
        return self

    @cached_property
    def span(self) -> int | None:
        """The milliseconds of `within`."""
        return None if self.within is None else span(self.within)


class FirstReceipt(Form):
    """The first receipt ever lies within the span."""

    kind: Literal["first_receipt"]
    within: Span

    @cached_property
    def span(self) -> int:
        """The milliseconds of `within`."""
        return span(self.within)


class Is(Form):
    """Known, and equal to the value; of a field with several values, one of them is."""

    op: Literal["is"]
    value: Value


class IsNot(Form):
    """Unknown, or another value: true wherever `is` is false."""

    op: Literal["is_not"]
    value: Value


class IsAnyOf(Form):
    """Known, and equal to one of the values."""

    op: Literal["any_of"]
    values: Annotated[tuple[Value, ...], Several] = Field(min_length=1, max_length=1000)


class Known(Form):
    """There is a value."""

    op: Literal["known"]


Test = Annotated[Is | IsNot | IsAnyOf | Known, Field(discriminator="op")]


class Attribute(Form):
    """What is known of the customer."""

    kind: Literal["attribute"]
    field: str = Field(
        pattern=r"^(home_branch|language|gender|acquisition|custom\..{1,100})$",
        description="`custom.` and a name for a custom field",
    )
    test: Test

    @model_validator(mode="after")
    def _values_fit_the_field(self) -> Self:
        if self.field.startswith(CUSTOM) or isinstance(self.test, Known):
            return self
        several = isinstance(self.test, IsAnyOf)
        place = "test.values" if several else "test.value"
        for value in self.values:
            if not isinstance(value, str):
                raise wrong(place, f"{self.field} is a text")
            if self.field == "gender" and value not in {"female", "male"}:
                raise wrong(place, "gender is 'female' or 'male'")
        return self

    @cached_property
    def values(self) -> tuple[Value, ...]:
        """The values that it names."""
        match self.test:
            case Is() | IsNot():
                return (self.test.value,)
            case IsAnyOf():
                return self.test.values
            case Known():
                return ()


class Consent(Form):
    """The customer agrees to hear about the topic by the channel."""

    kind: Literal["consent"]
    topic: Name
    channel: Channel


Rule = Annotated[
    All | AnyOf | Not | Receipts | FirstReceipt | Attribute | Consent,
    Field(discriminator="kind"),
]
All.model_rebuild()
AnyOf.model_rebuild()
Not.model_rebuild()

RULE: TypeAdapter[Rule] = TypeAdapter(Rule)

Leaf = Receipts | FirstReceipt | Attribute | Consent


def rule_schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of the language."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Segment rule",
        **RULE.json_schema(),
    }


def to_json(rule: Rule) -> dict[str, Any]:
    """The rule's one JSON form: what means the same in the same words is written the same."""
    written: dict[str, Any] = RULE.dump_python(rule, mode="json", exclude_none=True)
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


def reads(rule: Rule) -> frozenset[Reads]:
    """What the rule looks at: only facts of these kinds can touch it."""
    kinds: dict[str, Reads] = {
        "receipts": "receipts",
        "first_receipt": "receipts",
        "attribute": "attributes",
        "consent": "consents",
    }
    return frozenset(kinds[leaf.kind] for leaf in leaves(rule))


def look_back(rule: Rule) -> int:
    """The longest span (milliseconds) in which the rule asks for single receipts; 0 for none."""
    return max(
        (leaf.span for leaf in leaves(rule) if isinstance(leaf, Receipts) and leaf.span),
        default=0,
    )
