"""Who may ask what of segments: a segment is of the whole chain."""

from typing import Annotated

from fastapi import Depends, Query
from pydantic import AfterValidator, AwareDatetime

from shared.access import Kind, Permission, Principal, scope
from shared.clock import to_milliseconds
from shared.http import principal

Reader = Annotated[Principal, Depends(principal(Permission.SEGMENTS_READ))]
Writing = Annotated[Principal, Depends(principal(Permission.SEGMENTS_WRITE))]
Moment = Annotated[
    Annotated[AwareDatetime, AfterValidator(to_milliseconds)] | None,
    Query(description="A moment; now when left out. ISO 8601 with its zone."),
]


def whole_chain(calling: Principal) -> None:
    """A segment is of the whole chain: a key of some branches sees and touches none of it.

    Raises `Refused` (403).
    """
    scope(calling, Kind.SEGMENT).require(None)
