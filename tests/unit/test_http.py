"""HTTP from outside in: a small app, asked as a caller would ask it."""

import asyncio
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import date
from decimal import Decimal
from typing import Annotated, Any, Literal

import httpx2
import pytest
from fastapi import APIRouter, Depends, FastAPI, Query, Request, Response
from pydantic import BaseModel, Field, TypeAdapter, field_validator
from structlog.testing import capture_logs

from shared.access import Authenticator, Permission, Principal, Role, issue
from shared.decider import FieldError, Refused, not_found
from shared.eventstore import StoreUnavailable
from shared.execute import Done, Outcome
from shared.http import (
    BatchAnswer,
    CommandId,
    Cursor,
    IfMatch,
    Limit,
    MinVersion,
    Page,
    RawItems,
    asked_hash,
    batch_body,
    batch_response,
    build_app,
    etag,
    in_order,
    page_of,
    parse_items,
    position_of,
    principal,
    until,
)
from shared.http.health import Readiness
from shared.http.middleware import MAX_BODY_BYTES
from shared.http.text import MOST_NAMED
from shared.memory import MemoryApiKeys
from shared.relay.ports import BrokerUnavailable

SECRET = b"s" * 32
PERSONAL = "Ivanova"
NUMBERS = list(range(1, 8))
VERSION = 7


class Dog(BaseModel):
    kind: Literal["dog"]
    barks: int


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int = Field(le=9)


class Pet(BaseModel):
    animal: Annotated[Dog | Cat, Field(discriminator="kind")]
    born: str = "2017-01-01"
    tags: list[int] = []

    @field_validator("born")
    @classmethod
    def _a_year(cls, value: str) -> str:
        if not value.startswith("20"):
            message = f"{value} is too long ago"
            raise ValueError(message)
        return value


PETS: TypeAdapter[Pet] = TypeAdapter(Pet)
Reader = Annotated[Principal, Depends(principal(Permission.CUSTOMERS_READ))]
Writer = Annotated[Principal, Depends(principal(Permission.CUSTOMERS_WRITE))]


def a_router() -> APIRouter:
    router = APIRouter(prefix="/v1/pets")

    @router.get("")
    async def listed(_: Reader, limit: Limit = 3, cursor: Cursor = None) -> Page[int]:
        after = position_of(cursor, int) or 0
        return page_of([n for n in NUMBERS if n > after][: limit + 1], limit, lambda n: n)

    @router.post("")
    async def add(_: Writer, command: CommandId, pet: Pet) -> dict[str, str]:
        return {"command": command, "kind": pet.animal.kind}

    @router.post("/batch", response_model=BatchAnswer, openapi_extra=batch_body(PETS))
    async def add_many(_: Writer, items: RawItems) -> Response:
        outcomes: list[tuple[str | None, Outcome]] = []
        for pet in parse_items(PETS, items):
            known = isinstance(pet, Pet) and pet.animal.kind == "cat"
            name = "pet-1" if isinstance(pet, Pet) else None
            outcomes.append(
                (name, pet if isinstance(pet, Refused) else Done("pet-1", 4, repeated=known))
            )
        return batch_response(outcomes)

    @router.get("/born")
    async def born(_: Reader, within_days: Annotated[int, Query(ge=1)]) -> int:
        return within_days

    @router.get("/{pet}")
    async def one(_: Reader, response: Response, pet: str, min_version: MinVersion = None) -> str:
        async def seen() -> bool:
            return min_version is None or min_version <= VERSION

        await until(seen, seconds=0.02)
        response.headers["ETag"] = etag(VERSION)
        return pet

    @router.put("/{pet}")
    async def change(_: Writer, pet: str, expected: IfMatch) -> str:
        expected.require(VERSION)
        return pet

    return router


def a_router_of_faults() -> APIRouter:
    router = APIRouter(prefix="/v1/faults")

    @router.get("/{which}")
    async def fail(which: str) -> str:
        faults: Mapping[str, Exception] = {
            "refused": Refused(
                "sold-out",
                409,
                "There is none left.",
                "the last one went today",
                (FieldError("lines.0.product", "choose another"),),
                {"branch": "b1", "status": "never this"},
            ),
            "missing": not_found("pet", "x"),
            "store": StoreUnavailable(PERSONAL),
            "broker": BrokerUnavailable(PERSONAL),
            "bug": KeyError(PERSONAL),
        }
        raise faults[which]

    return router


