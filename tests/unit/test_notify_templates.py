"""Templates: personal where something is known, an error where it is not, and never runaway."""

import gettext
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import date

import pytest
from babel import Locale
from hypothesis import given, settings
from hypothesis import strategies as st

from services.notify.content.templates import (
    FILTERS,
    MAX_OUTPUT_BYTES,
    TemplateError,
    Unreadable,
    asked,
    by_liquid,
    rendered,
)
from shared.wording import Wording

ANNA = {"customer": {"name": "Anna", "language": "en", "birth_date": date(1990, 5, 17)}}


def _wording(language: str, currency: str | None = None) -> Wording:
    return Wording(Locale.parse(language), gettext.NullTranslations(), currency)


ENGLISH = _wording("en")


def _said(text: str, *, markup: bool = False, **values: object) -> str:
    return rendered(text, {**ANNA, **values}, ENGLISH, markup=markup)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Hello", "Hello"),
        ("Hello {{ customer.name }}", "Hello Anna"),
        ("Hello {{ customer.patronymic | default: 'friend' }}", "Hello friend"),
        ("{% if customer.patronymic %}Dear{% else %}Hi{% endif %}", "Hi"),
        ("{% if customer.language == 'ru' %}Привет{% else %}Hi{% endif %}", "Hi"),
        ("{% assign who = customer.name | upcase %}{{ who }}!", "ANNA!"),
        ("{% capture who %}{{ customer.name }}!{% endcapture %}{{ who }}", "Anna!"),
        ("{% echo customer.name %}", "Anna"),
        ("{% for i in (1..3) %}{{ i }}{% endfor %}", "123"),
        ("{{ customer.name | replace: 'n', 'm' }}", "Amma"),
        ("<b>{{ customer.name }}</b>", "<b>Anna</b>"),
        ("{{ customer.birth_date }}", "May 17, 1990"),
        ("{{ customer.birth_date | date: 'day' }}", "May 17"),
        ("{{ '2026-12-31' | date: 'short' }}", "12/31/26"),
    ],
)
def test_what_is_known_is_said(text: str, expected: str) -> None:
    assert _said(text) == expected


@pytest.mark.parametrize(
    ("language", "currency", "text", "expected"),
    [
        ("ru", "RUB", "{{ customer.birth_date | date: 'day' }}", "17 мая"),
        ("ru", "RUB", "{{ customer.birth_date | date: 'full' }}", "четверг, 17 мая 1990\u202fг."),
        ("de", None, "{{ 1234567.5 | number }}", "1.234.567,5"),
        # 123,450 minor units are 1,234.50 of the currency.
        ("ru", "RUB", "{{ 123450 | money }}", "1\xa0234,50\xa0₽"),
        ("en", "EUR", "{{ 123450 | money }}", "€1,234.50"),
        ("en", None, "{{ '123450' | money }}", "1,234.50"),
    ],
)
def test_dates_numbers_and_money_are_written_as_the_language_has_them(
    language: str, currency: str | None, text: str, expected: str
) -> None:
    assert rendered(text, ANNA, _wording(language, currency)) == expected


@pytest.mark.parametrize(
    "text",
    [
        "Hello {{ customer.surname }}",
        "{{ customer.surname | upcase }}",
        "{{ 'a' | append: customer.surname }}",
        "{% assign who = customer.surname %}{{ who }}",
        "{% for c in customer.surname %}x{% endfor %}",
        "Hello {{ customer.surname | default: '' }},",
        "{{ nil }}",
        "{{ customer.name | remove: 'Anna' }}",
        "{% echo '  ' %}",
        "{{ '\u200b' }}",
        "{% capture none %}{% endcapture %}{{ none }}",
        "{{ customer.surname | date }}",
        "{{ customer.name | date }}",
        "{{ customer.birth_date | date: 'never' }}",
        "{{ customer.name | number }}",
        "{{ 1.5 | money }}",
        "{{ true | number }}",
        "{{ '1e999999999' | number }}",
        "{{ '1e-99999999' | number }}",
        "{{ 'NaN' | number }}",
    ],
)
def test_a_hole_is_an_error(text: str) -> None:
    asked(text)
    with pytest.raises(TemplateError):
        _said(text)


def test_an_error_repeats_nothing_of_the_customer() -> None:
    with pytest.raises(TemplateError) as caught:
        rendered(
            "{{ customer.name | append: customer.surname }}",
            {"customer": {"name": "Secretive"}},
            ENGLISH,
        )
    assert "Secretive" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{{ customer.name }}", "&lt;i&gt;"),
        # Said once by the output, however often the author asks for it.
        ("{{ customer.name | escape }}", "&lt;i&gt;"),
        ("{{ customer.name | append: '<b>' }}", "&lt;i&gt;&lt;b&gt;"),
        ("{{ '<b>' }}", "&lt;b&gt;"),
        ("{% echo customer.name | upcase %}", "&lt;I&gt;"),
        ("{% assign x = customer.name %}{{ x }}", "&lt;i&gt;"),
        ("<b title='{{ customer.name }}'>", "<b title='&lt;i&gt;'>"),
    ],
)
def test_nothing_that_comes_out_of_liquid_is_markup(text: str, said: str) -> None:
    assert _said(text, markup=True, customer={"name": "<i>"}) == said
    # In a text it is what it is.
    assert _said("{{ customer.name }}", customer={"name": "<i>"}) == "<i>"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{% if %}", "is no Liquid that is known here, line 1"),
        ("a\n{{ x y", "is no Liquid that is known here, line 2"),
        ("{% include 'secret' %}", "is no Liquid that is known here, line 1"),
        ("{% render 'secret' %}", "is no Liquid that is known here, line 1"),
        ("{{ (1..9) | join: ',' }}", "these filters exist"),
    ],
)
def test_what_is_no_template_is_found_before_it_is_rendered(text: str, reason: str) -> None:
    with pytest.raises(Unreadable, match=reason):
        asked(text)


