"""How decisions touch unique values."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from shared.decider import NewEvent
from shared.eventstore import Claim, ClaimChange

BodyT = TypeVar("BodyT")


@dataclass(frozen=True, slots=True)
class ClaimPolicy(Generic[BodyT]):
    """How commands of one kind touch unique values.

    `ids` names the values a command touches; `given` puts their present claims into the body that
    the decider sees; `changes` says what its events change.
    """

    ids: Callable[[BodyT], Sequence[str]]
    given: Callable[[BodyT, Mapping[str, Claim]], BodyT]
    changes: Callable[[BodyT, Sequence[NewEvent]], Sequence[ClaimChange]]
