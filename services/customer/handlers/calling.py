"""One call of another system: signed, short, and never into the own network.

The signature is that of `shared/calling.py` over `<unix seconds>.<body>`, in the header
`X-Regulars-Signature: t=<unix seconds>,v1=<hex>`; `X-Regulars-Request` is the same each time a
request is repeated. The key belongs to the address, so who runs one cannot sign for another.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import httpx2

from shared.calling import REQUEST, SIGNATURE, AddressRefused, place_of, signature, signing_key

PATIENCE_SECONDS = 10.0
FIRST_FAILURE = 300


class Unreachable(Exception):  # noqa: N818 - an answer of the caller's
    """It was not taken over; the text is a word for people."""


class Caller(Protocol):
    """Calls other systems."""

    async def call(self, url: str, body: str, request: str) -> None:
        """Hand the body over. Raises `Unreachable`."""
        ...


@dataclass(frozen=True, slots=True)
class HttpCaller:
    """Implements `Caller` over HTTP; `now` gives unix seconds."""

    secret: bytes = field(repr=False)
    now: Callable[[], float]
    private_addresses: bool = False
    client: httpx2.AsyncClient = field(
        default_factory=lambda: httpx2.AsyncClient(
            timeout=PATIENCE_SECONDS, follow_redirects=False, trust_env=False
        )
    )

    async def call(self, url: str, body: str, request: str) -> None:
        """Hand the body over. Raises `Unreachable`."""
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                status = await self._post(url, body, request)
        except AddressRefused as refusal:
            raise Unreachable("address") from refusal
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError, TimeoutError, ValueError) as failure:
            # Of a name that no resolver takes a `ValueError` tells.
            raise Unreachable("away") from failure
        if status >= FIRST_FAILURE:
            raise Unreachable(f"status-{status}")

    async def close(self) -> None:
        """Let go of connections."""
        await self.client.aclose()

    async def _post(self, url: str, body: str, request: str) -> int:
        place = await place_of(url, private_addresses=self.private_addresses)
        key = signing_key(self.secret, url)
        async with self.client.stream(
            "POST",
            place.url,
            content=body.encode(),
            headers={
                "Host": place.host,
                "Content-Type": "application/json",
                SIGNATURE: signature(key, int(self.now()), body),
                REQUEST: request,
            },
            extensions={"sni_hostname": place.server_name},
        ) as response:
            # What it says beside the status is not read.
            return response.status_code
