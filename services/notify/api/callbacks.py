"""What providers tell by HTTP: no key of ours, but the provider's own signature.

A success is answered only once everything that was told is durable, and soon: providers repeat what
is not. What cannot be read is told by its place, never by what stood there.
"""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import PlainTextResponse
from pydantic import BaseModel, SecretStr

from services.notify.channels.hearing import Hearer
from services.notify.channels.reports import BadSignature, Unreadable
from services.notify.handlers.returns.hearing import Hearing
from shared import telemetry
from shared.decider import Refused, not_found

MAX_BODY_BYTES = 3 * 1024 * 1024
"""What the largest of them (WhatsApp) sends at the most."""
WHATSAPP = "whatsapp"

Provider = Annotated[str, Path(pattern=r"^[a-z]{1,20}$", description="the channel's name")]
Mode = Annotated[str, Query(alias="hub.mode", max_length=20)]
Token = Annotated[str, Query(alias="hub.verify_token", max_length=200)]
Challenge = Annotated[str, Query(alias="hub.challenge", pattern=r"^[A-Za-z0-9_-]{1,100}$")]


class Taken(BaseModel):
    """It is written down; `items` is how much of it there was."""

    items: int


@dataclass(frozen=True, slots=True)
class CallbackApi:
    """The endpoints, on what they need; `hearers` are those of the channels that are heard."""

    hearers: Mapping[str, Hearer]
    hearing: Hearing
    verify_token: SecretStr | None = field(default=None, repr=False)

    def router(self) -> APIRouter:
        """The routes below `/v1/callbacks`."""
        router = APIRouter(prefix="/v1/callbacks", tags=["callbacks"])
        router.add_api_route(
            "/whatsapp", self.verify, methods=["GET"], response_class=PlainTextResponse
        )
        router.add_api_route("/{provider}", self.take, methods=["POST"])
        return router

    async def take(self, provider: Provider, request: Request) -> Taken:
        """What a provider tells, in its own words, signed by it."""
        hearer = self.hearers.get(provider)
        if hearer is None:
            kind = "callback"
            raise not_found(kind, provider)
        body = await _body(request)
        try:
            heard = hearer(request.headers, body)
        except BadSignature:
            telemetry.REPORTS.labels("refused").inc()
            raise Refused(
                "bad-signature", HTTPStatus.UNAUTHORIZED, "It is not signed by the provider."
            ) from None
        except Unreadable as failure:
            telemetry.REPORTS.labels("refused").inc()
            raise Refused(
                "unreadable", HTTPStatus.BAD_REQUEST, "The request cannot be read.", str(failure)
            ) from None
        await self.hearing.take(provider, heard)
        return Taken(items=len(heard))

    async def verify(self, mode: Mode, token: Token, challenge: Challenge) -> PlainTextResponse:
        """Meta asks once whether the address is ours (Webhooks, "Verification Requests")."""
        expected = None if self.verify_token is None else self.verify_token.get_secret_value()
        if not expected or WHATSAPP not in self.hearers:
            kind = "callback"
            raise not_found(kind, WHATSAPP)
        if mode != "subscribe" or not hmac.compare_digest(token.encode(), expected.encode()):
            raise Refused("bad-signature", HTTPStatus.FORBIDDEN, "The token is another one.")
        return PlainTextResponse(challenge)


async def _body(request: Request) -> bytes:
    """The body as it came, since it is what was signed. Raises `Refused` for too much of it."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise Refused(
                "body-too-large",
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                "The body is too large.",
                f"at most {MAX_BODY_BYTES} bytes",
            )
    return bytes(body)
