"""Columns are taken for what a person would take them for, and for nothing where none can tell."""

import pytest

from services.customer.domain.configuration.chosen import Configuration
from services.customer.domain.configuration.fields import Fields
from services.customer.domain.importing.columns import targets
from shared.events.configuration import FieldDefined
from shared.tables.suggesting import Target, suggest

SHOE = FieldDefined(
    field="shoe_size",
    titles={"ru": "Размер обуви", "en": "Shoe size"},
    kind="number",
    group="needs",
    purpose="fitting",
)
CHAIN = Configuration(fields=Fields().with_definition("shoe_size", SHOE))


def found(*header: str, cells: tuple[str, ...] = ()) -> dict[str, str]:
    sample = [tuple(cells) + ("",) * (len(header) - len(cells))]
    return {header[each.column]: each.target for each in suggest(header, sample, targets(CHAIN))}


@pytest.mark.parametrize(
    ("name", "target"),
    [
        ("Телефон", "phone"),
        ("тел.", "phone"),
        ("Мобильный  телефон", "phone"),
        ("PHONE_NUMBER", "phone"),
        ("E-mail", "email"),
        ("Электронная почта", "email"),
        ("Номер карты", "card"),
        ("Фамилия", "surname"),
        ("Имя", "name"),
        ("ФИО", "full_name"),
        ("Отчество", "patronymic"),
        ("Дата рождения", "birth_date"),
        ("Date of birth", "birth_date"),
        ("Birthdate", "birth_date"),
        ("Пол", "gender"),
        ("Магазин", "home_branch"),
        ("Населённый пункт", "city"),
        ("Размер обуви", "custom.shoe_size"),
        ("shoe size", "custom.shoe_size"),
        ("Телефонн", "phone"),
    ],
)
def test_a_column_is_known_by_its_name(name: str, target: str) -> None:
    assert found(name) == {name: target}


@pytest.mark.parametrize("name", ["Примечание", "Сумма покупок", "x", "column 3"])
def test_a_column_that_nobody_knows_is_left_out(name: str) -> None:
    assert found(name) == {}


def test_phones_and_addresses_are_known_by_what_stands_in_the_column() -> None:
    assert found("a", "b", cells=("8 (916) 123-45-67", "anna@example.com")) == {
        "a": "phone",
        "b": "email",
    }
    assert found("a", cells=("12.03.1980",)) == {}


def test_of_two_columns_one_is_the_name_and_both_may_be_phones() -> None:
    assert found("Имя", "Name", "Телефон", "Мобильный") == {
        "Имя": "name",
        "Телефон": "phone",
        "Мобильный": "phone",
    }


def test_the_surest_pair_comes_first() -> None:
    wanted = [Target("a", ("client name",)), Target("b", ("client",))]
    pairs = suggest(("client", "client names"), [("", "")], wanted)
    assert [(each.column, each.target) for each in pairs] == [(0, "b"), (1, "a")]