async def everything_is_ready() -> Mapping[str, bool | str]:
    return {"database": True, "imports": "none is open"}


@asynccontextmanager
async def client_of(
    *, role: Role = Role.OWNER, readiness: Readiness = everything_is_ready
) -> AsyncIterator[httpx2.AsyncClient]:
    """A caller with a key of the role, connected to the app in this process."""
    text, stored = issue(SECRET, title="test", roles=[role])
    keys = MemoryApiKeys()
    await keys.add(stored)
    app = build_app(
        title="Pets",
        service="pets",
        routers=[a_router(), a_router_of_faults()],
        authenticator=Authenticator(keys, SECRET),
        readiness=readiness,
    )
    with capture_logs():
        async with httpx2.AsyncClient(
            transport=httpx2.ASGITransport(app=app),
            base_url="http://pets.example",
            headers={"Authorization": f"Bearer {text}"},
        ) as client:
            yield client


def problem(answer: httpx2.Response, status: int, name: str) -> dict[str, Any]:
    """The problem in an answer, which must have the status and the type."""
    assert answer.status_code == status
    assert answer.headers["Content-Type"] == "application/problem+json"
    told: dict[str, Any] = answer.json()
    assert told["status"] == status
    assert told["type"] == f"urn:regulars:problem:{name}"
    assert told["title"].endswith(".")
    return told


# --- Callers -------------------------------------------------------------------------------------


async def test_either_header_carries_the_key() -> None:
    async with client_of() as client:
        key = client.headers.pop("Authorization").removeprefix("Bearer ")
        answer = await client.get("/v1/pets", headers={"X-API-Key": key})
        assert answer.status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {b"Authorization": b"Basic eDp5"},
        {b"X-API-Key": b"rg_x"},
        {b"X-API-Key": "é".encode()},
    ],
)
async def test_without_a_key_that_is_known_nothing_is_answered(headers: dict[bytes, bytes]) -> None:
    async with client_of() as client:
        del client.headers["Authorization"]
        answer = await client.get("/v1/pets", headers=headers)
        problem(answer, 401, "unauthenticated")
        assert answer.headers["WWW-Authenticate"] == "Bearer"


async def test_a_role_that_lacks_the_permission_is_told_which() -> None:
    async with client_of(role=Role.READER) as client:
        assert (await client.get("/v1/pets")).status_code == 200
        answer = await client.post("/v1/pets", json={"animal": {"kind": "dog", "barks": 1}})
        assert problem(answer, 403, "forbidden")["detail"] == (
            "it needs the permission customers:write"
        )


async def test_a_command_is_the_same_when_its_key_is_and_new_when_it_has_none() -> None:
    async def command(client: httpx2.AsyncClient, headers: dict[str, str]) -> str:
        body = {"animal": {"kind": "dog", "barks": 1}}
        answer = await client.post("/v1/pets", json=body, headers=headers)
        return str(answer.json()["command"])

    async with client_of() as client:
        named = {"Idempotency-Key": "order 17"}
        assert await command(client, named) == await command(client, named)
        assert await command(client, {}) != await command(client, {})
        assert "order 17" not in await command(client, named)


def test_what_was_asked_has_the_same_hash_for_ever_in_whatever_order_it_is_said() -> None:
    """A repeat is known by it: the values are HMAC-SHA-256 of "command|" and the sorted JSON."""

    class Toy(BaseModel):
        title: str
        since: date | None = None
        prices: Mapping[str, Decimal]

    ball = Toy(title="Мяч", since=date(2026, 1, 2), prices={"b": Decimal("1.10"), "a": Decimal(2)})
    json_of_ball = (
        b'{"prices":{"a":"2","b":"1.10"},"since":"2026-01-02","title":"\xd0\x9c\xd1\x8f\xd1\x87"}'
    )
    for asked, said in (
        (ball, json_of_ball),
        (["give", ball, None], b'["give",' + json_of_ball + b",null]"),
        ({"b": 1, "a": [{"d": 2, "c": "x"}]}, b'{"a":[{"c":"x","d":2}],"b":1}'),
    ):
        wanted = hmac.new(SECRET, b"command|" + said, hashlib.sha256).hexdigest()
        assert asked_hash(SECRET, asked) == wanted
    assert (
        asked_hash(SECRET, ball)
        == "24902c1f36bea1a6e67a2191dcd33ee50183a9800671b366a898e19f773915d8"
    )
    assert asked_hash(b"t" * 32, ball) != asked_hash(SECRET, ball)


