"""Liquid: marketers' templates, rendered without holes and within limits.

A value that a customer lacks is an error where it is needed, unless the template says what stands
there instead (`{{ customer.name | default: "friend" }}`, or a declared default) or asks first
(`{% if customer.name %}`); and an output that would write nothing is a hole whatever the reason.
What a template may cost is counted in steps, loops and bytes, never in seconds: the same template
fails or succeeds for the same customer on every machine, however busy, and a process that was
frozen meanwhile does not turn a good message into a bad one. Only tags and filters whose cost those
counts bound are there: joining a range of a billion is one step.

In markup whatever an output writes is escaped, literals of the template included: nothing that
comes out of Liquid is ever markup.
"""

import html
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from functools import lru_cache
from typing import Any, TextIO

from liquid import BoundTemplate, Environment, RenderContext, Token
from liquid.builtin.content import ContentNode
from liquid.builtin.expressions import FilteredExpression, Path
from liquid.builtin.output import Output, OutputNode
from liquid.builtin.tags.echo_tag import EchoNode, EchoTag
from liquid.builtin.tags.for_tag import ForLoop
from liquid.builtin.tags.tablerow_tag import TableRow
from liquid.exceptions import (
    LiquidError,
    OutputStreamLimitError,
    ResourceLimitError,
    UndefinedError,
)
from liquid.stringify import to_liquid_string
from liquid.undefined import FalsyStrictUndefined

from services.notify.content.blank import blank
from services.notify.content.formatting import FORMATTING, shown
from shared.wording import Wording

MAX_OUTPUT_BYTES = 200_000
LONGEST_LETTER = 4
"""Bytes of UTF-8."""
MAX_LOCAL_BYTES = 20_000
MAX_STEPS = 20_000
CACHED_TEMPLATES = 500
WORDING = " wording"
"""Where a rendering finds how dates and numbers are written; no variable can be called so."""

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
        *FORMATTING,
    ]
)
NOT_IN_MARKUP = frozenset(["capture", "comment", "doc", "raw", "#"])
"""Tags whose content is no text of the message at the place where it stands."""


class TemplateError(Exception):
    """The template cannot be rendered for this customer; the text never quotes a value."""


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

    @property
    def wording(self) -> Wording:
        """How dates and numbers are written."""
        found = self.globals[WORDING]
        assert isinstance(found, Wording)  # noqa: S101 - put there by `rendered`, by nobody else
        return found

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
        if name in FORMATTING:
            return lambda value, *args: FORMATTING[name](self.wording, value, *args)
        found = super().filter(name, token)
        if name in {"replace", "replace_first"}:
            return lambda value, *args: _held(found, value, *_checked(value, args))
        return lambda value, *args, **named: _held(found, value, *args, **named)


def _write(node: OutputNode, context: RenderContext, buffer: TextIO) -> int:
    """Write what an output says. Raises where that is nothing."""
    assert isinstance(context, _Counting)  # noqa: S101 - a _Template makes no other
    value = node.expression.evaluate(context)
    text = shown(context.wording, value) if isinstance(value, date) else _plain(value)
    if blank(text):
        raise UndefinedError("an output writes nothing", token=node.token)
    return buffer.write(html.escape(text) if isinstance(context.env, _Markup) else text)


def _plain(value: object) -> str:
    return to_liquid_string(value, autoescape=False)


class _OutputNode(OutputNode):
    """`{{ … }}` without holes."""

    def render_to_output(self, context: RenderContext, buffer: TextIO) -> int:
        """Write it."""
        return _write(self, context, buffer)


class _Output(Output):
    """`{{ … }}` without holes."""

    node_class = _OutputNode


class _EchoNode(EchoNode):
    """`{% echo … %}` without holes."""

    def render_to_output(self, context: RenderContext, buffer: TextIO) -> int:
        """Write it."""
        return _write(self, context, buffer)


class _Echo(EchoTag):
    """`{% echo … %}` without holes."""

    node_class = _EchoNode


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
        self.add_tag(_Output)
        self.add_tag(_Echo)
        self.tags = {name: tag for name, tag in self.tags.items() if name in TAGS}
        self.filters = {name: each for name, each in self.filters.items() if name in FILTERS}
        self.filters |= FORMATTING


