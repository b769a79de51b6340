"""Rows: what people write in cells, and what it comes to."""

from datetime import UTC, date, datetime

import pytest

from services.customer.domain.configuration.chosen import Configuration
from services.customer.domain.configuration.fields import Fields
from services.customer.domain.importing.columns import (
    ColumnUse,
    FileReading,
    require_readable,
)
from services.customer.domain.importing.rows import RowConsent, RowInput, read_row
from shared.decider import Refused
from shared.events.configuration import Choice, FieldDefined, FieldType
from shared.identifiers import IdentifierRules
from shared.importing import values
from shared.importing.values import DateOrder, WrongCell
from shared.testing import DAY

RULES = IdentifierRules(b"s" * 32, "RU")


def definition(
    name: str, kind: FieldType, decimals: int = 0, choices: tuple[Choice, ...] = ()
) -> FieldDefined:
    return FieldDefined(
        field=name, titles={"ru": name}, kind=kind, group="basic", purpose="p",
        decimals=decimals, choices=choices,
    )  # fmt: skip


SIZES = (
    Choice(name="s", titles={"ru": "Малый"}),
    Choice(name="xl", titles={"ru": "Очень большой"}),
)
DEFINED = [
    definition("pets", "number"),
    definition("weight", "number", decimals=2),
    definition("debt", "money"),
    definition("wedding", "date"),
    definition("vip", "yes_no"),
    definition("size", "list", choices=SIZES),
    definition("sizes", "multi_list", choices=SIZES),
    definition("words", "text"),
]


def configured() -> Configuration:
    fields = Fields()
    for each in DEFINED:
        fields = fields.with_definition(each.field, each)
    return Configuration(fields=fields)


CHAIN = configured()


def read(*cells: tuple[str, str], **how: object) -> RowInput:
    """A row of cells, each after what its column is."""
    reading = FileReading(columns=tuple(ColumnUse(to) for to, _ in cells), **how)  # type: ignore[arg-type] # the other fields
    return read_row([cell for _, cell in cells], reading, CHAIN, RULES, DAY)


def refused(*cells: tuple[str, str]) -> dict[str, str]:
    with pytest.raises(Refused) as refusal:
        read(*cells)
    return {each.field: each.message for each in refusal.value.errors}


CARD = ("card", "A-1")


@pytest.mark.parametrize(
    "cell", ["8 (916) 123-45-67", "+7 916 123 45 67", "79161234567", "'+79161234567", "9161234567"]
)
def test_a_phone_is_one_number_however_it_is_written(cell: str) -> None:
    (phone,) = read(("phone", cell)).identifiers
    assert phone.value == "+79161234567"


def test_a_phone_of_another_country_needs_no_plus() -> None:
    (phone,) = read(("phone", "4930123456789")).identifiers
    assert phone.value == "+4930123456789"


def test_a_cell_may_hold_several_contacts_and_a_row_several_columns_of_them() -> None:
    row = read(
        ("phone", "+79161234567, +79161234568"),
        ("phone", "+79161234567"),
        ("email", "a@example.com; b@example.com"),
        CARD,
    )
    assert [each.value for each in row.identifiers] == [
        "+79161234567", "+79161234568", "a@example.com", "b@example.com", "A1",
    ]  # fmt: skip


def test_the_fields_of_a_record_are_read() -> None:
    row = read(
        CARD,
        ("full_name", "Иванова  Анна Петровна"),
        ("birth_date", "29.02.1980"),
        ("gender", "Ж"),
        ("internal", "нет"),
        ("preferred_channel", "SMS"),
        ("acquisition", "Web"),
        ("city", "Москва"),
        ("tags", "VIP; loves coffee"),
    )
    said = row.fields.model_dump(exclude_none=True)
    assert said == {
        "surname": "Иванова",
        "name": "Анна",
        "patronymic": "Петровна",
        "birth_date": "1980-02-29",
        "gender": "female",
        "internal": False,
        "preferred_channel": "sms",
        "acquisition": "web",
        "city": "Москва",
    }
    assert row.tags == {"vip", "loves-coffee"}


def test_custom_fields_are_read_by_their_types() -> None:
    row = read(
        CARD,
        ("custom.pets", "2"),
        ("custom.weight", "71,5"),
        ("custom.debt", "1 234,50"),
        ("custom.wedding", "01.06.2005"),
        ("custom.vip", "да"),
        ("custom.size", "очень большой"),
        ("custom.sizes", "s, Очень большой"),
        ("custom.words", "=so"),
    )
    assert row.fields.custom == {
        "pets": 2,
        "weight": 7150,
        "debt": 123450,
        "wedding": "2005-06-01",
        "vip": True,
        "size": "xl",
        "sizes": ("s", "xl"),
        "words": "=so",
    }


def test_all_that_is_wrong_with_a_row_is_told_at_once_and_no_value_is() -> None:
    wrong = refused(
        ("phone", "Anna"),
        ("email", "anna at example"),
        ("birth_date", "31.02.1980"),
        ("gender", "Anna"),
        ("custom.pets", "Anna"),
        ("custom.weight", "1,234"),
        ("custom.size", "Anna"),
        ("tags", "Anna!"),
        ("acquisition", "Anna Karenina"),
        ("name", "A" * 201),
        ("custom.gone", "Anna"),
    )
    assert set(wrong) == {
        "phone", "email", "birth_date", "gender", "custom.pets", "custom.weight", "custom.size",
        "tags", "acquisition", "name", "custom.gone",
    }  # fmt: skip
    assert "Anna" not in str(wrong)


