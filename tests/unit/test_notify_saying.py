"""Words for a customer: in the language and for the channel, with defaults, or not at all."""

from datetime import UTC, datetime

import pytest

from services.notify.content import (
    LinkTokens,
    Person,
    Signed,
    TemplateError,
    Value,
    check,
    missing,
    samples,
    say,
    script_of,
)
from shared.decider import Refused
from shared.events.campaign import Default, Template, Version

MESSAGE = "0193d2c5-1c5b-5c1e-9b5c-0193d2c51c5b"
TEMPLATE = Template(
    subject="News",
    text="Hello",
    language="en",
    versions=(
        Version(channel="sms", text="Hello by SMS"),
        Version(language="ru", subject="Новости", text="Привет"),
        Version(language="ru", channel="sms", text="Привет по SMS"),
        Version(language="pt-BR", text="Olá"),
    ),
)


def _text(template: Template, language: str | None, channel: str = "email") -> str:
    return say(template, channel, Person({}, language)).text


@pytest.mark.parametrize(
    ("language", "channel", "text"),
    [
        ("en", "email", "Hello"),
        ("en-GB", "email", "Hello"),
        ("ru", "email", "Привет"),
        ("ru-RU", "email", "Привет"),
        ("RU", "sms", "Привет по SMS"),
        ("ru", "push", "Привет"),
        ("pt", "email", "Olá"),
        ("pt-BR", "sms", "Olá"),
        # Nobody wrote in these: what is said first is for everybody.
        ("fr", "email", "Hello"),
        ("fr", "sms", "Hello by SMS"),
        (None, "email", "Hello"),
        ("no language at all", "email", "Hello"),
    ],
)
def test_words_are_in_the_language_and_for_the_channel(
    language: str | None, channel: str, text: str
) -> None:
    check(TEMPLATE)
    assert _text(TEMPLATE, language, channel) == text


def test_a_version_without_a_subject_has_that_of_the_template() -> None:
    assert say(TEMPLATE, "email", Person({}, "pt")).subject == "News"
    assert say(TEMPLATE, "email", Person({}, "ru")).subject == "Новости"


@pytest.mark.parametrize(
    ("words", "wish", "expected"),
    [
        # As the words are, in the customer's country.
        ("en", "en-GB", "17 May"),
        ("en", None, "May 17"),
        ("en", "ru", "May 17"),
        (None, "ru", "17 мая"),
        (None, None, "May 17"),
        (None, "no language at all", "May 17"),
    ],
)
def test_dates_are_written_in_the_language_of_the_words(
    words: str | None, wish: str | None, expected: str
) -> None:
    template = Template(subject="s", text="{{ customer.birth_date | date: 'day' }}", language=words)
    values = {"customer.birth_date": "1990-05-17"}
    assert say(template, "email", Person(values, wish)).text == expected


GREETING = Template(
    subject="Hi {{ customer.name }}",
    text="Dear {{ customer.name }} {{ customer.surname }}",
    defaults=(Default(field="customer.name", text="friend"),),
)


UNSEEN = ["\u200b", "\u00ad\u2060", "\ufeff ", "\u2800", "\u3164", "\x00", "\u034f\ufe0f"]


@pytest.mark.parametrize("name", [None, "", "  ", "\n", *UNSEEN])
def test_what_is_missing_has_its_declared_default(name: str | None) -> None:
    check(GREETING)
    values = {"customer.name": name, "customer.surname": "Smith"}
    found = say(GREETING, "email", Person(values))
    assert (found.subject, found.text) == ("Hi friend", "Dear friend Smith")
    assert missing(GREETING, "email", Person(values)) == ()


@pytest.mark.parametrize("surname", [None, "", "  ", *UNSEEN])
def test_what_is_missing_without_a_default_is_an_error_and_never_a_hole(
    surname: str | None,
) -> None:
    person = Person({"customer.name": "Anna", "customer.surname": surname})
    with pytest.raises(TemplateError):
        say(GREETING, "email", person)
    assert missing(GREETING, "email", person) == ("customer.surname",)


@pytest.mark.parametrize("name", ["An\u00adna", "Zoë", "\u0645\u06cc\u200c\u0631", "ﾡ", "😀\ufe0f"])
def test_a_name_of_which_something_can_be_seen_is_said_as_it_is(name: str) -> None:
    person = Person({"customer.name": name, "customer.surname": "Smith"})
    assert say(GREETING, "email", person).text == f"Dear {name} Smith"


def test_a_control_character_in_a_name_is_a_space() -> None:
    person = Person({"customer.name": "\x00Anna\r\nMaria\x1b", "customer.surname": "Smith"})
    assert say(GREETING, "email", person).text == "Dear Anna  Maria Smith"


def test_a_date_that_is_none_is_missing() -> None:
    template = Template(subject="s", text="{{ customer.birth_date }}")
    with pytest.raises(TemplateError):
        say(template, "email", Person({"customer.birth_date": "--05-17"}))


def test_a_subject_is_one_line() -> None:
    template = Template(subject="Hi\r\nBcc: {{ customer.name }}\n", text="t")
    assert say(template, "email", Person({"customer.name": "A\r\nB"})).subject == "Hi Bcc: A B"
    asking = Template(subject="{% if customer.name %}Hi{% endif %}", text="t")
    with pytest.raises(TemplateError):
        say(asking, "email", Person({}))


