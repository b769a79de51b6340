"""The public contract: schemas, examples and models say the same, now and later."""

import copy
import hashlib
import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]  # it publishes no types
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from shared.envelope import Causation, Placed, decode, decode_light, encode
from shared.events import EVENT_TYPES
from shared.events.contract import pii_paths
from shared.events.schema import EXAMPLES, breaches, committed, generated, run, text_of
from shared.keyring import ERASED, Keys, has_values, key_ids, unseal

Event = dict[str, Any]
TYPES = sorted(EVENT_TYPES)


def examples() -> Iterator[tuple[str, int]]:
    """Type and number of every example."""
    for path in sorted(EXAMPLES.glob("*.json")):
        for number in range(len(json.loads(path.read_text()))):
            yield path.stem, number


@cache
def _written(name: str) -> str:
    return (EXAMPLES / f"{name}.json").read_text()


def example(name: str, number: int) -> Event:
    event: Event = json.loads(_written(name))[number]
    return event


def keys_of(event: Event) -> Keys:
    """The keys that the examples were sealed with, once and for ever."""
    ids = key_ids(event["data"], pii_paths(EVENT_TYPES[event["type"]]))
    return {key_id: AESGCM(hashlib.sha256(f"example key of {key_id}".encode()).digest())
            for key_id in ids}  # fmt: skip


def opened(event: Event) -> Event:
    """A copy with its personal fields in the clear."""
    event = copy.deepcopy(event)
    unseal(event["data"], pii_paths(EVENT_TYPES[event["type"]]), keys_of(event))
    return event


every_example = pytest.mark.parametrize(("name", "number"), list(examples()))


def test_the_schemas_in_git_are_those_of_the_models() -> None:
    assert committed() == generated()
    assert run([]) == 0


def test_every_type_has_an_example_and_no_example_is_of_an_unknown_type() -> None:
    assert sorted({name for name, _ in examples()}) == TYPES


@pytest.mark.parametrize("name", TYPES)
def test_the_schema_of_each_type_is_one(name: str) -> None:
    jsonschema.Draft202012Validator.check_schema(committed()[name])


@every_example
def test_each_example_fits_its_schema(name: str, number: int) -> None:
    validator = jsonschema.Draft202012Validator(
        committed()[name], format_checker=jsonschema.FormatChecker()
    )
    assert [error.message for error in validator.iter_errors(example(name, number))] == []


@every_example
def test_each_example_ever_committed_is_read_and_written_again_as_it_was(
    name: str, number: int
) -> None:
    event = example(name, number)
    text = json.dumps(event)
    whole, light = decode(text), decode_light(text.encode())
    data = EVENT_TYPES[name].model_validate(event["data"])
    placed = Placed(
        data=data,
        service=whole.source.removeprefix("regulars/"),
        stream=light.stream,
        version=light.streamversion,
        time=light.time,
        recorded=light.recordedtime,
        causation=Causation(
            whole.correlationid, whole.causationid, whole.causedepth, whole.history
        ),
        subject=light.subject,
        branch=light.branch,
    )
    assert json.loads(encode(placed)) == event
    assert light.id == event["id"]


@every_example
def test_each_example_opens_and_its_redaction_is_still_an_event(name: str, number: int) -> None:
    event = example(name, number)
    paths = pii_paths(EVENT_TYPES[name])
    in_clear = opened(event)
    assert key_ids(in_clear["data"], paths) == set()
    EVENT_TYPES[name].model_validate(in_clear["data"])
    unseal(event["data"], paths, dict.fromkeys(keys_of(event), ERASED))
    assert not has_values(event["data"], paths)
    EVENT_TYPES[name].model_validate(event["data"])


