"""The endpoints of whole customers below `/v1/customers`: decode, call a handler or a query."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Response
from pydantic import TypeAdapter

from services.customer.api.desk import Asked, Desk, Reader, Writing, customers_of, discreet
from services.customer.api.inputs import (
    CustomerInput,
    CustomerItem,
    CustomerPatch,
    IdentifierInput,
    consent_of,
    fields_of,
    identifiers_of,
    person_of,
)
from services.customer.api.list_views import in_sight
from services.customer.api.views import (
    CustomerView,
    Recorded,
    RecordView,
    record_view,
    recorded,
    view_of,
)
from services.customer.domain.checking import (
    checked_record,
    require_categories,
    require_home,
    require_responsible,
    require_status,
)
from services.customer.domain.commands import PERSON, ChangeRecord, Register
from services.customer.domain.configuration.chosen import Configuration
from services.customer.domain.state import stream_of
from services.customer.handlers.customers import (
    Request,
    carry_out_all,
    new_customer_id,
    registration,
)
from services.customer.handlers.revealing import Revealing
from shared.access import Principal
from shared.decider import Refused, invalid, not_found
from shared.events import care
from shared.execute import Done
from shared.http import (
    CommandId,
    MinVersion,
    RawItems,
    batch_body,
    batch_response,
    etag,
    parse_items,
    until,
)
from shared.http.preconditions import IfMatch
from shared.ids import derived_id


@dataclass(frozen=True, slots=True)
class CustomerApi:
    """The endpoints of whole customers. Whose contacts are shown is counted, and noted before."""

    desk: Desk
    revealing: Revealing

    def router(self) -> APIRouter:
        """The routes below `/v1/customers`."""
        router = APIRouter(prefix="/v1/customers", tags=["customers"])
        router.add_api_route("", self.register, methods=["POST"], status_code=201)
        router.add_api_route(
            "/batch",
            self.register_batch,
            methods=["POST"],
            openapi_extra=batch_body(_ITEM),
        )
        router.add_api_route("/find", self.find, methods=["POST"])
        router.add_api_route("/{customer}", self.get, methods=["GET"])
        router.add_api_route("/{customer}", self.change, methods=["PATCH"])
        return router

    async def register(
        self, body: CustomerInput, calling: Writing, command_id: CommandId, response: Response
    ) -> Recorded:
        """Register a customer."""
        request = self.desk.request(command_id, body)
        command = self._registration(request, body, calling, await self.desk.book.fresh())
        (outcome,) = await carry_out_all(self.desk.writer, [(request, command)])
        if isinstance(outcome, Refused):
            raise discreet(outcome, calling)
        return recorded(new_customer_id(command_id), outcome, response)

    async def register_batch(self, items: RawItems, calling: Writing) -> Response:
        """Register up to 1,000 customers; each has an outcome of its own."""
        outcomes: list[tuple[str | None, Done | Refused]] = []
        places: list[int] = []
        asked: list[tuple[Request, Register]] = []
        configuration = await self.desk.book.fresh()
        parsed = parse_items(_ITEM, items)
        for index, item in enumerate(parsed):
            if isinstance(item, Refused):
                outcomes.append((None, item))
                continue
            command_id = self.desk.authenticator.command_id(calling, item.request_id)
            request = self.desk.request(command_id, item)
            try:
                command = self._registration(request, item, calling, configuration)
            except Refused as refusal:
                outcomes.append((None, refusal))
                continue
            outcomes.append((command.customer, _PENDING))
            places.append(index)
            asked.append((request, command))
        results = await carry_out_all(self.desk.writer, asked) if asked else []
        for index, outcome in zip(places, results, strict=True):
            if isinstance(outcome, Refused):
                outcomes[index] = (None, discreet(outcome, calling))
            else:
                outcomes[index] = (outcomes[index][0], outcome)
        return batch_response(outcomes)

    async def find(self, body: IdentifierInput, calling: Reader) -> CustomerView:
        """The customer whom a full phone, e-mail, card or external id finds, in any branch."""
        identifier = self.desk.rules.known(body.kind, body.value, "value")
        entry = await self.desk.directory.find(identifier)
        if entry is None:
            kind = "customer"
            raise not_found(kind, "with this identifier")
        narrow = customers_of(calling)
        if in_sight(entry, narrow) and any(each.value for each in entry.contacts):
            await self.revealing.allow(calling, [entry.id], "find")
        return view_of(entry, narrow)

    async def get(
        self, customer: str, calling: Reader, response: Response, min_version: MinVersion = None
    ) -> RecordView:
        """One customer whole, of the caller's branches; a merged one answers with the survivor.

        `min_version` also waits for the list, so that what is asked next can rest on it.
        """
        if min_version is not None:
            await until(lambda: self._listed(customer, min_version))
        found = await self.desk.seen(customer, calling)
        if found.state.erased:
            raise Refused("erased", 410, "The customer was erased.")
        if found.state.identifiers:
            await self.revealing.allow(calling, [found.id], "record")
        living = None if found.id == customer else found.id
        response.headers["ETag"] = etag(found.state.version, living)
        return record_view(found, self.desk.clock.now())

    async def change(self, body: CustomerPatch, match: IfMatch, asking: Asked) -> Recorded:
        """Give fields other values; what is the same already changes nothing."""
        found = await self.desk.seen(asking.customer, asking.calling)
        configuration = await self.desk.book.fresh()
        home = found.state.record.home_branch
        if "home_branch" in body.model_fields_set and body.home_branch != home:
            # A receipt at a branch is no right to take the customer from another one.
            for branch in (home, body.home_branch):
                customers_of(asking.calling).require(branch)
            require_home(configuration, body.home_branch, home)
        cleared = body.cleared()
        custom = {name: value for name, value in body.custom.items() if value is not None}
        fields = checked_record(
            configuration,
            fields_of(body, custom),
            self.desk.clock.now().date(),
            found.state.record.custom or {},
            cleared,
        )

        living = None if found.id == asking.customer else found.id

        def make(about: dict[str, Any]) -> ChangeRecord:
            about = {**about, "customer": found.id}
            versions = match.versions_of(living)
            return ChangeRecord(fields=fields, cleared=cleared, if_match=versions, **about)

        # A field left out is not the same as one that is to be empty.
        asked = body.model_dump(mode="json", exclude_unset=True)
        return await self.desk.do(asking, asked, make)

    async def _listed(self, customer: str, version: int) -> bool:
        return await self.desk.directory.version(customer, stream_of(customer)) >= version

    def _registration(
        self,
        request: Request,
        body: CustomerInput,
        calling: Principal,
        configuration: Configuration,
    ) -> Register:
        customers_of(calling).require(body.home_branch)
        require_home(configuration, body.home_branch)
        require_responsible(configuration, body.responsible, "responsible")
        fields = checked_record(configuration, fields_of(body, body.custom), request.at.date())
        require_categories(configuration, body.categories, "categories")
        if body.status is not None:
            require_status(configuration, body.status, "status")
        identifiers = identifiers_of(self.desk.rules, body.identifiers, "identifiers")
        hashes = {each.known.hash for each in identifiers}
        consents = tuple(consent_of(each, calling, request.at) for each in body.consents)
        for index, consent in enumerate(consents):
            if consent.contact is not None and consent.contact not in hashes:
                raise invalid(f"consents.{index}.contact", "is none of the identifiers")
        return registration(
            request,
            Register(
                customer="",
                at=request.at,
                by=calling.id,
                person=person_of(fields),
                identifiers=identifiers,
                consents=consents,
                further=tuple(_further(body, request, calling)),
            ),
        )


def _further(
    body: CustomerInput, request: Request, calling: Principal
) -> Sequence[
    care.TagsChanged
    | care.CategoriesChanged
    | care.StatusChanged
    | care.ResponsibleAssigned
    | care.NoteAdded
]:
    """What a new customer has from the start beside the record."""
    found: list[
        care.TagsChanged
        | care.CategoriesChanged
        | care.StatusChanged
        | care.ResponsibleAssigned
        | care.NoteAdded
    ] = []
    if body.tags:
        found.append(care.TagsChanged(added=tuple(sorted(set(body.tags)))))
    if body.categories:
        grants = (care.Grant(category=each, by=PERSON) for each in sorted(set(body.categories)))
        found.append(care.CategoriesChanged(given=tuple(grants)))
    if body.status is not None:
        found.append(care.StatusChanged(status=body.status))
    if body.responsible is not None:
        found.append(care.ResponsibleAssigned(employee=body.responsible))
    if body.note is not None:
        note = derived_id("note", request.command_id)
        found.append(care.NoteAdded(note=note, text=body.note, by=calling.id))
    return found


_ITEM: TypeAdapter[CustomerItem] = TypeAdapter(CustomerItem)
_PENDING = Done("", 0)
