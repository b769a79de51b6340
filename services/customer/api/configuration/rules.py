"""The path of statuses and the update rules of record attributes, over HTTP."""

from dataclasses import dataclass

from fastapi import APIRouter, Response

from services.customer.api.configuration.changing import Changing, Reader, Writing
from services.customer.api.configuration.inputs import (
    PathInput,
    RegistrationInput,
    UpdateRuleInput,
)
from services.customer.api.configuration.views import (
    Configured,
    PathView,
    RegistrationView,
    RuleList,
    RuleView,
    configured,
)
from services.customer.domain.configuration.fields import DefineRecordRule, RemoveRecordRule
from services.customer.domain.configuration.registration import DefineRegistration
from services.customer.domain.configuration.statuses import DefinePath
from shared.events.configuration import RecordAttribute
from shared.http import CommandId, IfMatch, IfMatchUnlessNew, etag


@dataclass(frozen=True, slots=True)
class RulesApi:
    """How customers may move, and what must be confirmed of them."""

    changing: Changing

    def add_to(self, router: APIRouter) -> None:
        """Add the routes below `/v1/configuration`."""
        add = router.add_api_route
        add("/status-path", self.path, methods=["GET"])
        add("/status-path", self.define_path, methods=["PUT"])
        add("/registration", self.registration, methods=["GET"])
        add("/registration", self.define_registration, methods=["PUT"])
        add("/update-rules", self.rules, methods=["GET"])
        add("/update-rules/{attribute}", self.define_rule, methods=["PUT"])
        add("/update-rules/{attribute}", self.remove_rule, methods=["DELETE"])

    async def path(self, _calling: Reader, response: Response) -> PathView:
        """Where customers begin, and how they may go on."""
        statuses = (await self.changing.book.fresh()).statuses
        response.headers["ETag"] = etag(statuses.path_version)
        return PathView(version=statuses.path_version, path=statuses.path)

    async def define_path(
        self,
        body: PathInput,
        calling: Writing,
        command_id: CommandId,
        *,
        match: IfMatch,
        response: Response,
    ) -> Configured:
        """Give the path its new form; who stands where it does not lead any more may stay."""
        request = self.changing.request(calling, command_id, "status-path", body)
        command = DefinePath(body.path(), request.at, match.require_of)
        done = await self.changing.carry_out("statuses", request, command)
        version = (await self.changing.book.fresh()).statuses.path_version
        return configured("status-path", version, done, response)

    async def registration(self, _calling: Reader, response: Response) -> RegistrationView:
        """Which facts of somebody unknown make them a customer at once."""
        known = (await self.changing.book.fresh()).registration
        response.headers["ETag"] = etag(known.version)
        return RegistrationView(version=known.version, registration=known.definition)

    async def define_registration(
        self,
        body: RegistrationInput,
        calling: Writing,
        command_id: CommandId,
        *,
        match: IfMatchUnlessNew,
        response: Response,
    ) -> Configured:
        """Decide it, for facts that are recorded from now on."""
        request = self.changing.request(calling, command_id, "registration", body)
        if body.acquisition is not None:
            directories = (await self.changing.book.now()).directories
            directories.require("source", body.acquisition, "acquisition")
        command = DefineRegistration(body.definition(request.at), request.at, match)
        done = await self.changing.carry_out("registration", request, command)
        version = (await self.changing.book.fresh()).registration.version
        return configured("registration", version, done, response)

    async def rules(self, _calling: Reader) -> RuleList:
        """Which attributes of every record must be confirmed; custom fields have their own."""
        rules = (await self.changing.book.fresh()).fields.record_rules
        return RuleList(
            items=[
                RuleView(attribute=name, version=each.version, rule=each.rule)
                for name, each in sorted(rules.items())
            ]
        )

    async def define_rule(
        self,
        attribute: RecordAttribute,
        body: UpdateRuleInput,
        calling: Writing,
        command_id: CommandId,
        *,
        rests_on: IfMatchUnlessNew,
        response: Response,
    ) -> Configured:
        """Have an attribute confirmed from time to time."""
        request = self.changing.request(calling, command_id, f"update-rules/{attribute}", body)
        command = DefineRecordRule(attribute, body.rule(), request.at, rests_on)
        done = await self.changing.carry_out("fields", request, command)
        known = (await self.changing.book.fresh()).fields.record_rules.get(attribute)
        return configured(attribute, 0 if known is None else known.version, done, response)

    async def remove_rule(
        self,
        attribute: RecordAttribute,
        calling: Writing,
        command_id: CommandId,
        *,
        match: IfMatch,
        response: Response,
    ) -> Configured:
        """Let an attribute be, unconfirmed."""
        request = self.changing.request(calling, command_id, f"update-rules/{attribute}/remove")
        command = RemoveRecordRule(attribute, request.at, match.require_of)
        done = await self.changing.carry_out("fields", request, command)
        return configured(attribute, 0, done, response)
