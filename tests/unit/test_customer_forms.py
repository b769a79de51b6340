"""Public forms: what may be defined, what answers come to, and what is promised once."""

from collections.abc import Sequence
from typing import Any

import pytest

from services.customer.api.form_words import WORDS, language_of, text_of
from services.customer.domain.configuration.catalogue import Archive, Define, Restore
from services.customer.domain.configuration.chosen import Configuration
from services.customer.domain.configuration.fields import FIELDS
from services.customer.domain.configuration.forms import FORMS
from services.customer.domain.filling import Agreed, Answers, answers_of
from services.customer.domain.promising import PROMISE, PROMISE_CLAIMS, Promise, promise_stream
from services.customer.domain.referring import check_form_references
from shared.decider import NewEvent, Refused
from shared.events.configuration import Choice, FieldDefined
from shared.events.forms import (
    FormArchived,
    FormConsent,
    FormDefined,
    FormField,
    FormPromise,
    FormPromiseGiven,
    FormRestored,
)
from shared.eventstore import Claim, ClaimChange
from shared.identifiers import IdentifierRules
from shared.testing import DAY, given

RULES = IdentifierRules(bytes(32), "DE")
EMAIL = FormField(attribute="email", titles={"en": "E-mail"}, required=True)
NEWS = FormConsent(
    topic="marketing", channel="email", wording="1", texts={"en": "Yes."}, required=True
)


def form(**changes: object) -> FormDefined:
    fields: dict[str, Any] = {
        "form": "subscribe",
        "titles": {"en": "News"},
        "fields": (EMAIL,),
        "consents": (NEWS,),
        "confirmation": "email",
    }
    return FormDefined(**{**fields, **changes})


def asking(*attributes: str) -> tuple[FormField, ...]:
    return (EMAIL, *(FormField(attribute=each, titles={"en": each}) for each in attributes))


def test_a_form_is_defined_archived_and_restored() -> None:
    define = Define("subscribe", form(), DAY)
    given(FORMS).when(define).then([form()])
    given(FORMS, [form()]).when(define).then_nothing()
    given(FORMS, [form()]).when(Archive("subscribe", DAY)).then([FormArchived(form="subscribe")])
    archived = [form(), FormArchived(form="subscribe")]
    given(FORMS, archived).when(Restore("subscribe", DAY)).then([FormRestored(form="subscribe")])
    given(FORMS, archived).when(define).then_refused("archived")
    assert FORMS.fold([*archived, FormRestored(form="subscribe")]).lives("subscribe")


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"fields": ()}, "fields"),
        ({"fields": (EMAIL, EMAIL)}, "fields"),
        ({"fields": asking("shoe")}, "fields.1.attribute"),
        ({"fields": (FormField(attribute="name", titles={}),)}, "confirmation"),
        (
            {"fields": (FormField(attribute="name", titles={}),), "confirmation": "none"},
            "fields",
        ),
        (
            {"promise": FormPromise(coupon="X", titles={"en": "x"}), "confirmation": "none"},
            "promise",
        ),
        ({"consents": (NEWS, NEWS)}, "consents"),
        ({"consents": (NEWS,) * 11}, "consents"),
    ],
)
def test_a_form_that_cannot_be_answered_is_refused(changes: dict[str, Any], field: str) -> None:
    given(FORMS).when(Define("subscribe", form(**changes), DAY)).then_refused("invalid", field)


def test_a_wording_that_was_used_keeps_its_texts_for_ever() -> None:
    other = NEWS.model_copy(update={"texts": {"en": "Yes, all of it."}})
    without = form(consents=())
    command = Define("subscribe", form(consents=(other,)), DAY)
    given(FORMS, [form(), without]).when(command).then_refused("invalid", "consents.0.wording")
    newer = other.model_copy(update={"wording": "2"})
    given(FORMS, [form()]).when(Define("subscribe", form(consents=(newer,)), DAY)).then(
        [form(consents=(newer,))]
    )


def chain(*fields: FieldDefined) -> Configuration:
    return Configuration(fields=FIELDS.fold(fields))


def custom(name: str, kind: Any, **more: object) -> FieldDefined:  # noqa: ANN401 - any kind of field
    return FieldDefined.model_validate(
        {"field": name, "titles": {"en": name}, "kind": kind, "group": "basic", "purpose": "p"}
        | more
    )


def test_a_form_asks_only_for_fields_that_take_values() -> None:
    for configuration in (chain(), chain(custom("pets", "money"))):
        with pytest.raises(Refused) as refused:
            check_form_references(form(fields=asking("custom.pets")), configuration)
        assert [error.field for error in refused.value.errors] == ["fields.1.attribute"]
    check_form_references(form(fields=asking("custom.pets")), chain(custom("pets", "number")))


CHOICES = (Choice(name="cat", titles={"en": "Cat"}), Choice(name="dog", titles={"en": "Dog"}))
EVERYTHING = (
    custom("size", "number", decimals=1),
    custom("vip", "yes_no"),
    custom("pet", "list", choices=CHOICES),
    custom("pets", "multi_list", choices=CHOICES),
    custom("since", "date"),
    custom("note", "text"),
)
ASKED = asking(
    "phone", "name", "birth_date", "gender", *(f"custom.{each.field}" for each in EVERYTHING)
)


def read(raw: dict[str, Sequence[str]]) -> Answers:
    sent = {"email": ["Anna@Example.com "], "consent.marketing.email.1": ["yes"], **raw}
    return answers_of(form(fields=ASKED), chain(*EVERYTHING), sent, RULES, DAY.date())


