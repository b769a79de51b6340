"""Whatever the OpenAPI document allows is answered, and never by a fault of ours."""

import json
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any

import httpx2
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.strategies import SearchStrategy
from schemathesis.core.result import Ok

from services.customer.main import build
from shared.settings import Settings
from shared.testing import LocalChain

EXAMPLES = 8
"""Of each operation; the generator begins with the odd ones."""
ENDLESS = ("/events",)
"""Streams that end with what they tell of, not with the request."""


@pytest.fixture
async def owner(chain: LocalChain) -> AsyncIterator[httpx2.AsyncClient]:
    async with chain.running(build, chain.settings(Settings)) as client:
        yield client


def cases_of(document: dict[str, Any]) -> Iterator[Any]:
    """Requests that the document allows, the same ones each time."""
    schema = schemathesis.openapi.from_dict(document)
    for found in schema.get_all_operations():
        assert isinstance(found, Ok)
        operation = found.ok()
        if operation.path.endswith(ENDLESS):
            continue
        yield from _drawn(operation.as_strategy())


def _drawn(strategy: SearchStrategy[Any]) -> Sequence[Any]:
    drawn: list[Any] = []

    @seed(1)
    @settings(
        max_examples=EXAMPLES,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def draw(case: object) -> None:
        drawn.append(case)

    draw()
    return drawn


async def test_no_request_that_the_document_allows_meets_a_fault(
    owner: httpx2.AsyncClient,
) -> None:
    somebody = (await owner.post("/v1/customers", json={"surname": "Ivanova"})).json()["id"]
    document = (await owner.get("/openapi.json")).json()
    asked = 0
    faults = set()
    for case in cases_of(document):
        place = dict(case.path_parameters or {})
        if "customer" in place and asked % 2:
            case.path_parameters = {**place, "customer": somebody}
        request = case.as_transport_kwargs()
        answer = await owner.request(
            case.method,
            httpx2.URL(case.formatted_path),
            params=request.get("params"),
            headers={
                name: value
                for name, value in (request.get("headers") or {}).items()
                if name.lower() not in {"authorization", "x-api-key"}
            },
            content=_content(request),
        )
        asked += 1
        if answer.status_code >= 500 and answer.status_code != 503:
            faults.add((case.method, case.operation.path, answer.status_code))
    assert asked > EXAMPLES
    assert sorted(faults) == []


def _content(request: dict[str, Any]) -> bytes | None:
    if request.get("json") is not None:
        return json.dumps(request["json"]).encode()
    data = request.get("data")
    return data if isinstance(data, bytes) else None
