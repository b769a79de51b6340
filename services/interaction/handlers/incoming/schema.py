"""The schema of what tills write to the inbox, generated from the models and kept in git.

    python -m services.interaction.handlers.incoming.schema           compare; 1 when they differ
    python -m services.interaction.handlers.incoming.schema --write   write it, unless it breaks

Tills keep their software for years. Within a version kinds, optional fields and values of a closed
list may be added; what would refuse a fact that was right before is refused here.
"""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from services.interaction.handlers.incoming import KINDS
from shared.events.schema import DIALECT, Schema, breaches, inlined, text_of

NAME = "interaction.inbox.v1"
FOLDER = Path(__file__).parents[2] / "schemas"
FILE = FOLDER / f"{NAME}.json"
EXAMPLES = FOLDER / "examples"


def kinds() -> Mapping[str, Schema]:
    """`kind` → the schema of such a fact, by the models."""
    return {schema["title"]: schema for schema in map(_kind, KINDS.values())}


def schema() -> Schema:
    """The schema of a record's value: one of the kinds, told apart by `kind`."""
    return {
        "$schema": DIALECT,
        "title": NAME,
        "description": "One fact, as over HTTP; `kind` says which.",
        "oneOf": list(kinds().values()),
    }


def _kind(model: Any) -> Schema:  # noqa: ANN401 - one of the models of KINDS
    described = inlined(model.model_json_schema())
    name = described["properties"]["kind"]["const"]
    described["properties"]["kind"] = {"const": name}
    example = EXAMPLES / f"{name}.json"
    return {
        **described,
        "title": name,
        # Whatever the address says over HTTP, a record has to say itself.
        "required": sorted({"kind", *described.get("required", ())}),
        **({"examples": [json.loads(example.read_text())]} if example.exists() else {}),
    }


def broken(before: Schema, after: Schema) -> Iterator[str]:
    """What would refuse tills that follow `before`."""
    now = {each["title"]: each for each in after["oneOf"]}
    for each in before["oneOf"]:
        name = each["title"]
        if name not in now:
            yield f"{name}: the kind is gone"
        else:
            yield from (
                f"{name}: {line}" for line in breaches(each, _without_added(each, now[name]))
            )


def _without_added(before: Any, after: Any) -> Any:  # noqa: ANN401 - any part of a schema
    """`after` without the values that lists have more than `before`: who writes need not know."""
    if isinstance(before, dict) and isinstance(after, dict):
        return {
            key: [each for each in value if each in before["enum"]]
            if key == "enum" and key in before
            else _without_added(before.get(key), value)
            for key, value in after.items()
        }
    if isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        return [_without_added(old, new) for old, new in zip(before, after, strict=True)]
    return after


def run(arguments: Sequence[str], file: Path = FILE) -> int:
    """Compare or write; the exit code."""
    after = schema()
    before = json.loads(file.read_text()) if file.exists() else {"oneOf": []}
    if found := list(broken(before, after)):
        sys.stderr.writelines(f"{line}\n" for line in found)
        return 1
    if text_of(before) == text_of(after):
        return 0
    if "--write" in arguments:
        file.write_text(text_of(after))
        return 0
    sys.stderr.write(f"{file.name}: differs from the models, run with --write\n")
    return 1


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
