"""Every kind of entry has its words, in both languages, and shows nothing that is sealed."""

import json
from collections.abc import Iterator
from pathlib import Path
from string import Formatter
from typing import Any, Literal, get_args, get_origin

import pytest
from babel.messages.catalog import Catalog
from pydantic import BaseModel

import services.interaction
from services.interaction.domain.timeline import (
    KINDS,
    MACHINERY,
    NOBODYS,
    NOBODYS_FAMILIES,
    WORDS,
    Form,
    Group,
    Kind,
    kept_of,
)
from services.interaction.domain.timeline.kinds import LONGEST_NAME, Saying, Shown, saying_of
from services.interaction.queries.sentences import sentence_of
from shared.events import EVENT_TYPES
from shared.events.contract import EACH, pii_paths
from shared.events.schema import EXAMPLES
from shared.wording import Languages, read_catalogue

LOCALES = Path(services.interaction.__file__).parent / "locales"
LANGUAGES = Languages.read(LOCALES)
BOTH = [LANGUAGES.wording("en", "USD"), LANGUAGES.wording("ru", "RUB")]
each_kind = pytest.mark.parametrize("name", list(KINDS))


@pytest.fixture(scope="module")
def russian() -> Catalog:
    return read_catalogue(LOCALES / "ru.po")


def examples(name: str) -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = json.loads((EXAMPLES / f"{name}.json").read_text())
    return events


def places(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name is not None}


def test_every_type_of_the_contract_has_a_sentence_or_concerns_nobody() -> None:
    nobodys = {
        name
        for name in EVENT_TYPES
        if name in NOBODYS or name.partition(".")[0] in NOBODYS_FAMILIES
    }
    assert EVENT_TYPES.keys() - KINDS.keys() - MACHINERY - nobodys == set()
    assert KINDS.keys() | MACHINERY | NOBODYS <= EVENT_TYPES.keys()
    assert not nobodys & (KINDS.keys() | MACHINERY)
    assert not KINDS.keys() & MACHINERY


@each_kind
def test_every_example_is_a_whole_sentence_in_both_languages(name: str) -> None:
    kind = KINDS[name]
    for event in examples(name):
        kept = kept_of(kind, event["data"], "anna")
        assert "{" not in kept.source
        for wording in BOTH:
            said = sentence_of(name, kept.said, wording)
            assert said
            assert not places(said)


@each_kind
def test_what_is_absent_or_new_still_makes_a_sentence(name: str) -> None:
    kind = KINDS[name]
    assert saying_of(kind, {}) == kind.sayings[-1]
    # The last sentence needs no more than what an event of the type always has.
    required = {key for key, info in EVENT_TYPES[name].model_fields.items() if info.is_required()}
    for place in kind.sayings[-1].places:
        assert kind.shows[place].path[0] in required


@each_kind
def test_fields_that_are_kept_are_fields_of_the_event(name: str) -> None:
    model, kind = EVENT_TYPES[name], KINDS[name]
    assert kind.fields <= model.model_fields.keys()
    for shown in kind.shows.values():
        if shown.path:
            assert list(_ends(model, shown.path)), shown.path
        for field in shown.among:
            assert list(_ends(model, (*shown.path, field)))
    if not isinstance(kind.channel, str):
        assert list(_ends(model, kind.channel))
    assert kind.fact == ("source_id" in model.model_fields)


@each_kind
def test_what_is_sealed_is_text_and_never_in_a_sentence(name: str) -> None:
    sealed, kind = set(pii_paths(EVENT_TYPES[name])), KINDS[name]
    assert set(kind.texts) <= sealed
    for shown in kind.shows.values():
        if shown.path:
            # Neither the value itself nor anything in it: but a number of them tells nothing.
            assert shown.count or not any(
                path[: len(shown.path)] == shown.path for path in sealed
            ), shown.path
    if not isinstance(kind.channel, str):
        assert kind.channel not in sealed


