"""From JSON to a rule, or to errors that name the path and say what would be right.

Paths are those of the writer's JSON (`rule.clauses[1].within`), without the names that the models
add. Size and depth are measured before anything else looks at the tree, so that a huge rule costs
nothing but being refused.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from services.segment.rules.instants import UNITS, moment, show_span
from services.segment.rules.language.facts import as_it_is_said_now
from services.segment.rules.language.forms import UNBOUNDED, Leaf
from services.segment.rules.language.tree import DEEPEST, MOST_CLAUSES, RULE, All, AnyOf, Not, Rule
from shared.decider import FieldError
from shared.events.contract import show_moment

MOST_VALUES = 10_000
"""In all clauses together, words of the language included; not of rules that are in logs."""

_CHOICES = {"clauses": "kind", "clause": "kind", "test": "op"}
"""Field → the discriminator of the forms that it holds; the rule itself is one, too."""

_PYDANTIC = re.compile(r"^(Input|String|Tuple|Dictionary) should ")


@dataclass(slots=True)
class InvalidRule(ValueError):  # noqa: N818 - says what it is
    """JSON that is no rule; `errors` has at least one."""

    errors: tuple[FieldError, ...]

    def __str__(self) -> str:
        """All errors in one line."""
        return "; ".join(f"{error.field}: {error.message}" for error in self.errors)


def parse_rule(
    raw: object, horizon: int | None = None, root: str = "rule", now: int | None = None
) -> Rule:
    """The rule that JSON (as Python objects) describes.

    `horizon` is how far back from `now` (an instant) single facts are kept, in milliseconds; a new
    rule that looks back further, or names too much, is refused (`UNBOUNDED`: only the latter).
    Without it a rule of a log is read.
    `root` begins every path. Forms of old are read as those of today. Raises `InvalidRule`.
    """
    _measure(raw, root)
    if horizon is not None:
        _count_values(raw, root)
    raw = as_it_is_said_now(raw)
    try:
        rule = RULE.validate_python(raw)
    except ValidationError as error:
        raise InvalidRule(_in_our_words(error, raw, root)) from error
    bounded = horizon is not None and horizon < UNBOUNDED
    if bounded and (errors := tuple(_beyond(rule, horizon or 0, now, root))):
        raise InvalidRule(errors)
    return rule


def is_beyond(rule: Rule, horizon: int, now: int) -> bool:
    """Whether a rule looks back further than single facts are kept."""
    return any(True for _ in _beyond(rule, horizon, now, ""))


def _measure(raw: object, root: str) -> None:
    level: list[object] = [raw]
    depth = clauses = 0
    while level:
        depth += 1
        clauses += len(level)
        if depth > DEEPEST:
            message = f"goes {DEEPEST} levels deep at most"
        elif clauses > MOST_CLAUSES:
            message = f"has {MOST_CLAUSES} clauses at most, itself and the joining ones included"
        else:
            level = [inner for outer in level for inner in _inner(outer)]
            continue
        raise InvalidRule((FieldError(root, message),))


def _count_values(raw: object, root: str) -> None:
    """Every worker keeps every rule, and looks for new ones every second: they stay small."""
    left, count = [raw], 0
    while left:
        node = left.pop()
        inner = node.values() if isinstance(node, Mapping) else node
        if isinstance(inner, str) or not isinstance(inner, Iterable):
            count += 1
        else:
            left += inner
    if count > MOST_VALUES:
        raise InvalidRule((FieldError(root, f"names {MOST_VALUES:,} values at most"),))


def _inner(raw: object) -> Iterator[object]:
    if isinstance(raw, Mapping):
        if isinstance(clauses := raw.get("clauses"), list | tuple):
            yield from clauses
        if "clause" in raw:
            yield raw["clause"]


def _in_our_words(error: ValidationError, raw: object, root: str) -> tuple[FieldError, ...]:
    """Each path once: what pydantic says of one place is what the place could have been."""
    messages: dict[str, list[str]] = {}
    for detail in error.errors(include_url=False):
        path, node = _walk(detail["loc"], raw, root)
        if detail["type"] == "too_short" and node:
            continue  # only too short because its items are wrong, which is said of them
        place, message = _explain(detail, path, node)
        messages.setdefault(place, []).append(message)
    return tuple(FieldError(path, " or ".join(said)) for path, said in messages.items())


def _explain(detail: ErrorDetails, path: str, node: object) -> tuple[str, str]:
    """The path that is wrong, and what would be right there."""
    context: dict[str, Any] = detail.get("ctx", {})
    if detail["type"] == "rule" and "field" in context:
        path = f"{path}.{context['field']}"
    match detail["type"]:
        case "missing":
            message = "is needed"
        case "extra_forbidden":
            message = "is not part of this form; see the schema of rules for what is"
        case "union_tag_not_found":
            field = context["discriminator"].strip("'")
            path, message = f"{path}.{field}", "is needed to say which form this is"
        case "union_tag_invalid":
            field = context["discriminator"].strip("'")
            path, message = f"{path}.{field}", f"must be one of {context['expected_tags']}"
        case "model_attributes_type" | "model_type" | "dict_type":
            message = f"must be an object, not {_show_kind(node)}"
        case "tuple_type":
            message = f"must be a list, not {_show_kind(node)}"
        case "rule":
            message = detail["msg"]
        case _:
            message = _PYDANTIC.sub("must ", detail["msg"])
    return path, message


def _walk(places: tuple[int | str, ...], raw: object, root: str) -> tuple[str, object]:
    """The path in the writer's JSON, and what stands there (None where nothing does)."""
    path, node, choice = root, raw, "kind"
    for place in places:
        if choice and isinstance(node, Mapping) and node.get(choice) == place:
            choice = ""  # the name of the form that pydantic chose, no step of the writer's
            continue
        if isinstance(place, int):
            path = f"{path}[{place}]"
            node = node[place] if isinstance(node, list | tuple) and place < len(node) else None
            continue
        if not isinstance(node, Mapping) or place.startswith("tuple["):
            break  # the name of a type that pydantic tried
        path, node = f"{path}.{place}", node.get(place)
        choice = _CHOICES.get(place, "")
    return path, node


