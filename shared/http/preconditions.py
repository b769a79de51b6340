"""Versions on the wire: `ETag`, `If-Match`, and reads that wait for a write.

The entity tag of a resource is the version of its stream. Nobody overwrites what they have not
seen: a change names the version that it rests on, and is refused when there is another by now.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from time import monotonic
from typing import Annotated

from fastapi import Depends, Header, Query

from shared.decider import Refused, invalid

WAIT_SECONDS = 5.0
FIRST_PAUSE_SECONDS = 0.01
LONGEST_PAUSE_SECONDS = 0.2
_LIST = re.compile(r'(W/)?"[^"]*"(\s*,\s*(W/)?"[^"]*")*')
_TAG = re.compile(r'(?<!W/)"([0-9]+)(?:-([0-9A-Za-z_-]+))?"(?=\s*(?:,|$))')

MinVersion = Annotated[
    int | None,
    Query(ge=1, description="Answer only once this version of the stream can be seen."),
]


def etag(version: int, of: str | None = None) -> str:
    """The value of the `ETag` header; `of` names whose version it is, where another one answers."""
    return f'"{version}"' if of is None else f'"{version}-{of}"'


@dataclass(frozen=True, slots=True)
class Precondition:
    """What `If-Match` allows: one of the versions, or any (None).

    `of_others` are versions of those who answer in place of what was asked for, as (id, version).
    """

    versions: frozenset[int] | None
    of_others: frozenset[tuple[str, int]] = frozenset()

    def versions_of(self, other: str | None) -> frozenset[int] | None:
        """The versions of the one who answers in its place (None: it answers itself)."""
        if self.versions is None or other is None:
            return self.versions
        return frozenset(version for name, version in self.of_others if name == other)

    def require(self, version: int) -> None:
        """Raise `Refused` (412) when the resource has another version."""
        if self.versions is not None and version not in self.versions:
            raise Refused(
                "precondition-failed",
                412,
                "It has changed in the meantime.",
                "read it again, and decide again",
                extra={"etag": etag(version)},
            )

    def require_of(self, version: int | None) -> None:
        """The same where there may be nothing yet, which has none of our versions."""
        self.require(-1 if version is None else version)


async def if_match(
    if_match: Annotated[
        str | None,
        Header(max_length=1000, description="The ETag of the version that the change rests on."),
    ] = None,
) -> Precondition:
    """The precondition of a change, which must have one. Raises `Refused` (428, 422)."""
    if if_match is None:
        raise Refused(
            "precondition-required",
            428,
            "Say which version this rests on.",
            "send the ETag of what you have read as If-Match, or `*`",
        )
    return precondition_of(if_match)


IfMatch = Annotated[Precondition, Depends(if_match)]


async def optional_match(
    if_match: Annotated[
        str | None,
        Header(max_length=1000, description="The ETag of the version that the change rests on."),
    ] = None,
) -> Precondition:
    """The precondition of a change that may have one. Raises `Refused` (422)."""
    return Precondition(None) if if_match is None else precondition_of(if_match)


OptionalMatch = Annotated[Precondition, Depends(optional_match)]


async def if_match_unless_new(
    if_match: Annotated[
        str | None,
        Header(
            max_length=1000,
            description="The ETag of the version that a change rests on; left out for a new thing.",
        ),
    ] = None,
) -> Callable[[int | None], None]:
    """A check of the present version (None: there is nothing yet). Raises `Refused` (422).

    The check raises `Refused`: 428 where there is something and no version was named, 412 where
    another version was named than there is.
    """
    precondition = None if if_match is None else precondition_of(if_match)

    def check(version: int | None) -> None:
        if precondition is not None:
            precondition.require_of(version)
        elif version is not None:
            raise Refused(
                "precondition-required",
                428,
                "Say which version this rests on.",
                "there is one already: send its ETag as If-Match, or `*`",
                extra={"etag": etag(version)},
            )

    return check


IfMatchUnlessNew = Annotated[Callable[[int | None], None], Depends(if_match_unless_new)]


def precondition_of(header: str) -> Precondition:
    """The precondition in an `If-Match` header (RFC 9110, 13.1.1).

    Tags that are weak, or none of ours, match no version. Raises `Refused` (422) for a text
    that is no list of tags.
    """
    text = header.strip()
    if text == "*":
        return Precondition(None)
    if not _LIST.fullmatch(text):
        raise invalid("if-match", 'should be `"<version>"` or `*`')
    tags = [(name, int(version)) for version, name in _TAG.findall(text)]
    return Precondition(
        frozenset(version for name, version in tags if not name),
        frozenset((name, version) for name, version in tags if name),
    )


async def until(check: Callable[[], Awaitable[bool]], seconds: float = WAIT_SECONDS) -> None:
    """Wait until the check holds. Raises `Refused` (503) when it does not in time."""
    give_up = monotonic() + seconds
    pause = FIRST_PAUSE_SECONDS
    while not await check():
        if monotonic() + pause > give_up:
            raise Refused(
                "not-caught-up",
                503,
                "The read side has not seen that version yet.",
                f"waited for {seconds:g} s",
            )
        await asyncio.sleep(pause)
        pause = min(pause * 2, LONGEST_PAUSE_SECONDS)