def test_answers_are_read_into_the_one_form_that_records_have() -> None:
    assert read(
        {
            "phone": ["030 123456"],
            "name": [" Anna "],
            "birth_date": ["1980-02-29"],
            "gender": ["female"],
            "custom.size": ["38,5"],
            "custom.vip": ["yes"],
            "custom.pet": ["dog"],
            "custom.pets": ["dog", "cat"],
            "custom.since": ["2017-01-31"],
            "custom.note": [""],
            "unknown": ["x"],
        }
    ) == Answers(
        fields={"name": "Anna", "birth_date": "1980-02-29", "gender": "female"},
        custom={
            "size": 385, "vip": True, "pet": "dog", "pets": ("cat", "dog"), "since": "2017-01-31",
        },
        email="anna@example.com",
        phone="+4930123456",
        consents=(Agreed("marketing", "email", "1"),),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("raw", "fields"),
    [
        ({"email": [" "]}, ["email"]),
        ({"email": ["nobody"]}, ["email"]),
        ({"phone": ["abc"]}, ["phone"]),
        ({"name": ["x" * 201]}, ["name"]),
        ({"name": ["a\x00b"]}, ["name"]),
        ({"birth_date": ["29.02.1980"]}, ["birth_date"]),
        ({"birth_date": ["2980-02-28"]}, ["birth_date"]),
        ({"gender": ["other"]}, ["gender"]),
        ({"consent.marketing.email.1": ["no"]}, ["consent.marketing.email.1"]),
        ({"custom.size": ["38.55"]}, ["custom.size"]),
        ({"custom.size": ["many"]}, ["custom.size"]),
        ({"custom.size": ["nan"]}, ["custom.size"]),
        ({"custom.pet": ["cow"]}, ["custom.pet"]),
        ({"custom.pets": ["dog", "cow"]}, ["custom.pets"]),
        ({"custom.since": ["soon"]}, ["custom.since"]),
        ({"custom.note": ["x" * 2001]}, ["custom.note"]),
        (
            {"email": [], "phone": ["abc"], "consent.marketing.email.1": []},
            ["email", "phone", "consent.marketing.email.1"],
        ),
    ],
)
def test_each_wrong_answer_is_named(raw: dict[str, Sequence[str]], fields: list[str]) -> None:
    with pytest.raises(Refused) as refused:
        read(raw)
    assert [error.field for error in refused.value.errors] == fields


def test_a_field_that_is_gone_meanwhile_is_not_asked_any_more() -> None:
    sent = {"email": ["a@example.com"], "consent.marketing.email.1": ["yes"], "custom.note": ["x"]}
    with pytest.raises(Refused) as refused:
        answers_of(form(fields=ASKED), chain(), sent, RULES, DAY.date())
    assert [error.field for error in refused.value.errors] == ["custom.note"]


def test_a_promise_is_given_once_to_a_customer_and_once_to_an_address() -> None:
    command = Promise("subscribe", "HELLO-5", "anna", "hash", DAY)
    event = NewEvent(FormPromiseGiven(form="subscribe", coupon="HELLO-5"), DAY)
    given(PROMISE).when(command).then([event])
    given(PROMISE, [event.data]).when(command).then_nothing()
    assert PROMISE_CLAIMS.ids(command) == ["promise-subscribe|hash"]
    assert PROMISE_CLAIMS.changes(command, [event]) == [
        ClaimChange("promise-subscribe|hash", 0, "anna")
    ]
    claim = Claim("promise-subscribe|hash", "boris", 1)
    taken = PROMISE_CLAIMS.given(command, {claim.id: claim})
    given(PROMISE).when(taken).then_nothing()
    # An erase lets the claim go: the address is free again.
    free = PROMISE_CLAIMS.given(command, {claim.id: Claim(claim.id, None, 2)})
    given(PROMISE).when(free).then([event])
    assert PROMISE_CLAIMS.changes(free, [event]) == [ClaimChange(claim.id, 2, "anna")]
    assert promise_stream("subscribe", "anna") != promise_stream("subscribe", "boris")


def test_pages_speak_the_language_that_is_asked_for() -> None:
    assert language_of("ru", "en") == "ru"
    assert language_of(None, "de-DE, ru;q=0.8, en;q=0.5") == "ru"
    assert language_of("xx", "") == "en"
    assert WORDS["en"].keys() == WORDS["ru"].keys()
    assert text_of({"ru": "Да", "en": "Yes"}, "ru") == "Да"
    assert text_of({"de": "Ja"}, "ru") == "Ja"


def test_a_tick_is_for_the_words_that_were_shown() -> None:
    newer = NEWS.model_copy(update={"wording": "2", "texts": {"en": "Yes, all of it."}})
    sent = {"email": ["anna@example.com"], "consent.marketing.email.1": ["yes"]}
    with pytest.raises(Refused) as refused:
        # The form was changed after it was shown.
        answers_of(form(consents=(newer,)), chain(), sent, RULES, DAY.date())
    assert [error.field for error in refused.value.errors] == ["consent.marketing.email.2"]
    optional = newer.model_copy(update={"required": False})
    found = answers_of(form(consents=(optional,)), chain(), sent, RULES, DAY.date())
    assert found.consents == ()


@pytest.mark.parametrize("text", ["9E+999999", "1E+99999999999999999", "9" * 10_000, "1e-999999"])
def test_a_number_that_nobody_means_is_no_number(text: str) -> None:
    with pytest.raises(Refused) as refused:
        read({"custom.size": [text]})
    assert [error.field for error in refused.value.errors] == ["custom.size"]
