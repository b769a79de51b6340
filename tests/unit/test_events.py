"""The register of event types: named alike, each with its topic, personal fields optional."""

import importlib
import pkgutil
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated, Any

import pytest
from pydantic import BaseModel, TypeAdapter, ValidationError

import shared.events
from shared.events import (
    EVENT_TYPES,
    IMPORTING,
    TOPICS,
    published_by,
    topic_of,
)
from shared.events.contract import (
    EventData,
    Moment,
    Part,
    Pii,
    PiiValue,
    Sealed,
    pii_paths,
    show_moment,
)
from shared.events.customer import CustomerRegistered, Identifier
from shared.events.imports import BROADCAST
from shared.events.interaction import ReceiptRecorded

MODULES = [
    module
    for found in pkgutil.iter_modules(shared.events.__path__, "shared.events.")
    if hasattr(module := importlib.import_module(found.name), "EVENTS")
]
TYPES = sorted(EVENT_TYPES)
FORM = re.compile(r"[a-z]+(_[a-z]+)*\.[a-z]+(_[a-z]+)*\.v[1-9][0-9]*")


def test_every_event_of_every_module_is_registered_once() -> None:
    defined = [event for module in MODULES for event in module.EVENTS]
    assert len(EVENT_TYPES) == len(defined)
    assert set(EVENT_TYPES.values()) == set(defined)
    forgotten = [
        value
        for module in MODULES
        for value in vars(module).values()
        if isinstance(value, type)
        and issubclass(value, EventData)
        and value.__module__ == module.__name__
        and value not in defined
        and "type" in vars(value)
    ]
    assert forgotten == []


@pytest.mark.parametrize("name", TYPES)
def test_a_type_is_named_by_kind_of_thing_past_event_and_version(name: str) -> None:
    assert FORM.fullmatch(name)
    assert EVENT_TYPES[name].type == name
    assert (EVENT_TYPES[name].__doc__ or "").strip().endswith(".")


@pytest.mark.parametrize("name", TYPES)
def test_each_type_goes_to_a_topic_that_one_service_owns(name: str) -> None:
    if name.startswith("import."):
        # Whichever service imports, on a topic of its own.
        assert all(topic_of(name, service) in own for service, own in TOPICS.items())
    else:
        topics = {topic_of(name, service) for service in TOPICS}
        assert len(topics) == 1
        assert len([service for service in TOPICS if topics <= set(TOPICS[service])]) == 1


def test_the_topics_of_services_are_their_own() -> None:
    topics = [topic for own in TOPICS.values() for topic in own]
    assert len(set(topics)) == len(topics)
    assert topic_of("deal.opened.v1", "customer") == "deal.events.v1"
    assert topic_of("task.planned.v1", "interaction") == "interaction.events.v1"
    assert topic_of("import.ended.v1", "customer") == "customer.events.v1"
    with pytest.raises(KeyError):
        topic_of("weather.changed.v1", "customer")


def test_what_a_chain_defines_goes_where_its_customers_or_its_deals_go() -> None:
    for family in (
        "field", "category", "status", "directory", "branch", "employee", "automation", "form",
    ):  # fmt: skip
        assert topic_of(f"{family}.defined.v1", "customer") == "customer.events.v1"
    assert topic_of("pipeline.defined.v1", "customer") == "deal.events.v1"


def test_services_that_import_publish_the_begin_and_the_end_on_their_first_topic() -> None:
    for service, topics in TOPICS.items():
        published = published_by(service)
        imports_of = {topic: "import.ended.v1" in types for topic, types in published.items()}
        assert imports_of == {
            topic: service in IMPORTING and topic == topics[0] for topic in topics
        }


def test_only_the_end_of_an_import_goes_to_every_partition() -> None:
    assert {"import.ended.v1"} == BROADCAST


def fields(model: type[BaseModel]) -> Iterator[tuple[str, Any]]:
    for name, info in model.model_fields.items():
        yield f"{model.__name__}.{name}", info


@pytest.mark.parametrize("name", TYPES)
def test_a_personal_field_is_optional_since_it_may_be_erased(name: str) -> None:
    for field, info in fields(EVENT_TYPES[name]):
        if any(isinstance(mark, Sealed) for mark in info.metadata):
            assert not info.is_required(), field


class Address(Part):
    street: Pii | None = None
    city: str | None = None


class Everything(EventData):
    type = "test.everything.v1"
    one: Pii | None = None
    many: tuple[Pii, ...] = ()
    named: dict[str, PiiValue] | None = None
    part: Address | None = None
    parts: list[Address] | None = None
    deep: dict[str, tuple[Address, ...]] | None = None
    plain: Annotated[str, "no mark of ours"] = ""


def test_personal_fields_are_found_wherever_they_stand() -> None:
    assert pii_paths(Everything) == (
        ("one",),
        ("many", "*"),
        ("named", "*"),
        ("part", "street"),
        ("parts", "*", "street"),
        ("deep", "*", "*", "street"),
    )
    # What a source knows of somebody unknown, and what it adds of its own.
    assert pii_paths(ReceiptRecorded) == (
        ("identified_by", "value"),
        ("also", "*", "value"),
        ("extra", "*"),
    )


def test_events_cannot_be_changed() -> None:
    event = CustomerRegistered(surname="x")
    with pytest.raises(ValidationError, match="frozen"):
        event.surname = "y"  # type: ignore[misc]  # that it cannot is what is tested


def test_a_field_that_came_later_is_passed_over() -> None:
    identifier = {"kind": "card", "hash": "aa", "epoch": 1, "shade": "blue"}
    read = CustomerRegistered.model_validate({"identifiers": [identifier], "later": {"a": 1}})
    assert read.identifiers == (Identifier(kind="card", hash="aa", epoch=1),)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("2018-01-02T00:00:00Z", "2018-01-02T00:00:00.000Z"),
        ("2018-01-02T02:00:00.9999+03:00", "2018-01-01T23:00:00.999Z"),
        ("0900-01-02T00:00:00Z", "0900-01-02T00:00:00.000Z"),
    ],
)
def test_moments_are_shown_in_one_form(text: str, shown: str) -> None:
    adapter: TypeAdapter[datetime] = TypeAdapter(Moment)
    moment = adapter.validate_python(text)
    assert adapter.dump_python(moment) == shown
    assert show_moment(moment) == shown
    assert moment.tzinfo is UTC


def test_a_moment_without_a_zone_is_refused() -> None:
    with pytest.raises(ValidationError, match="timezone"):
        TypeAdapter(Moment).validate_python("2018-01-02T00:00:00")


@pytest.mark.parametrize("value", ["text", 38, True, 0, False, ("cat", "dog"), "", "true", "1"])
def test_values_of_custom_fields_keep_their_kind(value: object) -> None:
    event = CustomerRegistered.model_validate({"custom": {"field": value}})
    again = CustomerRegistered.model_validate_json(event.model_dump_json(exclude_none=True))
    assert again.custom is not None
    kept = again.custom["field"]
    assert (type(kept), kept) == (type(value), value)
