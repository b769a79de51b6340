"""Work under way is bounded, and shared fairly: whoever sends too much waits, the others do not.

Each process takes on so much at once and no more, so its memory and its answers' delays are
bounded. Of that a caller may hold `limit / (callers + 1)`, counting those who hold something now: a
single noisy one leaves half of it free, and whoever comes finds room at once. What is too much is
answered 429 with `Retry-After` (RFC 6585, RFC 9110) before its body is read, so nothing of it was
accepted; what was taken on is never given up.
"""

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from fastapi import APIRouter
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from shared import telemetry
from shared.access import Authenticator, Principal
from shared.decider import Refused
from shared.eventstore import StoreUnavailable
from shared.http.problems import problem_response

UNIT_BYTES = 32 * 1024
"""A body counts one for each begun part of this: a receipt is one, a thousand of them are ten."""
UNKNOWN_UNITS = 32
"""Of a body that does not say how long it is."""
RETRY_AFTER_SECONDS = 1


@dataclass(frozen=True, slots=True)
class Bounds:
    """What takes on only so much at once: POSTs to the routers, and how many units in all."""

    routers: Sequence[APIRouter]
    limit: int

    @property
    def paths(self) -> frozenset[str]:
        """The paths of the routers."""
        return frozenset(
            str(getattr(route, "path", "")) for router in self.routers for route in router.routes
        )


NO_BOUNDS = Bounds((), 0)


class TooBusy(Refused):
    """Too much is under way, of this caller or of all."""


@dataclass(slots=True)
class Shares:
    """Who holds how much of the limit."""

    limit: int
    held: dict[str, int] = field(default_factory=dict)
    total: int = 0

    @contextmanager
    def holding(self, caller: str, units: int) -> Iterator[None]:
        """Hold units as long as the block lasts. Raises `TooBusy`, and holds nothing.

        Something that is larger than a share is taken on where its caller, or everybody, holds
        nothing else: it could never come in otherwise.
        """
        self._check(caller, units)
        self.held[caller] = self.held.get(caller, 0) + units
        self.total += units
        try:
            yield
        finally:
            self.total -= units
            self.held[caller] -= units
            if not self.held[caller]:
                del self.held[caller]

    def _check(self, caller: str, units: int) -> None:
        if self.total and self.total + units > self.limit:
            raise _too_busy("process", "the service has too much to do")
        mine = self.held.get(caller, 0)
        callers = len(self.held | {caller: 0})
        if mine and mine + units > self.limit // (callers + 1):
            raise _too_busy("caller", "this caller, or its branch, has too much under way")


def _too_busy(why: str, detail: str) -> TooBusy:
    telemetry.HTTP_TOO_BUSY.labels(why).inc()
    return TooBusy(
        "too-busy",
        429,
        "Too much is under way.",
        f"{detail}: nothing was accepted, send the same again after a moment",
        extra={"retry_after": str(RETRY_AFTER_SECONDS)},
    )


@dataclass(frozen=True, slots=True)
class Bounded:
    """Takes on no more POSTs to the paths than the shares allow."""

    app: ASGIApp
    paths: Collection[str]
    authenticator: Authenticator
    shares: Shares

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 429."""
        if scope["type"] != "http" or scope["method"] != "POST" or scope["path"] not in self.paths:
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        try:
            caller = share_of(await self.authenticator.authenticate(_key(headers)))
        except (Refused, StoreUnavailable):
            # It is refused inside, in the words that it always has.
            await self.app(scope, receive, send)
            return
        try:
            with self.shares.holding(caller, _units(headers)):
                await self.app(scope, receive, send)
        except TooBusy as busy:
            await problem_response(busy)(scope, receive, send)


def share_of(principal: Principal) -> str:
    """Who shares with whom: all callers of a branch hold one share, others one each."""
    if principal.branches is None:
        return principal.id
    return "|".join(sorted(principal.branches))


def _key(headers: Headers) -> str | None:
    scheme, _, text = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and text:
        return text
    return headers.get("x-api-key")


def _units(headers: Headers) -> int:
    announced = headers.get("content-length", "")
    return 1 + int(announced) // UNIT_BYTES if announced.isdecimal() else UNKNOWN_UNITS
