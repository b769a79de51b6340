"""JSON Schemas of all event types, generated from the models and kept in git beside examples.

    python -m shared.events.schema           compare; exit code 1 when they differ
    python -m shared.events.schema --write   write what changed, unless it breaks subscribers

A schema describes the whole Kafka value of one type: envelope and data, as published, so sealed
fields are texts and nothing is null. Within a version only optional fields may be added; `--write`
refuses anything else, because somebody out there reads this version today. (While a new type is
being shaped and nobody was promised it yet, delete its file and write it anew.)
"""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue

from shared.envelope import SPEC_VERSION, Envelope
from shared.events import EVENT_TYPES
from shared.events.contract import EventData

FOLDER = Path(__file__).parent / "schemas"
EXAMPLES = Path(__file__).parent / "examples"
DIALECT = "https://json-schema.org/draft/2020-12/schema"
MOMENT = {
    "type": "string",
    "format": "date-time",
    "pattern": r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$",
}
ANNOTATIONS = frozenset(
    {"title", "description", "default", "examples", "discriminator", "$defs", "$schema", "$id"}
)
"""Keywords that do not say what is valid, or only repeat others that do."""

NESTED = frozenset({"properties", "required", "items", "anyOf", "oneOf", "additionalProperties"})
"""Keywords that are compared part by part."""

Schema = dict[str, Any]
Nested = Schema | bool | None
Roots = tuple[Schema, Schema]
"""The whole schemas, old and new, in which references are found."""


class _Published(GenerateJsonSchema):
    """What is published has no null: an optional field is there, or it is not."""

    def nullable_schema(self, schema: Any) -> JsonSchemaValue:  # noqa: ANN401 - of pydantic's core
        """The schema of the value itself."""
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: Any) -> JsonSchemaValue:  # noqa: ANN401 - of pydantic's core
        """The schema without the null that stands for absent."""
        described = super().default_schema(schema)
        if described.get("default", ...) is None:
            del described["default"]
        return described

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ANN401, ARG002 - of pydantic's core
        """Never: a title would only repeat the field's name."""
        return False


def schema_of(model: type[EventData]) -> Schema:
    """The schema of the CloudEvent that carries the model's data."""
    data = model.model_json_schema(schema_generator=_Published, mode="serialization")
    definitions = data.pop("$defs", {})
    envelope = _envelope()
    properties = envelope["properties"]
    properties["type"] = {"const": model.type}
    properties["data"] = {"$ref": f"#/$defs/{model.__name__}"}
    return {
        "$schema": DIALECT,
        "title": model.type,
        "description": _summary(model),
        **envelope,
        "$defs": {model.__name__: data, **definitions},
    }


def _summary(model: type[EventData]) -> str:
    return (model.__doc__ or "").partition("\n")[0]


def _envelope() -> Schema:
    """The envelope's part, from the struct that writes it."""
    (_,), components = msgspec.json.schema_components([Envelope])
    written = components["Envelope"]
    properties = {
        name: {key: value for key, value in _only_type(schema).items() if key != "default"}
        for name, schema in written["properties"].items()
    }
    properties["specversion"] = {"const": SPEC_VERSION}
    properties["source"]["pattern"] = "^regulars/[a-z]+$"
    properties["time"] = dict(MOMENT, description="when it happened")
    properties["recordedtime"] = dict(MOMENT, description="when it was accepted, chain's clock")
    properties["streamversion"]["minimum"] = 1
    properties["causedepth"]["minimum"] = 0
    return {"type": "object", "properties": properties, "required": written["required"]}


def _only_type(schema: Schema) -> Schema:
    """An optional field without its null."""
    for choice in schema.get("anyOf", ()):
        if choice != {"type": "null"}:
            return dict(choice)
    return dict(schema)


def generated() -> Mapping[str, Schema]:
    """All schemas by event type."""
    return {name: schema_of(model) for name, model in sorted(EVENT_TYPES.items())}


