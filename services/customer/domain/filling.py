"""From what somebody typed into a public form to answers, or to what is wrong with each.

What is wrong is said without looking at any customer: it is the same whoever asks.
"""

from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal

import msgspec

from services.customer.domain.checking import checked_record
from services.customer.domain.configuration.chosen import Configuration
from services.customer.domain.configuration.fields import CUSTOM
from services.customer.domain.configuration.values import FieldValue
from shared.decider import FieldError, Refused
from shared.events.configuration import FieldDefined
from shared.events.customer import Channel, IdentifierKind, RecordFields
from shared.events.forms import FormConsent, FormDefined, FormField
from shared.identifiers import IdentifierRules

LONGEST = 200
LONGEST_NUMBER = 20
CONSENT = "consent."
YES = "yes"
_CONTACTS = ("email", "phone")
Raw = Mapping[str, Sequence[str]]
"""Name of an input → what was sent, in order."""


class Agreed(msgspec.Struct, frozen=True):
    """A consent that was ticked, in these words."""

    topic: str
    channel: Channel
    wording: str


class Answers(msgspec.Struct, frozen=True):
    """What somebody answered, each value in its written form."""

    fields: dict[str, str]
    custom: dict[str, FieldValue]
    email: str | None
    phone: str | None
    consents: tuple[Agreed, ...]

    def record(self) -> RecordFields:
        """The answers as fields of a record."""
        return RecordFields.model_validate({**self.fields, "custom": self.custom or None})


def answers_of(
    definition: FormDefined,
    configuration: Configuration,
    raw: Raw,
    rules: IdentifierRules,
    today: date,
) -> Answers:
    """The answers. Raises `Refused` that names each wrong input."""
    wrong: list[FieldError] = []
    plain: dict[str, str] = {}
    custom: dict[str, FieldValue] = {}
    contacts: dict[str, str] = {}
    for field in definition.fields:
        try:
            _read(field, configuration, raw, rules, into=(plain, custom, contacts))
        except Refused as refusal:
            wrong += refusal.errors
    agreed = []
    for consent in definition.consents:
        name = consent_input(consent)
        if raw.get(name) == [YES]:
            agreed.append(_agreed(consent))
        elif consent.required:
            wrong.append(FieldError(name, "required"))
    if not wrong:
        try:
            record = RecordFields.model_validate({**plain, "custom": custom or None})
            record = checked_record(configuration, record, today, {})
            custom = dict(record.custom or {})
        except Refused as refusal:
            wrong += refusal.errors
    if wrong:
        raise Refused("invalid", 422, "The input is not valid.", errors=tuple(wrong))
    return Answers(plain, custom, contacts.get("email"), contacts.get("phone"), tuple(agreed))


Into = tuple[dict[str, str], dict[str, FieldValue], dict[str, str]]


def _read(
    field: FormField, configuration: Configuration, raw: Raw, rules: IdentifierRules, *, into: Into
) -> None:
    plain, custom, contacts = into
    name = field.attribute
    sent = [each.strip() for each in raw.get(name, ()) if each.strip()]
    if not sent:
        if field.required:
            raise _wrong(name, "required")
        return
    if name in _CONTACTS:
        kind: IdentifierKind = "email" if name == "email" else "phone"
        contacts[name] = rules.known(kind, sent[0], name).value
    elif name.startswith(CUSTOM):
        known = configuration.fields.get(name.removeprefix(CUSTOM))
        if known is None:
            raise _wrong(name, "is asked for no more")
        custom[known.field] = _custom(known, sent, name)
    else:
        plain[name] = _plain(name, sent[0])


def _plain(name: str, text: str) -> str:
    if len(text) > LONGEST or not text.isprintable():
        raise _wrong(name, f"at most {LONGEST} letters")
    if name == "gender" and text not in {"female", "male"}:
        raise _wrong(name, "one of those that are offered")
    if name == "birth_date":
        try:
            return date.fromisoformat(text).isoformat()
        except ValueError:
            raise _wrong(name, "a date") from None
    return text


def _custom(field: FieldDefined, sent: Sequence[str], path: str) -> FieldValue:
    match field.kind:
        case "number":
            try:
                # An exponent would be a number of a million digits in a few letters.
                scaled = Decimal(sent[0][:LONGEST_NUMBER].replace(",", ".")).scaleb(field.decimals)
            except ArithmeticError:
                raise _wrong(path, "a number") from None
            if (
                len(sent[0]) > LONGEST_NUMBER
                or not scaled.is_finite()
                or scaled.adjusted() > LONGEST_NUMBER
                or scaled != scaled.to_integral_value()
            ):
                raise _wrong(path, "a number")
            return int(scaled)
        case "yes_no":
            return sent[0] == YES
        case "multi_list":
            return tuple(sent)
        case _:
            return sent[0]


def consent_input(consent: FormConsent) -> str:
    """The name of its input: a tick counts for the words that it stood beside, and for no others.

    The form may be changed between being shown and being sent.
    """
    return f"{CONSENT}{consent.topic}.{consent.channel}.{consent.wording}"


def _agreed(consent: FormConsent) -> Agreed:
    return Agreed(consent.topic, consent.channel, consent.wording)


def _wrong(path: str, message: str) -> Refused:
    return Refused("invalid", 422, "The input is not valid.", errors=(FieldError(path, message),))
