"""Who may read and write campaigns."""

from typing import Annotated

from fastapi import Depends

from shared.access import Kind, Permission, Principal, scope
from shared.http import principal

Reader = Annotated[Principal, Depends(principal(Permission.CAMPAIGNS_READ))]
Writing = Annotated[Principal, Depends(principal(Permission.CAMPAIGNS_WRITE))]


def whole_chain(calling: Principal) -> None:
    """Campaigns address the customers of all branches. Raises `Refused` (403)."""
    scope(calling, Kind.CAMPAIGN).require(None)
