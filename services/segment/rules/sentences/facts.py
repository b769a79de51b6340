"""Sentences of clauses about what happened."""

from collections.abc import Iterator
from datetime import datetime

from services.segment.rules.language.facts import ENDS, Between, Facts, Sequence, Windowed
from services.segment.rules.language.filters import NAMES, NUMBERS, Where
from services.segment.rules.language.forms import UNBOUNDED, Comparison
from services.segment.rules.sentences import happened
from services.segment.rules.sentences.words import amount, either, sign, span, within
from shared.wording import Wording

Done = tuple[str, str, str]
"""That it happened, that it did not, and that it never did."""


def facts(rule: Facts, wording: Wording) -> str:
    """What facts come to, or when the first or last of them was."""
    when = _when(rule, wording)
    done, where = _done(rule.kind, rule.where)
    which = "" if where is None else _where(where, wording)
    if rule.aggregate in ENDS or rule.compare is None:
        return _end(rule, done, when, which, wording)
    if rule.aggregate == "count":
        return _count(done, rule.compare, when, which, wording)
    if rule.aggregate == "distinct":
        one, many = happened.THINGS[rule.number]
        text = wording.plural(one, many, rule.compare.value)
        things = text.format(
            sign=sign(rule.compare, wording), number=wording.number(rule.compare.value)
        )
        return f"{wording.text(done[0])}{things}{when}{which}"
    text = wording.text(happened.AGGREGATES[rule.aggregate])
    numbers = wording.text(happened.NUMBERS[rule.kind, rule.number])
    money = rule.number in happened.MONEY
    value = amount(rule.compare, wording) if money else _number(rule.compare, wording)
    return text.format(numbers=numbers, when=when, which=which, value=value)


def sequence(rule: Sequence, wording: Wording) -> str:
    """What happened, and what within some time after it or before it."""
    (done, _), (then_done, _) = both = [
        _done(each.facts, each.where) for each in (rule.first, rule.then)
    ]
    first, then = ("" if where is None else _where(where, wording) for _, where in both)
    text = wording.text(
        "{first}, and within {gap} after that {then}"
        if rule.direction == "after"
        else "{first}, and within {gap} before that {then}"
    )
    return text.format(
        first=f"{wording.text(done[0])}{_when(rule, wording)}{first}",
        gap=span(rule.reach, wording),
        then=_count(then_done, rule.compare, None, then, wording),
    )


def _done(kind: str, where: Where | None) -> tuple[Done, Where | None]:
    """How it is said that it happened, and what is to be said besides."""
    if where is not None and where.state is not None and len(where.state) == 1:
        came_to = happened.CAME_TO.get((kind, where.state[0]))
        if came_to is not None:
            return came_to, where.model_copy(update={"state": None})
    return happened.DONE[kind], where


def _count(words: Done, compare: Comparison, when: str | None, which: str, wording: Wording) -> str:
    """How often; `when` is empty for ever, and None where it is said elsewhere."""
    done, not_done, never = words
    not_done = never if when == "" else not_done
    when = when or ""
    low, high = compare.bounds
    if high == 0:
        return f"{wording.text(not_done)}{when}{which}"
    if low == 1 and high == UNBOUNDED:
        at_least_once = wording.text(" at least once")
        return f"{wording.text(done)}{when or at_least_once}{which}"
    text = wording.plural(" {sign} {number} time", " {sign} {number} times", compare.value)
    times = text.format(sign=sign(compare, wording), number=wording.number(compare.value))
    return f"{wording.text(done)}{times}{when}{which}"


def _end(rule: Facts, done: Done, when: str, which: str, wording: Wording) -> str:
    ends = " for the first time" if rule.aggregate == "first" else " for the last time"
    said = f"{wording.text(done[0])}{wording.text(ends)}{when}{which}"
    if rule.having is None:
        return said
    having = _where(rule.having, wording)
    return wording.text("{said}, and that was{having}").format(said=said, having=having)


def _when(rule: Windowed, wording: Wording) -> str:
    if rule.span is not None:
        return within(rule.span, wording)
    return "" if rule.between is None else _between(rule.between, wording)


def _between(between: Between, wording: Wording) -> str:
    begin, end = (
        wording.moment(datetime.fromisoformat(each)) for each in (between.begin, between.end)
    )
    return wording.text(" from {begin} until {end}").format(begin=begin, end=end)


def _number(compare: Comparison, wording: Wording) -> str:
    return f"{sign(compare, wording)} {wording.number(compare.value)}"


def _where(where: Where, wording: Wording) -> str:
    return "".join(_filters(where, wording))


def _filters(where: Where, wording: Wording) -> Iterator[str]:
    for name in (*NAMES, "product", "category"):
        names = getattr(where, name)
        if names is not None:
            if name == "state":
                names = [wording.word("state", happened.STATES[each]) for each in names]
            yield wording.text(happened.NAMED[name]).format(names=either(names, wording))
    if where.direction is not None:
        text = " from the customer" if where.direction == "in" else " to the customer"
        yield wording.text(text)
    if where.answered is not None:
        yield wording.text(" answered" if where.answered else " not answered")
    yield from _coupon(where, wording)
    for name in NUMBERS:
        compare = getattr(where, name)
        if compare is not None:
            value = amount(compare, wording) if name == "total" else _number(compare, wording)
            yield wording.text(happened.COMPARED[name]).format(value=value)
    if where.answer is not None:
        value = _number(where.answer.score, wording)
        text = wording.text(" with {value} for {question}")
        yield text.format(value=value, question=where.answer.question)
    for name, values in (where.extra or {}).items():
        text = wording.text(" with {name} {names}")
        yield text.format(name=name, names=either(values, wording))


def _coupon(where: Where, wording: Wording) -> Iterator[str]:
    if isinstance(where.coupon, bool):
        yield wording.text(" with a coupon" if where.coupon else " without a coupon")
    elif where.coupon is not None:
        names = either(where.coupon, wording)
        yield wording.text(" with coupon {names}").format(names=names)
