"""Mails: laid out once, refused with the line, and never markup of what a customer is called."""

from contextlib import suppress
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.notify.content import Person, Said, TemplateError, check, say
from services.notify.content.blank import blank, in_one_line
from shared.decider import Refused
from shared.events.campaign import Template

MAIL = """<mjml>
  <mj-head>
    <mj-preview>For {{ customer.name }}</mj-preview>
    <mj-style>.warm { color: red; } @media (max-width: 100px) { .warm { color: blue; } }</mj-style>
  </mj-head>
  <mj-body>
    {% if customer.name %}
    <mj-section>
      <mj-column>
        <mj-text>Dear <b class="warm">{{ customer.name }}</b>,<br>come &amp; see
          <a href="https://shop.example/new?a=1&amp;b=2">what is new</a>
          <p>and <a href="https://shop.example/cart?code={{ customer.city }}">use it</a></p>
        </mj-text>
        <mj-image src="https://shop.example/a.png" alt="{{ customer.name }}" />
      </mj-column>
    </mj-section>
    {% endif %}
    <mj-section><mj-column>
      <mj-table>
        {% for i in (1..2) %}<tr><td>row {{ i }}</td></tr>{% endfor %}
      </mj-table>
      <mj-button href="https://shop.example/">Shop</mj-button>
      <mj-text><a href="{{ links.unsubscribe }}">No more of this</a></mj-text>
    </mj-column></mj-section>
  </mj-body>
</mjml>
"""
LINKS = {"links.unsubscribe": "https://shop.example/m/abc"}


def _template(mjml: str, text: str = "") -> Template:
    return Template(subject="News", text=text, mjml=mjml)


def _around(content: str) -> str:
    return (
        "<mjml><mj-body><mj-section><mj-column>"
        f"<mj-text>{content}</mj-text></mj-column></mj-section></mj-body></mjml>"
    )


def _said(mjml: str, **values: str) -> Said:
    found = {f"customer.{name}": value for name, value in values.items()}
    return say(_template(mjml), "email", Person({"customer.city": "A&B", **LINKS, **found}))


def _shown(mjml: str, **values: str) -> str:
    page = _said(mjml, **values).html
    assert page is not None
    return page