@each_kind
def test_every_place_of_a_sentence_is_shown_and_every_word_has_its_list(name: str) -> None:
    kind = KINDS[name]
    for saying in kind.sayings:
        assert saying.places <= kind.shows.keys()
        assert saying.when.keys() <= kind.shows.keys()
        assert (saying.many is None) == (saying.counted is None)
        if saying.counted is not None:
            assert saying.counted in saying.places
    for shown in kind.shows.values():
        assert (shown.form is Form.WORD) == bool(shown.words)
        assert not shown.words or shown.words in WORDS
    assert kind.amount is None or kind.shows[kind.amount].form is Form.MONEY


@each_kind
def test_every_word_that_the_contract_knows_is_in_its_list(name: str) -> None:
    for shown in KINDS[name].shows.values():
        if shown.form is not Form.WORD:
            continue
        assert set(shown.among) <= WORDS[shown.words].keys()
        if not shown.path:
            continue
        known = {
            value
            for annotation in _ends(EVENT_TYPES[name], shown.path)
            for value in _literals(annotation)
        }
        assert known <= WORDS[shown.words].keys(), shown.path


def test_every_group_is_of_some_kind() -> None:
    assert {kind.group for kind in KINDS.values()} == set(Group)


def test_the_catalogue_has_every_sentence_and_no_other(russian: Catalog) -> None:
    ours: set[tuple[str | None, str]] = {
        (None, saying.one) for kind in KINDS.values() for saying in kind.sayings
    }
    ours |= {(among, english) for among, words in WORDS.items() for english in words.values()}
    theirs = {
        (message.context, message.id if isinstance(message.id, str) else message.id[0])
        for message in russian
        if message.id
    }
    assert theirs == ours


def test_every_translation_is_there_in_all_its_forms(russian: Catalog) -> None:
    wrong = []
    plurals = {saying.one: saying.many for kind in KINDS.values() for saying in kind.sayings}
    for message in russian:
        if not message.id:
            continue
        pair = not isinstance(message.id, str)
        one = str(message.id[0] if pair else message.id)
        forms = [message.string] if isinstance(message.string, str) else list(message.string or ())
        right = len(forms) == (3 if pair else 1) and all(forms) and not message.fuzzy
        right = right and all(places(form) == places(one) for form in forms)
        if message.context is None:
            right = right and plurals[one] == (message.id[1] if pair else None)
        if not right:
            wrong.append(message.id)
    assert wrong == []


RECEIPT = "interaction.receipt_recorded.v1"
CALL = "interaction.call_recorded.v1"


@pytest.mark.parametrize(
    ("name", "data", "english", "russian"),
    [
        (
            RECEIPT,
            {"fact": "f", "total": 123_405, "lines": [{}, {}]},
            "Receipt for $1,234.05, 2 lines",
            "Чек на 1 234,05 ₽, 2 позиции",
        ),
        (
            RECEIPT,
            {"fact": "f", "total": 500, "lines": [{}]},
            "Receipt for $5.00, 1 line",
            "Чек на 5,00 ₽, 1 позиция",
        ),
        (
            RECEIPT,
            {"fact": "f", "total": 0, "lines": [{}] * 11},
            "Receipt for $0.00, 11 lines",
            "Чек на 0,00 ₽, 11 позиций",
        ),
        (
            "customer.changed.v1",
            {"surname": "x", "city": "y", "custom": {"size": "z"}, "cleared": ["custom.size"]},
            "Changed: surname, city, and own fields; cleared: size",
            "Изменено: фамилия, город и собственные поля; очищено: size",
        ),
        (
            "customer.discount_changed.v1",
            {"by": "person", "discount": 750},
            "Discount: 7.5%",
            "Скидка: 7,5 %",
        ),
        ("customer.discount_changed.v1", {"by": "person"}, "Discount withdrawn", "Скидка отменена"),
        (
            "customer.blacklisted.v1",
            {"until": "2018-01-05T20:30:00.000Z"},
            "Blacklisted until Jan 5, 2018, 8:30:00 PM",
            "В чёрном списке до 5 янв. 2018 г., 20:30:00",
        ),
        (
            CALL,
            {"fact": "f", "direction": "in", "answered": False, "seconds": 0},
            "Call from the customer, missed",
            "Входящий звонок, пропущен",
        ),
        (
            CALL,
            {"fact": "f", "direction": "out", "answered": True, "seconds": 150},
            "Call to the customer, 2 minutes",
            "Исходящий звонок, 2 минуты",
        ),
        (
            "interaction.visit_recorded.v1",
            {"fact": "f", "visit": "v", "state": "came by boat"},
            "Visit: came by boat",
            "Визит: came by boat",
        ),
        (
            "message.suppressed.v1",
            {"message": "m", "campaign": "spring", "reason": "no_consent"},
            "Message of spring not sent: no consent",
            "Сообщение кампании spring не отправлено: нет согласия",
        ),
        (
            "points.expired.v1",
            {"lot": "l", "points": 21},
            "21 points expired",
            "Сгорел 21 балл",
        ),
    ],
)
def test_sentences(name: str, data: dict[str, Any], english: str, russian: str) -> None:
    kept = kept_of(KINDS[name], data, "anna")
    said = [
        sentence_of(name, kept.said, wording).replace("\u00a0", " ").replace("\u202f", " ")
        for wording in BOTH
    ]
    assert said == [english, russian]


