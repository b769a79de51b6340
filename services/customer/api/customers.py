"""The endpoints below `/v1/customers`: decode, call a handler or a query."""

from dataclasses import dataclass
from typing import Annotated

import msgspec
from fastapi import APIRouter, Depends, Response
from pydantic import BaseModel, TypeAdapter

from services.customer.api.inputs import (
    ConsentInput,
    CustomerInput,
    CustomerItem,
    IdentifierInput,
    IdentifierPath,
    consent_of,
    consents_of,
    evidence_of,
    person_of,
)
from services.customer.api.views import (
    CustomerCount,
    CustomerView,
    Recorded,
    recorded,
    view_of,
)
from services.customer.domain.customer import stream_of
from services.customer.handlers import customers as handlers
from services.customer.handlers.customers import Newcomer, Request
from services.customer.queries.directory import Directory
from shared.access import Authenticator, Kind, Permission, Principal, Scope, scope
from shared.clock import Clock
from shared.decider import Refused, invalid, not_found
from shared.events.customer import ConsentWithdrawn
from shared.execute import Done, Writer
from shared.http import (
    CommandId,
    Cursor,
    Limit,
    MinVersion,
    Page,
    RawItems,
    batch_body,
    batch_response,
    cursor_of,
    etag,
    parse_items,
    position_of,
    principal,
    until,
)
from shared.identifiers import IdentifierRules
from shared.keyring import keyed_hash

Reader = Annotated[Principal, Depends(principal(Permission.CUSTOMERS_READ))]
Writing = Annotated[Principal, Depends(principal(Permission.CUSTOMERS_WRITE))]


