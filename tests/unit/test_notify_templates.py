"""Templates: personal where something is known, an error where it is not, and never runaway."""

import time
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.notify.content.templates import (
    FIELDS,
    FILTERS,
    MAX_OUTPUT_BYTES,
    Rendered,
    TemplateError,
    check,
    render,
)
from shared.decider import Refused


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Hello", "Hello"),
        ("Hello {{ customer.name }}", "Hello Anna"),
        ("Hello {{ customer.patronymic | default: 'friend' }}", "Hello friend"),
        ("{% if customer.patronymic %}Dear{% else %}Hi{% endif %}", "Hi"),
        ("{% if customer.language == 'ru' %}Привет{% else %}Hi{% endif %}", "Hi"),
        ("{% assign who = customer.name | upcase %}{{ who }}!", "ANNA!"),
        ("{% for i in (1..3) %}{{ i }}{% endfor %}", "123"),
        ("{{ customer.name | replace: 'n', 'm' }}", "Amma"),
        ("<b>{{ customer.name }}</b>", "<b>Anna</b>"),
    ],
)
def test_what_is_known_is_said(text: str, expected: str) -> None:
    check("s", text)
    customer = {"name": "Anna", "patronymic": None, "language": "en", "surname": ""}
    assert render("s", text, customer).text == expected


@pytest.mark.parametrize(
    "text",
    [
        "Hello {{ customer.surname }}",
        "{{ customer.surname | upcase }}",
        "{{ 'a' | append: customer.surname }}",
        "{% assign who = customer.surname %}{{ who }}",
        "{% for c in customer.surname %}x{% endfor %}",
    ],
)
def test_a_hole_is_an_error(text: str) -> None:
    check("s", text)
    for surname in (None, ""):
        with pytest.raises(TemplateError):
            render("s", text, {"name": "Anna", "surname": surname})


def test_an_error_repeats_nothing_of_the_customer() -> None:
    with pytest.raises(TemplateError) as caught:
        render("s", "{{ customer.name | append: customer.surname }}", {"name": "Secretive"})
    assert "Secretive" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_subject_is_one_line() -> None:
    assert render("Hi\r\nBcc: {{ customer.name }}\n", "t", {"name": "A\r\nB"}) == Rendered(
        "Hi Bcc: A B", "t"
    )
    with pytest.raises(TemplateError):
        render("{% if customer.name %}Hi{% endif %}", "t", {})


@pytest.mark.parametrize(
    ("subject", "text", "field"),
    [
        ("", "t", "template.subject"),
        ("s", "", "template.text"),
        ("s" * 501, "t", "template.subject"),
        ("s", "{% if %}", "template.text"),
        ("s", "a\n{{ x y", "template.text"),
        ("s", "{{ customer.phone }}", "template.text"),
        ("s", "{{ customer }}", "template.text"),
        ("s", "{{ now }}", "template.text"),
        ("s", "{% include 'secret' %}", "template.text"),
        ("s", "{% render 'secret' %}", "template.text"),
        ("s", "{{ (1..9) | join: ',' }}", "template.text"),
        ("s", "{{ 'now' | date: '%Y' }}", "template.text"),
        ("s", "{% for i in (1..1000000) %}x{% endfor %}", "template"),
    ],
)
def test_a_wrong_template_is_refused_when_it_is_defined(
    subject: str, text: str, field: str
) -> None:
    with pytest.raises(Refused) as caught:
        check(subject, text)
    assert [error.field for error in caught.value.errors] == [field]


GROWN = (
    "{{% assign x = 'aaaaaaaaaa' %}}"
    "{{% for i in (1..{}) %}}{{% assign x = x | append: x %}}{{% endfor %}}"
)
"""Doubles ten letters so many times."""


@pytest.mark.parametrize(
    "text",
    [
        "{% for i in (1..999999999) %}{% endfor %}",
        "{% for i in (1..1000) %}{% for j in (1..1000) %}{{ i }}{% endfor %}{% endfor %}",
        "{% for i in (1..140) %}{% for j in (1..140) %}{{ i }}{{ j }}{% endfor %}{% endfor %}",
        GROWN.format(60) + "{{ x }}",
        GROWN.format(10) + "{{ x | replace: 'a', x | replace: 'a', x }}",
        "{% capture x %}{% for i in (1..9000) %}" + 28 * "a" + "{% endfor %}{% endcapture %}",
        "{% if true %}" * 40 + "{% endif %}" * 40,
        "{{ 'a' | truncate: 99999999999999999999999999 }}" * 3,
    ],
)
def test_a_runaway_template_ends_soon_with_an_error_or_with_little(text: str) -> None:
    began = time.perf_counter()
    with suppress(TemplateError):
        assert len(render("s", text, FIELDS).text) <= MAX_OUTPUT_BYTES
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
@given(st.one_of(st.text(max_size=60), st.lists(PIECES, max_size=40).map(" ".join)))
def test_whatever_is_written_is_rendered_or_refused(text: str) -> None:
    with suppress(Refused):
        check("s", text)
    with suppress(TemplateError):
        render("s", text, {})
