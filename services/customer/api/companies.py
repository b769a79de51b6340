"""Companies over HTTP, below `/v1/companies`.

A company belongs to the whole chain or to one branch: callers of some branches see both, and change
those of their branches.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response
from pydantic import AfterValidator, BaseModel, Field

from services.customer.api.inputs import Input, Slug, Text
from services.customer.domain.company import Company, stream_of, whatever
from services.customer.handlers.companies import Asking, Companies, new_company_id
from services.customer.handlers.configuration import ConfigurationBook
from services.customer.handlers.customers import Request
from services.customer.projections.companies import WHOLE_CHAIN, CompanyDocument, Contact
from services.customer.queries.companies import CompanyList, Wanted
from services.customer.queries.records import tree_of
from shared.access import Kind, Permission, Principal, Scope, scope
from shared.clock import Clock
from shared.decider import Refused, not_found
from shared.events.company import CompanyContactSet, CompanyFields, CompanySize
from shared.execute import Done
from shared.http import (
    CommandId,
    Cursor,
    IfMatch,
    Limit,
    MinVersion,
    Page,
    Precondition,
    asked_hash,
    etag,
    page_of,
    position_of,
    principal,
    until,
)

Reader = Annotated[Principal, Depends(principal(Permission.COMPANIES_READ))]
Writing = Annotated[Principal, Depends(principal(Permission.COMPANIES_WRITE))]
_TAX_ID = re.compile(r"[A-Z0-9]{1,20}")


def _tax_id(text: str) -> str:
    """Capital letters and digits; blanks, dots and dashes are for the eye."""
    normal = re.sub(r"[ ./-]", "", text).upper()
    if not _TAX_ID.fullmatch(normal):
        message = "1 to 20 letters and digits"
        raise ValueError(message)
    return normal


TaxId = Annotated[str, Field(max_length=40), AfterValidator(_tax_id)]


class CompanyPatch(Input):
    """What is to be different; what is left out stays, null takes a value away."""

    name: Text | None = None
    tax_id: TaxId | None = None
    company_type: Slug | None = None
    industry: Text | None = None
    size: CompanySize | None = None
    branch: Slug | None = None

    def fields(self) -> CompanyFields:
        """The fields that have a value."""
        return CompanyFields.model_validate(self.model_dump())

    def cleared(self) -> tuple[str, ...]:
        """The fields that are to be empty."""
        return tuple(name for name in self.model_fields_set if getattr(self, name) is None)


class CompanyInput(CompanyPatch):
    """A company to be registered."""

    name: Text


class ContactInput(Input):
    """As what a customer speaks for the company."""

    position: Text | None = None
    decides: bool = Field(default=False, description="whether they make its decisions")


class ContactView(BaseModel):
    """A customer who speaks for the company."""

    customer: str
    position: str | None
    decides: bool


class CompanyView(BaseModel):
    """A company; `version` is its ETag."""

    id: str
    version: int
    name: str
    tax_id: str | None
    company_type: str | None
    industry: str | None
    size: str | None
    branch: str | None = Field(description="null: of the whole chain")
    contacts: list[ContactView]
    archived: bool


class CompanyRecorded(BaseModel):
    """The answer to a command."""

    id: str
    version: int = Field(description="of the company: its ETag")
    repeated: bool = Field(description="it was recorded before")


@dataclass(frozen=True, slots=True)
class CompanyApi:
    """The endpoints, on what they need."""

    companies: Companies
    found: CompanyList
    book: ConfigurationBook
    clock: Clock

    def router(self) -> APIRouter:
        """The routes below `/v1/companies`."""
        router = APIRouter(prefix="/v1/companies", tags=["companies"])
        router.add_api_route("", self.page, methods=["GET"])
        router.add_api_route("", self.register, methods=["POST"], status_code=201)
        router.add_api_route("/{company}", self.get, methods=["GET"])
        router.add_api_route("/{company}", self.change, methods=["PATCH"])
        router.add_api_route("/{company}/contacts/{customer}", self.set_contact, methods=["PUT"])
        router.add_api_route(
            "/{company}/contacts/{customer}", self.remove_contact, methods=["DELETE"]
        )
        router.add_api_route("/{company}/archive", self.archive, methods=["POST"])
        router.add_api_route("/{company}/restore", self.restore, methods=["POST"])
        return router

    async def page(
        self,
        calling: Reader,
        *,
        name: Annotated[str | None, Query(max_length=200, description="its beginning")] = None,
        tax_id: Annotated[TaxId | None, Query()] = None,
        customer: Annotated[str | None, Query(description="who speaks for them")] = None,
        archived: bool = False,
        limit: Limit = 50,
        cursor: Cursor = None,
    ) -> Page[CompanyView]:
        """Companies of the caller's branches and of the whole chain, by name."""
        # The person is meant, under whichever id the contact was set.
        ids = None if customer is None else await tree_of(self.companies.writer, customer)
        wanted = Wanted(name, tax_id, ids, archived)
        rows = await self.found.page(_scope(calling), wanted, position_of(cursor, str), limit)
        page = page_of(list(rows), limit, lambda row: row.sort)
        ends = await self.found.survivors(
            each.customer for row in page.items for each in row.contacts
        )
        return Page[CompanyView](
            items=[_row_view(row, ends) for row in page.items], next_cursor=page.next_cursor
        )

    async def get(
        self, company: str, calling: Reader, response: Response, min_version: MinVersion = None
    ) -> CompanyView:
        """One company, as of the last command; `min_version` also waits for the list."""
        if min_version is not None:
            await until(lambda: self._listed(company, min_version))
        state = await self.companies.get(company)
        _require_sight(_scope(calling), state.fields.branch, company)
        response.headers["ETag"] = etag(state.version)
        return _view(company, state, await self.found.survivors(state.contacts))

    async def register(
        self, body: CompanyInput, calling: Writing, command_id: CommandId, response: Response
    ) -> CompanyRecorded:
        """Make a company known."""
        await self._require_branch(body)
        asking = self._asking(calling, command_id, ["register", body])
        try:
            done = await self.companies.register(asking, body.fields())
        except Refused as refusal:
            raise _discreet(refusal, calling) from refusal
        return _recorded(new_company_id(command_id), done, response)

    async def change(
        self,
        company: str,
        body: CompanyPatch,
        calling: Writing,
        command_id: CommandId,
        *,
        match: IfMatch,
        response: Response,
    ) -> CompanyRecorded:
        """Give fields other values; the same again changes nothing."""
        await self._require_branch(body)
        sent = body.model_dump(mode="json", exclude_unset=True)
        asking = self._asking(calling, command_id, [company, sent], match)
        try:
            done = await self.companies.change(asking, company, body.fields(), body.cleared())
        except Refused as refusal:
            raise _discreet(refusal, calling) from refusal
        return _recorded(company, done, response)

    async def set_contact(
        self,
        company: str,
        customer: str,
        body: ContactInput,
        calling: Writing,
        command_id: CommandId,
        *,
        match: IfMatch,
        response: Response,
    ) -> CompanyRecorded:
        """Let a customer speak for the company, or say otherwise as what."""
        asked = [company, customer, body]
        done = await self.companies.set_contact(
            self._asking(calling, command_id, asked, match),
            company,
            customer,
            position=body.position,
            decides=body.decides,
        )
        return _recorded(company, done, response)

    async def remove_contact(
        self,
        company: str,
        customer: str,
        calling: Writing,
        command_id: CommandId,
        *,
        match: IfMatch,
        response: Response,
    ) -> CompanyRecorded:
        """Let a customer speak for the company no longer."""
        asking = self._asking(calling, command_id, [company, customer, None], match)
        done = await self.companies.remove_contact(asking, company, customer)
        return _recorded(company, done, response)

    async def archive(
        self,
        company: str,
        calling: Writing,
        command_id: CommandId,
        match: IfMatch,
        response: Response,
    ) -> CompanyRecorded:
        """Put the company out of sight; its tax id stays its own."""
        asking = self._asking(calling, command_id, [company, "archive"], match)
        return _recorded(company, await self.companies.archive(asking, company), response)

    async def restore(
        self,
        company: str,
        calling: Writing,
        command_id: CommandId,
        match: IfMatch,
        response: Response,
    ) -> CompanyRecorded:
        """Bring the company back into sight."""
        asking = self._asking(calling, command_id, [company, "restore"], match)
        return _recorded(company, await self.companies.restore(asking, company), response)

    async def _listed(self, company: str, version: int) -> bool:
        return await self.found.version(company) >= version

    async def _require_branch(self, body: CompanyPatch) -> None:
        if body.branch is not None:
            (await self.book.fresh()).branches.require(body.branch, "branch")

    def _asking(
        self,
        calling: Principal,
        command_id: str,
        asked: object,
        match: Precondition | None = None,
    ) -> Asking:
        hashed = asked_hash(self.companies.secret, ["company", asked])
        request = Request(command_id, hashed, self.clock.now())
        rests_on = whatever if match is None else match.require_of
        return Asking(request, _scope(calling).require, rests_on)