def _show_kind(node: object) -> str:
    names: dict[type, str] = {
        str: "a text", int: "a number", float: "a number", list: "a list", dict: "an object",
        bool: "true or false", type(None): "null",
    }  # fmt: skip
    return names.get(type(node), "this")


def _beyond(rule: Rule, horizon: int, now: int | None, path: str) -> Iterator[FieldError]:
    match rule:
        case All() | AnyOf():
            for index, clause in enumerate(rule.clauses):
                yield from _beyond(clause, horizon, now, f"{path}.clauses[{index}]")
        case Not():
            yield from _beyond(rule.clause, horizon, now, f"{path}.clause")
        case Leaf():
            yield from _leaf_beyond(rule, horizon, now, path)


def _leaf_beyond(leaf: Leaf, horizon: int, now: int | None, path: str) -> Iterator[FieldError]:
    length, since, kept = leaf.look_back(), leaf.since(), show_span(horizon)
    if length == UNBOUNDED:
        yield FieldError(
            f"{path}.within",
            "asks of all time, but only all facts of a kind, without `where`, are counted for"
            f" ever; others are kept one by one for {kept}: give `within` of up to {kept}",
        )
    elif length > horizon:
        yield FieldError(
            f"{path}.within",
            f"looks back {show_span(length)}, but facts are kept one by one for {kept}:"
            " look back less",
        )
    elif since is not None and now is not None and since < now - horizon + UNITS["day"]:
        # A day to spare: what is near the end may be let go of before everybody knows the rule.
        begin = show_moment(moment(now - horizon + UNITS["day"]))
        yield FieldError(
            f"{path}.between.from",
            f"is too long ago, facts are kept one by one for {kept}: begin at {begin} or later",
        )
