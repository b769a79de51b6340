"""What a column of a file can be, and how a chain's file is to be read."""

import re
from collections.abc import Sequence
from typing import Literal, get_args

import msgspec

from services.customer.domain.configuration.chosen import Configuration
from services.customer.domain.state import CUSTOM
from shared.decider import FieldError, Refused
from shared.events.customer import Channel, IdentifierKind
from shared.importing.values import DateOrder
from shared.tables.suggesting import Target

IDENTIFIERS: Sequence[IdentifierKind] = ("external", "card", "phone", "email")
FULL_NAME, TAGS, CONSENT = "full_name", "tags", "consent"
CONSENT_AT, CONSENT_WORDING = "consent_at", "consent_wording"
CONSENTS = frozenset({CONSENT, CONSENT_AT, CONSENT_WORDING})
SLUG = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
Fill = Literal["overwrite", "empty"]
CHANNELS: frozenset[str] = frozenset(get_args(Channel))
_WRITTEN = """
external: external id, id, customer id, client id, внешний код, код клиента, ид
card: card, card number, loyalty card, карта, номер карты, карта лояльности, дисконтная карта
phone: phone, phone number, mobile, mobile phone, cell phone, tel
phone: телефон, номер телефона, мобильный телефон, моб телефон, тел, мобильный, сотовый
email: email, e mail, email address, mail
email: почта, эл почта, электронная почта, емейл, имейл
full_name: full name, fullname, customer, client
full_name: фио, клиент, покупатель, имя и фамилия, фамилия имя отчество
surname: surname, last name, family name, фамилия
name: name, first name, given name, имя
patronymic: patronymic, middle name, отчество
birth_date: birth date, date of birth, birthday, dob, born, дата рождения, день рождения, др
gender: gender, sex, пол
address: address, street address, адрес, адрес доставки
city: city, town, город, населенный пункт
region: region, state, province, регион, область
workplace: workplace, company, employer, место работы, компания, организация
home_branch: home branch, branch, shop, store, филиал, магазин, точка, торговая точка
language: language, lang, язык
time_zone: time zone, timezone, часовой пояс
acquisition: acquisition, source, источник, источник привлечения, откуда узнал
customer_type: customer type, client type, type, тип клиента, тип
preferred_channel: preferred channel, предпочитаемый канал, канал связи
internal: internal, staff, test, сотрудник, внутренний, тестовый
tags: tags, labels, теги, метки
consent: consent, opt in, marketing consent, subscribed, newsletter, agrees to mailings
consent: согласие, согласие на рассылку, подписка, подписан, рассылка
consent_at: consent date, date of consent, opt in date, дата согласия, дата подписки
consent_wording: consent wording, wording, редакция согласия, текст согласия
"""
_NAMES: dict[str, tuple[str, ...]] = {}
for _line in _WRITTEN.strip().splitlines():
    _to, _, _written = _line.partition(": ")
    _NAMES[_to] = (*_NAMES.get(_to, ()), *_written.split(", "))
MANY = frozenset({*IDENTIFIERS, TAGS, *CONSENTS})
DEFAULTABLE = frozenset(_NAMES) - {*IDENTIFIERS, FULL_NAME, *CONSENTS}


class ColumnUse(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a column is; of a consent also its topic and the channels that it is for."""

    to: str
    topic: str | None = None
    channels: tuple[Channel, ...] = ()


class FileReading(msgspec.Struct, frozen=True, omit_defaults=True):
    """How the rows of a file are read: the use of each column by its place (None: left out).

    `defaults` are values of fields where the row says nothing of a new customer. `fill` says
    whether what is in the file wins over what is written down already, or fills gaps only.
    """

    columns: tuple[ColumnUse | None, ...]
    defaults: dict[str, str] = msgspec.field(default_factory=dict)
    date_order: DateOrder = "dmy"
    consent_source: str = "import"
    fill: Fill = "overwrite"


def targets(configuration: Configuration) -> Sequence[Target]:
    """Everything that a column may be suggested as; custom fields by their names and titles."""
    own = [
        Target(name, names, many=name in MANY, recognises=_RECOGNISES.get(name))
        for name, names in _NAMES.items()
    ]
    custom = [
        Target(CUSTOM + name, (name, *definition.titles.values()))
        for name, definition in configuration.fields.living()
    ]
    return [*own, *custom]


def _is_phone(cell: str) -> bool:
    digits = re.sub(r"[\s()+./'-]", "", cell)
    return digits.isdecimal() and 10 <= len(digits) <= 15  # noqa: PLR2004 - E.164 has at most 15


def _is_email(cell: str) -> bool:
    before, _, domain = cell.partition("@")
    return bool(before) and "." in domain and " " not in cell


_RECOGNISES = {"phone": _is_phone, "email": _is_email}


def require_readable(
    reading: FileReading, names: Sequence[str], configuration: Configuration
) -> None:
    """Raise `Refused` (422) that names each column that cannot be what it is said to be."""
    wrong: list[FieldError] = []
    seen: set[str] = set()
    for name, use in zip(names, reading.columns, strict=True):
        if use is None:
            continue
        problem = _problem(use, configuration)
        if problem is None and use.to in seen and use.to not in MANY:
            problem = f"{use.to} is another column already"
        if problem is not None:
            wrong.append(FieldError(f"columns.{name}", problem))
        seen.add(use.to)
    if not seen & set(IDENTIFIERS):
        wrong.append(FieldError("columns", f"one should be one of {', '.join(IDENTIFIERS)}"))
    wrong += [
        FieldError(f"defaults.{name}", "has no default")
        for name in reading.defaults
        if name not in DEFAULTABLE and not _is_custom(name, configuration)
    ]
    if not SLUG.fullmatch(reading.consent_source):
        wrong.append(FieldError("consent_source", "a short name of small letters and digits"))
    if wrong:
        raise Refused("invalid", 422, "The input is not valid.", errors=tuple(wrong))


def _problem(use: ColumnUse, configuration: Configuration) -> str | None:
    if use.to in CONSENTS:
        if use.topic is None or not SLUG.fullmatch(use.topic):
            return "names its topic"
        if not use.channels or not CHANNELS.issuperset(use.channels):
            return f"names its channels, of {', '.join(sorted(CHANNELS))}"
        return None
    if use.topic is not None or use.channels:
        return "only a consent has a topic and channels"
    if use.to not in _NAMES and not _is_custom(use.to, configuration):
        return "there is no such field"
    return None


def _is_custom(name: str, configuration: Configuration) -> bool:
    return name.startswith(CUSTOM) and configuration.fields.lives(name.removeprefix(CUSTOM))
