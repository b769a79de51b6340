"""The AsyncAPI document, and a page of it for people: no script, nothing from the internet.

The usual viewer is a script of megabytes from a content network, and can publish; a developer who
wants to subscribe needs the topics, the types, their fields, and an example of each.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from html import escape
from typing import Any

from fastapi import APIRouter
from fastapi.responses import HTMLResponse, JSONResponse

from shared.events.schema import EXAMPLES

PAGE = "/asyncapi"
DOCUMENT = "/asyncapi.json"
_STYLE = """
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222}
h1{font-size:1.5rem}h2{font-size:1.2rem;margin-top:2.5rem}h3{font-size:1rem;margin:1.5rem 0 .3rem}
table{border-collapse:collapse;width:100%;font-size:.9rem}
td{border-top:1px solid #ddd;padding:.25rem .6rem .25rem 0;vertical-align:top}
code,pre{font-family:ui-monospace,monospace;font-size:.85rem}
pre{background:#f6f6f6;padding:.8rem;overflow:auto}summary{cursor:pointer;color:#555}
.optional{color:#777}
"""
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"

Describe = Callable[[], dict[str, Any]]
Schema = Mapping[str, Any]


def router(describe: Describe) -> APIRouter:
    """The two routes; `describe` makes the document, which is made once."""
    routes = APIRouter(include_in_schema=False)
    document = cache(describe)

    async def as_json() -> JSONResponse:
        return JSONResponse(document())

    async def as_page() -> HTMLResponse:
        return HTMLResponse(render(document()), headers={"Content-Security-Policy": _POLICY})

    routes.add_api_route(DOCUMENT, as_json)
    routes.add_api_route(PAGE, as_page)
    return routes


def render(document: Mapping[str, Any]) -> str:
    """The page of an AsyncAPI document of ours."""
    title = escape(document["info"]["title"])
    body = "".join(_topic(name, channel, document) for name, channel in _channels(document))
    return (
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{title}</title>"
        f"<meta name=viewport content='width=device-width'><style>{_STYLE}</style>"
        f"<h1>{title}</h1><p><a href='{DOCUMENT}'>The same as AsyncAPI 3.0</a></p>{body}</html>"
    )


def _channels(document: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    yield from document["channels"].items()


def _topic(name: str, channel: Mapping[str, Any], document: Mapping[str, Any]) -> str:
    payload = document["components"]["schemas"][f"{name}:Message:Payload"]
    types = "".join(_type(schema) for schema in payload["oneOf"])
    return f"<h2><code>{escape(name)}</code></h2><p>{escape(channel['description'])}</p>{types}"


def _type(schema: Schema) -> str:
    name = schema["title"]
    # An event's own fields are in its data; what others write to us has them at the top.
    data = schema["properties"].get("data", schema)
    rows = "".join(_rows(data, ""))
    return (
        f"<h3><code>{escape(name)}</code></h3><p>{escape(schema['description'])}</p>"
        f"<table>{rows}</table>{_example(name, schema)}"
    )


def _rows(schema: Schema, prefix: str) -> Iterator[str]:
    required = set(schema.get("required", ()))
    for name, part in schema.get("properties", {}).items():
        need = "" if name in required else " <span class=optional>optional</span>"
        yield (
            f"<tr><td><code>{escape(prefix + name)}</code>{need}<td>{escape(_kind(part))}"
            f"<td>{escape(part.get('description', ''))}"
        )
        inner = part.get("items", part) if part.get("type") == "array" else part
        if isinstance(inner, Mapping):
            mark = "[]." if part.get("type") == "array" else "."
            yield from _rows(inner, f"{prefix}{name}{mark}")


def _kind(part: Schema) -> str:
    if "const" in part:
        return json.dumps(part["const"])
    if "enum" in part:
        return " | ".join(json.dumps(choice) for choice in part["enum"])
    if "oneOf" in part or "anyOf" in part:
        return " or ".join(_kind(choice) for choice in part.get("oneOf", part.get("anyOf", ())))
    kind = str(part.get("type", "any"))
    return f"{kind} ({part['format']})" if "format" in part else kind


def _example(name: str, schema: Schema) -> str:
    path = EXAMPLES / f"{name}.json"
    if "examples" in schema:
        example = schema["examples"][0]
    elif path.exists():
        example = json.loads(path.read_text())
    else:
        return ""
    shown = json.dumps(example, indent=2, ensure_ascii=False)
    return f"<details><summary>Example</summary><pre>{escape(shown)}</pre></details>"
