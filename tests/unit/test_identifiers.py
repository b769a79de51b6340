"""One normal form per kind: however a value is written, it is the same claim."""

import pytest

from shared.decider import Refused
from shared.events.customer import IdentifierKind
from shared.identifiers import IdentifierRules

RULES = IdentifierRules(b"secret", "RU")


@pytest.mark.parametrize(
    ("kind", "one", "other", "normal"),
    [
        ("phone", "8 (999) 000-00-01", "+79990000001", "+79990000001"),
        ("email", "Anna@Example.COM", " anna@example.com", "anna@example.com"),
        ("card", "a-1 b", "A1B", "A1B"),
        ("external", " 17", "17", "17"),
        ("messenger", "Telegram: @Anna", "telegram:anna", "telegram:anna"),
        ("social", "VK:anna", "vk: Anna ", "vk:anna"),
    ],
)
def test_ways_to_write_a_value_are_one_identifier(
    kind: IdentifierKind, one: str, other: str, normal: str
) -> None:
    first, second = RULES.known(kind, one, "value"), RULES.known(kind, other, "value")
    assert first == second
    assert first.value == normal


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("phone", "12"),
        ("phone", "letters"),
        ("email", "anna"),
        ("card", "№ 1"),
        ("external", " "),
        ("messenger", "anna"),
        ("messenger", ":anna"),
        ("social", "vk:@"),
        ("external", "x" * 201),
    ],
)
def test_what_is_no_such_identifier_names_its_field(kind: IdentifierKind, value: str) -> None:
    with pytest.raises(Refused) as refused:
        RULES.known(kind, value, "identifiers.0.value")
    assert [error.field for error in refused.value.errors] == ["identifiers.0.value"]
    # What a person wrote is never quoted.
    assert str(refused.value) == "invalid: The input is not valid."
