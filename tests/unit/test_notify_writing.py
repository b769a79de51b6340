"""Writing: what can be sent is known when it is defined, and links lead where they led then."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from services.notify.content import Link, LinkKind, LinkTokens
from services.notify.domain import Campaign
from services.notify.handlers.books.campaigns import Entry, Version
from services.notify.handlers.letters.writing import (
    Stationery,
    Writing,
    check,
    person_of,
    target_of,
)
from services.notify.main import stationery_of
from services.notify.projections import Recipient
from shared.decider import Refused
from shared.events.campaign import Broadcast, CampaignDefined, Template
from tests.unit.test_channel_parts import settings_of

NOW = datetime(2018, 1, 2, tzinfo=UTC)
MESSAGE = "0193d2c5-1c5b-5c1e-9b5c-0193d2c51c5b"
PAGE = (
    "<mjml><mj-body><mj-section><mj-column><mj-text>{{ customer.name }}"
    "</mj-text></mj-column></mj-section></mj-body></mjml>"
)


def _defined(text: str, channel: str = "sms", **more: object) -> CampaignDefined:
    return CampaignDefined.model_validate(
        {
            "campaign": "coupons",
            "title": "Coupons",
            "trigger": Broadcast(segment="coupon"),
            "channel": channel,
            "topic": "marketing",
            "template": Template(subject="s", text=text),
            "start": NOW,
            "holdout_percent": 0,
            **more,
        }
    )


def test_an_sms_of_too_many_messages_is_refused_with_its_alphabet() -> None:
    # 153 letters in each of several messages: ten hold 1,530.
    check(_defined("a" * 1_530))
    with pytest.raises(Refused) as caught:
        check(_defined("a" * 1_531))
    (error,) = caught.value.errors
    assert (error.field, error.message) == ("template.text", "is 11 SMS, at most 10: gsm-7")
    # 67 in each, once a letter is of no default alphabet.
    with pytest.raises(Refused, match="invalid"):
        check(_defined("ы" * 671))
    check(_defined("a" * 1_531, channel="email"))
    with pytest.raises(Refused, match="invalid"):
        check(_defined("a" * 1_531, channel="email", fallback=("sms",)))


def test_a_link_leads_where_the_definition_led_that_held_when_it_was_written() -> None:
    first = Version(1, NOW, _defined("https://a.example https://b.example"))
    second = Version(4, NOW, _defined("https://c.example"))
    entry = Entry("coupons", Campaign(), None, (first, second))

    def leads(version: int, number: int) -> str | None:
        return target_of(entry, Link(LinkKind.CLICK, MESSAGE, version, number))

    assert leads(0, 0) is None
    assert [leads(1, number) for number in range(3)] == [
        "https://a.example",
        "https://b.example",
        None,
    ]
    assert leads(3, 1) == "https://b.example"
    assert (leads(4, 0), leads(9, 0), leads(4, 1)) == (
        "https://c.example",
        "https://c.example",
        None,
    )


def _writing(channel: str, stationery: Stationery, name: str | None = "Anna") -> Writing:
    template = Template(subject="s", text="{{ customer.name }}", mjml=PAGE)
    person = person_of(Recipient(id="anna", name=name, language="en"))
    return Writing(template, channel, person, stationery, stationery.links(MESSAGE, 7, NOW))


def test_only_a_mail_has_markup() -> None:
    mail, sms = _writing("email", Stationery()), _writing("sms", Stationery())
    assert [mail.works(), sms.works()] == [True, True]
    assert "Anna" in str(mail.html)
    assert sms.html is None


def test_what_lacks_a_value_does_not_work_and_says_nothing() -> None:
    writing = _writing("email", Stationery(), name=" ")
    assert not writing.works()
    assert (writing.rendered, writing.html) == (None, None)


def test_a_way_out_is_there_where_links_have_an_address() -> None:
    tokens = LinkTokens(b"s" * 32)
    writing = _writing("email", Stationery(tokens, "https://shop.example"))
    assert writing.unsubscribe is not None
    token = writing.unsubscribe.removeprefix("https://shop.example/m/")
    assert tokens.read(token, NOW) == Link(LinkKind.UNSUBSCRIBE, MESSAGE, 7)
    assert _writing("email", Stationery(tokens)).unsubscribe is None
    assert _writing("email", Stationery(None, "https://shop.example")).unsubscribe is None


def test_links_of_the_service_go_out_where_it_is_said_who_answers_them(tmp_path: Path) -> None:
    settings = settings_of(tmp_path, public_url="https://shop.example", currency="EUR")
    stationery = stationery_of(settings, b"s" * 32)
    links = stationery.links(MESSAGE, 7, NOW)
    assert links is not None
    assert links.own()["unsubscribe"].startswith("https://shop.example/m/")
    assert stationery.currency == "EUR"
    assert stationery_of(settings_of(tmp_path), b"s" * 32).links(MESSAGE, 7, NOW) is None


def test_a_person_is_what_the_recipient_is_and_what_is_known_besides() -> None:
    anna = Recipient(id="anna", name="Anna", city="Riga", birth_date="1990-05-17", language="lv")
    person = person_of(anna, {"links.unsubscribe": "https://shop.example/m/x"})
    assert person.language == "lv"
    assert person.values["customer.birth_date"] == "1990-05-17"
    assert person.values["links.unsubscribe"] == "https://shop.example/m/x"
    assert "Anna" not in repr(person)
