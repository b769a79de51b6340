"""Which segments name which: never in a circle, so that each can be asked after those it names.

A definition that would close a circle is refused. Two that each close half of one may still be
recorded at the same time; then the later of them is not evaluated until it is defined otherwise, so
that whoever reads the log finds the same rules, and none that waits for itself.
"""

from collections.abc import Iterator, Mapping, Sequence

from services.segment.rules.language.relations import InSegment
from services.segment.rules.language.tree import All, AnyOf, Not, Rule, leaves

Graph = Mapping[str, frozenset[str]]
"""Segment → the segments that its rule names."""


def named_in(rule: Rule) -> frozenset[str]:
    """The segments that a rule names."""
    return frozenset(leaf.segment for leaf in leaves(rule) if isinstance(leaf, InSegment))


def placed(rule: Rule, path: str) -> Iterator[tuple[str, Rule]]:
    """Every clause that looks at the customer, with its path in the writer's JSON."""
    match rule:
        case All() | AnyOf():
            for index, clause in enumerate(rule.clauses):
                yield from placed(clause, f"{path}.clauses[{index}]")
        case Not():
            yield from placed(rule.clause, f"{path}.clause")
        case _:
            yield path, rule


def circle(graph: Graph, start: str) -> Sequence[str] | None:
    """The shortest way from a segment to itself, both ends included; None where there is none."""
    came: dict[str, str] = {}
    level = [start]
    while level:
        following = []
        for name in level:
            for named in sorted(graph.get(name, ())):
                if named == start:
                    return _way(came, start, name)
                if named not in came:
                    came[named] = name
                    following.append(named)
        level = following
    return None


def _way(came: Mapping[str, str], start: str, last: str) -> Sequence[str]:
    between = []
    while last != start:
        between.append(last)
        last = came[last]
    return [start, *reversed(between), start]


def depths(graph: Graph) -> Mapping[str, int]:
    """How many others must be asked before each: 0 for one that names none. Circles are left out.

    A name that the graph does not know counts for nothing.
    """
    depth: dict[str, int] = {}
    open_names = dict(graph)
    while open_names:
        ready = [
            name
            for name, named in open_names.items()
            if all(each in depth or each not in graph for each in named)
        ]
        if not ready:
            break
        found = {
            name: 1 + max((depth[each] for each in graph[name] if each in graph), default=-1)
            for name in ready
        }
        depth.update(found)
        for name in ready:
            del open_names[name]
    return depth