def test_a_row_that_finds_nobody_is_refused() -> None:
    assert list(refused(("name", "Anna"), ("phone", ""))) == ["identifiers"]


def test_defaults_fill_what_a_row_leaves_empty() -> None:
    row = read(CARD, ("city", "Moscow"), defaults={"city": "Berlin", "home_branch": "12"})
    assert (row.fields.city, row.fields.home_branch) == ("Moscow", "12")
    assert read(CARD, ("city", ""), defaults={"city": "Berlin"}).fields.city == "Berlin"


def consents(*cells: tuple[str, str]) -> tuple[RowConsent, ...]:
    uses = [ColumnUse("card")] + [ColumnUse(to, "news", ("sms", "email")) for to, _ in cells]
    texts = ["A1", *(text for _, text in cells)]
    return read_row(texts, FileReading(columns=tuple(uses)), CHAIN, RULES, DAY).consents


def test_a_consent_is_what_the_file_says_with_its_evidence() -> None:
    given = consents(("consent", "да"), ("consent_at", "2016-05-01"), ("consent_wording", "v2"))
    at = datetime(2016, 5, 1, tzinfo=UTC)
    assert given == (
        RowConsent("news", "sms", given=True, at=at, wording="v2"),
        RowConsent("news", "email", given=True, at=at, wording="v2"),
    )
    assert [each.given for each in consents(("consent", "отказ"))] == [False, False]


def test_none_means_not_given() -> None:
    assert consents(("consent", ""), ("consent_at", "2016-05-01")) == ()


def test_a_consent_of_the_future_is_refused() -> None:
    with pytest.raises(Refused) as refusal:
        consents(("consent", "yes"), ("consent_at", "2126-01-01"))
    assert refusal.value.errors[0].field == "consent_at"


@pytest.mark.parametrize(
    ("text", "order", "expected"),
    [
        ("2017-12-31", "dmy", date(2017, 12, 31)),
        ("31.12.2017", "dmy", date(2017, 12, 31)),
        ("1/2/2017", "dmy", date(2017, 2, 1)),
        ("1/2/2017", "mdy", date(2017, 1, 2)),
        ("2017/12/31", "dmy", date(2017, 12, 31)),
        ("2017-12-31T10:00:00", "dmy", date(2017, 12, 31)),
        ("31.12.2017 10:00", "dmy", date(2017, 12, 31)),
    ],
)
def test_dates_are_read_in_the_order_of_the_file(
    text: str, order: DateOrder, expected: date
) -> None:
    assert values.day(text, order) == expected


@pytest.mark.parametrize("text", ["31.12.17", "32.12.2017", "yesterday", "12/31/2017", ""])
def test_what_is_no_date_is_refused(text: str) -> None:
    with pytest.raises(WrongCell):
        values.day(text, "dmy")


def test_moments_are_in_utc() -> None:
    assert values.moment("2020-05-01T10:00:00+03:00", "dmy") == datetime(2020, 5, 1, 7, tzinfo=UTC)
    assert values.moment("01.05.2020", "dmy") == datetime(2020, 5, 1, tzinfo=UTC)


@pytest.mark.parametrize("text", ["maybe", "2", "дано"])
def test_what_is_neither_yes_nor_no_is_refused(text: str) -> None:
    with pytest.raises(WrongCell, match="yes or no"):
        values.yes_no(text)


@pytest.mark.parametrize("text", ["1e400", "NaN", "twelve", "1.2.3"])
def test_what_is_no_number_is_refused(text: str) -> None:
    assert list(refused(CARD, ("custom.debt", text))) == ["custom.debt"]


def wrong_mapping(*uses: ColumnUse | None, **how: object) -> dict[str, str]:
    names = [f"c{place}" for place in range(len(uses))]
    with pytest.raises(Refused) as refusal:
        require_readable(FileReading(columns=uses, **how), names, CHAIN)  # type: ignore[arg-type] # the other fields
    return {each.field: each.message for each in refusal.value.errors}


def test_a_mapping_that_cannot_be_names_each_column() -> None:
    wrong = wrong_mapping(
        ColumnUse("name"),
        ColumnUse("name"),
        ColumnUse("nonsense"),
        ColumnUse("custom.none"),
        ColumnUse("consent", None, ("sms",)),
        ColumnUse("consent", "news"),
        ColumnUse("city", "news"),
        None,
        defaults={"phone": "1", "custom.none": "1"},
        consent_source="Old file",
    )
    assert set(wrong) == {
        "columns.c1", "columns.c2", "columns.c3", "columns.c4", "columns.c5", "columns.c6",
        "columns", "defaults.phone", "defaults.custom.none", "consent_source",
    }  # fmt: skip


def test_a_mapping_of_identifiers_and_fields_can_be() -> None:
    uses = (ColumnUse("phone"), ColumnUse("phone"), ColumnUse("custom.pets"), None)
    require_readable(FileReading(columns=uses, defaults={"city": "x"}), list("abcd"), CHAIN)