async def test_an_idempotency_key_that_is_too_long_is_named() -> None:
    async with client_of() as client:
        answer = await client.post(
            "/v1/pets",
            json={"animal": {"kind": "dog", "barks": 1}},
            headers={"Idempotency-Key": "k" * 201},
        )
        (error,) = problem(answer, 422, "invalid")["errors"]
        assert error["field"] == "idempotency-key"


# --- Problems ------------------------------------------------------------------------------------


async def test_a_refusal_is_told_with_its_fields_and_further_members() -> None:
    async with client_of() as client:
        assert problem(await client.get("/v1/faults/refused"), 409, "sold-out") == {
            "type": "urn:regulars:problem:sold-out",
            "title": "There is none left.",
            "status": 409,
            "detail": "the last one went today",
            "errors": [{"field": "lines.0.product", "message": "choose another"}],
            "branch": "b1",
        }


async def test_what_is_absent_from_a_problem_is_left_out() -> None:
    async with client_of() as client:
        told = problem(await client.get("/v1/faults/missing"), 404, "not-found")
        assert "errors" not in told


@pytest.mark.parametrize(
    ("body", "field", "message"),
    [
        ({"animal": {"kind": "dog", "barks": PERSONAL}}, "animal.dog.barks", "valid integer"),
        ({"animal": {"kind": PERSONAL}}, "animal", "should be one of 'dog', 'cat'"),
        ({"animal": {"kind": "cat", "lives": 10}}, "animal.cat.lives", "less than or equal to 9"),
        ({"animal": {"kind": "dog", "barks": 1}, "born": PERSONAL}, "born", "is not valid"),
        (
            {"animal": {"kind": "dog", "barks": 1}, "tags": [1, PERSONAL]},
            "tags.1",
            "valid integer",
        ),
        ({}, "animal", "Field required"),
    ],
)
async def test_a_wrong_field_is_named_by_its_path_and_its_value_is_not_repeated(
    body: dict[str, Any], field: str, message: str
) -> None:
    async with client_of() as client:
        answer = await client.post("/v1/pets", json=body)
        (error,) = problem(answer, 422, "invalid")["errors"]
        assert error["field"] == field
        assert message in error["message"]
        assert PERSONAL not in answer.text


async def test_a_wrong_parameter_is_named() -> None:
    async with client_of() as client:
        answer = await client.get("/v1/pets/born", params={"within_days": "0"})
        assert problem(answer, 422, "invalid")["errors"] == [
            {"field": "within_days", "message": "Input should be greater than or equal to 1"}
        ]


async def test_a_body_that_is_no_json_cannot_be_read() -> None:
    async with client_of() as client:
        answer = await client.post(
            "/v1/pets", content=b'{"animal": ', headers={"Content-Type": "application/json"}
        )
        problem(answer, 400, "unreadable")


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        (rb'{"animal": {"kind": "dog", "barks": 1}, "born": "2017\ud800"}', ["born"]),
        (b'{"animal": {"kind": "dog", "barks": 1}, "born": "2017\xed\xa0\x80"}', ["born"]),
        ('{"animal": {}, "born": "\\udc00"}'.encode("utf-16"), ["born"]),
        # A half in a name is said of what has the name; halves in the wrong order are no whole.
        (rb'{"\ud800": 1, "tags": [1, {"\ud800": 2}, "\ude00\ud83d"]}', ["", "tags.1", "tags.2"]),
        (rb'"\uDBFF"', [""]),
    ],
)
async def test_half_a_character_is_no_text_wherever_it_stands(
    body: bytes, fields: list[str]
) -> None:
    headers = {"Content-Type": "application/json; charset=utf-8"}
    async with client_of() as client:
        answer = await client.post("/v1/pets", content=body, headers=headers)
        assert [error["field"] for error in problem(answer, 422, "invalid")["errors"]] == fields


