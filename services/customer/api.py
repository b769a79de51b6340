"""HTTP of the customer service: decode, call a handler or a query."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Response
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter, field_validator

from services.customer import handlers
from services.customer.domain import stream_of
from services.customer.handlers import Newcomer, Request
from services.customer.projections import DirectoryEntry
from services.customer.queries import Directory
from shared.access import Authenticator, Kind, Permission, Principal, Scope, scope
from shared.clock import Clock
from shared.decider import Refused, invalid, not_found
from shared.events.customer import (
    Channel,
    ConsentGiven,
    ConsentWithdrawn,
    CustomerRegistered,
    Evidence,
    IdentifierKind,
)
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

Reader = Annotated[Principal, Depends(principal(Permission.CUSTOMERS_READ))]
Writing = Annotated[Principal, Depends(principal(Permission.CUSTOMERS_WRITE))]

Slug = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]
Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
CustomValue = Annotated[str, StringConstraints(max_length=2000)] | int | bool | tuple[Text, ...]
MAX_CUSTOM_FIELDS = 200


class Input(BaseModel):
    """What callers send: unknown fields are mistakes."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class IdentifierInput(Input):
    """One way to find the customer."""

    kind: IdentifierKind
    value: Annotated[str, StringConstraints(min_length=1, max_length=200)]


class ConsentInput(Input):
    """A consent or its withdrawal, with its evidence."""

    topic: Slug
    channel: Channel
    given: bool = True
    source: Slug
    wording: Text | None = None


class CustomerInput(Input):
    """A customer to be registered."""

    identifiers: tuple[IdentifierInput, ...] = Field(default=(), max_length=50)
    surname: Text | None = None
    name: Text | None = None
    patronymic: Text | None = None
    birth_date: date | None = None
    gender: Literal["female", "male"] | None = None
    home_branch: Text | None = None
    language: Annotated[str, StringConstraints(pattern=r"^[a-z]{2,3}(-[A-Za-z0-9]+)*$")] | None = (
        None
    )
    time_zone: Text | None = None
    acquisition: Slug | None = None
    internal: bool = False
    custom: dict[Slug, CustomValue] = Field(default={}, max_length=MAX_CUSTOM_FIELDS)
    consents: tuple[ConsentInput, ...] = Field(default=(), max_length=50)

    @field_validator("consents")
    @classmethod
    def _only_given(cls, consents: tuple[ConsentInput, ...]) -> tuple[ConsentInput, ...]:
        if not all(consent.given for consent in consents):
            message = "a new customer has nothing to withdraw; leave the consent out"
            raise ValueError(message)
        return consents


@dataclass(frozen=True, slots=True)
class IdentifierPath:
    """An identifier in a path: its kind and hash, as `contacts` show them."""

    kind: IdentifierKind
    value_hash: str


class CustomerItem(CustomerInput):
    """One customer of a batch; `request_id` makes sending it twice harmless."""

    request_id: Text


class Recorded(BaseModel):
    """The answer to a command."""

    id: str
    version: int = Field(description="of the customer's stream; pass it on as `min_version`")
    repeated: bool = Field(description="it was recorded before")


class ContactView(BaseModel):
    """A contact; masked where the caller's branches do not include the customer's."""

    kind: IdentifierKind
    hash: str
    value: str | None


class CustomerCount(BaseModel):
    """How many."""

    count: int


