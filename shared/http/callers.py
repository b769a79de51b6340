"""Who calls, and under which id and hash their command is recorded.

An endpoint says what it needs, `Annotated[Principal, Depends(principal(Permission.…))]`; without it
an endpoint is open to everybody, which only health, public pages and what providers sign are.
"""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any

import msgspec
from fastapi import Depends, Header, Request, Security
from fastapi.security import APIKeyHeader, HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel

from shared.access import Authenticator, Permission, Principal
from shared.ids import new_id
from shared.keyring import keyed_hash

_bearer = HTTPBearer(scheme_name="bearer", description="An API key, `rg_…`.", auto_error=False)
_api_key = APIKeyHeader(
    name="X-API-Key", scheme_name="apiKey", description="The same key.", auto_error=False
)


async def caller(
    request: Request,
    bearer: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)],
    api_key: Annotated[str | None, Security(_api_key)],
) -> Principal:
    """Whoever calls. `Authorization` counts before `X-API-Key`. Raises `Refused` (401)."""
    text = api_key if bearer is None else bearer.credentials
    return await _authenticator(request).authenticate(text)


Caller = Annotated[Principal, Depends(caller)]


def principal(permission: Permission) -> Callable[[Principal], Awaitable[Principal]]:
    """The dependency that gives the caller, or refuses one without the permission (403)."""

    async def permitted(calling: Caller) -> Principal:
        calling.require(permission)
        return calling

    return permitted


async def command_id(
    request: Request,
    calling: Caller,
    idempotency_key: Annotated[
        str | None,
        Header(
            min_length=1,
            max_length=200,
            description="The same key with the same content is carried out once, for ever.",
        ),
    ] = None,
) -> str:
    """The id of the command: the same for the same caller and `Idempotency-Key`, else a new one."""
    if idempotency_key is None:
        return f"http|{calling.id}|{new_id()}"
    return _authenticator(request).command_id(calling, idempotency_key)


CommandId = Annotated[str, Depends(command_id)]


def asked_hash(secret: bytes, asked: object) -> str:
    """The hash of what was asked, over its JSON with sorted keys; it may hold models.

    It stays in the log for ever, so it is keyed: what was asked may be a phone number.
    """
    content = msgspec.json.encode(asked, order="sorted", enc_hook=_plain).decode()
    return keyed_hash(secret, "command", content)


def _plain(model: BaseModel) -> dict[str, Any]:
    return model.model_dump(mode="json")


def _authenticator(request: Request) -> Authenticator:
    authenticator: Authenticator = request.app.state.authenticator
    return authenticator