def test_braces_in_a_value_are_no_places() -> None:
    data = {"rule": "{0.__class__}", "title": "{rule}"}
    kept = kept_of(KINDS["customer.task_requested.v1"], data, "anna")
    said = sentence_of("customer.task_requested.v1", kept.said, BOTH[0])
    assert said == "The rule {0.__class__} asks for a task: {rule}"


def test_what_is_kept_of_an_event() -> None:
    data = {
        "fact": "f1",
        "survey": "s" * 500,
        "score": 4,
        "channel": "web",
        "text": "pii:v1:text",
        "answers": [{"question": "q", "answer": "pii:v1:a"}, {"question": "r", "score": 1}],
    }
    kept = kept_of(KINDS["interaction.survey_answered.v1"], data, "anna")
    assert kept.said == {"survey": "s" * (LONGEST_NAME - 1) + "…", "score": 4}
    # In the order in which they are read: what was written first, then the answers.
    assert kept.sealed == {"00": "pii:v1:text", "01": "pii:v1:a"}
    assert (kept.amount, kept.source, kept.channel) == (None, "/v1/facts/f1", "web")


def test_the_first_sentence_that_fits_is_said() -> None:
    kind = Kind(
        Group.NOTE,
        (
            Saying("{a} and {b}", when={"c": True}),
            Saying("{n} one", "{n} more", "n"),
            Saying("nothing"),
        ),
        {"a": Shown(("a",)), "b": Shown(("b",)), "c": Shown(("c",)), "n": Shown(("n",))},
    )
    assert saying_of(kind, {"a": 1, "b": 2, "c": True}) == kind.sayings[0]
    assert saying_of(kind, {"a": 1, "b": 2, "c": False, "n": 0}) == kind.sayings[1]
    assert saying_of(kind, {"a": 1, "c": True}) == kind.sayings[2]


def _ends(annotation: Any, path: tuple[str, ...]) -> Iterator[Any]:  # noqa: ANN401 - an annotation is any object
    """The annotations at a path of a model."""
    if not path:
        yield annotation
    elif isinstance(annotation, type) and issubclass(annotation, BaseModel):
        if path[0] in annotation.model_fields:
            yield from _ends(annotation.model_fields[path[0]].annotation, path[1:])
    elif get_origin(annotation) in (tuple, list, dict) and path[0] == EACH:
        yield from _ends(
            get_args(annotation)[-1 if get_origin(annotation) is dict else 0], path[1:]
        )
    else:
        for inner in get_args(annotation):
            if inner is not type(None):
                yield from _ends(inner, path)


def _literals(annotation: Any) -> Iterator[str]:  # noqa: ANN401 - an annotation is any object
    if get_origin(annotation) is Literal:
        yield from get_args(annotation)
    elif get_origin(annotation) is not dict:
        for inner in get_args(annotation):
            yield from _literals(inner)