async def test_whole_characters_are_text_however_they_are_spelt() -> None:
    whole = rb'{"animal": {"kind": "dog", "barks": 1}, "born": "2017 \ud83d\ude00 \\ud800"}'
    async with client_of() as client:
        for body in (whole, json.dumps(json.loads(whole), ensure_ascii=False).encode()):
            headers = {"Content-Type": "application/json"}
            answer = await client.post("/v1/pets", content=body, headers=headers)
            assert answer.status_code == 200, answer.text


async def test_many_halves_are_told_in_part() -> None:
    headers = {"Content-Type": "application/json"}
    body = json.dumps({"tags": ["\ud800"] * 1000})
    async with client_of() as client:
        answer = await client.post("/v1/pets", content=body, headers=headers)
        assert len(problem(answer, 422, "invalid")["errors"]) == MOST_NAMED


async def test_half_a_character_in_a_batch_is_named_too() -> None:
    """Escaped it spoils the body, whose items nobody can tell apart; else its item alone."""
    cat = b'{"animal": {"kind": "cat", "lives": 9}'
    async with client_of() as client:
        spoilt = cat + rb', "born": "20\ud800"}'
        answer = await client.post("/v1/pets/batch", content=b'{"items": [%b]}' % spoilt)
        (error,) = problem(answer, 422, "invalid")["errors"]
        assert error["field"] == "items.0.born"
        wrong = cat + b', "born": "20\xed\xa0\x80"}, ' + cat + b"}"
        answer = await client.post("/v1/pets/batch", content=b'{"items": [%b]}' % wrong)
        first, second = answer.json()["items"]
    assert (first["status"], first["problem"]["errors"][0]["field"]) == (422, "born")
    assert second["status"] == 200


async def test_an_address_that_does_not_exist_is_a_problem() -> None:
    async with client_of() as client:
        problem(await client.get("/v1/nothing"), 404, "not-found")
        problem(await client.get("/v1/pets/"), 404, "not-found")


async def test_a_method_that_an_address_does_not_take_is_a_problem_that_names_those_it_does() -> (
    None
):
    async with client_of() as client:
        answer = await client.delete("/v1/faults/bug")
        problem(answer, 405, "method-not-allowed")
        assert answer.headers["Allow"] == "GET"


@pytest.mark.parametrize("server", ["store", "broker"])
async def test_while_a_server_is_away_callers_are_asked_to_come_again(server: str) -> None:
    async with client_of() as client:
        answer = await client.get(f"/v1/faults/{server}")
        problem(answer, 503, "unavailable")
        assert answer.headers["Retry-After"] == "1"
        assert PERSONAL not in answer.text


async def test_a_bug_is_told_by_the_id_of_its_request_and_by_nothing_else() -> None:
    async with client_of() as client:
        with capture_logs() as logged:
            answer = await client.get("/v1/faults/bug")
        told = problem(answer, 500, "internal")
        assert told["detail"].endswith(answer.headers["X-Request-ID"])
        assert PERSONAL not in answer.text
    (line,) = logged
    assert isinstance(line.pop("exc_info"), KeyError)
    assert line == {
        "event": "a request failed",
        "route": "/v1/faults/{which}",
        "log_level": "error",
    }


async def test_the_id_of_a_request_is_kept_when_it_is_a_uuid() -> None:
    async with client_of() as client:
        given = "0190f5a0-0000-7000-8000-000000000000"
        answer = await client.get("/livez", headers={"X-Request-ID": given})
        assert answer.headers["X-Request-ID"] == given
        answer = await client.get("/livez", headers={"X-Request-ID": PERSONAL})
        assert answer.headers["X-Request-ID"] != PERSONAL


# --- Bodies --------------------------------------------------------------------------------------


async def test_a_body_that_says_to_be_too_large_is_refused_unread() -> None:
    async with client_of() as client:
        answer = await client.post(
            "/v1/pets/batch", content=b"{}", headers={"Content-Length": str(MAX_BODY_BYTES + 1)}
        )
        assert problem(answer, 413, "body-too-large")["detail"] == "at most 16777216 bytes"


