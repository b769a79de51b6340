"""Calls of other systems that are signed, and never go into the own network by accident.

Every signature is HMAC-SHA-256 (RFC 2104) over parts that are joined by dots. A host is resolved
once, every address that it has is looked at, and the call goes to one of those: a name that points
elsewhere a moment later changes nothing.
"""

import asyncio
import hashlib
import hmac
import ipaddress
import socket
from dataclasses import dataclass
from urllib.parse import urlsplit, urlunsplit

from shared.keyring import keyed_hash

SIGNATURE = "X-Regulars-Signature"
REQUEST = "X-Regulars-Request"
PORTS = {"http": 80, "https": 443}


_CARRYING_ANOTHER = tuple(map(ipaddress.IPv6Network, ("::/96", "64:ff9b:1::/48", "2002::/16")))
"""Ways into IPv4 that nothing public is reached by today (RFC 4291, RFC 8215, RFC 7526)."""
_TRANSLATED = ipaddress.IPv6Network("64:ff9b::/96")
"""Where a network of IPv6 alone finds all that has an IPv4 address only (RFC 6052)."""


class AddressRefused(Exception):  # noqa: N818 - it is refused, nothing is wrong
    """The host has an address of the own network, and that is not allowed."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a call goes: an address that was looked at, and the names that belong to it."""

    url: str
    host: str
    server_name: str


def signing_key(secret: bytes, url: str) -> str:
    """The key that calls of an address are signed with; who runs it checks them with it."""
    return keyed_hash(secret, "webhook", url)


def signed(key: bytes, *parts: bytes) -> bytes:
    """HMAC-SHA-256 over the parts, joined by dots."""
    return hmac.digest(key, b".".join(parts), hashlib.sha256)


def signature(key: str, moment: int, body: str) -> str:
    """The header for a body at a moment (unix seconds)."""
    made = signed(key.encode(), str(moment).encode(), body.encode()).hex()
    return f"t={moment},v1={made}"


def is_private(address: str) -> bool:
    """Whether an address is not one of the public internet."""
    found = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(found, ipaddress.IPv6Address):
        if any(found in network for network in _CARRYING_ANOTHER):
            return True
        if found.ipv4_mapped is not None or found in _TRANSLATED:
            found = ipaddress.IPv4Address(found.packed[-4:])
    return not found.is_global or found.is_multicast


async def place_of(url: str, *, private_addresses: bool) -> Place:
    """Where a call of the URL goes.

    Raises `AddressRefused`; OSError or ValueError where the host is not found.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    port = parts.port or PORTS.get(parts.scheme, 0)
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = [str(each[4][0]) for each in found]
    if not addresses:
        message = "the host has no address"
        raise OSError(message)
    if not private_addresses and any(is_private(each) for each in addresses):
        raise AddressRefused
    shown = f"[{addresses[0]}]" if ":" in addresses[0] else addresses[0]
    netloc = shown if parts.port is None else f"{shown}:{parts.port}"
    pinned = urlunsplit((parts.scheme, netloc, parts.path or "/", parts.query, ""))
    return Place(pinned, parts.netloc, host)
