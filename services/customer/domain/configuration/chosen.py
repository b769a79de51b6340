"""All configuration at one moment: a value that nothing changes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

from services.customer.domain.assignment import ASSIGNMENTS, Assignments
from services.customer.domain.configuration.automation import AUTOMATION, Automation
from services.customer.domain.configuration.branches import BRANCHES, Branches
from services.customer.domain.configuration.catalogue import Catalogue
from services.customer.domain.configuration.categories import CATEGORIES, Categories
from services.customer.domain.configuration.directories import DIRECTORIES, Directories
from services.customer.domain.configuration.employees import EMPLOYEES, Employees
from services.customer.domain.configuration.fields import FIELDS, Fields
from services.customer.domain.configuration.forms import FORMS, Forms
from services.customer.domain.configuration.registration import REGISTRATION, Registration
from services.customer.domain.configuration.statuses import STATUSES, Statuses
from services.customer.domain.pipeline import PIPELINES, Pipelines
from shared.decider import Decider

CatalogueKind = Literal[
    "fields",
    "categories",
    "statuses",
    "directories",
    "automation",
    "forms",
    "pipelines",
    "assignments",
]


@dataclass(frozen=True, slots=True)
class Configuration:
    """What every kind of configuration has come to.

    `number` counts the events of all kinds: it grows with every change. A new kind is a line here
    and one in `DECIDERS`, under the same name.
    """

    number: int = 0
    fields: Fields = field(default_factory=Fields)
    categories: Categories = field(default_factory=Categories)
    statuses: Statuses = field(default_factory=Statuses)
    directories: Directories = field(default_factory=Directories)
    automation: Automation = field(default_factory=Automation)
    forms: Forms = field(default_factory=Forms)
    branches: Branches = field(default_factory=Branches)
    employees: Employees = field(default_factory=Employees)
    pipelines: Pipelines = field(default_factory=Pipelines)
    assignments: Assignments = field(default_factory=Assignments)
    registration: Registration = field(default_factory=Registration)

    def catalogue(self, kind: CatalogueKind) -> Catalogue[Any]:
        """The items of a kind that is a catalogue of definitions by name."""
        found: Catalogue[Any] = getattr(self, kind)
        return found


DECIDERS: Mapping[str, Decider[Any, Any]] = MappingProxyType(
    {
        "fields": FIELDS,
        "categories": CATEGORIES,
        "statuses": STATUSES,
        "directories": DIRECTORIES,
        "automation": AUTOMATION,
        "forms": FORMS,
        "branches": BRANCHES,
        "employees": EMPLOYEES,
        "pipelines": PIPELINES,
        "assignments": ASSIGNMENTS,
        "registration": REGISTRATION,
    }
)
"""Kind → how it is decided and folded."""


def stream_of(kind: str) -> str:
    """The stream of a kind of configuration."""
    return f"configuration-{kind}"
