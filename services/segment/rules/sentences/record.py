"""Sentences of clauses about what is known."""

from services.segment.rules.language.criteria import (
    Begins,
    Between,
    Contains,
    Is,
    IsAnyOf,
    IsNot,
    Known,
    Test,
)
from services.segment.rules.language.fields import CUSTOM, DISCOUNT, FIELDS
from services.segment.rules.language.forms import Comparison
from services.segment.rules.language.record import Attribute, Consent, Contact, Verified
from services.segment.rules.sentences.words import either, listed_day, sign, value
from shared.wording import Wording

_FIELDS = {
    "surname": "surname",
    "name": "name",
    "patronymic": "patronymic",
    "birth_date": "date of birth",
    "gender": "gender",
    "address": "address",
    "city": "city",
    "region": "region",
    "workplace": "workplace",
    "home_branch": "home branch",
    "language": "language",
    "time_zone": "time zone",
    "acquisition": "source of acquisition",
    "customer_type": "type of customer",
    "preferred_channel": "preferred channel",
    "status": "status",
    "responsible": "who is responsible",
    "tags": "tag",
    "categories": "category",
    "linked": "link to others",
    "discount": "granted discount",
    "misuse": "number of days on which misuse is suspected",
}
_YES = {
    "internal": "is staff or a test",
    "archived": "is archived",
    "blacklisted": "is on the blacklist",
}
_NO = {
    "internal": "is neither staff nor a test",
    "archived": "is not archived",
    "blacklisted": "is not on the blacklist",
}
_WORDS = {"female": "female", "male": "male"}
_IDENTIFIERS = {
    "phone": "phone number",
    "email": "email address",
    "card": "card",
    "external": "external id",
    "messenger": "messenger",
    "social": "social network",
    "push": "device for push messages",
}
_CHANNELS = {
    "email": "email",
    "sms": "SMS",
    "push": "push",
    "messenger": "messenger",
    "webhook": "webhook",
}


def attribute(rule: Attribute, wording: Wording) -> str:
    """What a field is."""
    test = rule.test
    if FIELDS.get(rule.field) == "yes_no" and isinstance(test, Is | IsNot):
        said = _YES if (test.value is True) is isinstance(test, Is) else _NO
        return wording.text(said[rule.field])
    name = field_name(rule.field, wording)
    text, shown = _asked(rule, test, wording)
    return wording.text(text).format(name=name, value=shown)


def _asked(rule: Attribute, test: Test, wording: Wording) -> tuple[str, str]:
    match test:
        case Is():
            return "{name} is {value}", _value(rule, test.value, wording)
        case IsNot():
            return "{name} is not {value}", _value(rule, test.value, wording)
        case IsAnyOf():
            values = [_value(rule, each, wording) for each in test.values]
            return "{name} is {value}", either(values, wording)
        case Contains():
            return "{name} contains “{value}”", test.value
        case Begins():
            return "{name} begins with “{value}”", test.value
        case Between():
            text = wording.text("between {low} and {high}")
            low, high = (_value(rule, each, wording) for each in (test.low, test.high))
            return "{name} is {value}", text.format(low=low, high=high)
        case Comparison():
            shown = f"{sign(test, wording)} {_value(rule, test.value, wording)}"
            return "{name} is {value}", shown
        case Known():
            return "{name} is known", ""


def field_name(field: str, wording: Wording) -> str:
    """What people call a field; a custom one by its own name."""
    if field.startswith(CUSTOM):
        return field.removeprefix(CUSTOM)
    return wording.text(_FIELDS[field])


def _value(rule: Attribute, shown: object, wording: Wording) -> str:
    if rule.field == DISCOUNT and isinstance(shown, int):
        return wording.percent(shown)
    if rule.field == "gender":
        return wording.text(_WORDS[str(shown)])
    if rule.field == "preferred_channel":
        return wording.text(_CHANNELS[str(shown)])
    if isinstance(shown, str) and (
        FIELDS.get(rule.field) == "date" or isinstance(rule.test, Between)
    ):
        return listed_day(shown, wording)
    return value(shown, wording) if isinstance(shown, str | int) else str(shown)


def consent(rule: Consent, wording: Wording) -> str:
    """What the customer agrees to, or has withdrawn, or never said."""
    if rule.channel is None:
        text = {
            "given": "agrees to {topic} by some channel",
            "withdrawn": "has withdrawn the consent to {topic}",
            "unknown": "has said nothing about {topic}",
        }[rule.state or "given"]
        return wording.text(text).format(topic=rule.topic)
    text = {
        "given": "agrees to {topic} by {channel}",
        "withdrawn": "has withdrawn the consent to {topic} by {channel}",
        "unknown": "has said nothing about {topic} by {channel}",
    }[rule.state or "given"]
    channel = wording.text(_CHANNELS[rule.channel])
    return wording.text(text).format(topic=rule.topic, channel=channel)


def identifier(rule: Contact, wording: Wording) -> str:
    """What there is of a kind of identifier."""
    name = wording.text(_IDENTIFIERS[rule.identifier])
    test = rule.test
    if isinstance(test, Comparison):
        text = wording.text("number of identifiers of the kind {name}: {compare}")
        return text.format(name=name, compare=f"{sign(test, wording)} {test.value}")
    if isinstance(test, Known):
        return wording.text("{name} is known").format(name=name)
    said = "{name} is verified" if isinstance(test, Verified) else "{name} reaches nobody"
    return wording.text(said).format(name=name)
