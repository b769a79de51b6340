"""What a column of a file of facts can be, kind by kind, and how a chain's file is to be read.

A row is a fact; of receipts and orders it is a line, and the rows of one are those that have its
id. What a column is called here is what the API calls the field, so that nobody learns it twice.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal
from zoneinfo import ZoneInfo

import msgspec

from services.interaction.domain.days import zone_name
from services.interaction.handlers.incoming import KINDS, FactInput
from shared.decider import FieldError, Refused
from shared.events.customer import IdentifierKind
from shared.importing.values import DateOrder, Mark, MoneyUnit
from shared.tables.suggesting import Target

How = Literal["text", "money", "number", "whole", "moment", "yes_no", "list", "word", "receipt"]
"""How the text of a cell becomes a value; a `word` is one of a few that the API knows."""
EXTRA = "extra."
POSITION = "line"
"""The place of a line, where the file tells; else lines have an order of their own, by what they
are, so that the same rows in another order are the same receipt."""
IDENTIFIERS: Mapping[str, IdentifierKind] = {
    "external": "external",
    "card": "card",
    "phone": "phone",
    "email": "email",
}
"""What finds a customer, what is surest first."""
COMMON: Mapping[str, How] = {
    "source_id": "text",
    "source": "text",
    "branch": "text",
    "time": "text",
    "clock": "text",
    "customer": "text",
    **dict.fromkeys(IDENTIFIERS, "text"),
}
_WRITTEN = """
source_id: id, number of receipt, receipt, receipt id, receipt number, basket id, basket
source_id: order id, visit id, call id, document, чек, номер чека, ид чека, документ
source: source, system, источник, система
branch: branch, shop, store, store id, филиал, магазин, точка, торговая точка
time: time, date, moment, timestamp, transaction timestamp, date and time, datetime
time: дата, дата и время, время продажи, дата чека
clock: time of day, clock, hour, время
customer: customer id, our customer id, regulars id
external: external id, client id, client, household id, код клиента, внешний код, ид клиента
card: card, card number, loyalty card, карта, номер карты, дисконтная карта
phone: phone, phone number, mobile, телефон, номер телефона, тел
email: email, e mail, mail, почта, эл почта
product: product, product id, sku, article, item, goods, товар, код товара, артикул
line: line, line number, position, строка, номер строки, позиция
quantity: quantity, qty, count, pieces, количество, кол во
amount: amount, sum, sales value, paid, line total, сумма, стоимость, сумма строки
discount: discount, retail disc, скидка
coupon: coupon, coupon discount, coupon disc, скидка по купону
coupon_match: coupon match, coupon match disc
cost: cost, cost price, себестоимость
total: total, receipt total, итог, итого, сумма чека
till: till, register, pos, касса, номер кассы
cashier: cashier, кассир
number: number at the till, running number, номер по кассе
fiscal: fiscal id, fiscal, фискальный признак, фп
tips: tips, чаевые
payment: payment, kind of payment, payment method, оплата, вид оплаты, способ оплаты
coupons: coupons, coupon codes, promo code, купоны, промокод
points_spent: points, points spent, списано баллов
channel: channel, канал
state: state, status, состояние, статус
employee: employee, staff, сотрудник, мастер, оператор
minutes: minutes, duration in minutes, минуты, длительность в минутах
seconds: seconds, duration, секунды, длительность
text: text, comment, текст, комментарий
note: note, remark, примечание
"""
_NAMES: dict[str, tuple[str, ...]] = {}
for _line in _WRITTEN.strip().splitlines():
    _to, _, _written = _line.partition(": ")
    _NAMES[_to] = (*_NAMES.get(_to, ()), *_written.split(", "))


@dataclass(frozen=True, slots=True)
class Shape:
    """What a file of one kind of facts holds: fields of the fact, and of its lines if it has any.

    `lines` is empty where a row is a whole fact. `needs` are columns without which there is none.
    """

    kind: str
    fields: Mapping[str, How]
    needs: frozenset[str] = frozenset()
    lines: Mapping[str, How] = field(default_factory=dict)

    @property
    def model(self) -> type[FactInput]:
        """The model that a fact must fit, however it comes."""
        model = KINDS[self.kind]
        if not issubclass(model, FactInput):
            message = f"{self.kind} are no facts of their own"
            raise TypeError(message)
        return model

    @property
    def columns(self) -> Mapping[str, How]:
        """Everything that a column can be."""
        return {**COMMON, **self.fields, **self.lines}


_LINE: Mapping[str, How] = {
    POSITION: "whole",
    "product": "text",
    "quantity": "number",
    "amount": "money",
}
SHAPES: Mapping[str, Shape] = {
    each.kind: each
    for each in (
        Shape(
            "receipts",
            {
                "total": "money",
                "till": "text",
                "cashier": "text",
                "number": "whole",
                "fiscal": "text",
                "tips": "money",
                "payment": "text",
                "coupons": "list",
                "points_spent": "whole",
                "order": "text",
                "channel": "text",
            },
            frozenset({"branch", "product", "amount"}),
            {
                **_LINE,
                "discount": "money",
                "coupon": "money",
                "coupon_match": "money",
                "cost": "money",
                "categories": "list",
            },
        ),
        Shape(
            "orders",
            {
                "order": "text",
                "state": "word",
                "total": "money",
                "channel": "text",
                "carrier": "text",
                "due": "moment",
                "note": "text",
            },
            frozenset({"order", "state"}),
            {**_LINE, "categories": "list"},
        ),
        Shape(
            "visits",
            {
                "visit": "text",
                "state": "word",
                "at": "moment",
                "minutes": "whole",
                "service": "text",
                "employee": "text",
                "note": "text",
            },
            frozenset({"branch", "visit", "state"}),
        ),
        Shape(
            "calls",
            {
                "direction": "word",
                "answered": "yes_no",
                "seconds": "whole",
                "employee": "text",
                "recording": "text",
                "text": "text",
            },
            frozenset({"direction"}),
        ),
        Shape(
            "meetings",
            {"minutes": "whole", "employee": "text", "place": "text", "text": "text"},
        ),
        Shape(
            "messages",
            {
                "direction": "word",
                "channel": "word",
                "employee": "text",
                "headline": "text",
                "text": "text",
            },
            frozenset({"direction", "channel"}),
        ),
        Shape(
            "complaints",
            {
                "about": "text",
                "department": "text",
                "channel": "text",
                "receipt": "receipt",
                "due": "moment",
                "text": "text",
            },
        ),
        Shape(
            "surveys",
            {
                "survey": "text",
                "score": "whole",
                "scale": "whole",
                "channel": "text",
                "employee": "text",
                "receipt": "receipt",
                "text": "text",
            },
            frozenset({"survey"}),
        ),
        Shape(
            "page-views",
            {
                "page": "text",
                "product": "text",
                "seconds": "whole",
                "scroll": "whole",
                "session": "text",
            },
            frozenset({"page"}),
        ),
        Shape("referrals", {"direction": "word", "code": "text"}, frozenset({"direction"})),
    )
}
UNIQUE = frozenset({"source_id", *IDENTIFIERS, "customer", "time", "clock"})
"""Columns that have no default: what each row must say for itself."""


class FactReading(msgspec.Struct, frozen=True, omit_defaults=True):
    """How the rows of a file are read: what each column is, by its place (None: left out).

    `defaults` stand where a row says nothing. Times without an offset are in the zone of their
    branch, else in `zone`, else in the chain's. `decimal_mark` is what stands before decimals,
    empty for whatever looks like it; amounts are in `money` units.
    """

    facts: str
    columns: tuple[str | None, ...]
    defaults: dict[str, str] = msgspec.field(default_factory=dict)
    date_order: DateOrder = "dmy"
    money: MoneyUnit = "major"
    decimal_mark: Mark = ""
    zone: str = ""
    zones: dict[str, str] = msgspec.field(default_factory=dict)

    @property
    def shape(self) -> Shape:
        """What such a file holds."""
        return SHAPES[self.facts]


def targets(shape: Shape) -> Sequence[Target]:
    """Everything that a column may be suggested as."""
    return [Target(name, (name, *_NAMES.get(name, ()))) for name in shape.columns]


def require_readable(reading: FactReading, names: Sequence[str]) -> None:
    """Raise `Refused` (422) that names each column that cannot be what it is said to be."""
    shape, wrong = reading.shape, list[FieldError]()
    seen: set[str] = set()
    for name, to in zip(names, reading.columns, strict=True):
        if to is None:
            continue
        if to not in shape.columns and not (to.startswith(EXTRA) and len(to) > len(EXTRA)):
            wrong.append(FieldError(f"columns.{name}", f"{shape.kind} have no such field"))
        elif to in seen:
            wrong.append(FieldError(f"columns.{name}", f"{to} is another column already"))
        seen.add(to)
    wrong += [
        FieldError("columns", f"one should be {need}")
        for need in sorted({"source_id", "time", *shape.needs})
        if need not in seen and (need in UNIQUE or need not in reading.defaults)
    ]
    wrong += [
        FieldError(f"defaults.{name}", "has no default")
        for name in reading.defaults
        if name not in shape.columns or name in UNIQUE
    ]
    zones = {"zone": reading.zone} | {f"zones.{each}": z for each, z in reading.zones.items()}
    wrong += [
        FieldError(path, "the IANA name of a time zone, like Europe/Samara")
        for path, zone in zones.items()
        if zone and not _is_zone(zone)
    ]
    if wrong:
        raise Refused("invalid", 422, "The input is not valid.", errors=tuple(wrong))


def _is_zone(name: str) -> bool:
    try:
        ZoneInfo(zone_name(name))
    except ValueError:
        return False
    return True
