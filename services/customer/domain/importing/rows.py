"""A row as what it says of a customer. All that is wrong with it is told at once, by field."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from services.customer.domain.configuration.chosen import Configuration
from services.customer.domain.importing.columns import (
    CHANNELS,
    IDENTIFIERS,
    SLUG,
    TAGS,
    ColumnUse,
    FileReading,
)
from services.customer.domain.importing.values import custom_value, full_name, gender
from services.customer.domain.state import CUSTOM
from shared.decider import FieldError, Refused
from shared.events.customer import Channel, IdentifierKind, RecordFields
from shared.identifiers import IdentifierRules, KnownIdentifier
from shared.importing import values
from shared.importing.values import WrongCell
from shared.tables import fused

MAX_TEXT = 200
MAX_ADDRESS = 500
_KINDS: frozenset[str] = frozenset(IDENTIFIERS)
_SLUGS = frozenset({"acquisition", "customer_type"})


@dataclass(frozen=True, slots=True)
class RowConsent:
    """What a row says of a consent: given or refused, and when, if it says so."""

    topic: str
    channel: Channel
    given: bool
    at: datetime | None = None
    wording: str | None = None


@dataclass(frozen=True, slots=True)
class RowInput:
    """What a row says of a customer."""

    identifiers: tuple[KnownIdentifier, ...]
    fields: RecordFields
    tags: frozenset[str] = frozenset()
    consents: tuple[RowConsent, ...] = ()


@dataclass(slots=True)
class _Reader:
    """Gathers what the cells of one row say, and what is wrong with them."""

    reading: FileReading
    configuration: Configuration
    rules: IdentifierRules
    now: datetime
    identifiers: dict[str, KnownIdentifier] = field(default_factory=dict)
    fields: dict[str, Any] = field(default_factory=dict)
    custom: dict[str, Any] = field(default_factory=dict)
    tags: set[str] = field(default_factory=set)
    consents: dict[tuple[str, Channel], dict[str, Any]] = field(default_factory=dict)
    wrong: list[FieldError] = field(default_factory=list)

    def take(self, use: ColumnUse, cell: str) -> None:
        """Read one cell."""
        try:
            self._take(use, cell)
        except WrongCell as problem:
            self.wrong.append(FieldError(use.to, str(problem)))
        except Refused as refusal:
            self.wrong += refusal.errors

    def _take(self, use: ColumnUse, cell: str) -> None:
        match use.to:
            case "external" | "card" | "phone" | "email" as kind:
                self._identify(kind, cell)
            case "full_name":
                self.fields |= full_name(_text(cell))
            case "tags":
                self.tags |= {_tag(each) for each in values.several(cell)}
            case "consent" | "consent_at" | "consent_wording":
                self._consent(use, cell)
            case custom if custom.startswith(CUSTOM):
                self._custom(custom.removeprefix(CUSTOM), cell)
            case name:
                self.fields[name] = self._field(name, cell)

    def _identify(self, kind: IdentifierKind, cell: str) -> None:
        parts = values.contacts(cell) if kind in {"phone", "email"} else [cell]
        for part in parts:
            known = values.identifier(self.rules, kind, part, kind)
            self.identifiers[known.claim_id] = known

    def _field(self, name: str, cell: str) -> object:
        match name:
            case "birth_date":
                return values.day(cell, self.reading.date_order).isoformat()
            case "gender":
                return gender(cell)
            case "internal":
                return values.yes_no(cell)
            case "preferred_channel":
                if cell.casefold() not in CHANNELS:
                    raise WrongCell(f"one of {', '.join(sorted(CHANNELS))}")
                return cell.casefold()
            case _ if name in _SLUGS:
                return _slug(cell)
            case _:
                return _text(cell, MAX_ADDRESS if name == "address" else MAX_TEXT)

    def _custom(self, name: str, cell: str) -> None:
        definition = self.configuration.fields.get(name)
        if definition is None:
            raise WrongCell("there is no such field")
        try:
            self.custom[name] = custom_value(definition, cell, self.reading.date_order)
        except WrongCell as problem:
            self.wrong.append(FieldError(CUSTOM + name, str(problem)))

    def _consent(self, use: ColumnUse, cell: str) -> None:
        for channel in use.channels:
            said = self.consents.setdefault((use.topic or "", channel), {})
            match use.to:
                case "consent":
                    said["given"] = values.yes_no(cell)
                case "consent_at":
                    at = values.moment(cell, self.reading.date_order)
                    if at > self.now:
                        raise WrongCell("a moment that has been")
                    said["at"] = at
                case _:
                    said["wording"] = _text(cell)


def read_row(
    cells: Sequence[str],
    reading: FileReading,
    configuration: Configuration,
    rules: IdentifierRules,
    now: datetime,
) -> RowInput:
    """What a row says. Raises `Refused` (422) that names each wrong field, and no value."""
    reader = _Reader(reading, configuration, rules, now)
    for use, cell in zip(reading.columns, cells, strict=True):
        if use is not None and (text := fused(cell).strip()):
            reader.take(use, text)
    for name, value in reading.defaults.items():
        if not _said(reader, name):
            reader.take(ColumnUse(name), value)
    if not reader.identifiers and not any(each.field in _KINDS for each in reader.wrong):
        kinds = ", ".join(IDENTIFIERS)
        reader.wrong.append(FieldError("identifiers", f"there should be one of {kinds}"))
    if reader.wrong:
        raise Refused("invalid", 422, "The input is not valid.", errors=tuple(reader.wrong))
    return RowInput(
        identifiers=tuple(reader.identifiers.values()),
        fields=RecordFields.model_validate({**reader.fields, "custom": reader.custom or None}),
        tags=frozenset(reader.tags),
        consents=tuple(
            RowConsent(topic, channel, **said)
            for (topic, channel), said in reader.consents.items()
            # A date without a yes or no says nothing: none means not given.
            if "given" in said
        ),
    )


def _said(reader: _Reader, name: str) -> bool:
    if name.startswith(CUSTOM):
        return name.removeprefix(CUSTOM) in reader.custom
    return name in reader.fields or (name == TAGS and bool(reader.tags))


def _text(cell: str, longest: int = MAX_TEXT) -> str:
    if len(cell) > longest:
        raise WrongCell(f"at most {longest} characters")
    return cell


def _slug(cell: str) -> str:
    if not SLUG.fullmatch(cell.casefold()):
        raise WrongCell("a short name of small letters, digits, - and _")
    return cell.casefold()


def _tag(text: str) -> str:
    """A tag of a file in the form that tags have here."""
    tag = "-".join(text.casefold().split())
    if not SLUG.fullmatch(tag):
        raise WrongCell("tags are short names of small letters, digits, - and _")
    return tag
