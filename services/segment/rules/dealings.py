"""Words about what goes on with a customer: deals and tasks, each part by part."""

from typing import Self

import msgspec

from services.segment.rules.language.deals import DEALS, DEALS_HOLDER, DEALS_TERMS
from services.segment.rules.language.tasks import TASKS, TASKS_TERMS
from services.segment.rules.saying import Spoken, earlier, event_along, later

GONE = "gone"
"""The state of what goes on with another customer."""


class DealTerms(msgspec.Struct, array_like=True, frozen=True):
    """What a deal is about; `amount` in minor units."""

    version: int
    amount: int
    deal_type: str | None
    source: str | None
    branch: str | None


class DealStand(msgspec.Struct, array_like=True, frozen=True):
    """Where a deal stands: `state` is open, won, lost or gone.

    `since` is the instant at which it came to its stage, `closed` that of its end.
    """

    version: int
    state: str
    pipeline: str = ""
    stage: str = ""
    since: int = 0
    closed: int | None = None


class DealHolder(msgspec.Struct, array_like=True, frozen=True):
    """Who answers for a deal."""

    version: int
    responsible: str | None


class Deal(Spoken, array_like=True, frozen=True, tag="deal"):
    """A deal, as far as it is told; `opened` is an instant."""

    deal: str
    opened: int | None = None
    terms: DealTerms | None = None
    stand: DealStand | None = None
    holder: DealHolder | None = None

    @property
    def place(self) -> str:
        """The deal."""
        return self.deal

    @property
    def touches(self) -> tuple[str, ...]:
        """What rules read of the parts that are told."""
        told = ((self.stand, DEALS), (self.terms, DEALS_TERMS), (self.holder, DEALS_HOLDER))
        return tuple(name for part, name in told if part is not None)

    @property
    def version(self) -> int:
        """That of the last part."""
        parts = (self.terms, self.stand, self.holder)
        return max((part.version for part in parts if part is not None), default=0)

    def after(self, held: Self) -> Self:
        """What holds of two words about this deal."""
        return type(self)(
            self.deal,
            earlier(self.opened, held.opened),
            later(self.terms, held.terms),
            later(self.stand, held.stand),
            later(self.holder, held.holder),
        )

    def besides(self, retold: Self) -> Self | None:
        """What another word about this deal leaves out."""
        return type(self)(
            self.deal,
            self.opened if retold.opened is None else None,
            self.terms if retold.terms is None else None,
            self.stand if retold.stand is None else None,
            self.holder if retold.holder is None else None,
        )

    def event(self, customer: str) -> str:  # noqa: ARG002 - a deal has streams of its own
        """The id of the event that said the last of it."""
        return event_along("deal", self.deal, self.version)


class TaskTerms(msgspec.Struct, array_like=True, frozen=True):
    """What is to be done, by whom and when; `due` is an instant."""

    version: int
    kind: str
    responsible: str | None
    branch: str | None
    due: int | None


class TaskStand(msgspec.Struct, array_like=True, frozen=True):
    """Where a task stands: `state` is open, completed, cancelled or gone.

    `ended` is the instant of its end, `outcome` how it ended.
    """

    version: int
    state: str
    ended: int | None = None
    outcome: str | None = None


class Task(Spoken, array_like=True, frozen=True, tag="task"):
    """A task, as far as it is told; `planned` is an instant."""

    task: str
    planned: int | None = None
    terms: TaskTerms | None = None
    stand: TaskStand | None = None

    @property
    def place(self) -> str:
        """The task."""
        return self.task

    @property
    def touches(self) -> tuple[str, ...]:
        """What rules read of the parts that are told."""
        told = ((self.stand, TASKS), (self.terms, TASKS_TERMS))
        return tuple(name for part, name in told if part is not None)

    @property
    def version(self) -> int:
        """That of the last part."""
        parts = (self.terms, self.stand)
        return max((part.version for part in parts if part is not None), default=0)

    def after(self, held: Self) -> Self:
        """What holds of two words about this task."""
        return type(self)(
            self.task,
            earlier(self.planned, held.planned),
            later(self.terms, held.terms),
            later(self.stand, held.stand),
        )

    def besides(self, retold: Self) -> Self | None:
        """What another word about this task leaves out."""
        return type(self)(
            self.task,
            self.planned if retold.planned is None else None,
            self.terms if retold.terms is None else None,
            self.stand if retold.stand is None else None,
        )

    def event(self, customer: str) -> str:  # noqa: ARG002 - a task has streams of its own
        """The id of the event that said the last of it."""
        return event_along("task", self.task, self.version)
