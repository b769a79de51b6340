"""What callers say of a customer, held against the configuration of the chain.

A chain that has configured nothing of a directory takes any word there; once it has entries, they
are the only ones. Custom fields are always those that are defined.
"""

from collections.abc import Mapping, Sequence
from datetime import date
from functools import cache
from zoneinfo import available_timezones

from services.customer.domain.configuration.chosen import Configuration
from services.customer.domain.state import CUSTOM
from shared.decider import FieldError, Refused, invalid
from shared.events.configuration import Directory
from shared.events.contract import PiiValue
from shared.events.customer import RecordFields

EARLIEST_BIRTH = date(1880, 1, 1)
_CHOSEN: Mapping[str, Directory] = {"customer_type": "customer_type", "acquisition": "source"}
"""Field of the record → the directory that it is chosen from."""


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())


def checked_record(
    configuration: Configuration,
    given: RecordFields,
    today: date,
    before: Mapping[str, PiiValue] | None = None,
    cleared: Sequence[str] = (),
) -> RecordFields:
    """The fields in their written form; `before` are the custom ones that the customer has.

    None for `before` is a new customer, who must have what is required. Raises `Refused` that names
    each wrong field.
    """
    wrong = [*_wrong(configuration, given, today)]
    custom: dict[str, PiiValue] = {}
    values: dict[str, object] = dict(given.custom or {})
    values |= {name.removeprefix(CUSTOM): None for name in cleared if name.startswith(CUSTOM)}
    try:
        checked = configuration.fields.checked(values, before or {}, whole=before is None)
    except Refused as refusal:
        wrong += refusal.errors
    else:
        custom = {name: value for name, value in checked.items() if value is not None}
    if wrong:
        raise Refused("invalid", 422, "The input is not valid.", errors=tuple(wrong))
    return given.model_copy(update={"custom": custom or None})


def _wrong(configuration: Configuration, given: RecordFields, today: date) -> list[FieldError]:
    wrong = []
    if given.birth_date is not None:
        born = date.fromisoformat(given.birth_date)
        if not EARLIEST_BIRTH <= born <= today:
            wrong.append(FieldError("birth_date", f"between {EARLIEST_BIRTH} and today"))
    if given.time_zone is not None and given.time_zone not in _zones():
        wrong.append(FieldError("time_zone", "an IANA name, like Europe/Moscow"))
    for name, directory in _CHOSEN.items():
        chosen: str | None = getattr(given, name)
        if chosen is None or not any(configuration.directories.entries(directory)):
            continue
        try:
            configuration.directories.require(directory, chosen, name)
        except Refused as refusal:
            wrong += refusal.errors
    return wrong


def require_home(
    configuration: Configuration, branch: str | None, before: str | None = None
) -> None:
    """Raise `Refused` for a home that is no open branch, unless the customer has it already."""
    if branch is not None and branch != before:
        configuration.branches.require(branch, "home_branch")


def require_responsible(configuration: Configuration, employee: str | None, path: str) -> None:
    """Raise `Refused` for somebody who does not work here.

    Until the first one is hired, the chain is taken to keep its employees elsewhere.
    """
    if employee is not None and configuration.employees.items:
        configuration.employees.require(employee, path)


def require_categories(configuration: Configuration, names: Sequence[str], path: str) -> None:
    """Raise `Refused` for a category that cannot be given."""
    for index, name in enumerate(names):
        configuration.categories.require(name, f"{path}.{index}")


def require_status(configuration: Configuration, status: str, path: str) -> None:
    """Raise `Refused` for a status that nobody can come to."""
    if not configuration.statuses.lives(status):
        raise invalid(path, "is no status")
