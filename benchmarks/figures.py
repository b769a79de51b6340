"""A row of the result: a figure beside its bare counterpart, and whether it is good enough."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

DIGITS = 4


@dataclass(frozen=True, slots=True)
class Figure:
    """`value` and `bare` are in `unit`; `goal` says what they are held against.

    `bare` is None where nothing bare does the same, `value` where the row could not be measured;
    `beside` holds what a reader wants to see with it: the ratio, wall time, what was counted.
    """

    value: float | None
    unit: str
    bare: float | None
    goal: str
    met: bool
    server: str
    beside: Mapping[str, Any] = field(default_factory=dict)

    def shown(self) -> dict[str, Any]:
        """The row as it is printed."""
        return {
            "value": _short(self.value),
            "unit": self.unit,
            "bare": _short(self.bare),
            "goal": self.goal,
            "met": self.met,
            "server": self.server,
            "beside": {name: _short(value) for name, value in self.beside.items()},
        }


def _short(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    if isinstance(value, float):
        return round(value) if abs(value) >= 10**DIGITS else float(f"{value:.{DIGITS}g}")
    return value
