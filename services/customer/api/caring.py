"""The endpoints of how the chain sees a customer: tags, categories, status, notes, and so on."""

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import Field, StringConstraints

from services.customer.api.desk import Asked, Desk
from services.customer.api.inputs import Input, LongText, Moment, Slug
from services.customer.api.views import Recorded
from services.customer.domain.checking import require_categories, require_responsible
from services.customer.domain.commands import (
    Archive,
    AssignResponsible,
    Blacklist,
    ChangeCategories,
    ChangeTags,
    ConfirmFields,
    LiftBlacklisting,
    RemoveNote,
    Restore,
    SetDiscount,
    SetStatus,
    WriteNote,
)
from services.customer.domain.linking import Link
from services.customer.handlers.linking import link
from shared.decider import not_found
from shared.events.care import Relation
from shared.ids import derived_id

CustomerId = Annotated[str, StringConstraints(min_length=1, max_length=100)]
Slugs = Annotated[frozenset[Slug], Field(max_length=100)]
FieldName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_.-]{0,80}$")]


class TagsInput(Input):
    """Tags to put on and to take off."""

    add: Slugs = frozenset()
    remove: Slugs = frozenset()


class CategoriesInput(Input):
    """Categories to give and to withdraw."""

    give: Slugs = frozenset()
    withdraw: Slugs = frozenset()


class DiscountInput(Input):
    """The discount that a person grants; null takes it back."""

    discount: Annotated[int, Field(ge=0, le=10_000)] | None = Field(
        description="hundredths of a percent"
    )


class StatusInput(Input):
    """Where on the path of statuses."""

    status: Slug
    reason: LongText | None = None


class BlacklistInput(Input):
    """Why, and until when (absent: until it is lifted)."""

    reason: LongText
    until: Moment | None = None


class ResponsibleInput(Input):
    """Who looks after the customer; null is nobody."""

    employee: Slug | None


class NoteInput(Input):
    """A note."""

    text: LongText


class LinkInput(Input):
    """Who belongs to the customer, and how."""

    other: CustomerId
    relation: Relation


class ConfirmInput(Input):
    """Fields that still say what is true; custom ones as `custom.<name>`."""

    fields: tuple[FieldName, ...] = Field(min_length=1, max_length=50)


