"""Saving and forgetting views: the last word of their user counts."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from services.customer.domain.views import SavedView
from shared.decider import Refused, not_found
from shared.eventstore import StoreUnavailable
from shared.projection import Document
from shared.readmodel import Documents

MOST_VIEWS = 100
TRIES = 20


class UserViews(Document, kw_only=True):
    """All views of one principal, by name."""

    views: dict[str, dict[str, Any]] = msgspec.field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Views:
    """The views of all users."""

    documents: Documents

    async def all_of(self, principal: str) -> Sequence[tuple[str, SavedView]]:
        """The principal's views, by name."""
        found = await self._load(principal)
        return [
            (name, SavedView.model_validate(view)) for name, view in sorted(found.views.items())
        ]

    async def get(self, principal: str, name: str) -> SavedView:
        """One view. Raises `Refused` (404)."""
        found = (await self._load(principal)).views.get(name)
        if found is None:
            kind = "view"
            raise not_found(kind, name)
        return SavedView.model_validate(found)

    async def save(self, principal: str, name: str, view: SavedView) -> None:
        """Keep the view under the name. Raises `Refused` (422) for one too many."""
        await self._change(principal, name, view.model_dump(mode="json", exclude_none=True))

    async def forget(self, principal: str, name: str) -> None:
        """Let the view go, if it is there."""
        await self._change(principal, name, None)

    async def _change(self, principal: str, name: str, view: dict[str, Any] | None) -> None:
        for _ in range(TRIES):
            found = await self._load(principal)
            others = {each: kept for each, kept in found.views.items() if each != name}
            found.views = others if view is None else {**others, name: view}
            if len(found.views) > MOST_VIEWS:
                raise Refused("too-many", 422, "There are too many of these.", f"{MOST_VIEWS}")
            found.rev += 1
            if not await self.documents.write([msgspec.to_builtins(found)]):
                return
        raise StoreUnavailable("the views change too fast")

    async def _load(self, principal: str) -> UserViews:
        raw = (await self.documents.load([principal])).get(principal)
        return UserViews(id=principal) if raw is None else msgspec.convert(raw, UserViews)