class Seen(HTMLParser):
    """The elements of a page with their attributes, and its text, as a browser sees them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, tuple[tuple[str, str | None], ...]]] = []
        self.text = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, tuple(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    @property
    def shape(self) -> list[tuple[str, tuple[str, ...]]]:
        return [(tag, tuple(name for name, _ in attributes)) for tag, attributes in self.elements]

    def values_of(self, tag: str, attribute: str) -> list[str | None]:
        return [dict(found).get(attribute) for each, found in self.elements if each == tag]


def test_a_mail_is_laid_out_with_its_values_and_its_styles_in_the_elements() -> None:
    check(_template(MAIL))
    page = _shown(MAIL, name="Anna")
    assert '<b class="warm" style="color: red;">Anna</b>' in page
    assert "@media (max-width: 100px)" in page
    seen = Seen(page)
    assert "For Anna" in seen.text
    assert "row 1" in seen.text
    assert "row 2" in seen.text
    assert "row 3" not in seen.text
    assert seen.values_of("img", "alt") == ["Anna"]
    assert seen.values_of("a", "href") == [
        "https://shop.example/new?a=1&b=2",
        "https://shop.example/cart?code=A%26B",
        "https://shop.example/",
        "https://shop.example/m/abc",
    ]


def test_a_branch_that_is_not_taken_is_not_there() -> None:
    page = _shown(MAIL.replace("For {{ customer.name }}", "For you"))
    assert "Dear" not in page
    assert "row 1" in page


def test_the_text_is_made_of_the_mail_where_there_is_none() -> None:
    assert _said(MAIL, name="Anna & <Co>").text == (
        "Dear Anna & <Co>,\n"
        "come & see what is new (https://shop.example/new?a=1&b=2)\n"
        "and use it (https://shop.example/cart?code=A%26B)\n"
        "\n"
        "Anna & <Co>\n"
        "\n"
        "row 1\n"
        "row 2\n"
        "\n"
        "Shop (https://shop.example/)\n"
        "\n"
        "No more of this (https://shop.example/m/abc)"
    )


def test_a_text_that_is_given_is_the_text() -> None:
    template = _template(MAIL, "Plain {{ customer.name }}")
    assert say(
        template, "email", Person({"customer.name": "<b>", **LINKS, "customer.city": "1"})
    ).text == ("Plain <b>")


@pytest.mark.parametrize(
    ("mjml", "wrong"),
    [
        ("", "has 1 to 100000 characters"),
        ("hello", "a text stands where none is shown, line 1"),
        ("<p>x</p>", "<p> cannot stand in <nothing>, line 1"),
        ("<mjml>\n<mj-body>\n", "<mj-body> is not closed, line 2"),
        ("<mjml>\n<mj-body>\n</mjml>", "</mjml> closes nothing: </mj-body> is due, line 3"),
        ("<mjml></mjml></mjml>", "</mjml> closes nothing: nothing is open, line 1"),
        ("<mjml></mjml><mjml></mjml>", "<mjml> cannot stand in <nothing>, line 1"),
        ("<mjml><mj-body>\n\ntext</mj-body></mjml>", "a text stands where none is shown, line 3"),
        (
            "<mjml>\n<mj-include path='/etc/passwd' /></mjml>",
            "<mj-include> is not known here, line 2",
        ),
        (
            "<mjml><mj-body>\n<mj-text>x</mj-text></mj-body></mjml>",
            "<mj-text> cannot stand in <mj-body>, line 2",
        ),
        (
            "<mjml><mj-head>{% if true %}{% endif %}</mj-head></mjml>",
            "a text stands where none is shown, line 1",
        ),
        (
            "<mjml><mj-head><mj-style>.a{color:{{ customer.name }}}</mj-style></mj-head></mjml>",
            "Liquid stands in a style, line 1",
        ),
        (_around("\n<script>alert(1)</script>"), "<script> is not known here, line 2"),
        (
            _around("<b onclick='x()'>x</b>"),
            "the attribute onclick of <b> is not known here, line 1",
        ),
        (_around("<form>x</form>"), "<form> is not known here, line 1"),
        (_around("\n\na < b"), "this `<` begins nothing known; a sign is written &lt;, line 3"),
        (
            _around("<b\ntitle=x>x</b>"),
            "this `<` begins nothing known; a sign is written &lt;, line 1",
        ),
        (
            _around("<b title={{ customer.name }}>x</b>"),
            "this `<` begins nothing known; a sign is written &lt;, line 1",
        ),
        (
            _around("<{{ customer.name }}>"),
            "this `<` begins nothing known; a sign is written &lt;, line 1",
        ),
        (
            _around("<b {{ customer.name }}>x</b>"),
            "this `<` begins nothing known; a sign is written &lt;, line 1",
        ),
        (
            _around("<b title='{% if customer.name %}x{% endif %}'>x</b>"),
            "a tag of Liquid stands in an attribute, line 1",
        ),
        (
            _around("<b style='color: {{ customer.name }}'>x</b>"),
            "the attribute style cannot hold a value of Liquid, line 1",
        ),
        (
            "<mjml><mj-head><mj-attributes><mj-all alt='{{ customer.name }}' />",
            "the attribute alt cannot hold a value of Liquid, line 1",
        ),
        (_around("<!-- {{ customer.name }} -->"), "there is Liquid in a comment, line 1"),
        (
            _around("{% raw %}{{ {% endraw %}<b title={{ customer.name }}>"),
            "captures, comments and raw texts are not known in mails",
        ),
        (
            _around("{% comment %}x{% endcomment %}"),
            "is no Liquid that is known here, line 1",
        ),
        (_around("&#123;&#123; customer.name }}"), "holds two braces that are no Liquid"),
        (_around("0qz1zq0"), "holds a text that is kept for marks"),
        *(
            (
                _around(f'\n<a href="{address}">x</a>'),
                "an address begins with https:// and its site, written out, line 2",
            )
            for address in (
                "javascript:alert(1)",
                "{{ customer.name }}",
                "https://{{ customer.name }}",
                "https://shop.example{{ customer.name }}",
                "https://shop.example:{{ customer.name }}",
                "https://a@{{ customer.name }}",
                "//shop.example",
                "shop.example",
                "ftp://shop.example/",
            )
        ),
    ],
)
def test_a_broken_mail_is_refused_with_its_line(mjml: str, wrong: str) -> None:
    with pytest.raises(Refused) as caught:
        check(_template(mjml))
    found = {error.field: error.message for error in caught.value.errors}
    assert found == {"template.mjml": wrong}


def test_liquid_over_several_lines_counts_for_the_lines_that_it_has() -> None:
    mjml = _around("\n{% if\n customer.name\n%}x{% endif %}\n<i>")
    with pytest.raises(Refused) as caught:
        check(_template(mjml))
    # The text begins in line 1, <i> stands four line ends later.
    assert [error.message for error in caught.value.errors] == [
        "</mj-text> closes nothing: </i> is due, line 5"
    ]


def test_a_mail_of_endless_rows_is_refused() -> None:
    rows = "{% for i in (1..5000) %}<p>a long row, a long row, a long row {{ i }}</p>{% endfor %}"
    with pytest.raises(Refused) as caught:
        check(_template(_around(rows)))
    assert [error.field for error in caught.value.errors] == ["template"]


WORDS = st.sampled_from(
    [
        *("<", ">", "</", "/>", "<b>", "</b>", "<a href=", "<img src=x onerror=alert(1)>", "<br>"),
        *("<p>", "</p>", "<i title=", "<script>", "</mj-text>", "<mj-text>", "<!--", "-->", "'"),
        *('"', "=", "&", "&lt;", "&#60;", "https://shop.example/", "javascript:", " ", "\n"),
        *("{{ customer.name }}", "{{ customer.surname | upcase }}", "{% if customer.name %}"),
        *("{% endif %}", "{% for i in (1..3) %}", "{% endfor %}", "{{", "}}", "{%", "%}", "x"),
        *("{% raw %}", "{% endraw %}", "{% assign x = customer.name %}", "{{ x }}", "href='"),
        *("{% capture x %}", "{% endcapture %}", "{% else %}", "{{ '<' }}", "{{ x | escape }}"),
    ]
)
VALUES = st.one_of(
    st.text(min_size=1, max_size=20).filter(lambda text: not blank(text)),
    st.lists(
        st.sampled_from(
            [
                *("<script>", "</script>", "<b>", "</div>", "</a>", "-->", "<!--", "]]>", "'", '"'),
                *(" onclick=x", "javascript:alert(1)", "{{ customer.surname }}", "{% if %}", "&"),
                *(
                    "&lt;b&gt;",
                    "<img src=x>",
                    "\n",
                    "a",
                    "</mj-text>",
                    "0qz0zq0",
                    "<!--0qz0zq0-->",
                ),
            ]
        ),
        min_size=1,
        max_size=6,
    )
    .map("".join)
    .filter(str.strip),
)


def _holds(template: Template, value: str) -> None:
    """A value changes nothing but texts."""
    with suppress(TemplateError):
        plain = say(template, "email", Person({"customer.name": "x", "customer.surname": "x"}))
        named = say(template, "email", Person({"customer.name": value, "customer.surname": value}))
        assert plain.html is not None
        assert named.html is not None
        assert Seen(named.html).shape == Seen(plain.html).shape


@settings(max_examples=150, deadline=None)
@given(st.lists(WORDS, max_size=14).map("".join), VALUES)
def test_whatever_is_written_a_value_is_never_markup(content: str, value: str) -> None:
    template = _template(_around(f"{content} {{{{ customer.name }}}}"))
    try:
        check(template)
    except Refused:
        return
    _holds(template, value)


@settings(max_examples=60, deadline=None)
@given(VALUES)
def test_no_value_is_markup_anywhere_in_a_mail(value: str) -> None:
    template = _template(
        _around(
            '<a href="https://shop.example/?q={{ customer.name }}" title="{{ customer.name }}">'
            "{{ customer.name }}</a>"
            "{% if customer.name %}<b title='{{ customer.surname | upcase }}'>{{ customer.name }}"
            "</b>{% endif %}"
        )
    )
    check(template)
    _holds(template, value)
    named = say(template, "email", Person({"customer.name": value, "customer.surname": value}))
    seen = Seen(named.html or "")
    first = seen.values_of("a", "href")[0]
    assert first is not None
    assert first.startswith("https://shop.example/?q=")
    assert seen.values_of("a", "title") == [in_one_line(value)]


@settings(max_examples=150, deadline=None)
@given(st.one_of(st.text(max_size=80), st.lists(WORDS, max_size=20).map("".join)))
def test_whatever_is_written_is_a_mail_or_refused(mjml: str) -> None:
    with suppress(Refused):
        check(_template(mjml))
    with suppress(Refused):
        check(_template(_around(mjml), mjml))
