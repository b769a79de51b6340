"""The description of the API, and a page that shows it without the internet.

Swagger UI is served from files of an installed package; a content security policy keeps the page
from asking anybody else.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fastapi_offline
from fastapi import FastAPI, Request
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.openapi.utils import get_openapi
from fastapi.responses import HTMLResponse
from fastapi.staticfiles import StaticFiles
from pydantic import TypeAdapter

from shared.http.problems import MEDIA_TYPE, Problem

DOCS = "/docs"
ASSETS = "/docs/assets"
_REFERENCE = "#/components/schemas/{model}"
_POLICY = "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'"
_IMAGES = "img-src 'self' data:"

ANY_PROBLEM: dict[int | str, dict[str, Any]] = {
    "default": {"model": Problem, "description": "A problem (RFC 9457)."}
}
"""`responses` of every endpoint."""


def inline_schema(kind: TypeAdapter[Any]) -> dict[str, Any]:
    """The schema of a type; the models that it refers to are hoisted when the API is described."""
    return kind.json_schema(ref_template=_REFERENCE)


def install(app: FastAPI) -> None:
    """Describe the app at `/openapi.json` and show it at `/docs`."""

    def described() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _describe(app)
        return app.openapi_schema

    async def show(request: Request) -> HTMLResponse:
        root = request.scope.get("root_path", "")
        page = get_swagger_ui_html(
            openapi_url=f"{root}{app.openapi_url}",
            title=app.title,
            swagger_js_url=f"{root}{ASSETS}/swagger-ui-bundle.js",
            swagger_css_url=f"{root}{ASSETS}/swagger-ui.css",
            swagger_favicon_url="data:,",
            # The validator's badge would send the description to a stranger.
            swagger_ui_parameters={"validatorUrl": None, "persistAuthorization": True},
        )
        page.headers["Content-Security-Policy"] = f"{_POLICY}; {_IMAGES}"
        return page

    app.openapi = described  # type: ignore[method-assign] # FastAPI's documented way
    app.add_api_route(DOCS, show, include_in_schema=False)
    assets = Path(fastapi_offline.__file__).parent / "static"
    app.mount(ASSETS, StaticFiles(directory=assets), name="assets")


def _describe(app: FastAPI) -> dict[str, Any]:
    description = get_openapi(
        title=app.title,
        version=app.version,
        description=app.description,
        routes=app.routes,
        separate_input_output_schemas=app.separate_input_output_schemas,
    )
    schemas = description.setdefault("components", {}).setdefault("schemas", {})
    for operation in _operations(description):
        problem = operation.get("responses", {}).get("default")
        if problem is not None and "application/json" in problem.get("content", {}):
            problem["content"][MEDIA_TYPE] = problem["content"].pop("application/json")
        for content in operation.get("requestBody", {}).get("content", {}).values():
            for definitions in _definitions(content):
                for name, schema in definitions.items():
                    schemas.setdefault(name, schema)
    return description


def _operations(description: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for path in description.get("paths", {}).values():
        yield from path.values()


def _definitions(node: object) -> Iterator[dict[str, Any]]:
    """Take the `$defs` out of a schema, wherever they are in it."""
    if isinstance(node, dict):
        if "$defs" in node:
            yield node.pop("$defs")
        for inner in node.values():
            yield from _definitions(inner)
    elif isinstance(node, list):
        for inner in node:
            yield from _definitions(inner)
