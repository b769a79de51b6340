"""Which words a customer gets: by language and channel, and what is said where there are none.

The first text of a template is what everybody gets whose language it does not have; what it has for
a channel goes before what is for any. The same customer gets the same words on every machine.
"""

import gettext
from collections.abc import Sequence
from functools import lru_cache
from typing import Protocol, TypeVar

from babel import Locale, UnknownLocaleError

from shared.wording import SOURCE_LANGUAGE, Wording

_SAME, _RELATED, _FALLBACK, _NONE = 3, 2, 1, 0


class Spoken(Protocol):
    """Words in a language (BCP 47; None: in no particular one), for a channel or any (None)."""

    @property
    def language(self) -> str | None:
        """The language."""
        ...

    @property
    def channel(self) -> str | None:
        """The channel."""
        ...


S = TypeVar("S", bound=Spoken)


def chosen(among: Sequence[S], language: str | None, channel: str) -> S:
    """The words for a customer; the first of the sequence is the fallback, and for any channel."""
    if len(among) == 1:
        return among[0]
    fallback = among[0].language
    usable = [each for each in among if each.channel in {None, channel}]
    return max(
        usable,
        key=lambda each: (_nearness(each.language, language, fallback), each.channel is not None),
    )


def _nearness(words: str | None, wish: str | None, fallback: str | None) -> int:
    if words is not None and wish is not None:
        if _tag(words) == _tag(wish):
            return _SAME
        if primary(words) == primary(wish):
            return _RELATED
    return _FALLBACK if words == fallback else _NONE


def _tag(language: str) -> str:
    return language.replace("_", "-").lower()


def primary(language: str) -> str:
    """The language without its country: `pt` of `pt-BR`."""
    return _tag(language).partition("-")[0]


def is_language(language: str) -> bool:
    """Whether dates and numbers can be written in it."""
    return _locale(language) is not None


@lru_cache(maxsize=500)
def wording(words: str | None, wish: str | None, currency: str | None) -> Wording:
    """How dates, numbers and money are written: as the words are, in the customer's country."""
    own = wish is not None and (words is None or primary(words) == primary(wish))
    for language in (wish if own else words, words, SOURCE_LANGUAGE):
        locale = None if language is None else _locale(language)
        if locale is not None:
            return Wording(locale, _NO_TEXTS, currency)
    raise LookupError(SOURCE_LANGUAGE)


_NO_TEXTS = gettext.NullTranslations()


@lru_cache(maxsize=500)
def _locale(language: str) -> Locale | None:
    for name in (_tag(language), primary(language)):
        try:
            return Locale.parse(name, sep="-")
        except (UnknownLocaleError, ValueError):
            continue
    return None