class CustomerView(BaseModel):
    """A customer as the list knows it."""

    id: str
    version: int
    registered_at: str
    contacts: list[ContactView]
    consents: list[str] = Field(description="`<topic>|<channel>` of each that is given")
    surname: str | None
    name: str | None
    patronymic: str | None
    birth_date: str | None
    gender: str | None
    home_branch: str | None
    language: str | None
    time_zone: str | None
    acquisition: str | None
    internal: bool
    custom: dict[str, Any]


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
        return _recorded(handlers.new_customer_id(command_id), outcome, response)

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
            items=[_view(entry, _scope(calling)) for entry in found.entries],
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
        return _view(entry, _scope(calling))

    async def get(
        self, customer: str, calling: Reader, response: Response, min_version: MinVersion = None
    ) -> CustomerView:
        """One customer; contacts of another branch's are masked."""
        if min_version is not None:
            await until(lambda: self._has(customer, min_version))
        entry = await self.directory.get(customer)
        if entry is None:
            raise not_found("customer", customer)
        view = _view(entry, _scope(calling))
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
        return _recorded(customer, done, response)

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
        return _recorded(customer, done, response)

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
                self.writer, request, customer, _consent(body, calling)
            )
        else:
            withdrawn = ConsentWithdrawn(
                topic=body.topic, channel=body.channel, evidence=_evidence(body, calling)
            )
            done = await handlers.withdraw_consent(self.writer, request, customer, withdrawn)
        return _recorded(customer, done, response)

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
        return Request(command_id, plain, self.clock.now())

    def _newcomer(self, body: CustomerInput, calling: Principal) -> Newcomer:
        _scope(calling).require(body.home_branch)
        identifiers = tuple(
            self.rules.known(each.kind, each.value, f"identifiers.{index}.value")
            for index, each in enumerate(body.identifiers)
        )
        if len({each.claim_id for each in identifiers}) != len(identifiers):
            raise invalid("identifiers", "the same identifier stands here twice")
        return Newcomer(_person(body), identifiers, tuple(_consents(body, calling)))


_ITEM: TypeAdapter[CustomerItem] = TypeAdapter(CustomerItem)
_PENDING = Done("", 0)


def _scope(calling: Principal) -> Scope:
    return scope(calling, Kind.CUSTOMER)


def _person(body: CustomerInput) -> CustomerRegistered:
    return CustomerRegistered(
        surname=body.surname,
        name=body.name,
        patronymic=body.patronymic,
        birth_date=None if body.birth_date is None else body.birth_date.isoformat(),
        gender=body.gender,
        home_branch=body.home_branch,
        language=body.language,
        time_zone=body.time_zone,
        acquisition=body.acquisition,
        internal=body.internal or None,
        custom=dict(body.custom) or None,
    )


def _consents(body: CustomerInput, calling: Principal) -> Sequence[ConsentGiven]:
    return [_consent(each, calling) for each in body.consents]


def _consent(body: ConsentInput, calling: Principal) -> ConsentGiven:
    return ConsentGiven(topic=body.topic, channel=body.channel, evidence=_evidence(body, calling))


def _evidence(body: ConsentInput, calling: Principal) -> Evidence:
    return Evidence(source=body.source, wording=body.wording, by=calling.id)


def _recorded(customer: str, done: Done, response: Response) -> Recorded:
    response.headers["ETag"] = etag(done.version)
    return Recorded(id=customer, version=done.version, repeated=done.repeated)


def _view(entry: DirectoryEntry, narrow: Scope) -> CustomerView:
    """A customer for the caller: contacts of a customer outside the scope are masked."""
    clear = narrow.allows(entry.home_branch)
    return CustomerView(
        id=entry.id,
        version=entry.versions.get(stream_of(entry.id), 0),
        registered_at=entry.registered_at.isoformat(),
        contacts=[
            ContactView(
                kind=contact.kind,
                hash=contact.hash,
                value=contact.value if clear else _masked(contact.value),
            )
            for contact in entry.contacts
        ],
        consents=entry.consents,
        surname=entry.surname,
        name=entry.name,
        patronymic=entry.patronymic,
        birth_date=entry.birth_date if clear else None,
        gender=entry.gender,
        home_branch=entry.home_branch,
        language=entry.language,
        time_zone=entry.time_zone,
        acquisition=entry.acquisition,
        internal=entry.internal,
        custom=entry.custom if clear else {},
    )


def _masked(value: str | None) -> str | None:
    """The last two characters of it."""
    return None if value is None else "•••" + value[-2:]
