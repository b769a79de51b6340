"""Entries of tasks and of points."""

from collections.abc import Mapping

from services.interaction.domain.timeline.kinds import Form, Group, Kind, Saying, Shown
from shared.events.contract import Path

TASK_KIND = Shown(("terms", "kind"), Form.WORD, "task kind")
DUE = Shown(("terms", "due"), Form.MOMENT)
WORDS = (("words", "title"), ("words", "notes"))
RESPONSIBLE = {"responsible": Shown(("responsible",))}


def _task(
    *sayings: Saying, shows: Mapping[str, Shown] | None = None, texts: tuple[Path, ...] = ()
) -> Kind:
    return Kind(Group.TASK, sayings, shows or {}, texts=texts, source="/v1/tasks/{task}")


TASKS: Mapping[str, Kind] = {
    "task.planned.v1": _task(
        Saying("Task planned: {kind}, due {due}"),
        Saying("Task planned: {kind}"),
        shows={"kind": TASK_KIND, "due": DUE},
        texts=WORDS,
    ),
    "task.changed.v1": _task(
        Saying("Task handed over to {taker}"),
        Saying("Task changed: due {due}"),
        Saying("Task changed"),
        shows={"taker": Shown(("handed", "taker")), "due": DUE},
        texts=WORDS,
    ),
    "task.completed.v1": _task(
        Saying("Task done: {outcome}"),
        Saying("Task done"),
        shows={"outcome": Shown(("outcome",), Form.WORD, "task outcome")},
        texts=(("text",), ("answers", "*")),
    ),
    "task.cancelled.v1": _task(
        Saying("Task cancelled: {reason}"),
        Saying("Task cancelled"),
        shows={"reason": Shown(("reason",), Form.WORD, "task outcome")},
    ),
    "task.reopened.v1": _task(Saying("Task reopened")),
    "task.reminded.v1": _task(
        Saying("Reminder of a task for {responsible}"),
        Saying("Reminder of a task"),
        shows=RESPONSIBLE,
    ),
    "task.overdue.v1": _task(
        Saying("Task overdue: {responsible} is responsible"),
        Saying("Task overdue: nobody is responsible"),
        shows=RESPONSIBLE,
    ),
    "task.escalated.v1": _task(
        Saying("Overdue task escalated to {to}"),
        Saying("Overdue task escalated, but to nobody"),
        shows={"to": Shown(("to",))},
    ),
    "task.transferred.v1": _task(
        Saying("The task went to {other}"), shows={"other": Shown(("customer",))}
    ),
    "task.continued.v1": _task(
        Saying("The task goes on here: {kind}"), shows={"kind": TASK_KIND}, texts=WORDS
    ),
}


def _points(
    one: str,
    many: str,
    *others: Saying,
    shows: Mapping[str, Shown] | None = None,
    texts: tuple[Path, ...] = (),
    source: str = "/v1/customers/{customer}/points",
) -> Kind:
    points = {"points": Shown(("points",), Form.NUMBER)}
    return Kind(
        Group.POINTS,
        (*others, Saying(one, many, "points")),
        {**points, **(shows or {})},
        texts=texts,
        source=source,
    )


POINTS: Mapping[str, Kind] = {
    "points.earned.v1": _points("{points} point earned", "{points} points earned"),
    "points.granted.v1": _points(
        "{points} point given", "{points} points given", texts=(("reason",),)
    ),
    "points.withdrawn.v1": _points(
        "{points} point taken away", "{points} points taken away", texts=(("reason",),)
    ),
    "points.spent.v1": _points(
        "{points} point spent",
        "{points} points spent",
        Saying(
            "{points} point kept for a receipt until {lapses}",
            "{points} points kept for a receipt until {lapses}",
            "points",
        ),
        shows={"lapses": Shown(("lapses",), Form.MOMENT)},
    ),
    "points.spending_paid.v1": Kind(
        Group.POINTS,
        (Saying("The points for a receipt of {total} are spent for good"),),
        {"total": Shown(("total",), Form.MONEY)},
        source="/v1/customers/{customer}/points",
    ),
    "points.given_back.v1": _points(
        "{points} point given back",
        "{points} points given back",
        Saying("{points} point given back: {why}", "{points} points given back: {why}", "points"),
        shows={"why": Shown(("why",), Form.WORD, "points reason")},
    ),
    "points.reversed.v1": _points(
        "{points} point taken back",
        "{points} points taken back",
        Saying("{points} point taken back: {why}", "{points} points taken back: {why}", "points"),
        shows={"why": Shown(("why",), Form.WORD, "points reason")},
    ),
    "points.expired.v1": _points("{points} point expired", "{points} points expired"),
    "points.debt_paid.v1": _points(
        "{points} point paid for what was owed", "{points} points paid for what was owed"
    ),
    "points.moved_out.v1": _points(
        "{points} point went to {other}",
        "{points} points went to {other}",
        shows={"other": Shown(("to",))},
    ),
    "points.moved_in.v1": _points(
        "{points} point came from {other}",
        "{points} points came from {other}",
        shows={"other": Shown(("other",))},
    ),
}
