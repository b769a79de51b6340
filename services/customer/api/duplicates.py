"""The endpoints of likely duplicates: look them through, dismiss them, ask before registering."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field

from services.customer.api.desk import Asking, Desk, Reader, customers_of
from services.customer.api.inputs import IdentifierInput, Input, Text
from services.customer.api.merging import CustomerId, Merging
from services.customer.api.views import Recorded
from services.customer.domain.commands import DismissDuplicate
from services.customer.domain.likeness import Score, blocks
from services.customer.handlers.duplicates import likeliest
from services.customer.projections.duplicates import Candidate, Known
from services.customer.queries.duplicates import Likely
from shared.access import Principal
from shared.http import CommandId, Cursor, Limit, Page, page_of, position_of

MOST_WARNINGS = 10


class PairView(BaseModel):
    """Two customers who may be one person."""

    customers: tuple[str, str]
    score: int = Field(description="of 100")
    fields: tuple[str, ...] = Field(description="what makes them alike")


class DismissInput(Input):
    """Two customers who are two persons."""

    customer: CustomerId
    other: CustomerId


class CheckInput(Input):
    """Somebody who is about to be registered."""

    surname: Text | None = None
    name: Text | None = None
    patronymic: Text | None = None
    birth_date: Annotated[str, Field(pattern=r"^\d{4}-\d{2}-\d{2}$")] | None = None
    city: Text | None = None
    identifiers: tuple[IdentifierInput, ...] = Field(default=(), max_length=50)


class Warned(BaseModel):
    """Somebody who may be the same person; names are shown of customers of the caller's."""

    customer: str
    score: int = Field(description="of 100; 100 also for whoever has one of the identifiers")
    fields: tuple[str, ...] = Field(description="what makes them alike")
    surname: str | None = None
    name: str | None = None


class Warnings(BaseModel):
    """Who may be the same person, the likeliest first."""

    items: list[Warned]


@dataclass(frozen=True, slots=True)
class DuplicateApi:
    """The endpoints of likely duplicates."""

    desk: Desk
    likely: Likely

    def router(self) -> APIRouter:
        """The routes below `/v1/duplicates`, and the question before registering."""
        router = APIRouter(prefix="/v1", tags=["duplicates"])
        router.add_api_route("/duplicates", self.page, methods=["GET"])
        router.add_api_route("/duplicates/dismiss", self.dismiss, methods=["POST"])
        router.add_api_route("/customers/check", self.check, methods=["POST"])
        return router

    async def page(
        self, calling: Reader, limit: Limit = 50, cursor: Cursor = None
    ) -> Page[PairView]:
        """Likely pairs of the caller's branches, the likeliest first."""
        found = await self.likely.page(customers_of(calling), position_of(cursor, str), limit)
        page = page_of(found, limit, lambda pair: pair.place)
        return Page[PairView](
            items=[
                PairView(customers=each.customers, score=each.score, fields=each.fields)
                for each in page.items
            ],
            next_cursor=page.next_cursor,
        )

    async def dismiss(
        self, body: DismissInput, calling: Merging, command_id: CommandId, response: Response
    ) -> Recorded:
        """Say that two customers are two persons: they are not suggested again."""
        await self.desk.require_scope(body.other, calling)
        asking = Asking(body.customer, calling, command_id, response)
        return await self.desk.do(
            asking,
            ["dismiss", body.other],
            lambda about: DismissDuplicate(other=body.other, **about),
        )

    async def check(self, body: CheckInput, calling: Reader) -> Warnings:
        """Who is there already that may be this person; asked before registering."""
        rules = self.desk.rules
        known = [
            rules.known(each.kind, each.value, f"identifiers.{index}.value")
            for index, each in enumerate(body.identifiers)
        ]
        claims = await self.desk.writer.store.claims([each.claim_id for each in known])
        owners: dict[str, list[str]] = {}
        for identifier in known:
            claim = claims.get(identifier.claim_id)
            if claim is not None and claim.owner is not None:
                owners.setdefault(claim.owner, []).append(identifier.kind)
        asked = Candidate(
            id="",
            known=[Known(each.kind, each.hash, each.value, shared=True) for each in known],
            **body.model_dump(exclude={"identifiers"}),
        )
        found = await self.likely.in_blocks(blocks(asked.likeness, rules.secret))
        warned = [
            Warned(customer=owner, score=100, fields=tuple(kinds))
            for owner, kinds in sorted(owners.items())
        ]
        alike = likeliest(asked, list(found.values()), MOST_WARNINGS)
        warned += [_warned(each, score, calling) for each, score in alike if each.id not in owners]
        return Warnings(items=warned)


def _warned(candidate: Candidate, score: Score, calling: Principal) -> Warned:
    clear = customers_of(calling).allows(candidate.home_branch)
    return Warned(
        customer=candidate.id,
        score=score.points,
        fields=score.fields,
        surname=candidate.surname if clear else None,
        name=candidate.name if clear else None,
    )
