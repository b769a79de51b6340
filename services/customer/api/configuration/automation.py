"""Rules of automation over HTTP."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Response
from pydantic import Field

from services.customer.api.configuration.changing import Asked, Changing, Named, Reader
from services.customer.api.configuration.inputs import Duration, Titles
from services.customer.api.configuration.views import (
    Configured,
    ItemList,
    ItemView,
    view_of,
    views_of,
)
from services.customer.api.inputs import Input, Slug, Text
from services.customer.domain.configuration.catalogue import Define
from services.customer.domain.referring import check_rule_references
from shared.events.automation import (
    AutomationDefined,
    Occasion,
    TaskKind,
    TaskTemplate,
    Then,
    When,
)
from shared.http import IfMatch, IfMatchUnlessNew

KIND = "automation"
Slugs = Annotated[tuple[Slug, ...], Field(max_length=50)]


class WhenInput(Input):
    """What a rule waits for."""

    on: Occasion
    segment: Slug | None = None
    while_inside: bool = False
    status: Slug | None = None
    at_least: int | None = Field(default=None, ge=0, le=2**53, description="minor units")
    after: Duration | None = Field(default=None, description="of days or weeks: P730D")


class TaskInput(Input):
    """A task to be planned."""

    title: Text
    kind: TaskKind = "todo"
    due: Duration = Field(description="of days or weeks, from the cause: P3D")
    employee: Text | None = None


class ThenInput(Input):
    """What a rule does."""

    give_categories: Slugs = ()
    take_categories: Slugs = ()
    discount: int | None = Field(
        default=None, ge=0, le=10_000, description="hundredths of a percent"
    )
    add_tags: Slugs = ()
    remove_tags: Slugs = ()
    status: Slug | None = None
    responsible: Text | None = None
    archive: bool = False
    task: TaskInput | None = None


class AutomationInput(Input):
    """A rule."""

    titles: Titles
    when: WhenInput
    branches: Annotated[tuple[Slug, ...], Field(min_length=1, max_length=500)] | None = None
    then: ThenInput

    def definition(self, name: str, since: datetime) -> AutomationDefined:
        """The event that says so."""
        then = self.then.model_dump(exclude={"task"})
        task = self.then.task
        return AutomationDefined(
            rule=name,
            titles=dict(self.titles),
            when=When.model_validate(self.when.model_dump()),
            branches=self.branches,
            then=Then(**then, task=None if task is None else TaskTemplate(**task.model_dump())),
            since=since,
        )


@dataclass(frozen=True, slots=True)
class AutomationApi:
    """Rules by name; nothing is deleted, it is archived."""

    changing: Changing

    def add_to(self, router: APIRouter) -> None:
        """Add the routes below `/v1/configuration`."""
        add = router.add_api_route
        add("/automation", self.rules, methods=["GET"])
        add("/automation/{name}", self.rule, methods=["GET"])
        add("/automation/{name}", self.define_rule, methods=["PUT"])
        add("/automation/{name}/archive", self.archive_rule, methods=["POST"])
        add("/automation/{name}/restore", self.restore_rule, methods=["POST"])

    async def rules(self, _calling: Reader) -> ItemList[AutomationDefined]:
        """All rules of automation."""
        now = await self.changing.book.fresh()
        return ItemList[AutomationDefined](number=now.number, items=views_of(now.automation))

    async def rule(
        self, name: Named, _calling: Reader, response: Response
    ) -> ItemView[AutomationDefined]:
        """One rule of automation."""
        return view_of((await self.changing.book.fresh()).automation, KIND, name, response)

    async def define_rule(
        self, body: AutomationInput, asking: Asked, rests_on: IfMatchUnlessNew
    ) -> Configured:
        """Give a rule its (new) definition; it takes causes from its first definition on."""
        request = self.changing.request_of(asking, f"{KIND}/{asking.name}", body)
        definition = body.definition(asking.name, request.at)
        check_rule_references(definition, await self.changing.book.now())
        command = Define(asking.name, definition, request.at, rests_on)
        return await self.changing.change_item("automation", asking, request, command)

    async def archive_rule(self, asking: Asked, match: IfMatch) -> Configured:
        """Let a rule do nothing new; what it gave while inside is still taken back."""
        return await self.changing.archive("automation", asking, match)

    async def restore_rule(self, asking: Asked, match: IfMatch) -> Configured:
        """Let a rule count again, for causes from now on."""
        return await self.changing.restore("automation", asking, match)
