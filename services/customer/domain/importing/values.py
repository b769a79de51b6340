"""From the text of a cell to a value, where only a customer has such values.

What every import reads is in `shared/importing/values.py`; its rule holds here: `WrongCell` says
what would be right and never what stands there.
"""

from typing import Literal, assert_never

from services.customer.domain.configuration.values import FieldValue
from shared.events.configuration import FieldDefined
from shared.importing.values import DateOrder, WrongCell, day, number, several, yes_no
from shared.money import to_minor

FEMALE = frozenset(["female", "f", "woman", "ж", "жен", "женский", "женщина"])
MALE = frozenset(["male", "m", "man", "м", "муж", "мужской", "мужчина"])


def gender(text: str) -> Literal["female", "male"]:
    """Female or male."""
    said = text.casefold().strip(" .")
    if said in FEMALE:
        return "female"
    if said in MALE:
        return "male"
    raise WrongCell("female or male")


def full_name(text: str) -> dict[str, str]:
    """Surname, name, patronymic in this order; one word is a name."""
    words = text.split()
    if len(words) == 1:
        return {"name": words[0]}
    found = {"surname": words[0], "name": words[1]}
    return found | ({"patronymic": " ".join(words[2:])} if words[2:] else {})


def custom_value(definition: FieldDefined, text: str, order: DateOrder) -> FieldValue:
    """The value of a custom field, in the form in which the API takes it."""
    match definition.kind:
        case "text":
            return text
        case "number":
            return _scaled(text, definition.decimals)
        case "money":
            return to_minor(number(text))
        case "date":
            return day(text, order).isoformat()
        case "yes_no":
            return yes_no(text)
        case "list":
            return _choice(definition, text)
        case "multi_list":
            return tuple(_choice(definition, each) for each in several(text))
        case _:
            assert_never(definition.kind)


def _scaled(text: str, decimals: int) -> int:
    scaled = number(text).scaleb(decimals)
    if scaled != scaled.to_integral_value():
        raise WrongCell(
            f"a number with at most {decimals} decimals" if decimals else "a whole number"
        )
    return int(scaled)


def _choice(definition: FieldDefined, text: str) -> str:
    wanted = text.casefold()
    for choice in definition.choices:
        if wanted in {
            choice.name.casefold(),
            *(each.casefold() for each in choice.titles.values()),
        }:
            return choice.name
    names = ", ".join(choice.name for choice in definition.choices)
    raise WrongCell(f"one of: {names}")
