"""One call of another system: signed, short, and never into the own network.

The signature is HMAC-SHA-256 (RFC 2104) over `<unix seconds>.<body>`, in the header
`X-Regulars-Signature: t=<unix seconds>,v1=<hex>`; `X-Regulars-Request` is the same each time a
request is repeated. The key belongs to the address, so who runs one cannot sign for another.

A host is resolved once, every address that it has is looked at, and the call goes to one of those:
a name that points elsewhere a moment later changes nothing.
"""

import asyncio
import hashlib
import hmac
import ipaddress
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol
from urllib.parse import urlsplit, urlunsplit

import httpx2

from shared.keyring import keyed_hash

SIGNATURE = "X-Regulars-Signature"
REQUEST = "X-Regulars-Request"
PATIENCE_SECONDS = 10.0
PORTS = {"http": 80, "https": 443}
FIRST_FAILURE = 300


class Unreachable(Exception):  # noqa: N818 - an answer of the caller's
    """It was not taken over; the text is a word for people."""


class Caller(Protocol):
    """Calls other systems."""

    async def call(self, url: str, body: str, request: str) -> None:
        """Hand the body over. Raises `Unreachable`."""
        ...


def signing_key(secret: bytes, url: str) -> str:
    """The key that calls of an address are signed with; who runs it checks them with it."""
    return keyed_hash(secret, "webhook", url)


def signature(key: str, moment: int, body: str) -> str:
    """The header for a body at a moment (unix seconds)."""
    signed = hmac.new(key.encode(), f"{moment}.{body}".encode(), hashlib.sha256).hexdigest()
    return f"t={moment},v1={signed}"


def is_private(address: str) -> bool:
    """Whether an address is not one of the public internet."""
    found = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped is not None:
        found = found.ipv4_mapped
    return not found.is_global or found.is_multicast


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
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError, TimeoutError, ValueError) as failure:
            # Of a name that no resolver takes a `ValueError` tells.
            raise Unreachable("away") from failure
        if status >= FIRST_FAILURE:
            raise Unreachable(f"status-{status}")

    async def close(self) -> None:
        """Let go of connections."""
        await self.client.aclose()

    async def _post(self, url: str, body: str, request: str) -> int:
        parts = urlsplit(url)
        host = parts.hostname or ""
        address = await self._address(host, parts.port or PORTS.get(parts.scheme, 0))
        shown = f"[{address}]" if ":" in address else address
        place = shown if parts.port is None else f"{shown}:{parts.port}"
        key = signing_key(self.secret, url)
        async with self.client.stream(
            "POST",
            urlunsplit((parts.scheme, place, parts.path or "/", parts.query, "")),
            content=body.encode(),
            headers={
                "Host": parts.netloc,
                "Content-Type": "application/json",
                SIGNATURE: signature(key, int(self.now()), body),
                REQUEST: request,
            },
            extensions={"sni_hostname": host},
        ) as response:
            # What it says beside the status is not read.
            return response.status_code

    async def _address(self, host: str, port: int) -> str:
        """An address of the host. Raises `Unreachable` where one of them is not allowed."""
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        addresses = [str(each[4][0]) for each in found]
        if not addresses:
            raise Unreachable("away")
        if not self.private_addresses and any(is_private(each) for each in addresses):
            raise Unreachable("address")
        return addresses[0]
