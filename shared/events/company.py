"""Events of companies: who they are, and which customers speak for them.

A company is no person: nothing here is sealed. Its contact persons are customers, named by id only.
"""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from shared.events.contract import EventData, Part, open_list

CompanySize = Literal["micro", "small", "medium", "large"]


class CompanyFields(Part):
    """What is written down of a company."""

    name: str | None = None
    tax_id: str | None = Field(default=None, description="1 to 20 capital letters and digits")
    company_type: str | None = Field(default=None, description="supplier, partner, client …")
    industry: str | None = None
    size: Annotated[CompanySize, open_list("how large it is")] | None = None
    branch: str | None = Field(default=None, description="absent: of the whole chain")


class CompanyRegistered(EventData):
    """A company became known."""

    type: ClassVar[str] = "company.registered.v1"
    fields: CompanyFields


class CompanyChanged(EventData):
    """Fields got other values; those that are absent stay as they were."""

    type: ClassVar[str] = "company.changed.v1"
    fields: CompanyFields = CompanyFields()
    cleared: tuple[str, ...] = Field(default=(), description="fields that have no value any more")


class CompanyContactSet(EventData):
    """A customer speaks for the company, as what."""

    type: ClassVar[str] = "company.contact_set.v1"
    customer: str
    position: str | None = None
    decides: bool = Field(default=False, description="whether they make its decisions")


class CompanyContactRemoved(EventData):
    """A customer speaks for the company no longer."""

    type: ClassVar[str] = "company.contact_removed.v1"
    customer: str


class CompanyArchived(EventData):
    """The company is out of sight; its tax id stays its own."""

    type: ClassVar[str] = "company.archived.v1"


class CompanyRestored(EventData):
    """The company is in sight again."""

    type: ClassVar[str] = "company.restored.v1"


EVENTS: tuple[type[EventData], ...] = (
    CompanyRegistered,
    CompanyChanged,
    CompanyContactSet,
    CompanyContactRemoved,
    CompanyArchived,
    CompanyRestored,
)
