"""Random facts about a record, deals and tasks, random rules about them, and how facts are told."""

from datetime import timedelta
from typing import Any

from hypothesis import strategies as st

from services.segment.engine import dealing, telling
from tests.unit.naive.record import DAY_COUNTS, HOUR, LENGTHS, START

BRANCHES = ("1", "2", "3")
VALUES = st.sampled_from(["a", "b", "Ab", 1, 0, True, False, "2025-12-31"])
DATES = st.sampled_from(
    ["1990-12-31", "1990-01-01", "2008-01-02", "2008-02-29", "1990-01-03", "2026-01-02", "x"]
)
CITIES = st.sampled_from(["Samara", "samara", "Perm"])
HASHES = st.sampled_from(["h1", "h2"])
LISTS = st.sampled_from(["vip", "spring"])
FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "home_branch": st.sampled_from(BRANCHES),
    "city": CITIES,
    "birth_date": DATES,
    "custom.x": st.one_of(VALUES, st.just(("a", "c"))),
    "custom.d": DATES,
}
TAGS = st.lists(st.sampled_from(["a", "b", "ab"]), max_size=2, unique=True)
GRANTS = st.lists(
    st.tuples(st.sampled_from(["gold", "b"]), st.sampled_from(["person", "rule:x"])),
    max_size=2, unique=True,
)  # fmt: skip
FLAGS = {"archived": ("archived", "restored"), "blacklisted": ("blacklisted", "blacklisting_ended")}
DEAL_TERMS = {
    "amount": st.sampled_from([0, 100, 500]),
    "branch": st.sampled_from(["1", None]),
}
TASK_TERMS = {
    "kind": st.sampled_from(["call", "todo"]),
    "responsible": st.sampled_from(["e1", None]),
    "due": st.sampled_from([None, 0, 2 * HOUR, 5 * HOUR, 20 * HOUR]),
}
STAGES = st.sampled_from(["s1", "s2"])
PEOPLE = st.sampled_from(["e1", "e2", None])


def apart(pair: tuple[list[Any], list[Any]]) -> tuple[list[Any], list[Any]]:
    came, gone = pair
    return came, [each for each in gone if each not in came]


