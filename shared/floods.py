"""How much a public page takes: per address, and per place: a form, or a link.

Counted in this process alone, by the machine's clock: several processes of the API take that much
each. What must hold for all together (attempts at a code, mails to an address) is counted in the
database. Addresses are kept as keyed hashes, and only while they count.
"""

from dataclasses import dataclass, field
from ipaddress import IPv6Address, ip_address

from limits import RateLimitItem, RateLimitItemPerHour, RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import SlidingWindowCounterRateLimiter

from shared.decider import Refused
from shared.keyring import keyed_hash

PER_ADDRESS = RateLimitItemPerHour(60)
PER_PLACE = RateLimitItemPerMinute(300)


def _network(address: str) -> str:
    """Whose requests count together: an IPv6 address is one of 2^64 that its holder may use."""
    try:
        found = ip_address(address)
    except ValueError:
        return address
    if not isinstance(found, IPv6Address) or found.ipv4_mapped is not None:
        return address
    return f"{int(found) >> 64:x}"


def _limiter() -> SlidingWindowCounterRateLimiter:
    return SlidingWindowCounterRateLimiter(MemoryStorage())


@dataclass(frozen=True, slots=True)
class Floods:
    """The limits, and what was sent lately."""

    secret: bytes = field(repr=False)
    per_address: RateLimitItem = PER_ADDRESS
    per_place: RateLimitItem = PER_PLACE
    limiter: SlidingWindowCounterRateLimiter = field(default_factory=_limiter)

    async def pass_one(self, place: str, address: str) -> None:
        """Count one more. Raises `Refused` (429) for one too many."""
        hashed = keyed_hash(self.secret, "address", _network(address))
        for limit, name in ((self.per_address, hashed), (self.per_place, place)):
            if not await self.limiter.hit(limit, name):
                raise Refused(
                    "too-many-requests", 429, "There are too many requests.", "try again later"
                )
