"""One request to a provider over HTTP, and what is certain after each way that it can go wrong.

| what happens | what is known |
| --- | --- |
| no turn, connection or TLS before the deadline; frozen past it | not taken: late |
| no connection: refused, reset, no such host, TLS fails | not taken: away |
| anything before an answer begins, once the request was begun | unknown |
| an answer whose body is cut off, too long, or late | its status is certain, its body is not |

What an answer means is the channel's matter. Where the provider's documents say nothing,
`undocumented` reads the status as RFC 9110 and RFC 6585 have it:

| status | receipt |
| --- | --- |
| 429, 503 | away, for as long as `Retry-After` says |
| 3xx, 401, 402, 403, 404, 407, 408, 410 | away: the chain is not let in, or asks at a wrong place |
| 400 and other 4xx | rejected |
| 2xx, 500 and other 5xx | unknown: it may have failed before it was taken, or after |
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar

import httpx2
import msgspec

from services.notify.channels import NotTaken, Receipt, Rejected, Unknown
from services.notify.channels.turns import Turns

ShapeT = TypeVar("ShapeT")
MOST_BYTES = 64 * 1024
SENDING = "http11.send_request_headers.started"
"""What httpcore tells just before the first byte of a request leaves."""
_BUSY = frozenset({429, 503})
_NOT_LET_IN = frozenset({401, 402, 403, 404, 407, 408, 410})
_REDIRECTS = range(300, 400)
_REFUSALS = range(400, 500)
_WELL = range(200, 300)


class _Late(Exception):  # noqa: N818 - it ends a request, nothing is wrong
    """The deadline came before the request was begun."""


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked; nothing of it shows in a repr: it holds secrets and addresses."""

    url: str = field(repr=False)
    content: bytes = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    method: str = "POST"
    server_name: str | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """A status that was said; `body` is None where it did not come whole."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes | None = field(repr=False)

    @property
    def well(self) -> bool:
        """Whether the status says that it was taken."""
        return self.status in _WELL

    @property
    def retry_after(self) -> float | None:
        """Seconds to wait, as `Retry-After` says (RFC 9110, section 10.2.3); None: it does not.

        A moment counts from the answer's own `Date`: the clocks need not agree.
        """
        text = self.headers.get("retry-after", "").strip()
        if text.isascii() and text.isdecimal():
            return float(text[:9])
        until, said = _moment(text), _moment(self.headers.get("date", ""))
        if until is None or said is None:
            return None
        return max(0.0, (until - said).total_seconds())

    def of(self, kind: type[ShapeT]) -> ShapeT | None:
        """The body as a shape; None where it is none."""
        try:
            return msgspec.json.decode(self.body or b"", type=kind)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return None


def undocumented(answer: Answer) -> Receipt:
    """What an answer means about which the provider's documents say nothing."""
    code = str(answer.status)
    if answer.status in _BUSY:
        return NotTaken("away", code, answer.retry_after)
    if answer.status in _NOT_LET_IN or answer.status in _REDIRECTS:
        return NotTaken("away", code)
    return Rejected(code) if answer.status in _REFUSALS else Unknown()


def _client() -> httpx2.AsyncClient:
    # It notes whole URLs, and some providers want their secret there.
    logging.getLogger("httpx2").setLevel(logging.WARNING)
    # Deadlines are kept here, for the whole of a hand-over.
    return httpx2.AsyncClient(timeout=None, follow_redirects=False, trust_env=False)


@dataclass(slots=True)
class Asking:
    """Asks one provider, within its turns."""

    turns: Turns
    client: httpx2.AsyncClient = field(default_factory=_client, repr=False)

    async def ask(
        self, request: Request, deadline: float, read: Callable[[Answer], Receipt]
    ) -> Receipt:
        """Ask once; `read` says what an answer means. Raises nothing but cancellation."""
        try:
            async with self.turns.turn(deadline):
                answer = await self._answer(request, deadline)
        except TimeoutError:
            return NotTaken("late")
        return read(answer) if isinstance(answer, Answer) else answer

    async def close(self) -> None:
        """Let go of connections."""
        await self.client.aclose()

    async def _answer(self, request: Request, deadline: float) -> Answer | Receipt:
        begun = False
        said: Answer | None = None

        async def heard(event: str, _info: Mapping[str, Any]) -> None:
            nonlocal begun
            if event == SENDING:
                # A process that was frozen while it connected must not go on where it was.
                if asyncio.get_running_loop().time() >= deadline:
                    raise _Late
                begun = True

        extensions: dict[str, Any] = {"trace": heard}
        if request.server_name is not None:
            extensions["sni_hostname"] = request.server_name
        try:
            async with (
                asyncio.timeout_at(deadline),
                self.client.stream(
                    request.method,
                    request.url,
                    content=request.content,
                    headers=request.headers,
                    extensions=extensions,
                ) as response,
            ):
                said = Answer(response.status_code, response.headers, None)
                return replace(said, body=await _body(response))
        except _Late:
            return NotTaken("late")
        except TimeoutError:
            return said or (Unknown() if begun else NotTaken("late"))
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError, ValueError):
            return Unknown() if begun else NotTaken("away")


async def _body(response: httpx2.Response) -> bytes | None:
    """The whole body; None where it is cut off or too long."""
    found = bytearray()
    try:
        async for chunk in response.aiter_bytes():
            found += chunk
            if len(found) > MOST_BYTES:
                return None
    except (httpx2.HTTPError, OSError, ValueError):
        return None
    return bytes(found)


def _moment(text: str) -> datetime | None:
    try:
        found = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    return found if found.tzinfo is not None else None