def _scope(calling: Principal) -> Scope:
    return scope(calling, Kind.COMPANY)


def _require_sight(narrow: Scope, branch: str | None, company: str) -> None:
    """Raise `Refused` (404) for a company of a branch that is none of the caller's."""
    if branch is not None and not narrow.allows(branch):
        kind = "company"
        raise not_found(kind, company)


def _discreet(refusal: Refused, calling: Principal) -> Refused:
    """Who has a taken tax id is told only to callers who may see every company."""
    if "owner" not in refusal.extra or _scope(calling).everything:
        return refusal
    return Refused(refusal.type, refusal.status, refusal.title, refusal.detail)


def _recorded(company: str, done: Done, response: Response) -> CompanyRecorded:
    response.headers["ETag"] = etag(done.version)
    return CompanyRecorded(id=company, version=done.version, repeated=done.repeated)


def _contacts(
    contacts: Iterable[CompanyContactSet | Contact], ends: Mapping[str, str]
) -> list[ContactView]:
    """Who speaks for the company by now; what was said of the survivor itself counts."""
    found: dict[str, ContactView] = {}
    for each in sorted(contacts, key=lambda each: each.customer in ends):
        living = ends.get(each.customer, each.customer)
        view = ContactView(customer=living, position=each.position, decides=each.decides)
        found.setdefault(living, view)
    return list(found.values())


def _view(company: str, state: Company, ends: Mapping[str, str]) -> CompanyView:
    fields = state.fields
    return CompanyView(
        id=company,
        version=state.version,
        name=fields.name or "",
        tax_id=fields.tax_id,
        company_type=fields.company_type,
        industry=fields.industry,
        size=fields.size,
        branch=fields.branch,
        contacts=_contacts(state.contacts.values(), ends),
        archived=state.archived,
    )


def _row_view(row: CompanyDocument, ends: Mapping[str, str]) -> CompanyView:
    return CompanyView(
        id=row.id,
        version=row.versions.get(stream_of(row.id), 0),
        name=row.name,
        tax_id=row.tax_id,
        company_type=row.company_type,
        industry=row.industry,
        size=row.size,
        branch=None if row.branch == WHOLE_CHAIN else row.branch,
        contacts=_contacts(row.contacts, ends),
        archived=row.archived,
    )