class _Markup(_Environment):
    """The same for markup, where every output is escaped, and once."""

    def setup_tags_and_filters(self, *, extra: bool = False) -> None:
        """Keep what can stand in markup."""
        super().setup_tags_and_filters(extra=extra)
        self.tags = {name: tag for name, tag in self.tags.items() if name not in NOT_IN_MARKUP}
        self.filters["escape"] = _plain


_TEXTS = _Environment(undefined=_Missing, strict_filters=True)
_MARKUP = _Markup(undefined=_Missing, strict_filters=True)


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
def _parsed(source: str, *, markup: bool) -> BoundTemplate:
    return (_MARKUP if markup else _TEXTS).from_string(source)


MOST_PLACES = 1_000
"""Of a template without tags and filters, which is filled in without Liquid."""
Place = tuple[str, str | int]


@lru_cache(maxsize=CACHED_TEMPLATES)
def _plain_form(source: str, *, markup: bool) -> tuple[str | Place, ...] | None:
    """A template that is texts and bare variables in turn; None for any other one, or for none."""
    pieces: list[str | Place] = []
    try:
        nodes = _parsed(source, markup=markup).nodes
    except LiquidError:
        return None
    for node in nodes:
        if type(node) is ContentNode:
            pieces.append(node.text)
            continue
        expression = node.expression if type(node) is _OutputNode else None
        if type(expression) is not FilteredExpression or expression.filters:
            return None
        path = expression.left.path if type(expression.left) is Path else []
        match path:
            case [str(thing), str(name) | int(name)]:
                pieces.append((thing, name))
            case _:
                return None
    return tuple(pieces) if len(pieces) <= MOST_PLACES else None


def _filled_in(
    pieces: Iterable[str | Place], values: Mapping[str, object], *, markup: bool
) -> str | None:
    """What the most usual template says; None where anything needs Liquid to be told.

    That is whatever is not there, is no text, is blank, or could be too long.
    """
    found = []
    for piece in pieces:
        if isinstance(piece, str):
            found.append(piece)
            continue
        thing, name = piece
        within = values.get(thing)
        if isinstance(within, dict):
            value = within.get(name)
        elif isinstance(within, list) and isinstance(name, int) and 0 <= name < len(within):
            value = within[name]
        else:
            return None
        if type(value) is not str or blank(value):
            return None
        found.append(html.escape(value) if markup else value)
    text = "".join(found)
    return text if len(text) * LONGEST_LETTER <= MAX_OUTPUT_BYTES else None


def rendered(
    source: str, values: Mapping[str, object], wording: Wording, *, markup: bool = False
) -> str:
    """What a template says with these values; in markup every value is escaped.

    Values are texts, dates, or mappings and sequences of them; what is not there is missing. Raises
    `TemplateError`.
    """
    form = _plain_form(source, markup=markup)
    said = None if form is None else _filled_in(form, values, markup=markup)
    return by_liquid(source, values, wording, markup=markup) if said is None else said


def by_liquid(
    source: str, values: Mapping[str, object], wording: Wording, *, markup: bool = False
) -> str:
    """The same, said by Liquid whatever the template is. Raises `TemplateError`."""
    try:
        return _parsed(source, markup=markup).render({**values, WORDING: wording})
    except (LiquidError, ArithmeticError, LookupError, TypeError, ValueError) as error:
        # The error's own text shows the template, and may show what it was rendered with.
        message = type(error).__name__
        raise TemplateError(message) from None


@lru_cache(maxsize=CACHED_TEMPLATES)
def asked(source: str, *, markup: bool = False) -> frozenset[str]:
    """The variables that a template asks for, by their paths: `customer.name`.

    A path that depends on another variable shows with `[]`. Raises `Unreadable`.
    """
    try:
        found = _parsed(source, markup=markup).analyze()
    except LiquidError as error:
        line = 1 if error.token is None else source.count("\n", 0, error.token.start_index) + 1
        raise Unreadable(f"is no Liquid that is known here, line {line}") from None
    unknown = set(found.filters) - FILTERS
    if unknown:
        raise Unreadable(f"these filters exist: {', '.join(sorted(FILTERS))}")
    return frozenset(_path(each.segments) for places in found.globals.values() for each in places)


class Unreadable(Exception):  # noqa: N818 - a finding about a template, which its author reads
    """A template is none; the text says why, and in which line."""


def _path(segments: Iterable[object]) -> str:
    return ".".join(each if isinstance(each, str) else "[]" for each in segments)
