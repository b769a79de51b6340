"""What rules need that no customer brings along, the same for all who have the same rule set.

It is part of the rule set, since an answer depends on it like on a definition.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from services.segment.rules.tables import Table


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What there is.

    `zone` (IANA name) is the chain's, `branches` those of branches by their names; `tables` are
    those of cut points, by their names.
    """

    zone: str = "UTC"
    branches: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    tables: Mapping[str, Table] = field(default_factory=lambda: MappingProxyType({}))

    def zone_of(self, branch: object) -> str:
        """The zone of a branch; the chain's where none is known."""
        return self.branches.get(branch, self.zone) if isinstance(branch, str) else self.zone


NOWHERE = Surroundings()
"""A chain in UTC, of whose branches nothing is known."""
