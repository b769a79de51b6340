"""Pages of a list: keyset cursors.

A cursor holds the position of the last item of a page, so that what is added or removed in between
neither repeats nor hides others, and the thousandth page costs as much as the first. It is opaque
but not secret: it may hold nothing that its page does not show, and every page is narrowed to the
caller's scope anew, so a cursor of somebody else opens nothing.
"""

import base64
import binascii
from collections.abc import Callable, Sequence
from typing import Annotated, Generic, TypeVar

import msgspec
from fastapi import Query
from pydantic import BaseModel, Field

from shared.decider import invalid

LARGEST_PAGE = 1000
ItemT = TypeVar("ItemT")
PositionT = TypeVar("PositionT")

Limit = Annotated[int, Query(ge=1, le=LARGEST_PAGE, description="Most items of a page.")]
Cursor = Annotated[
    str | None, Query(max_length=2000, description="`next_cursor` of the page before.")
]


class Page(BaseModel, Generic[ItemT]):
    """Some items of a list, in its order."""

    items: list[ItemT]
    next_cursor: str | None = Field(default=None, description="for the next page; null on the last")


def cursor_of(position: object) -> str:
    """The cursor for a position: any value that msgspec can write as JSON."""
    return base64.urlsafe_b64encode(msgspec.json.encode(position)).rstrip(b"=").decode()


def position_of(cursor: str | None, kind: type[PositionT]) -> PositionT | None:
    """The position in a cursor; None for the first page. Raises `Refused` (422) for no cursor."""
    if cursor is None:
        return None
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        return msgspec.json.decode(raw, type=kind)
    except (binascii.Error, ValueError, msgspec.DecodeError) as error:
        raise invalid("cursor", "is not a cursor of this list") from error


def page_of(found: Sequence[ItemT], limit: int, position: Callable[[ItemT], object]) -> Page[ItemT]:
    """The page from a query that asked for one item more than the limit."""
    items = list(found[:limit])
    more = len(found) > limit
    return Page[ItemT](items=items, next_cursor=cursor_of(position(items[-1])) if more else None)
