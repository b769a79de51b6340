"""Words for people: plurals, amounts and days as each language has them."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from babel.messages.pofile import PoFileError

from shared.wording import Languages

CATALOGUE = """
msgid ""
msgstr ""
"Language: ru\\n"
"Content-Type: text/plain; charset=utf-8\\n"
"Plural-Forms: nplurals=3; plural=(n%10==1 && n%100!=11 ? 0 : n%10>=2 && n%10<=4 && "
"(n%100<10 || n%100>=20) ? 1 : 2);\\n"

msgid "{n} day"
msgid_plural "{n} days"
msgstr[0] "{n} день"
msgstr[1] "{n} дня"
msgstr[2] "{n} дней"

msgctxt "visit"
msgid "kept"
msgstr "состоялся"

msgid "kept"
msgstr "хранится"
"""
MOMENT = datetime(2018, 1, 5, 20, 30, tzinfo=UTC)


@pytest.fixture
def languages(tmp_path: Path) -> Languages:
    (tmp_path / "ru.po").write_text(CATALOGUE, encoding="utf-8")
    return Languages.read(tmp_path)


def plain(text: str) -> str:
    """With the spaces that may not be broken shown as others."""
    return text.replace("\u00a0", " ").replace("\u202f", " ")


def test_numbers_take_the_plural_of_their_language(languages: Languages) -> None:
    forms = {
        language: [
            languages.wording(language).plural("{n} day", "{n} days", n) for n in (1, 2, 5, 11, 21)
        ]
        for language in ("en", "ru")
    }
    assert forms == {
        "en": ["{n} day", "{n} days", "{n} days", "{n} days", "{n} days"],
        "ru": ["{n} день", "{n} дня", "{n} дней", "{n} дней", "{n} день"],
    }
    # What is owed is counted like what is there.
    assert languages.wording("en").plural("{n} day", "{n} days", -1) == "{n} day"


def test_one_word_of_two_lists_has_two_translations(languages: Languages) -> None:
    russian = languages.wording("ru")
    assert (russian.word("visit", "kept"), russian.text("kept")) == ("состоялся", "хранится")
    assert russian.text("nobody has translated this") == "nobody has translated this"


def test_amounts_days_and_lists_are_written_as_people_write_them(languages: Languages) -> None:
    moscow = ZoneInfo("Europe/Moscow")
    english, russian = languages.wording("en", "USD"), languages.wording("ru", "RUB", moscow)
    assert english.money(-123_405) == "-$1,234.05"
    assert plain(russian.money(-123_405)) == "-1 234,05 ₽"
    # Without a currency an amount is a number with its cents.
    assert (languages.wording("en").money(500), languages.wording("ru").money(5)) == (
        "5.00",
        "0,05",
    )
    # The chain's amounts have two decimals, whatever its currency has elsewhere.
    assert languages.wording("en", "JPY").money(150) == "¥1.50"
    assert (english.number(12_345), plain(russian.number(12_345))) == ("12,345", "12 345")
    assert (english.percent(750), plain(russian.percent(1_000))) == ("7.5%", "10 %")
    assert plain(english.moment(MOMENT)) == "Jan 5, 2018, 8:30:00 PM"
    assert plain(russian.moment(MOMENT)) == "5 янв. 2018 г., 23:30:00"
    assert (english.day(MOMENT.date()), plain(russian.day(MOMENT.date()))) == (
        "Jan 5, 2018",
        "5 янв. 2018 г.",
    )
    minutes = timedelta(seconds=150)
    assert (english.span(minutes), russian.span(minutes)) == ("2 minutes", "2 минуты")
    assert (english.listed(["a", "b", "c"]), russian.listed(["a", "b", "c"])) == (
        "a, b, and c",
        "a, b и c",
    )


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("", "en"),
        ("ru", "ru"),
        ("ru-RU,ru;q=0.9,en;q=0.8", "ru"),
        ("de-DE, ru;q=0.3, en;q=0.5", "en"),
        ("en;q=0, ru;q=0.1", "ru"),
        ("de, fr", "en"),
        ("*", "en"),
        ("ru;q=much, en", "en"),
        ("ru;level=1", "en"),
        (";q=1,,", "en"),
        ("ру", "en"),
    ],
)
def test_the_language_is_the_one_that_is_liked_best(
    languages: Languages, header: str, language: str
) -> None:
    assert languages.accepted(header) == language


def test_a_catalogue_that_is_broken_is_refused(tmp_path: Path) -> None:
    (tmp_path / "ru.po").write_text("words\n", encoding="utf-8")
    with pytest.raises(PoFileError):
        Languages.read(tmp_path)
