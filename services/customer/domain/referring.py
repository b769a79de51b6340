"""What rules and forms name of the rest of the configuration has to be there when they are defined.

What is archived later is passed over when a rule comes to it: nothing that refers keeps it alive.
"""

from services.customer.domain.configuration.chosen import Configuration
from services.customer.domain.configuration.forms import check_form_fields
from shared.decider import invalid
from shared.events.automation import AutomationDefined
from shared.events.forms import FormDefined


def check_rule_references(definition: AutomationDefined, now: Configuration) -> None:
    """Raise `Refused` that names what a rule takes for granted and is not there."""
    then, when = definition.then, definition.when
    for name in ("give_categories", "take_categories"):
        for number, category in enumerate(getattr(then, name)):
            now.categories.require(category, f"then.{name}.{number}")
    for path, status in (("when.status", when.status), ("then.status", then.status)):
        if status is not None and not now.statuses.lives(status):
            raise invalid(path, "is no status")
    employee = None if then.task is None else then.task.employee
    if then.responsible is not None:
        now.employees.require(then.responsible, "then.responsible")
    if employee is not None:
        now.employees.require(employee, "then.task.employee")
    for number, branch in enumerate(definition.branches or ()):
        require_branch(now, branch, f"branches.{number}")


def check_form_references(definition: FormDefined, now: Configuration) -> None:
    """Raise `Refused` that names what a form takes for granted and is not there."""
    check_form_fields(definition, now.fields)
    if definition.branch is not None:
        require_branch(now, definition.branch, "branch")
    if definition.source is not None and any(now.directories.entries("source")):
        now.directories.require("source", definition.source, "source")


def require_branch(now: Configuration, branch: str, path: str) -> None:
    """Raise `Refused` for no branch; a chain that has opened none takes any name."""
    if any(now.branches.open()):
        now.branches.require(branch, path)