@dataclass(frozen=True, slots=True)
class CareApi:
    """The endpoints of how the chain sees a customer."""

    desk: Desk

    def router(self) -> APIRouter:
        """The routes below `/v1/customers/{customer}`."""
        router = APIRouter(prefix="/v1/customers/{customer}", tags=["care"])
        router.add_api_route("/tags", self.tags, methods=["POST"])
        router.add_api_route("/categories", self.categories, methods=["POST"])
        router.add_api_route("/discount", self.discount, methods=["PUT"])
        router.add_api_route("/status", self.status, methods=["PUT"])
        router.add_api_route("/blacklisting", self.blacklist, methods=["PUT"])
        router.add_api_route("/blacklisting", self.lift, methods=["DELETE"])
        router.add_api_route("/responsible", self.responsible, methods=["PUT"])
        router.add_api_route("/notes", self.note, methods=["POST"])
        router.add_api_route("/notes/{note}", self.rewrite, methods=["PUT"])
        router.add_api_route("/notes/{note}", self.remove_note, methods=["DELETE"])
        router.add_api_route("/confirmations", self.confirm, methods=["POST"])
        router.add_api_route("/links", self.link, methods=["POST"])
        router.add_api_route("/links/{relation}/{other}", self.unlink, methods=["DELETE"])
        router.add_api_route("/archive", self.archive, methods=["POST"])
        router.add_api_route("/restore", self.restore, methods=["POST"])
        return router

    async def tags(self, body: TagsInput, asking: Asked) -> Recorded:
        """Put tags on and take tags off."""
        asked = [sorted(body.add), sorted(body.remove)]
        return await self.desk.do(
            asking, asked, lambda about: ChangeTags(add=body.add, remove=body.remove, **about)
        )

    async def categories(self, body: CategoriesInput, asking: Asked) -> Recorded:
        """Give and withdraw categories; what a rule gave, a person may withdraw too."""
        require_categories(await self.desk.book.fresh(), sorted(body.give), "give")
        return await self.desk.do(
            asking,
            [sorted(body.give), sorted(body.withdraw)],
            lambda about: ChangeCategories(give=body.give, withdraw=body.withdraw, **about),
        )

    async def discount(self, body: DiscountInput, asking: Asked) -> Recorded:
        """Grant a discount in a person's name; the highest of all grants counts."""
        return await self.desk.do(
            asking, body.discount, lambda about: SetDiscount(discount=body.discount, **about)
        )

    async def status(self, body: StatusInput, asking: Asked) -> Recorded:
        """Bring the customer to another status of the path."""
        statuses = (await self.desk.book.fresh()).statuses

        def may_follow(before: str | None) -> None:
            statuses.require_move(before or statuses.initial, body.status, "status")

        def make(about: dict[str, Any]) -> SetStatus:
            return SetStatus(status=body.status, may_follow=may_follow, reason=body.reason, **about)

        return await self.desk.do(asking, [body.status, body.reason], make)

    async def blacklist(self, body: BlacklistInput, asking: Asked) -> Recorded:
        """Stop advertising and warn tills; it blocks no sale."""
        return await self.desk.do(
            asking,
            body,
            lambda about: Blacklist(reason=body.reason, until=body.until, **about),
        )

    async def lift(self, asking: Asked) -> Recorded:
        """Take the customer off the blacklist."""
        return await self.desk.do(asking, None, lambda about: LiftBlacklisting(**about))

    async def responsible(self, body: ResponsibleInput, asking: Asked) -> Recorded:
        """Let an employee look after the customer, or nobody."""
        require_responsible(await self.desk.book.fresh(), body.employee, "employee")
        return await self.desk.do(
            asking, body.employee, lambda about: AssignResponsible(employee=body.employee, **about)
        )

    async def note(self, body: NoteInput, asking: Asked) -> Recorded:
        """Write a note; its id follows from the command."""
        note = derived_id("note", asking.command_id)
        return await self.desk.do(
            asking, body.text, lambda about: WriteNote(note=note, text=body.text, **about)
        )

    async def rewrite(self, note: str, body: NoteInput, asking: Asked) -> Recorded:
        """Give a note another text."""
        found = await self.desk.seen(asking.customer, asking.calling)
        if note not in found.state.notes:
            kind = "note"
            raise not_found(kind, note)
        return await self.desk.do(
            asking, [note, body.text], lambda about: WriteNote(note=note, text=body.text, **about)
        )

    async def remove_note(self, note: str, asking: Asked) -> Recorded:
        """Take a note away, whoever of those it was written of who are this customer by now."""
        holder = (await self.desk.records.get(asking.customer)).holder_of_note(note)
        return await self.desk.do(
            asking, note, lambda about: RemoveNote(note=note, **{**about, "customer": holder})
        )

    async def confirm(self, body: ConfirmInput, asking: Asked) -> Recorded:
        """Note that fields were looked at and still say what is true."""
        return await self.desk.do(
            asking, body.fields, lambda about: ConfirmFields(fields=body.fields, **about)
        )

    async def archive(self, asking: Asked) -> Recorded:
        """Put the record out of sight."""
        return await self.desk.do(asking, "archive", lambda about: Archive(**about))

    async def restore(self, asking: Asked) -> Recorded:
        """Bring an archived record back."""
        return await self.desk.do(asking, "restore", lambda about: Restore(**about))

    async def link(self, body: LinkInput, asking: Asked) -> Recorded:
        """Let the customer and another one belong together; both of them show it."""
        return await self._link(asking, body.other, body.relation, linked=True)

    async def unlink(self, relation: Relation, other: str, asking: Asked) -> Recorded:
        """Let two customers belong together no longer."""
        return await self._link(asking, other, relation, linked=False)

    async def _link(
        self, asking: Asked, other: str, relation: Relation, *, linked: bool
    ) -> Recorded:
        customer, calling = asking.customer, asking.calling
        for each in (customer, other):
            await self.desk.require_scope(each, calling)
        request = self.desk.request(asking.command_id, [customer, other, relation, linked])
        command = Link(customer, other, relation, request.at, linked)
        return self.desk.answer(asking, await link(self.desk.writer, request, command))