def committed(folder: Path = FOLDER) -> Mapping[str, Schema]:
    """The schemas in git by event type."""
    return {path.stem: json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))}


def breaches(before: Schema, after: Schema) -> list[str]:
    """What would break a subscriber of `before`: all but new optional fields, a line each."""
    return list(_breaches(before, after, (before, after), "$"))


def _breaches(old: Schema, new: Schema, roots: Roots, place: str) -> Iterator[str]:
    old, new = _resolved(old, roots[0]), _resolved(new, roots[1])
    if _rest(old) != _rest(new):
        yield f"{place}: was {_rest(old)}, is {_rest(new)}"
        return
    if set(old.get("required", ())) != set(new.get("required", ())):
        yield f"{place}: other fields are required"
    had, has = old.get("properties", {}), new.get("properties", {})
    for name in had:
        if name not in has:
            yield f"{place}.{name}: is gone"
        else:
            yield from _breaches(had[name], has[name], roots, f"{place}.{name}")
    for keyword in ("items", "additionalProperties"):
        yield from _below(old.get(keyword), new.get(keyword), roots, f"{place}[]")
    for keyword in ("anyOf", "oneOf"):
        choices, others = old.get(keyword, ()), new.get(keyword, ())
        if len(choices) != len(others):
            yield f"{place}: had {len(choices)} forms, has {len(others)}"
        else:
            for number, (choice, other) in enumerate(zip(choices, others, strict=True)):
                yield from _breaches(choice, other, roots, f"{place}|{number}")


def _below(old: Nested, new: Nested, roots: Roots, place: str) -> Iterator[str]:
    if isinstance(old, dict) and isinstance(new, dict):
        yield from _breaches(old, new, roots, place)
    elif old != new:
        yield f"{place}: was {old}, is {new}"


def _resolved(schema: Schema, root: Schema) -> Schema:
    """What a reference points to."""
    while "$ref" in schema:
        name = schema["$ref"].removeprefix("#/$defs/")
        schema = {**root["$defs"][name], **{k: v for k, v in schema.items() if k != "$ref"}}
    return schema


def inlined(schema: Schema) -> Schema:
    """The schema without references, for documents that have no place for its definitions."""
    return {name: part for name, part in _inline(schema, schema).items() if name not in _ROOT_ONLY}


_ROOT_ONLY = frozenset({"$defs", "$schema"})


def _inline(node: Any, root: Schema) -> Any:  # noqa: ANN401 - any JSON value
    if isinstance(node, list):
        return [_inline(item, root) for item in node]
    if isinstance(node, dict):
        return {
            name: _inline(part, root)
            for name, part in _resolved(node, root).items()
            if name != "$defs"
        }
    return node


def _rest(schema: Schema) -> Schema:
    """What is to be compared as it stands."""
    return {key: value for key, value in schema.items() if key not in NESTED | ANNOTATIONS}


def text_of(schema: Schema) -> str:
    """A schema as it stands in git."""
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def run(arguments: Sequence[str], folder: Path = FOLDER) -> int:
    """Compare or write; the exit code."""
    before, after = committed(folder), generated()
    found = [f"{name}: {line}" for name in before.keys() & after.keys()
             for line in breaches(before[name], after[name])]  # fmt: skip
    found += [f"{name}: the type is gone" for name in before.keys() - after.keys()]
    if found:
        sys.stderr.writelines(f"{line}\n" for line in sorted(found))
        sys.stderr.write("Within a version only optional fields may be added: make a new one.\n")
        return 1
    changed = [name for name in after if text_of(after[name]) != text_of(before.get(name, {}))]
    if "--write" in arguments:
        folder.mkdir(exist_ok=True)
        for name in changed:
            (folder / f"{name}.json").write_text(text_of(after[name]))
        return 0
    sys.stderr.writelines(f"{name}: differs from the model, run with --write\n" for name in changed)
    return 1 if changed else 0


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
