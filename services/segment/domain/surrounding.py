"""What zones that were noted mean for the rule set: the surroundings, and which rules rest on them.

A rule that counts days answers anew when they begin at other instants. So such a rule counts as
defined again by the event that noted the zone: it is asked by the same road, with that cause.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from services.segment.rules.language.dates import Age, Date
from services.segment.rules.language.facts import Facts
from services.segment.rules.language.tree import Rule, leaves
from services.segment.rules.ruleset import LiveRule
from services.segment.rules.surroundings import NOWHERE, Surroundings
from shared.envelope import Envelope
from shared.events.segment import ZoneNoted


@dataclass(frozen=True, slots=True)
class _Noted:
    event: Envelope
    data: ZoneNoted

    @property
    def at(self) -> datetime:
        return datetime.fromisoformat(self.event.recordedtime)


class NotedZones:
    """The zones that events noted, given in any order and however often."""

    def __init__(self, events: Iterable[Envelope]) -> None:
        """Events of other types are passed over."""
        noted = {
            event.streamversion: _Noted(event, ZoneNoted.model_validate_json(bytes(event.data)))
            for event in events
            if event.type == ZoneNoted.type
        }
        self._noted = [noted[version] for version in sorted(noted)]

    @property
    def moments(self) -> list[datetime]:
        """When each was recorded."""
        return [each.at for each in self._noted]

    @property
    def surroundings(self) -> Surroundings:
        """Whose days are whose by now."""
        zones = {each.data.branch: each.data.zone for each in self._noted}
        chain = zones.pop(None, NOWHERE.zone)
        return Surroundings(chain, {branch: zone for branch, zone in zones.items() if branch})

    def defining_again(self, rules: Mapping[str, LiveRule]) -> dict[str, LiveRule]:
        """The rules, those that rest on a zone no older than what was noted last of it."""
        chain = [each for each in self._noted if each.data.branch is None]
        lasts = {"chain": chain[-1:], "branch": self._noted[-1:]}
        return {name: _since(live, lasts) for name, live in rules.items()}


def _since(live: LiveRule, lasts: Mapping[str, list[_Noted]]) -> LiveRule:
    for zone in _rests_on(live.rule):
        for last in lasts[zone]:
            if last.at > live.defined_at:
                event = last.event
                live = replace(
                    live, defined_at=last.at, event=event.id,
                    correlation=event.correlationid, depth=event.causedepth,
                )  # fmt: skip
    return live


def _rests_on(rule: Rule) -> set[str]:
    zones: set[str] = {
        leaf.zone or "chain" for leaf in leaves(rule) if isinstance(leaf, Date | Age)
    }
    days = any(isinstance(leaf, Facts) and leaf.of == "day" for leaf in leaves(rule))
    return zones | {"chain"} if days else zones