def _signed() -> Signed:
    at = datetime(2026, 3, 1, tzinfo=UTC)
    return Signed(LinkTokens(b"s" * 32), "https://shop.example", MESSAGE, 7, at)


def test_links_that_are_the_same_for_all_are_signed_and_counted_by_number() -> None:
    template = Template(
        subject="s",
        text="See https://a.example/x?a=1&b=2. Or https://b.example, "
        "https://a.example/?n={{ customer.name }} (https://b.example)",
        versions=(Version(language="ru", text="https://c.example и https://b.example"),),
    )
    assert script_of(template).links == (
        "https://a.example/x?a=1&b=2",
        "https://b.example",
        "https://c.example",
    )
    links = _signed()
    first, second, third = (links.tracked(number) for number in range(3))
    person: dict[str, Value | None] = {"customer.name": "Anna"}
    assert say(template, "sms", Person(person), links=links).text == (
        f"See {first}. Or {second}, https://a.example/?n=Anna ({second})"
    )
    assert say(template, "sms", Person(person, "ru"), links=links).text == f"{third} и {second}"
    # Without an address of our own they stay as they are.
    assert (
        say(template, "sms", Person(person, "ru")).text == "https://c.example и https://b.example"
    )


def test_a_mail_has_signed_links_and_is_counted_when_it_is_opened() -> None:
    mjml = (
        "<mjml><mj-body><mj-section><mj-column><mj-text>"
        "<a href='https://a.example/?a=1&amp;b=2'>a</a> <a href='{{ links.preferences }}'>b</a>"
        "</mj-text></mj-column></mj-section></mj-body></mjml>"
    )
    template = Template(subject="s", text="", mjml=mjml)
    check(template)
    links = _signed()
    found = say(template, "email", Person({}), links=links)
    assert found.html is not None
    assert f'<a href="{links.tracked(0)}">a</a>' in found.html
    assert f'<a href="{links.own()["preferences"]}">b</a>' in found.html
    assert found.html.count(links.own()["pixel"]) == 1
    assert found.text == f"a ({links.tracked(0)}) b ({links.own()['preferences']})"
    assert script_of(template).links == ("https://a.example/?a=1&b=2",)


def test_samples_are_of_what_a_channel_can_use() -> None:
    assert [(path, said.text) for path, said in samples(TEMPLATE, "email")] == [
        ("template", "Hello"),
        ("template.versions.1", "Привет"),
        ("template.versions.3", "Olá"),
    ]


def _wrong(template: Template) -> list[str]:
    with pytest.raises(Refused) as caught:
        check(template)
    return [error.field for error in caught.value.errors]


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
        ("s", "{{ tracked[0] }}", "template.text"),
        ("s", "{{ links.pixel }}", "template.text"),
        ("s", "{{ now }}", "template.text"),
        ("s", "{% for i in (1..1000000) %}x{% endfor %}", "template"),
    ],
)
def test_a_wrong_template_is_refused_when_it_is_defined(
    subject: str, text: str, field: str
) -> None:
    assert _wrong(Template(subject=subject, text=text)) == [field]


@pytest.mark.parametrize(
    ("version", "field"),
    [
        (Version(language="ru", text="{{ x }}"), "template.versions.0.text"),
        (Version(language="ru"), "template.versions.0.text"),
        (Version(language="ru", subject="{% if %}", text="t"), "template.versions.0.subject"),
        (Version(language="ru", mjml="<mjml>"), "template.versions.0.mjml"),
        (Version(language="qqq-none", text="t"), "template.versions.0.language"),
        (Version(text="t"), "template.versions.0"),
        (Version(language="en", text="t"), "template.versions.0"),
    ],
)
def test_a_wrong_version_is_refused_by_its_place(version: Version, field: str) -> None:
    template = Template(subject="s", text="t", language="en", versions=(version,))
    assert _wrong(template) == [field]


def test_two_versions_for_the_same_people_are_refused() -> None:
    same = (Version(language="ru", text="a"), Version(language="ru", text="b"))
    assert _wrong(Template(subject="s", text="t", versions=same)) == ["template.versions.1"]
    many = tuple(Version(language="ru", channel="sms", text="t") for _ in range(51))
    assert _wrong(Template(subject="s", text="t", versions=many))[0] == "template.versions"
    assert _wrong(Template(subject="s", text="t", language="qqq")) == ["template.language"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("customer.phone", "x"),
        ("links.unsubscribe", "https://x.example"),
        ("customer.name", " "),
        ("customer.name", "x" * 201),
        ("customer.birth_date", "soon"),
    ],
)
def test_a_default_is_a_value_of_something_that_may_be_missing(name: str, text: str) -> None:
    template = Template(subject="s", text="t", defaults=(Default(field=name, text=text),))
    assert _wrong(template) == [f"template.defaults.{name}"]


def test_a_template_has_so_many_links_at_most() -> None:
    text = " ".join(f"https://a.example/{number}" for number in range(251))
    assert _wrong(Template(subject="s", text=text)) == ["template"]