def test_captures_are_for_texts() -> None:
    text = "{% capture x %}<b>{% endcapture %}"
    assert asked(text) == frozenset()
    with pytest.raises(Unreadable):
        asked(text, markup=True)


def test_what_a_template_asks_for_is_known() -> None:
    text = "{{ customer.name }}{% if branch.city %}{% endif %}{% assign x = 1 %}{{ x }}{{ a[b] }}"
    assert asked(text) == {"customer.name", "branch.city", "a.[]", "b"}


GROWN = (
    "{{% assign x = 'aaaaaaaaaa' %}}"
    "{{% for i in (1..{}) %}}{{% assign x = x | append: x %}}{{% endfor %}}"
)
"""Doubles ten letters so many times."""


@pytest.mark.parametrize("markup", [False, True])
@pytest.mark.parametrize(
    "text",
    [
        "{% for i in (1..999999999) %}{% endfor %}",
        "{% for i in (1..1000) %}{% for j in (1..1000) %}{{ i }}{% endfor %}{% endfor %}",
        "{% for i in (1..140) %}{% for j in (1..140) %}{{ i }}{{ j }}{% endfor %}{% endfor %}",
        GROWN.format(60) + "{{ x }}",
        GROWN.format(10) + "{{ x | replace: 'a', x | replace: 'a', x }}",
        GROWN.format(13) + "{% for i in (1..9) %}{{ x }}{% endfor %}",
        "{% capture x %}{% for i in (1..9000) %}" + 28 * "a" + "{% endfor %}{% endcapture %}",
        "{% if true %}" * 40 + "{% endif %}" * 40,
        "{{ 'a' | truncate: 99999999999999999999999999 }}" * 3,
    ],
)
def test_a_runaway_template_ends_soon_with_an_error_or_with_little(
    text: str,
    markup: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    began = time.perf_counter()
    with suppress(TemplateError):
        assert len(_said(text, markup=markup)) <= MAX_OUTPUT_BYTES
    # 20,000 steps take well under a second; the rest is for a busy machine.
    assert time.perf_counter() - began < 5


PIECES = st.sampled_from(
    [
        *("{{", "}}", "{%", "%}", "|", ":", ",", "'", '"', "(", ")", "..", "=", "\n", " "),
        *("if", "endif", "for", "endfor", "in", "assign", "capture", "endcapture", "case", "raw"),
        *("customer", ".", "name", "[", "]", "0", "9", "99999999", "x", "-", "nil", "true"),
        *sorted(FILTERS),
    ]
)


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.text(max_size=60), st.lists(PIECES, max_size=40).map(" ".join)), st.booleans())
def test_whatever_is_written_is_rendered_or_refused(text: str, markup: bool) -> None:  # noqa: FBT001 - a parameter of the test
    with suppress(Unreadable):
        asked(text, markup=markup)
    with suppress(TemplateError):
        rendered(text, {}, ENGLISH, markup=markup)


PLAIN = st.sampled_from(
    [
        *(
            "{{ customer.name }}",
            "{{customer.city-}}",
            "{{- customer['name'] }}",
            "{{ tracked[0] }}",
        ),
        *("{{ tracked[1] }}", "{{ tracked[-1] }}", "{{ customer.size }}", "{{ customer.first }}"),
        *("{{ customer.born }}", "{{ name }}", "{{ 'a<b' }}", "{{ customer.name | upcase }}"),
        *("<b>", " & ", "\n", "ü", "{% if customer.name %}x{% endif %}", "{% comment %}", "{{ }}"),
    ]
)
VALUES = st.none() | st.sampled_from(
    ["", " ", "\u2060", "Anna", "<i>&'\"", "ß" * 60_000, date(1990, 5, 17)]
)


@settings(max_examples=300, deadline=None)
@given(st.lists(PLAIN, max_size=6).map("".join), VALUES, VALUES, st.booleans())
def test_with_liquid_or_without_it_the_same_is_said(
    text: str,
    name: str | date | None,
    link: str | date | None,
    markup: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    customer = {"name": name, "city": "Riga", "born": date(1990, 5, 17), "size": "many"}
    values = {"customer": customer, "tracked": [] if link is None else [link]}

    def said(render: Callable[..., str]) -> str:
        try:
            return render(text, values, ENGLISH, markup=markup)
        except TemplateError as error:
            return f"{type(error).__name__}: {error}"

    assert said(rendered) == said(by_liquid)
