"""Saved views: how one user likes to see the list. Personal settings, no facts of the chain."""

from typing import Annotated, Self

from pydantic import Field, StringConstraints, model_validator

from services.customer.domain.filters import Column, Condition, Filter, Sorting

MOST_COLUMNS = 50
MOST_PINNED = 5

ViewName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]


class SavedView(Condition):
    """Columns in their order, those that stay in sight, whom to show, in which order."""

    title: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    columns: tuple[Column, ...] = Field(min_length=1, max_length=MOST_COLUMNS)
    pinned: tuple[Column, ...] = Field(default=(), max_length=MOST_PINNED)
    filter: Filter = Filter()
    sort: Sorting = Sorting()

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if len(set(self.columns)) != len(self.columns):
            message = "a column stands in a view once"
            raise ValueError(message)
        if not set(self.pinned) <= set(self.columns) or len(set(self.pinned)) != len(self.pinned):
            message = "what is pinned is one of the columns, once"
            raise ValueError(message)
        return self