def test_the_examples_of_a_person_say_what_was_sealed() -> None:
    data = opened(example("customer.registered.v1", 0))["data"]
    assert [identifier["value"] for identifier in data["identifiers"]] == [
        "anna@example.com", "+79990000001", "17",
    ]  # fmt: skip
    assert (data["surname"], data["birth_date"]) == ("Иванова", "1985-02-28")
    assert data["custom"] == {
        "shoe size": 38, "vip": True, "pets": ["cat", "dog"], "income: range": "50-74K",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("specversion",), "0.3"),
        (("type",), "customer.registered.v2"),
        (("source",), "elsewhere"),
        (("time",), "2017-12-01T09:30:00Z"),  # without milliseconds
        (("time",), "2017-12-01T12:30:00.000+03:00"),
        (("streamversion",), 0),
        (("subject",), None),
        (("data", "surname"), None),
        (("data", "identifiers", 0, "epoch"), 0),
        (("data", "identifiers", 0, "kind"), 7),
    ],
)
def test_a_schema_refuses_what_is_never_published(place: tuple[Any, ...], value: object) -> None:
    event = example("customer.registered.v1", 0)
    node: Any = event
    for step in place[:-1]:
        node = node[step]
    node[place[-1]] = value
    validator = jsonschema.Draft202012Validator(committed()["customer.registered.v1"])
    assert not validator.is_valid(event)


def changed(name: str, *path: str) -> tuple[Event, Any]:
    """A copy of a committed schema, and the node in it."""
    schema = copy.deepcopy(committed()[name])
    node: Any = schema
    for step in path:
        node = node[step]
    return schema, node


RECEIPT = "interaction.receipt_recorded.v1"
LINE = ("$defs", "ReceiptLine")


def test_an_optional_field_may_be_added_anywhere() -> None:
    schema, line = changed(RECEIPT, *LINE)
    line["properties"]["weight"] = {"type": "integer"}
    schema["properties"]["tenant"] = {"type": "string"}
    line["description"] = "said better"
    line["title"] = "Line"
    assert breaches(committed()[RECEIPT], schema) == []


def test_a_field_that_becomes_required_or_optional_breaks_subscribers() -> None:
    schema, line = changed(RECEIPT, *LINE)
    line["required"].append("discount")
    assert breaches(committed()[RECEIPT], schema) == ["$.data.lines[]: other fields are required"]
    line["required"] = ["product"]
    assert breaches(committed()[RECEIPT], schema) == ["$.data.lines[]: other fields are required"]


def test_a_field_that_goes_or_changes_its_type_breaks_subscribers() -> None:
    schema, line = changed(RECEIPT, *LINE)
    line["properties"]["amount"]["type"] = "number"
    del line["properties"]["coupon"]
    del schema["properties"]["branch"]
    assert breaches(committed()[RECEIPT], schema) == [
        "$.branch: is gone",
        "$.data.lines[].amount: was {'type': 'integer'}, is {'type': 'number'}",
        "$.data.lines[].coupon: is gone",
    ]


def test_other_values_or_forms_of_a_field_break_subscribers() -> None:
    schema, data = changed("campaign.defined.v1", "$defs", "CampaignDefinedV1", "properties")
    data["title"]["type"] = "integer"
    data["trigger"]["oneOf"].append({"type": "string"})
    data["holdout_percent"]["maximum"] = 50
    found = breaches(committed()["campaign.defined.v1"], schema)
    assert [line.partition(":")[0] for line in found] == [
        "$.data.title", "$.data.trigger", "$.data.holdout_percent",
    ]  # fmt: skip
    assert found[1] == "$.data.trigger: had 2 forms, has 3"


def test_renaming_a_model_without_changing_it_breaks_nobody() -> None:
    text = text_of(committed()[RECEIPT]).replace("ReceiptLine", "BasketLine")
    assert breaches(committed()[RECEIPT], json.loads(text)) == []


def test_the_writer_of_schemas_adds_what_is_new_and_refuses_to_break(tmp_path: Path) -> None:
    assert run([], tmp_path) == 1  # nothing is there to compare with
    assert run(["--write"], tmp_path) == 0
    assert committed(tmp_path) == generated()
    assert run([], tmp_path) == 0
    # As if the model had since lost a field: the schema in git still promises it.
    path = tmp_path / f"{RECEIPT}.json"
    promised = generated()[RECEIPT]
    promised["$defs"]["ReceiptLine"]["properties"]["weight"] = {"type": "integer"}
    path.write_text(text_of(promised))
    assert run(["--write"], tmp_path) == 1
    assert path.read_text() == text_of(promised)
    path.write_text(text_of(generated()[RECEIPT]))
    # As if a type had been dropped.
    (tmp_path / "customer.vanished.v1.json").write_text("{}")
    assert run(["--write"], tmp_path) == 1
