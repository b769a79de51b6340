"""What a rule names must be there: other segments, tables of cut points, lists. Pure.

A definition is refused that names what there is not, or that would come round to itself; what a
standing rule names is not archived under it. Two commands that are decided at the same moment may
still miss each other: then whoever names what is gone finds nobody in it, and of a circle the later
half is left out (`rules/graph.py`).
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from services.segment.rules.graph import circle, named_in, placed
from services.segment.rules.language.relations import InSegment, OnList, list_read
from services.segment.rules.language.rfm import Percentile, Rfm, RfmCell
from services.segment.rules.language.tree import Rule, reads
from shared.decider import FieldError, Refused


@dataclass(frozen=True, slots=True)
class References:
    """What rules may name: segments that stand, by their rules, tables of cut points, and lists."""

    rules: Mapping[str, Rule]
    tables: Collection[str] = ()
    lists: Collection[str] = ()

    def require(self, name: str, rule: Rule) -> None:
        """Raise `Refused` (422) where the rule of a segment names what it may not."""
        errors = tuple(self._errors(name, rule))
        if errors:
            raise Refused("invalid", 422, "The input is not valid.", errors=errors)

    def naming(self, name: str) -> Collection[str]:
        """The segments whose rules name this one."""
        return sorted(other for other, rule in self.rules.items() if name in named_in(rule))

    def naming_list(self, name: str) -> Collection[str]:
        """The segments whose rules name a list."""
        return sorted(other for other, rule in self.rules.items() if list_read(name) in reads(rule))

    def _errors(self, name: str, rule: Rule) -> Iterator[FieldError]:
        graph = {other: named_in(each) for other, each in self.rules.items()}
        for path, leaf in placed(rule, "rule"):
            if isinstance(leaf, Rfm | RfmCell | Percentile) and leaf.table not in self.tables:
                yield FieldError(f"{path}.table", f"there is no table {leaf.table}")
            if isinstance(leaf, OnList) and leaf.list not in self.lists:
                yield FieldError(
                    f"{path}.list", f"there is no list {leaf.list} that is not archived"
                )
            if isinstance(leaf, InSegment):
                way = circle({**graph, name: frozenset({leaf.segment})}, name)
                if way is not None:
                    yield FieldError(
                        f"{path}.segment", f"closes a circle: {' → '.join(way)}; a segment cannot"
                        " wait for itself",
                    )  # fmt: skip
                elif leaf.segment not in self.rules:
                    yield FieldError(
                        f"{path}.segment", f"there is no segment {leaf.segment} that stands"
                    )


def require_unnamed(naming: Collection[str]) -> None:
    """Raise `Refused` (409) where other segments name the one that is to be archived."""
    if naming:
        raise Refused(
            "segment-named",
            409,
            "Other segments name this one.",
            f"change or archive them first: {', '.join(naming)}",
        )
