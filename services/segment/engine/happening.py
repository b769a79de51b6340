"""Facts as profiles keep them: made from what events tell, and packed as they are read.

Products and categories become numbers of the names that the profile has.
"""

from collections.abc import Callable, Mapping
from decimal import ROUND_HALF_EVEN, Decimal
from functools import lru_cache
from hashlib import blake2b
from typing import Any

from services.segment.engine.reported import (
    NOTIFICATIONS,
    Call,
    Clicked,
    Complaint,
    Extra,
    Meeting,
    Message,
    Notified,
    Order,
    PageView,
    Recorded,
    Referral,
    Returned,
    SoldLine,
    Survey,
    Visit,
)
from services.segment.rules.happened import Details, Happened, Line, Names, pack
from services.segment.rules.language.forms import THOUSANDTHS
from services.segment.rules.language.kinds import NUMBER_OF_KIND
from services.segment.rules.view import GivenBack
from services.segment.rules.words import FieldValue
from shared.keyring import is_token

LONGEST_VALUE = 200
"""Characters of a source's own value that a rule can name; longer ones are not kept."""

_STATES = {kind: kind.split(".")[1] for kind in NOTIFICATIONS}


def happened(
    data: object, time: int, version: int, branch: str | None, names: Callable[[], Names]
) -> Happened | None:
    """The fact as it is kept; None where the data tell of none. New names join the others."""
    tells = _TELLS.get(type(data))
    if tells is None:
        return None
    kind, key, number, details = tells(data, names())
    return Happened(time, version, NUMBER_OF_KIND[kind], key_of(key), branch, number, pack(details))


def notified(data: Notified, kind: str, time: int, version: int) -> Happened:
    """What became of a message, by the type of the event that tells it."""
    state = _STATES[kind]
    link = data.link if isinstance(data, Clicked) else None
    details = Details(state=state, campaign=data.campaign, message=data.message, link=link)
    key = key_of(f"{data.message}@{version}")
    number = NUMBER_OF_KIND["notifications"]
    return Happened(time, version, number, key, packed=pack(details))


def given_back(data: Returned) -> tuple[GivenBack, ...]:
    """The lines of a return by their positions, counted from 0."""
    return tuple((line.line - 1, line.amount, thousandths(line.quantity)) for line in data.lines)


def key_of(fact: str) -> int:
    """What a fact is known by: 64 bits of a hash, since a profile keeps thousands of them."""
    return int.from_bytes(blake2b(fact.encode(), digest_size=8).digest(), "big", signed=True)


@lru_cache(maxsize=4096)
def thousandths(quantity: str) -> int:
    """A quantity in thousandths; what is finer is rounded, half to even."""
    exact = Decimal(quantity) * THOUSANDTHS
    return int(exact.to_integral_value(ROUND_HALF_EVEN))


Told = tuple[str, str, int | None, Details]
"""The kind of a fact, its id, its first number, and what else is told."""


def _lines(sold: tuple[SoldLine, ...], names: Names) -> tuple[Line, ...]:
    number = names.number
    return tuple(
        Line(
            number(line.product),
            line.amount,
            thousandths(line.quantity),
            tuple([number(name) for name in line.categories or ()]),
        )
        for line in sold
    )


def _extra(values: Extra | None) -> Extra:
    """Those that a rule can name; who moves facts does not open what is sealed."""
    return {name: value for name, value in (values or {}).items() if not _unnameable(value)}


def _unnameable(value: FieldValue) -> bool:
    return isinstance(value, str) and (len(value) > LONGEST_VALUE or is_token(value))


def _receipt(data: Recorded, names: Names) -> Told:
    details = Details(
        source=data.source,
        channel=data.channel,
        employee=data.cashier,
        till=data.till,
        coupon=data.coupon_lines > 0,
        coupons=data.coupons or (),
        lines=_lines(data.lines, names),
        extra=_extra(data.extra),
    )
    return "receipts", data.fact, data.total, details


def _visit(data: Visit, _names: Names) -> Told:
    details = Details(
        source=data.source,
        state=data.state,
        employee=data.employee,
        service=data.service,
        visit=data.visit,
        extra=_extra(data.extra),
    )
    return "visits", data.fact, data.minutes, details


def _order(data: Order, names: Names) -> Told:
    details = Details(
        source=data.source,
        state=data.state,
        channel=data.channel,
        order=data.order,
        carrier=data.carrier,
        lines=_lines(data.lines or (), names),
        extra=_extra(data.extra),
    )
    return "orders", data.fact, data.total, details


def _call(data: Call, _names: Names) -> Told:
    details = Details(
        source=data.source,
        employee=data.employee,
        direction=data.direction,
        answered=data.answered,
        extra=_extra(data.extra),
    )
    return "calls", data.fact, data.seconds, details


def _meeting(data: Meeting, _names: Names) -> Told:
    details = Details(source=data.source, employee=data.employee, extra=_extra(data.extra))
    return "meetings", data.fact, data.minutes, details


def _message(data: Message, _names: Names) -> Told:
    details = Details(
        source=data.source,
        channel=data.channel,
        employee=data.employee,
        direction=data.direction,
        extra=_extra(data.extra),
    )
    return "messages", data.fact, None, details


def _complaint(data: Complaint, _names: Names) -> Told:
    details = Details(
        source=data.source,
        channel=data.channel,
        about=data.about,
        department=data.department,
        extra=_extra(data.extra),
    )
    return "complaints", data.fact, None, details


def _survey(data: Survey, _names: Names) -> Told:
    details = Details(
        source=data.source,
        channel=data.channel,
        employee=data.employee,
        survey=data.survey,
        answers=tuple(
            (each.question, each.score) for each in data.answers or () if each.score is not None
        ),
        extra=_extra(data.extra),
    )
    return "surveys", data.fact, data.score, details


def _page_view(data: PageView, _names: Names) -> Told:
    details = Details(
        source=data.source,
        page=data.page,
        product=data.product,
        session=data.session,
        scroll=data.scroll,
        extra=_extra(data.extra),
    )
    return "page_views", data.fact, data.seconds, details


def _referral(data: Referral, _names: Names) -> Told:
    details = Details(
        source=data.source, direction=data.direction, code=data.code, extra=_extra(data.extra)
    )
    return "referrals", data.fact, None, details


_TELLS: Mapping[type, Callable[[Any, Names], Told]] = {
    Recorded: _receipt,
    Visit: _visit,
    Order: _order,
    Call: _call,
    Meeting: _meeting,
    Message: _message,
    Complaint: _complaint,
    Survey: _survey,
    PageView: _page_view,
    Referral: _referral,
}
