"""Definitions of public forms over HTTP; the forms themselves are served at `/forms`."""

from dataclasses import dataclass
from typing import Annotated, Literal

from fastapi import APIRouter, Response
from pydantic import Field, StringConstraints

from services.customer.api.configuration.changing import Asked, Changing, Named, Reader
from services.customer.api.configuration.inputs import Language, Titles
from services.customer.api.configuration.views import (
    Configured,
    ItemList,
    ItemView,
    view_of,
    views_of,
)
from services.customer.api.inputs import Input, Slug, Text
from services.customer.domain.configuration.catalogue import Define
from services.customer.domain.referring import check_form_references
from shared.events.customer import Channel
from shared.events.forms import FormConsent, FormDefined, FormField, FormPromise
from shared.http import IfMatch, IfMatchUnlessNew

KIND = "forms"
Wording = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
LongText = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=2000)]


class FormFieldInput(Input):
    """A question."""

    attribute: Annotated[
        str, StringConstraints(pattern=r"^(custom\.)?[a-z0-9][a-z0-9_-]{0,63}$")
    ] = Field(description="`name`, `email`, …, or `custom.<name>`")
    titles: Titles
    required: bool = False


class FormConsentInput(Input):
    """A consent that is asked for."""

    topic: Slug
    channel: Channel
    wording: Wording = Field(description="version of the texts")
    texts: dict[Language, LongText] = Field(min_length=1, max_length=20)
    required: bool = False


class FormPromiseInput(Input):
    """What whoever sends the form gets, once."""

    coupon: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._%-]{0,63}$")]
    titles: Titles


class FormInput(Input):
    """A public form."""

    titles: Titles
    fields: tuple[FormFieldInput, ...] = Field(max_length=30)
    consents: tuple[FormConsentInput, ...] = Field(default=(), max_length=10)
    confirmation: Literal["email", "none"] = "email"
    promise: FormPromiseInput | None = None
    branch: Text | None = None
    source: Slug | None = None
    tags: tuple[Slug, ...] = Field(default=(), max_length=20)

    def definition(self, name: str) -> FormDefined:
        """The event that says so."""
        promise = self.promise
        return FormDefined(
            form=name,
            titles=dict(self.titles),
            fields=tuple(FormField(**each.model_dump()) for each in self.fields),
            consents=tuple(FormConsent(**each.model_dump()) for each in self.consents),
            confirmation=self.confirmation,
            promise=None if promise is None else FormPromise(**promise.model_dump()),
            branch=self.branch,
            source=self.source,
            tags=self.tags,
        )


@dataclass(frozen=True, slots=True)
class FormDefinitionsApi:
    """Forms by name; nothing is deleted, it is archived."""

    changing: Changing

    def add_to(self, router: APIRouter) -> None:
        """Add the routes below `/v1/configuration`."""
        add = router.add_api_route
        add("/forms", self.forms, methods=["GET"])
        add("/forms/{name}", self.form, methods=["GET"])
        add("/forms/{name}", self.define_form, methods=["PUT"])
        add("/forms/{name}/archive", self.archive_form, methods=["POST"])
        add("/forms/{name}/restore", self.restore_form, methods=["POST"])

    async def forms(self, _calling: Reader) -> ItemList[FormDefined]:
        """All public forms."""
        now = await self.changing.book.fresh()
        return ItemList[FormDefined](number=now.number, items=views_of(now.forms))

    async def form(
        self, name: Named, _calling: Reader, response: Response
    ) -> ItemView[FormDefined]:
        """One public form."""
        return view_of((await self.changing.book.fresh()).forms, KIND, name, response)

    async def define_form(
        self, body: FormInput, asking: Asked, rests_on: IfMatchUnlessNew
    ) -> Configured:
        """Give a form its (new) definition; it is public from now on."""
        request = self.changing.request_of(asking, f"{KIND}/{asking.name}", body)
        definition = body.definition(asking.name)
        check_form_references(definition, await self.changing.book.now())
        command = Define(asking.name, definition, request.at, rests_on)
        return await self.changing.change_item("forms", asking, request, command)

    async def archive_form(self, asking: Asked, match: IfMatch) -> Configured:
        """Take a form away from the public."""
        return await self.changing.archive("forms", asking, match)

    async def restore_form(self, asking: Asked, match: IfMatch) -> Configured:
        """Make a form public again."""
        return await self.changing.restore("forms", asking, match)