async def test_a_route_that_says_so_takes_a_larger_body() -> None:
    router = APIRouter(prefix="/v1/files")

    async def take(request: Request) -> int:
        return sum([len(piece) async for piece in request.stream()])

    async def look() -> int:
        return 0

    extra = {"x-max-bytes": MAX_BODY_BYTES + 1}
    router.add_api_route("", take, methods=["POST"], openapi_extra=extra)
    router.add_api_route("", look, methods=["GET"])
    app = build_app(
        title="t", service="t", routers=[router], readiness=ready_app,
        authenticator=Authenticator(MemoryApiKeys(), SECRET),
    )  # fmt: skip
    transport = httpx2.ASGITransport(app=app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://t") as client:
        for more, status in ((1, 200), (2, 413)):
            answer = await client.post("/v1/files", content=bytes(MAX_BODY_BYTES + more))
            assert answer.status_code == status


async def ready_app() -> Mapping[str, bool | str]:
    return {}


async def test_a_body_that_turns_out_too_large_is_refused() -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(17):
            yield bytes(1024 * 1024)  # 17 MiB in all, one more than the limit

    async with client_of() as client:
        for path in ("/v1/pets", "/v1/pets/batch"):
            answer = await client.post(
                path, content=endless(), headers={"Content-Type": "application/json"}
            )
            problem(answer, 413, "body-too-large")


async def test_each_item_of_a_batch_has_its_own_answer() -> None:
    items = [
        {"animal": {"kind": "dog", "barks": 1}},
        {"animal": {"kind": "cat", "lives": PERSONAL}},
        {"animal": {"kind": "cat", "lives": 9}},
    ]
    async with client_of() as client:
        answer = await client.post("/v1/pets/batch", json={"items": items})
        assert answer.status_code == 200
        first, second, third = answer.json()["items"]
    assert first == {"index": 0, "status": 200, "id": "pet-1", "version": 4, "repeated": False}
    assert (second["index"], second["status"]) == (1, 422)
    assert second["problem"]["errors"][0]["field"] == "animal.cat.lives"
    assert PERSONAL not in json.dumps(second)
    assert third["repeated"] is True


def test_what_was_carried_out_of_a_batch_stands_where_it_was_asked_for() -> None:
    class Named(BaseModel):
        id: str

    wrong, refused, done = not_found("pet", "1"), not_found("pet", "2"), Done("pet-3", 4)
    parsed: list[Named | Refused] = [wrong, Named(id="2"), wrong, Named(id="3")]
    assert in_order(parsed, [refused, done]) == [
        (None, wrong), ("2", refused), (None, wrong), ("3", done),
    ]  # fmt: skip


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"items": 1}', b'{"items": [{]}', b"\xff"])
async def test_a_batch_that_cannot_be_read_is_refused_as_a_whole(body: bytes) -> None:
    async with client_of() as client:
        problem(await client.post("/v1/pets/batch", content=body), 400, "unreadable")


async def test_a_batch_has_at_most_a_thousand_items() -> None:
    async with client_of() as client:
        answer = await client.post("/v1/pets/batch", json={"items": [{}] * 1000})
        assert len(answer.json()["items"]) == 1000
        answer = await client.post("/v1/pets/batch", json={"items": [{}] * 1001})
        assert problem(answer, 422, "invalid")["errors"] == [
            {"field": "items", "message": "should have at most 1000 items"}
        ]


# --- Pages ---------------------------------------------------------------------------------------


async def test_pages_follow_each_other_until_there_are_no_more() -> None:
    async with client_of() as client:
        pages = []
        params: dict[str, str] = {}
        while True:
            page = (await client.get("/v1/pets", params=params)).json()
            pages.append(page["items"])
            if page["next_cursor"] is None:
                break
            params = {"cursor": page["next_cursor"]}
    assert pages == [[1, 2, 3], [4, 5, 6], [7]]


async def test_a_page_that_ends_with_the_list_has_no_next() -> None:
    async with client_of() as client:
        page = (await client.get("/v1/pets", params={"limit": 7})).json()
    assert page == {"items": NUMBERS, "next_cursor": None}


@pytest.mark.parametrize("cursor", ["", "é", "!!", "AA", "A", "W10", "eA"])
async def test_what_is_no_cursor_is_named(cursor: str) -> None:
    async with client_of() as client:
        answer = await client.get("/v1/pets", params={"cursor": cursor})
        assert problem(answer, 422, "invalid")["errors"] == [
            {"field": "cursor", "message": "is not a cursor of this list"}
        ]


async def test_a_page_has_an_end() -> None:
    async with client_of() as client:
        answer = await client.get("/v1/pets", params={"limit": 1001})
        assert problem(answer, 422, "invalid")["errors"][0]["field"] == "limit"


# --- Versions ------------------------------------------------------------------------------------


async def test_the_entity_tag_is_the_version_and_allows_a_change() -> None:
    async with client_of() as client:
        tag = (await client.get("/v1/pets/rex")).headers["ETag"]
        assert tag == '"7"'
        answer = await client.put("/v1/pets/rex", headers={"If-Match": tag})
        assert answer.status_code == 200


@pytest.mark.parametrize("header", ["*", '"6", "7"', ' "7" ', 'W/"7","7"'])
async def test_a_list_that_names_the_version_allows_the_change(header: str) -> None:
    async with client_of() as client:
        answer = await client.put("/v1/pets/rex", headers={"If-Match": header})
        assert answer.status_code == 200


@pytest.mark.parametrize("header", ['"6"', 'W/"7"', '"abc"', '"²"', '"\u0667"'])
async def test_a_change_that_rests_on_another_version_is_refused(header: str) -> None:
    async with client_of() as client:
        answer = await client.put("/v1/pets/rex", headers={b"If-Match": header.encode()})
        assert problem(answer, 412, "precondition-failed")["detail"] == (
            "read it again, and decide again"
        )


async def test_a_change_must_say_what_it_rests_on() -> None:
    async with client_of() as client:
        problem(await client.put("/v1/pets/rex"), 428, "precondition-required")


@pytest.mark.parametrize("header", ["7", '"7', "W/7", ""])
async def test_a_precondition_that_cannot_be_read_is_named(header: str) -> None:
    async with client_of() as client:
        answer = await client.put("/v1/pets/rex", headers={"If-Match": header})
        assert problem(answer, 422, "invalid")["errors"][0]["field"] == "if-match"


async def test_a_read_waits_for_a_version_and_gives_up_in_the_end() -> None:
    async with client_of() as client:
        answer = await client.get("/v1/pets/rex", params={"min_version": VERSION})
        assert answer.status_code == 200
        answer = await client.get("/v1/pets/rex", params={"min_version": VERSION + 1})
        problem(answer, 503, "not-caught-up")
        assert answer.headers["Retry-After"] == "1"


async def test_waiting_ends_as_soon_as_the_check_holds() -> None:
    asked = 0

    async def third_time() -> bool:
        nonlocal asked
        asked += 1
        return asked == 3

    await asyncio.wait_for(until(third_time, seconds=60), timeout=5)
    assert asked == 3


# --- Health and metrics --------------------------------------------------------------------------


async def test_health_and_metrics_need_no_key() -> None:
    async with client_of() as client:
        del client.headers["Authorization"]
        for path in ("/livez", "/readyz", "/startupz", "/metrics"):
            assert (await client.get(path)).status_code == 200


async def test_ready_says_what_each_part_says() -> None:
    async with client_of() as client:
        assert (await client.get("/readyz")).json() == {
            "service": "pets",
            "ready": True,
            "checks": {"database": True, "imports": "none is open"},
        }


async def test_a_process_that_is_not_ready_is_alive() -> None:
    async def no_database() -> Mapping[str, bool | str]:
        return {"database": False, "broker": True}

    async with client_of(readiness=no_database) as client:
        answer = await client.get("/readyz")
        assert answer.status_code == 503
        assert answer.json()["checks"] == {"database": False, "broker": True}
        assert (await client.get("/livez")).status_code == 200


async def test_readiness_that_cannot_be_told_is_none() -> None:
    async def unknown() -> Mapping[str, bool | str]:
        raise StoreUnavailable(PERSONAL)

    async with client_of(readiness=unknown) as client:
        answer = await client.get("/readyz")
        assert answer.status_code == 503
        assert answer.json()["checks"] == {"readiness": False, "reason": "StoreUnavailable"}


async def test_what_was_ready_once_has_started_for_good() -> None:
    database = False

    async def sometimes() -> Mapping[str, bool | str]:
        return {"database": database}

    async with client_of(readiness=sometimes) as client:
        assert (await client.get("/startupz")).status_code == 503
        database = True
        assert (await client.get("/startupz")).status_code == 200
        database = False
        assert (await client.get("/startupz")).status_code == 200
        assert (await client.get("/readyz")).status_code == 503


async def test_requests_are_counted_by_route_and_status_and_never_by_what_was_asked() -> None:
    async with client_of() as client:
        await client.get(f"/v1/pets/{PERSONAL}")
        await client.get(f"/v1/{PERSONAL}")
        await client.get("/v1/faults/bug")
        await client.request(PERSONAL, "/livez")
        text = (await client.get("/metrics")).text
    name = "regulars_http_request_seconds_count"
    for labels in (
        'method="GET",route="/v1/pets/{pet}",status="200"',
        'method="GET",route="unmatched",status="404"',
        'method="GET",route="/v1/faults/{which}",status="500"',
        'method="other",route="/livez",status="405"',
    ):
        assert f"{name}{{{labels}}}" in text
    assert PERSONAL not in text


# --- The description -----------------------------------------------------------------------------


async def test_the_description_tells_problems_batches_and_keys() -> None:
    async with client_of() as client:
        api = (await client.get("/openapi.json")).json()
    add = api["paths"]["/v1/pets"]["post"]
    assert add["responses"]["default"]["content"] == {
        "application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}
    }
    assert "422" not in add["responses"]
    assert {"bearer": []} in add["security"]
    many = api["paths"]["/v1/pets/batch"]["post"]["requestBody"]["content"]["application/json"]
    assert many["schema"]["properties"]["items"]["maxItems"] == 1000
    assert set(api["components"]["securitySchemes"]) == {"bearer", "apiKey"}
    assert "/livez" not in api["paths"]


async def test_every_reference_in_the_description_leads_somewhere() -> None:
    async with client_of() as client:
        text = (await client.get("/openapi.json")).text
    schemas = json.loads(text)["components"]["schemas"]
    named = {part.partition('"')[0] for part in text.split("#/components/schemas/")[1:]}
    assert {"Dog", "Cat", "Problem"} <= named
    assert named <= set(schemas)
    assert "$defs" not in text


async def test_the_page_of_the_description_asks_nobody_else() -> None:
    async with client_of() as client:
        page = await client.get("/docs")
        assert page.status_code == 200
        assert "http://" not in page.text
        assert "https://" not in page.text
        assert page.headers["Content-Security-Policy"].startswith("default-src 'self';")
        for asset in ("swagger-ui-bundle.js", "swagger-ui.css"):
            assert f"/docs/assets/{asset}" in page.text
            assert (await client.get(f"/docs/assets/{asset}")).status_code == 200


# --- Building ------------------------------------------------------------------------------------


def test_an_endpoint_outside_of_the_api_is_a_mistake() -> None:
    async def lost() -> None:
        pass

    router = APIRouter()
    router.add_api_route("/pets", lost)
    with pytest.raises(ValueError, match="/pets is outside of /v1"):
        build_app(
            title="Pets",
            service="pets",
            routers=[router],
            authenticator=Authenticator(MemoryApiKeys(), SECRET),
            readiness=everything_is_ready,
        )


async def test_the_lifespan_of_the_service_is_that_of_the_app() -> None:
    seen: list[str] = []

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        seen.append("begun")
        yield
        seen.append("ended")

    app = build_app(
        title="Pets",
        service="pets",
        routers=[],
        authenticator=Authenticator(MemoryApiKeys(), SECRET),
        readiness=everything_is_ready,
        lifespan=lifespan,
    )
    async with app.router.lifespan_context(app):
        assert seen == ["begun"]
    assert seen == ["begun", "ended"]
