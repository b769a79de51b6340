"""The endpoints of how a customer is found, and what the customer agreed to."""

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends

from services.customer.api.desk import Asked, Desk, Reader
from services.customer.api.inputs import (
    ConsentInput,
    IdentifierChange,
    IdentifierPath,
    NewIdentifierInput,
    consent_of,
    identifier_of,
)
from services.customer.api.views import ConsentLog, Recorded, consent_log
from services.customer.domain.commands import (
    AddIdentifier,
    ChangeIdentifier,
    GiveConsent,
    RemoveIdentifier,
    WithdrawConsent,
)
from services.customer.handlers.devices import add_identifier
from shared.events.customer import ConsentGiven


@dataclass(frozen=True, slots=True)
class ContactApi:
    """The endpoints of identifiers and consents."""

    desk: Desk

    def router(self) -> APIRouter:
        """The routes below `/v1/customers/{customer}`."""
        router = APIRouter(prefix="/v1/customers/{customer}", tags=["contacts"])
        router.add_api_route("/identifiers", self.add, methods=["POST"])
        one = "/identifiers/{kind}/{value_hash}"
        router.add_api_route(one, self.change, methods=["PATCH"])
        router.add_api_route(one, self.remove, methods=["DELETE"])
        router.add_api_route("/consents", self.consent, methods=["POST"])
        router.add_api_route("/consents", self.consents, methods=["GET"])
        return router

    async def add(self, body: NewIdentifierInput, asking: Asked) -> Recorded:
        """Let the customer be found by one more value; a device is the last one's who shows it."""
        identifier = identifier_of(self.desk.rules, body, "value")
        return await self.desk.do(
            asking,
            body,
            lambda about: AddIdentifier(identifier=identifier, **about),
            carry=add_identifier,
        )

    async def change(
        self, path: Annotated[IdentifierPath, Depends()], body: IdentifierChange, asking: Asked
    ) -> Recorded:
        """Note whether a contact point is right, and whether it is the first choice."""
        return await self.desk.do(
            asking,
            [path.kind, path.value_hash, body],
            lambda about: ChangeIdentifier(
                kind=path.kind,
                hash=path.value_hash,
                state=body.state,
                preferred=body.preferred,
                label=body.label,
                **about,
            ),
        )

    async def remove(self, path: Annotated[IdentifierPath, Depends()], asking: Asked) -> Recorded:
        """Let the customer be found by a value no longer; consents bound to it end."""
        return await self.desk.do(
            asking,
            [path.kind, path.value_hash],
            lambda about: RemoveIdentifier(kind=path.kind, hash=path.value_hash, **about),
        )

    async def consent(self, body: ConsentInput, asking: Asked) -> Recorded:
        """Record a consent or its withdrawal, with its evidence."""

        def make(about: dict[str, Any]) -> GiveConsent | WithdrawConsent:
            said = consent_of(body, asking.calling, about["at"])
            if isinstance(said, ConsentGiven):
                return GiveConsent(consent=said, **about)
            return WithdrawConsent(withdrawn=said, **about)

        return await self.desk.do(asking, body, make)

    async def consents(self, customer: str, calling: Reader) -> ConsentLog:
        """What the customer agrees to now, and every word that was said about it."""
        found = await self.desk.seen(customer, calling)
        return consent_log(found.state, await self.desk.records.consents(found))