@dataclass(frozen=True, slots=True)
class CustomerApi:
    """The endpoints, on what they need."""

    writer: Writer
    directory: Directory
    rules: IdentifierRules
    clock: Clock
    authenticator: Authenticator

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
        router.add_api_route("", self.page, methods=["GET"])
        router.add_api_route("/count", self.count, methods=["GET"])
        router.add_api_route("/find", self.find, methods=["POST"])
        router.add_api_route("/{customer}", self.get, methods=["GET"])
        router.add_api_route("/{customer}/identifiers", self.add_identifier, methods=["POST"])
        router.add_api_route(
            "/{customer}/identifiers/{kind}/{value_hash}",
            self.remove_identifier,
            methods=["DELETE"],
        )
        router.add_api_route("/{customer}/consents", self.consent, methods=["POST"])
        return router

    async def register(
        self, body: CustomerInput, calling: Writing, command_id: CommandId, response: Response
    ) -> Recorded:
        """Register a customer."""
        request = self._request(command_id, body)
        (outcome,) = await handlers.register(
            self.writer, [(request, self._newcomer(body, calling))]
        )
        if isinstance(outcome, Refused):
            raise self._discreet(outcome, calling)
        return recorded(handlers.new_customer_id(command_id), outcome, response)

    async def register_batch(self, items: RawItems, calling: Writing) -> Response:
        """Register up to 1,000 customers; each has an outcome of its own."""
        outcomes: list[tuple[str | None, Done | Refused]] = []
        places: list[int] = []
        newcomers: list[tuple[Request, Newcomer]] = []
        parsed = parse_items(_ITEM, items)
        for index, item in enumerate(parsed):
            if isinstance(item, Refused):
                outcomes.append((None, item))
                continue
            command_id = self.authenticator.command_id(calling, item.request_id)
            try:
                newcomer = self._newcomer(item, calling)
            except Refused as refusal:
                outcomes.append((None, refusal))
                continue
            outcomes.append((handlers.new_customer_id(command_id), _PENDING))
            places.append(index)
            newcomers.append((self._request(command_id, item), newcomer))
        results = await handlers.register(self.writer, newcomers) if newcomers else []
        for index, outcome in zip(places, results, strict=True):
            if isinstance(outcome, Refused):
                outcomes[index] = (None, self._discreet(outcome, calling))
            else:
                outcomes[index] = (outcomes[index][0], outcome)
        return batch_response(outcomes)

    async def page(
        self, calling: Reader, limit: Limit = 50, cursor: Cursor = None
    ) -> Page[CustomerView]:
        """Customers of the caller's branches, by name."""
        found = await self.directory.page(_scope(calling), position_of(cursor, str), limit)
        return Page[CustomerView](
            items=[view_of(entry, _scope(calling)) for entry in found.entries],
            next_cursor=None if found.after is None else cursor_of(found.after),
        )

    async def count(self, calling: Reader) -> CustomerCount:
        """How many customers the caller's branches have."""
        return CustomerCount(count=await self.directory.count(_scope(calling)))

    async def find(self, body: IdentifierInput, calling: Reader) -> CustomerView:
        """The customer whom a full phone, e-mail, card or external id finds, in any branch."""
        identifier = self.rules.known(body.kind, body.value, "value")
        entry = await self.directory.find(identifier)
        if entry is None:
            raise not_found("customer", "with this identifier")
        return view_of(entry, _scope(calling))

    async def get(
        self, customer: str, calling: Reader, response: Response, min_version: MinVersion = None
    ) -> CustomerView:
        """One customer of the caller's branches; others are found by a full identifier only."""
        if min_version is not None:
            await until(lambda: self._has(customer, min_version))
        entry = await self.directory.get(customer)
        if entry is None:
            raise not_found("customer", customer)
        _scope(calling).require(entry.home_branch)
        view = view_of(entry, _scope(calling))
        response.headers["ETag"] = etag(view.version)
        return view

    async def add_identifier(
        self,
        customer: str,
        body: IdentifierInput,
        calling: Writing,
        command_id: CommandId,
        response: Response,
    ) -> Recorded:
        """Let the customer be found by one more value."""
        await self._require_scope(customer, calling)
        identifier = self.rules.known(body.kind, body.value, "value")
        try:
            done = await handlers.add_identifier(
                self.writer,
                self._request(command_id, [customer, body.model_dump(mode="json")]),
                customer,
                identifier,
            )
        except Refused as refusal:
            raise self._discreet(refusal, calling) from refusal
        return recorded(customer, done, response)

    async def remove_identifier(
        self,
        customer: str,
        path: Annotated[IdentifierPath, Depends()],
        calling: Writing,
        command_id: CommandId,
        response: Response,
    ) -> Recorded:
        """Let the customer be found by a value no longer."""
        kind, value_hash = path.kind, path.value_hash
        await self._require_scope(customer, calling)
        request = self._request(command_id, [customer, kind, value_hash])
        done = await handlers.remove_identifier(self.writer, request, customer, kind, value_hash)
        return recorded(customer, done, response)

    async def consent(
        self,
        customer: str,
        body: ConsentInput,
        calling: Writing,
        command_id: CommandId,
        response: Response,
    ) -> Recorded:
        """Record a consent or its withdrawal."""
        await self._require_scope(customer, calling)
        request = self._request(command_id, [customer, body.model_dump(mode="json")])
        if body.given:
            done = await handlers.give_consent(
                self.writer, request, customer, consent_of(body, calling)
            )
        else:
            withdrawn = ConsentWithdrawn(
                topic=body.topic, channel=body.channel, evidence=evidence_of(body, calling)
            )
            done = await handlers.withdraw_consent(self.writer, request, customer, withdrawn)
        return recorded(customer, done, response)

    async def _has(self, customer: str, version: int) -> bool:
        return await self.directory.version(customer, stream_of(customer)) >= version

    async def _require_scope(self, customer: str, calling: Principal) -> None:
        """A caller of some branches touches only their customers; who has all need not be asked."""
        narrow = _scope(calling)
        if not narrow.everything:
            entry = await self.directory.get(customer)
            if entry is None:
                raise not_found("customer", customer)
            narrow.require(entry.home_branch)

    def _discreet(self, refusal: Refused, calling: Principal) -> Refused:
        """Who owns a taken identifier is told only to callers who may see every customer."""
        if "owner" not in refusal.extra or _scope(calling).everything:
            return refusal
        return Refused(refusal.type, refusal.status, refusal.title, refusal.detail)

    def _request(self, command_id: str, body: object) -> Request:
        plain = body.model_dump(mode="json") if isinstance(body, BaseModel) else body
        content = msgspec.json.encode(plain, order="sorted").decode()
        hashed = keyed_hash(self.rules.secret, "command", content)
        return Request(command_id, hashed, self.clock.now())

    def _newcomer(self, body: CustomerInput, calling: Principal) -> Newcomer:
        _scope(calling).require(body.home_branch)
        identifiers = tuple(
            self.rules.known(each.kind, each.value, f"identifiers.{index}.value")
            for index, each in enumerate(body.identifiers)
        )
        if len({each.claim_id for each in identifiers}) != len(identifiers):
            raise invalid("identifiers", "the same identifier stands here twice")
        return Newcomer(person_of(body), identifiers, tuple(consents_of(body, calling)))


_ITEM: TypeAdapter[CustomerItem] = TypeAdapter(CustomerItem)
_PENDING = Done("", 0)


def _scope(calling: Principal) -> Scope:
    return scope(calling, Kind.CUSTOMER)
