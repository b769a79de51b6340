"""Which facts pass a filter, and what is taken of those that do.

A filter is turned into a few checks once, when it is first asked for; a fact is then asked each of
them, and its packed details are read only where a check needs them.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence

from services.segment.rules.happened import Details, Happened, Line
from services.segment.rules.language.filters import NAMES, NUMBERS, Where
from services.segment.rules.language.forms import Comparison, Value
from services.segment.rules.language.kinds import FACT_KINDS
from services.segment.rules.words import FieldValue

Read = Callable[[Happened], Details]
"""Gives the details of a fact; whoever asks for many keeps them."""
Check = Callable[[Happened, Read], bool]
LineCheck = Callable[[Line], bool]


def checks_of(kind: str, where: Where | None, names: Sequence[str]) -> Sequence[Check]:
    """What a fact of the kind must satisfy to count, where no state is named also that."""
    counted = FACT_KINDS[kind].counted if where is None or where.state is None else ()
    return [
        *([_named("state", frozenset(counted))] if counted else []),
        *(() if where is None else filters_of(kind, where, names)),
    ]


def filters_of(kind: str, where: Where, names: Sequence[str]) -> Sequence[Check]:
    """What a fact of the kind must satisfy; `names` are those that its lines are told in."""
    checks: list[Check] = []
    for name in NAMES:
        wanted = getattr(where, name)
        if wanted is not None:
            checks.append(_named(name, frozenset(wanted)))
    for name in NUMBERS:
        compare = getattr(where, name)
        if compare is not None:
            checks.append(_compared(kind, name, compare))
    if where.direction is not None:
        checks.append(_named("direction", frozenset({where.direction})))
    if where.answered is not None:
        checks.append(_answered(answered=where.answered))
    checks += _coupons(where)
    if where.answer is not None:
        checks.append(_scored(where.answer.question, where.answer.score))
    for name, values in (where.extra or {}).items():
        checks.append(_extra(name, values))
    if where.product is not None or where.category is not None:
        checks.append(_products(kind, where, names))
    return checks


def line_check(where: Where | None, names: Sequence[str]) -> LineCheck | None:
    """What a line must satisfy; None where every line does."""
    if where is None or (where.product is None and where.category is None):
        return None
    products = None if where.product is None else frozenset(where.product)
    categories = None if where.category is None else frozenset(where.category)

    def passes(line: Line) -> bool:
        return (products is None or names[line.product] in products) and (
            categories is None or any(names[number] in categories for number in line.categories)
        )

    return passes


def has(values: FieldValue | None, wanted: Iterable[Value]) -> bool:
    """Whether a value is wanted. Python holds that 1 equals True; a marketer does not."""
    several = values if isinstance(values, tuple) else (values,)
    return any(
        value == choice and isinstance(value, bool) is isinstance(choice, bool)
        for value in several
        for choice in wanted
    )


def number_of(fact: Happened, name: str, passes: LineCheck | None, read: Read) -> int | None:
    """The number of a fact, None where it has none; of lines only what passes counts."""
    if name == "scroll":
        return read(fact).scroll
    if name in {"amount", "quantity"}:
        lines = _passing(read(fact).lines, passes)
        numbers = [line.amount if name == "amount" else line.quantity for line in lines]
        return sum(numbers) if numbers else None
    return fact.number


def things_of(
    fact: Happened, name: str, passes: LineCheck | None, read: Read, names: Sequence[str]
) -> tuple[object, ...]:
    """What is told apart by `distinct`: a fact may have several things, or none."""
    if name == "branch":
        return () if fact.branch is None else (fact.branch,)
    details = read(fact)
    if name == "product" and details.product is None:
        return tuple({names[line.product] for line in _passing(details.lines, passes)})
    thing = getattr(details, name)
    return () if thing is None else (thing,)


def _passing(lines: Sequence[Line], passes: LineCheck | None) -> Sequence[Line]:
    return lines if passes is None else [line for line in lines if passes(line)]


def _named(name: str, wanted: frozenset[str]) -> Check:
    if name == "branch":
        return lambda fact, _read: fact.branch in wanted
    return lambda fact, read: getattr(read(fact), name) in wanted


def _compared(kind: str, name: str, compare: Comparison) -> Check:
    low, high = compare.bounds
    if name in FACT_KINDS[kind].numbers[:1]:
        return lambda fact, _read: fact.number is not None and low <= fact.number <= high

    def passes(fact: Happened, read: Read) -> bool:
        number: int | None = getattr(read(fact), name)
        return number is not None and low <= number <= high

    return passes


def _answered(*, answered: bool) -> Check:
    return lambda fact, read: read(fact).answered is answered


def _coupons(where: Where) -> Iterator[Check]:
    coupon = where.coupon
    if isinstance(coupon, bool):
        yield lambda fact, read: read(fact).coupon is coupon
    elif coupon is not None:
        codes = frozenset(coupon)
        yield lambda fact, read: not codes.isdisjoint(read(fact).coupons)


def _scored(question: str, score: Comparison) -> Check:
    low, high = score.bounds
    return lambda fact, read: any(
        asked == question and low <= given <= high for asked, given in read(fact).answers
    )


def _extra(name: str, wanted: tuple[Value, ...]) -> Check:
    return lambda fact, read: has(read(fact).extra.get(name), wanted)


def _products(kind: str, where: Where, names: Sequence[str]) -> Check:
    passes = line_check(where, names)
    if "category" in FACT_KINDS[kind].filters and passes is not None:
        return lambda fact, read: any(map(passes, read(fact).lines))
    return _named("product", frozenset(where.product or ()))
