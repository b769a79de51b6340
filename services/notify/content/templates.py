"""Templates: marketers' Liquid, rendered without holes and within limits.

A variable that a customer lacks is an error where its value is needed, unless the template says
what stands there instead (`{{ customer.name | default: "friend" }}`) or asks first
(`{% if customer.name %}`). What a template may cost is counted in steps, loops and bytes, never in
seconds: the same template fails or succeeds for the same customer on every machine, however busy,
and a process that was frozen meanwhile does not turn a good message into a bad one. Only tags and
filters whose cost those counts bound are there: joining a range of a billion is one step.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from liquid import BoundTemplate, Environment, RenderContext, Token
from liquid.builtin.tags.for_tag import ForLoop
from liquid.builtin.tags.tablerow_tag import TableRow
from liquid.exceptions import LiquidError, OutputStreamLimitError, ResourceLimitError
from liquid.undefined import FalsyStrictUndefined

from shared.decider import FieldError, Refused

LONGEST_SUBJECT = 500
LONGEST_TEXT = 50_000
MAX_OUTPUT_BYTES = 200_000
MAX_LOCAL_BYTES = 20_000
MAX_STEPS = 20_000
CACHED_TEMPLATES = 200

FIELDS: Mapping[str, str] = {
    "name": "Anna",
    "surname": "Smith",
    "patronymic": "Petrovna",
    "language": "en",
}
"""What a template may say of `customer`, with a sample of each."""

TAGS = frozenset(
    [
        *("content", "output", "illegal", "comment", "raw", "#"),
        *("if", "unless", "case", "for", "break", "continue"),
        *("assign", "capture", "echo"),
    ]
)
FILTERS = frozenset(
    [
        *("append", "capitalize", "default", "downcase", "escape", "lstrip", "prepend", "remove"),
        *("remove_first", "replace", "replace_first", "rstrip", "size", "slice", "squish", "strip"),
        *("strip_newlines", "truncate", "truncatewords", "upcase", "url_encode"),
    ]
)


class TemplateError(Exception):
    """The template cannot be rendered for this customer; the text never quotes a value."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """What is sent."""

    subject: str
    text: str


class _Missing(FalsyStrictUndefined):
    """A value that is not there: false in a condition, replaced by `default`, else an error."""

    __slots__ = ()
    force_liquid_default = True
    allowed_properties = FalsyStrictUndefined.allowed_properties | {"force_liquid_default"}


class _Counting(RenderContext):
    """Counts the steps of one rendering: look-ups, assignments, filters, turns of loops."""

    steps = 0

    def spend(self, steps: int) -> None:
        """Count steps. Raises where there are too many."""
        self.steps += steps
        if self.steps > MAX_STEPS:
            raise ResourceLimitError("too many steps", token=None)

    def get(self, path: list[object], **options: Any) -> object:  # noqa: ANN401 - passed on
        """Resolve a path."""
        self.spend(1)
        return super().get(path, **options)

    def assign(self, key: str, val: object) -> None:
        """Set a variable of the template."""
        self.spend(1)
        super().assign(key, val)

    @contextmanager
    def loop(
        self, namespace: Mapping[str, object], forloop: ForLoop | TableRow
    ) -> Iterator[RenderContext]:
        """Enter a loop: all its turns are counted at once, whatever the body costs besides."""
        self.spend(forloop.length)
        with super().loop(namespace, forloop) as context:
            yield context

    def filter(self, name: str, token: Token | None) -> Callable[..., object]:
        """A filter whose result is held to the limit."""
        self.spend(1)
        found = super().filter(name, token)
        if name in {"replace", "replace_first"}:
            return lambda value, *args: _held(found, value, *_checked(value, args))
        return lambda value, *args, **named: _held(found, value, *args, **named)


class _Template(BoundTemplate):
    """A template whose renderings are counted."""

    context_class = _Counting


class _Environment(Environment):
    """Liquid with limits, and with what the limits bound."""

    template_class = _Template
    loop_iteration_limit = MAX_STEPS
    local_namespace_limit = MAX_LOCAL_BYTES
    output_stream_limit = MAX_OUTPUT_BYTES

    def setup_tags_and_filters(self, *, extra: bool = False) -> None:
        """Register everything, and keep what is known to be bounded."""
        super().setup_tags_and_filters(extra=extra)
        self.tags = {name: tag for name, tag in self.tags.items() if name in TAGS}
        self.filters = {name: each for name, each in self.filters.items() if name in FILTERS}


_ENVIRONMENT = _Environment(undefined=_Missing, strict_filters=True)


def _held(function: Callable[..., object], value: object, *args: object, **named: object) -> object:
    result = function(value, *args, **named)
    if isinstance(result, str) and len(result) > MAX_OUTPUT_BYTES:
        raise OutputStreamLimitError("a filter's result is too long", token=None)
    return result


def _checked(value: object, args: tuple[Any, ...]) -> tuple[Any, ...]:
    """The arguments of a replacement, unless its result could be too long to be made at all."""
    if len(args) > 1:
        places = len(str(value)) + 1
        if places * len(str(args[1])) > MAX_OUTPUT_BYTES:
            raise OutputStreamLimitError("a replacement is too long", token=None)
    return args


@lru_cache(maxsize=CACHED_TEMPLATES)
def _parsed(source: str) -> BoundTemplate:
    return _ENVIRONMENT.from_string(source)


def render(subject: str, text: str, customer: Mapping[str, str | None]) -> Rendered:
    """The message for a customer; of the mapping only known fields with a value are seen.

    A subject is one line. Raises `TemplateError`.
    """
    known = {name: value for name in FIELDS if (value := customer.get(name))}
    line = " ".join(_rendered(subject, known).split())
    if not line:
        message = "the subject is empty"
        raise TemplateError(message)
    return Rendered(line, _rendered(text, known))


def _rendered(source: str, customer: Mapping[str, str]) -> str:
    try:
        return _parsed(source).render(customer=customer)
    except (LiquidError, ArithmeticError, LookupError, TypeError, ValueError) as error:
        # The error's own text shows the template, and may show what it was rendered with.
        message = type(error).__name__
        raise TemplateError(message) from None


def check(subject: str, text: str) -> None:
    """Raise `Refused` that names what is wrong in a template.

    Besides its form: it asks only for what there is, and it can be rendered for somebody of whom
    everything is known.
    """
    errors = [*_wrong("template.subject", subject, LONGEST_SUBJECT)]
    errors += _wrong("template.text", text, LONGEST_TEXT)
    if not errors:
        try:
            render(subject, text, FIELDS)
        except TemplateError as error:
            errors.append(FieldError("template", f"cannot be rendered: {error}"))
    if errors:
        raise Refused("invalid", 422, "The input is not valid.", errors=tuple(errors))


def _wrong(path: str, source: str, longest: int) -> list[FieldError]:
    if not 0 < len(source) <= longest:
        return [FieldError(path, f"has 1 to {longest} characters")]
    try:
        asked = _parsed(source).analyze()
    except LiquidError as error:
        line = 1 if error.token is None else source.count("\n", 0, error.token.start_index) + 1
        return [FieldError(path, f"is no Liquid that is known here, line {line}")]
    unknown_filters = sorted(set(asked.filters) - FILTERS)
    if unknown_filters:
        return [FieldError(path, f"these filters exist: {', '.join(sorted(FILTERS))}")]
    variables = [each.segments for places in asked.globals.values() for each in places]
    if any(not _is_known(segments) for segments in variables):
        names = ", ".join(f"customer.{name}" for name in FIELDS)
        return [FieldError(path, f"these variables exist: {names}")]
    return []


def _is_known(segments: list[Any]) -> bool:
    return len(segments) == 2 and segments[0] == "customer" and segments[1] in FIELDS  # noqa: PLR2004 - object and field
