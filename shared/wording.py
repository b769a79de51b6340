"""Words for people: one language, with its plurals, amounts, moments and lists.

Texts are written in English in the code and translated as a whole. A catalogue is a gettext file
`<language>.po`, read when the process starts: text in git, nothing to be compiled or built before
it counts. What a catalogue does not have is said in English.
"""

import gettext
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta, tzinfo
from decimal import Decimal
from io import BytesIO
from pathlib import Path

from babel import Locale, negotiate_locale
from babel.dates import format_date, format_datetime, format_timedelta
from babel.lists import format_list
from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.numbers import format_currency, format_decimal, format_percent

from shared.money import MINOR_PER_MAJOR

SOURCE_LANGUAGE = "en"
HUNDREDTHS_OF_A_PERCENT = 10_000
AMOUNT = "#,##0.00"


@dataclass(frozen=True, slots=True)
class Wording:
    """One language. `currency` is the chain's (ISO 4217), `zone` that of the reader."""

    locale: Locale
    texts: gettext.NullTranslations
    currency: str | None = None
    zone: tzinfo = UTC

    @property
    def language(self) -> str:
        """Its code."""
        return str(self.locale.language)

    def text(self, english: str) -> str:
        """The translation of a text."""
        return self.texts.gettext(english)

    def plural(self, one: str, many: str, number: int) -> str:
        """The translation of the form that the number takes."""
        return self.texts.ngettext(one, many, abs(number))

    def word(self, among: str, english: str) -> str:
        """The translation of a word, which may be another one in another list."""
        return self.texts.pgettext(among, english)

    def money(self, minor: int) -> str:
        """Minor units, with the sign of the currency."""
        amount = Decimal(minor) / MINOR_PER_MAJOR
        if self.currency is None:
            return format_decimal(amount, AMOUNT, locale=self.locale)
        return format_currency(amount, self.currency, locale=self.locale, currency_digits=False)

    def number(self, number: int) -> str:
        """A whole number."""
        return format_decimal(number, locale=self.locale)

    def percent(self, hundredths: int) -> str:
        """Hundredths of a percent."""
        share = Decimal(hundredths) / HUNDREDTHS_OF_A_PERCENT
        return format_percent(share, locale=self.locale, decimal_quantization=False)

    def moment(self, moment: datetime) -> str:
        """A day and time of the reader's zone."""
        return format_datetime(moment, "medium", tzinfo=self.zone, locale=self.locale)

    def day(self, day: date) -> str:
        """A day."""
        return format_date(day, "medium", locale=self.locale)

    def span(self, length: timedelta) -> str:
        """A length of time in one unit, rounded."""
        return format_timedelta(length, threshold=1.5, locale=self.locale)

    def listed(self, items: Sequence[str]) -> str:
        """Several names: `a, b and c`."""
        return format_list(items, locale=self.locale)


@dataclass(frozen=True, slots=True)
class Languages:
    """All languages that there are words in."""

    catalogues: Mapping[str, Catalog] = field(default_factory=dict)
    _texts: dict[str, gettext.NullTranslations] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        """Make the catalogues ready to be asked."""
        self._texts[SOURCE_LANGUAGE] = gettext.NullTranslations()
        for language, catalogue in self.catalogues.items():
            self._texts[language] = _translations(catalogue)

    @classmethod
    def read(cls, folder: Path) -> "Languages":
        """Those of a folder of catalogues, and English. Raises `PoFileError` for a broken one."""
        return cls({path.stem: read_catalogue(path) for path in sorted(folder.glob("*.po"))})

    def wording(self, language: str, currency: str | None = None, zone: tzinfo = UTC) -> Wording:
        """The words of a language that there is."""
        return Wording(Locale.parse(language), self._texts[language], currency, zone)

    def accepted(self, header: str) -> str:
        """The language that an `Accept-Language` header (RFC 9110) likes best, else English."""
        wishes = []
        for each in header.split(","):
            tag, _, quality = each.partition(";")
            weight = _weight(quality)
            if tag.strip() and weight > 0:
                wishes.append((weight, tag.strip()))
        wishes.sort(key=lambda wish: -wish[0])
        return (
            negotiate_locale([tag for _, tag in wishes], sorted(self._texts), sep="-")
            or SOURCE_LANGUAGE
        )


def read_catalogue(path: Path) -> Catalog:
    """A catalogue. Raises `PoFileError` where it is none."""
    with path.open("rb") as file:
        return read_po(file, locale=path.stem, abort_invalid=True)


def _translations(catalogue: Catalog) -> gettext.GNUTranslations:
    compiled = BytesIO()
    write_mo(compiled, catalogue)
    compiled.seek(0)
    return gettext.GNUTranslations(compiled)


def _weight(parameter: str) -> float:
    """What follows a language: `q=0.8`; nothing is 1, and what is no number 0."""
    name, _, value = parameter.strip().partition("=")
    if not name:
        return 1.0
    try:
        return float(value) if name.strip() == "q" else 0.0
    except ValueError:
        return 0.0