def stands(**more: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(more)


DEAL_CHANGES = st.one_of(
    st.tuples(st.just("changed"), st.fixed_dictionaries(DEAL_TERMS)),
    st.tuples(st.just("moved"), stands(state=st.just("open"), stage=STAGES)),
    st.tuples(st.just("won"), stands(state=st.just("won"), stage=STAGES)),
    st.tuples(st.just("lost"), stands(state=st.just("lost"), stage=STAGES)),
    st.tuples(st.just("assigned"), stands(responsible=PEOPLE)),
    st.tuples(st.just("transferred"), stands(state=st.just("gone"))),
)
DEAL_BEGUN = st.tuples(
    st.just("begun"),
    st.fixed_dictionaries(
        {**DEAL_TERMS, "state": st.just("open"), "stage": STAGES, "responsible": PEOPLE}
    ),
)
TASK_CHANGES = st.one_of(
    st.tuples(st.just("changed"), st.fixed_dictionaries(TASK_TERMS)),
    st.tuples(
        st.just("completed"),
        stands(state=st.just("completed"), outcome=st.sampled_from(["reached", None])),
    ),
    st.tuples(
        st.just("cancelled"), stands(state=st.just("cancelled"), outcome=st.just("not_needed"))
    ),
    st.tuples(st.just("reopened"), stands(state=st.just("open"), outcome=st.none())),
    st.tuples(st.just("transferred"), stands(state=st.just("gone"))),
)
TASK_BEGUN = st.tuples(
    st.just("begun"), st.fixed_dictionaries({**TASK_TERMS, "state": st.just("open")})
)
CONTENTS: dict[str, st.SearchStrategy[Any]] = {
    "registered": st.fixed_dictionaries({}, optional=FIELDS),
    "changed": st.fixed_dictionaries(
        {
            "set": st.fixed_dictionaries({}, optional=FIELDS),
            "cleared": st.lists(st.sampled_from(sorted(FIELDS)), max_size=1),
        }
    )
    .map(lambda said: {**said, "cleared": [c for c in said["cleared"] if c not in said["set"]]})
    .filter(lambda said: said["set"] or said["cleared"]),
    "consent": st.tuples(
        st.sampled_from(["offers", "offers", "news"]), st.sampled_from(["email", "sms"]),
        st.booleans(), st.none() | HASHES,
    ),
    "tags": st.tuples(TAGS, TAGS).map(apart).filter(any),
    "categories": st.tuples(GRANTS, GRANTS).map(apart).filter(any),
    "discount": st.tuples(
        st.sampled_from(["person", "rule:x"]), st.sampled_from([None, 500, 1000])
    ),
    "flag": st.tuples(st.sampled_from(sorted(FLAGS)), st.booleans()),
    "identifier": st.tuples(
        st.sampled_from(["added", "added", "changed", "removed"]),
        st.sampled_from(["email", "card"]), HASHES, st.sampled_from([None, "verified", "bad"]),
    ).filter(lambda said: said[0] != "changed" or said[3] is not None),
    "misuse": st.tuples(
        st.sampled_from(["suspected", "suspected", "lifted"]), st.sampled_from(["d1", "d2"])
    ).map(lambda said: (said[0], (said[1],))),
    "list": st.tuples(st.sampled_from(["entered", "left"]), LISTS),
}  # fmt: skip
KINDS = [
    "consent", "consent", "registered", "changed", "changed", "tags", "categories", "discount",
    "flag", "identifier", "identifier", "misuse", "list", "list",
    "deal", "deal", "deal", "task", "task", "task",
]  # fmt: skip


def content(draw: st.DrawFn, kind: str, begun: set[str]) -> tuple[str, Any]:
    """The stream of a fact, and what it tells; a deal or task begins before it goes on."""
    if kind in {"deal", "task"}:
        stream = f"{kind}-{draw(st.sampled_from(['d1', 'd2']))}"
        goes_on = stream in begun
        begun.add(stream)
        if kind == "deal":
            return stream, draw(DEAL_CHANGES if goes_on else DEAL_BEGUN)
        return stream, draw(TASK_CHANGES if goes_on else TASK_BEGUN)
    stream = {"misuse": "misuse-c1", "list": "lists-c1"}.get(kind, "customer-c1")
    return stream, draw(CONTENTS[kind])


# How the engine is told


def data_of(kind: str, said: Any, stream: str) -> tuple[str, Any]:  # noqa: ANN401 - as its kind has it
    """The type of the event, and what the engine reads of it."""
    if kind == "deal":
        return deal_of(stream.partition("-")[2], *said)
    if kind == "task":
        return task_of(stream.partition("-")[2], *said)
    if kind == "identifier":
        return identifier_of(*said)
    return person_of(kind, said)


def person_of(kind: str, said: Any) -> tuple[str, Any]:  # noqa: ANN401 - as its kind has it
    match kind:
        case "registered":
            return "customer.registered.v1", telling.Registered(**fields(said))
        case "changed":
            data: Any = telling.Changed(**fields(said["set"]), cleared=tuple(said["cleared"]))
            return "customer.changed.v1", data
        case "consent":
            topic, channel, given, contact = said
            name = "given" if given else "withdrawn"
            return f"customer.consent_{name}.v1", telling.ConsentWord(topic, channel, contact)
        case "tags":
            return "customer.tags_changed.v1", telling.Tags(*map(tuple, said))
        case "categories":
            came, gone = (tuple(telling.Grant(*each) for each in part) for part in said)
            return "customer.categories_changed.v1", telling.Categories(came, gone)
        case "discount":
            return "customer.discount_changed.v1", telling.Discount(*said)
        case "flag":
            name = FLAGS[said[0]][0 if said[1] else 1]
            data = telling.Shelved() if said[0] == "archived" else telling.Blacklisted()
            return f"customer.{name}.v1", data
        case "list":
            return f"list.{said[0]}.v1", telling.Listed(said[1], telling.ListCause("hand"))
    what, days = said
    data = telling.Suspected(days[0]) if what == "suspected" else telling.Lifted(days)
    return f"interaction.misuse_{what}.v1", data


def fields(said: dict[str, Any]) -> dict[str, Any]:
    own = {name: value for name, value in said.items() if "." not in name}
    custom = {name[7:]: value for name, value in said.items() if "." in name}
    return {**own, "custom": custom or None}


def identifier_of(what: str, kind: str, hashed: str, state: str | None) -> tuple[str, Any]:
    name = f"customer.identifier_{what}.v1"
    if what == "added":
        return name, telling.Added(telling.Identifier(kind, hashed, state))
    if what == "changed":
        return name, telling.PointChanged(kind, hashed, state)
    return name, telling.Removed(kind, hashed)


def deal_of(deal: str, what: str, said: dict[str, Any]) -> tuple[str, Any]:
    terms = dealing.Terms(said.get("amount", 0), branch=said.get("branch"))
    match what:
        case "begun":
            data: Any = dealing.Opened(deal, "p", said["stage"], terms, said["responsible"])
            return "deal.opened.v1", data
        case "changed":
            return "deal.changed.v1", dealing.DealChanged(deal, terms)
        case "assigned":
            name = "deal.responsible_assigned.v1"
            return name, dealing.Assigned(deal, said["responsible"])
        case "transferred":
            return "deal.transferred.v1", dealing.DealTransferred(deal)
    name = "stage_moved" if what == "moved" else what
    return f"deal.{name}.v1", dealing.Moved(deal, "p", said["stage"])


def task_of(task: str, what: str, said: dict[str, Any]) -> tuple[str, Any]:
    due = said.get("due")
    moment = None if due is None else START + timedelta(milliseconds=due)
    terms = dealing.Agreed(said.get("kind", ""), said.get("responsible"), due=moment)
    match what:
        case "begun":
            return "task.planned.v1", dealing.Planned(task, terms)
        case "changed":
            return "task.changed.v1", dealing.TaskChanged(task, terms)
        case "completed":
            return "task.completed.v1", dealing.Completed(task, said["outcome"])
        case "cancelled":
            return "task.cancelled.v1", dealing.Cancelled(task, said["outcome"])
        case "reopened":
            return "task.reopened.v1", dealing.Reopened(task)
    return "task.transferred.v1", dealing.TaskTransferred(task)


# Rules


def comparisons(low: int, high: int) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(
        {"op": st.sampled_from([">=", ">", "<=", "<", "=="]), "value": st.integers(low, high)}
    )


def equal_to(values: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.one_of(
        st.fixed_dictionaries({"op": st.sampled_from(["is", "is_not"]), "value": values}),
        st.fixed_dictionaries(
            {"op": st.just("any_of"), "values": st.lists(values, min_size=1, max_size=2)}
        ),
    )


KNOWN = st.just({"op": "known"})
PARTS = st.fixed_dictionaries(
    {"op": st.sampled_from(["contains", "begins"]), "value": st.sampled_from(["a", "SA", "m", "b"])}
)


def ranges(*ends: int | str) -> st.SearchStrategy[dict[str, Any]]:
    return st.tuples(st.sampled_from(ends), st.sampled_from(ends)).map(
        lambda pair: {"op": "between", "low": min(pair), "high": max(pair)}
    )


DAYS = ("1990-01-01", "2008-02-29", "2025-12-31", "2026-01-02")
TESTS: dict[str, st.SearchStrategy[dict[str, Any]]] = {
    "home_branch": st.one_of(equal_to(st.sampled_from(BRANCHES)), KNOWN),
    "city": st.one_of(equal_to(CITIES), PARTS, KNOWN),
    "birth_date": st.one_of(equal_to(st.sampled_from(DAYS)), ranges(*DAYS), KNOWN),
    "custom.x": st.one_of(equal_to(VALUES), PARTS, KNOWN, ranges(0, 1, 2), comparisons(0, 1)),
    "custom.d": st.one_of(ranges(*DAYS), KNOWN),
    "tags": st.one_of(equal_to(st.sampled_from(["a", "b"])), PARTS, KNOWN),
    "categories": st.one_of(equal_to(st.sampled_from(["gold", "b"])), KNOWN),
    "discount": st.one_of(comparisons(0, 1), ranges(0, 500, 1000), equal_to(st.just(500))),
    "misuse": comparisons(0, 2),
    "archived": st.fixed_dictionaries(
        {"op": st.sampled_from(["is", "is_not"]), "value": st.booleans()}
    ),
    "blacklisted": st.just({"op": "is", "value": True}),
}
ATTRIBUTES = st.sampled_from(sorted(TESTS)).flatmap(
    lambda name: st.fixed_dictionaries(
        {"kind": st.just("attribute"), "field": st.just(name), "test": TESTS[name]}
    )
)
CONSENTS = st.fixed_dictionaries(
    {"kind": st.just("consent"), "topic": st.just("offers")},
    optional={
        "channel": st.sampled_from(["email", "sms"]),
        "state": st.sampled_from(["given", "withdrawn", "unknown"]),
    },
)
IDENTIFIERS = st.fixed_dictionaries(
    {
        "kind": st.just("identifier"),
        "identifier": st.sampled_from(["email", "card"]),
        "test": st.one_of(
            st.sampled_from([{"op": "known"}, {"op": "verified"}, {"op": "bad"}]), comparisons(0, 2)
        ),
    }
)
LISTED = st.fixed_dictionaries({"kind": st.just("list"), "list": LISTS, "inside": st.booleans()})
WHOSE = {"zone": st.sampled_from(["chain", "branch"])}
SOME_DAYS = st.sampled_from(sorted(DAY_COUNTS))
MOVING_DAYS = st.one_of(
    st.fixed_dictionaries({"op": st.sampled_from(["next", "last"]), "within": SOME_DAYS}),
    st.sampled_from([{"op": "today"}, {"op": "passed"}]),
)
PARTS_OF_YEAR = st.one_of(
    st.sampled_from([{"op": "on", "day": "12-31"}, {"op": "on", "day": "02-29"}]),
    st.fixed_dictionaries(
        {
            "op": st.just("between"),
            "low": st.sampled_from(["01-01", "12-20"]),
            "high": st.sampled_from(["01-02", "12-31"]),
        }
    ),
)
DATE_NAMES = st.sampled_from(
    ["birth_date", "custom.d", "registered", "first_receipt", "last_receipt"]
)
DATED = st.one_of(
    st.fixed_dictionaries(
        {
            "kind": st.just("date"),
            "field": DATE_NAMES,
            "yearly": st.sampled_from([True]),
            "test": st.one_of(MOVING_DAYS, PARTS_OF_YEAR),
        },
        optional=WHOSE,
    ),
    st.fixed_dictionaries(
        {
            "kind": st.just("date"),
            "field": DATE_NAMES,
            "test": st.one_of(MOVING_DAYS, ranges(*DAYS), st.just({"op": "on", "day": DAYS[3]})),
        },
        optional=WHOSE,
    ),
)
AGED = st.fixed_dictionaries(
    {
        "kind": st.just("age"),
        "test": st.one_of(comparisons(17, 36), st.just({"op": "between", "low": 18, "high": 35})),
    },
    optional=WHOSE,
)
SPAN = st.sampled_from(sorted(LENGTHS))
ENDED = {"state": st.sampled_from(["won", "lost"]), "closed": SPAN, "opened": SPAN}
ANY_DEAL = {
    "stage": st.just(["s1"]),
    "responsible": st.just(["e1"]),
    "branch": st.just(["1"]),
    "amount": comparisons(0, 500),
    "opened": SPAN,
}
DEALS = st.fixed_dictionaries(
    {"kind": st.just("deals"), "compare": comparisons(0, 2)},
    optional={
        "where": st.one_of(
            st.fixed_dictionaries({}, optional=ENDED),
            st.fixed_dictionaries({}, optional=ANY_DEAL),
            st.fixed_dictionaries({"in_stage": SPAN}, optional=ANY_DEAL),
            st.fixed_dictionaries({"state": st.just("open")}, optional=ANY_DEAL),
        )
    },
)
TASKS = st.fixed_dictionaries(
    {"kind": st.just("tasks"), "compare": comparisons(0, 2)},
    optional={
        "where": st.one_of(
            st.fixed_dictionaries(
                {"state": st.sampled_from(["open", "overdue"])},
                optional={"kind": st.just(["call"]), "planned": SPAN},
            ),
            st.fixed_dictionaries(
                {},
                optional={
                    "state": st.sampled_from(["completed", "cancelled"]),
                    "outcome": st.just(["reached"]),
                    "responsible": st.just(["e1"]),
                    "ended": SPAN,
                    "planned": SPAN,
                },
            ),
        )
    },
)
TIMELESS = st.one_of(ATTRIBUTES, ATTRIBUTES, CONSENTS, IDENTIFIERS, LISTED)
TIMED = st.one_of(DATED, DATED, AGED, DEALS, DEALS, TASKS, TASKS)
