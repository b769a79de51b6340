"""Employees over HTTP, below `/v1/employees`.

Whom the chain employs, as what and with which keys, is changed by callers for the whole chain; a
caller of some branches sees who works there. A name is sealed by the employee's own key.
"""

from dataclasses import dataclass
from datetime import date
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Response
from pydantic import BaseModel, Field, StringConstraints

from services.customer.api.configuration.changing import Changing
from services.customer.api.inputs import Input, Slug, Text
from services.customer.domain.configuration.employees import (
    ChangeEmployee,
    Contract,
    Employee,
    EmployeeCommand,
    Hire,
    Leave,
    Return,
    subject_of,
)
from services.customer.handlers.configuration import Request
from services.customer.handlers.departures import hand_over_job
from shared.access import Kind, Permission, Principal, Scope, scope
from shared.decider import not_found
from shared.execute import Done
from shared.http import CommandId, IfMatch, etag, principal
from shared.ids import derived_id

Reader = Annotated[Principal, Depends(principal(Permission.EMPLOYEES_READ))]
Writing = Annotated[Principal, Depends(principal(Permission.EMPLOYEES_WRITE))]
PrincipalId = Annotated[str, StringConstraints(pattern=r"^[a-z]+:[A-Za-z0-9_.@-]{1,100}$")]
KIND = "employee"


class EmployeeInput(Input):
    """Somebody who works for the chain."""

    name: Text
    position: Slug = Field(description="what the chain calls the job, e.g. `administrator`")
    branches: tuple[Slug, ...] | None = Field(
        default=None, min_length=1, max_length=500, description="left out: the whole chain"
    )
    principals: tuple[PrincipalId, ...] = Field(
        default=(), max_length=20, description="callers that they are, e.g. `key:<prefix>`"
    )

    def contract(self) -> Contract:
        """What the chain knows of their work."""
        return Contract(self.name, self.position, self.branches, self.principals)


class LeaveInput(Input):
    """Somebody goes."""

    successor: Text | None = Field(
        default=None, description="id of who takes over customers, deals and tasks"
    )
    since: date | None = Field(default=None, description="left out: today")


class EraseInput(Input):
    """The typed word that nothing is erased without."""

    confirm: Literal["erase"]


class EmployeeView(BaseModel):
    """An employee; `version` is the ETag."""

    id: str
    version: int
    name: str | None
    position: str
    branches: list[str] | None
    principals: list[str] | None = Field(description="shown to callers for the whole chain")
    left: str | None
    successor: str | None
    job: str | None = Field(description="the job that hands over what was theirs")


class EmployeeList(BaseModel):
    """Employees by id."""

    items: list[EmployeeView]


class EmployeeChangedView(BaseModel):
    """The answer to a change."""

    id: str
    version: int = Field(description="of the employee: the ETag")
    repeated: bool = Field(description="it was recorded before")


@dataclass(frozen=True, slots=True)
class EmployeeApi:
    """The endpoints."""

    changing: Changing

    def router(self) -> APIRouter:
        """The routes below `/v1/employees`."""
        router = APIRouter(prefix="/v1/employees", tags=["employees"])
        router.add_api_route("", self.all, methods=["GET"])
        router.add_api_route("", self.hire, methods=["POST"], status_code=201)
        router.add_api_route("/{employee}", self.get, methods=["GET"])
        router.add_api_route("/{employee}", self.change, methods=["PUT"])
        router.add_api_route("/{employee}/leave", self.leave, methods=["POST"])
        router.add_api_route("/{employee}/erase", self.erase, methods=["POST"])
        router.add_api_route("/{employee}/return", self.come_back, methods=["POST"])
        return router

    async def all(
        self,
        calling: Reader,
        *,
        gone: Annotated[bool, Query(description="also those who left")] = False,
    ) -> EmployeeList:
        """Who works at the caller's branches, or for the whole chain."""
        narrow = _scope(calling)
        employees = (await self.changing.book.fresh()).employees
        return EmployeeList(
            items=[
                _view(name, each, narrow)
                for name, each in sorted(employees.items.items())
                if (gone or each.left is None) and _sees(narrow, each)
            ]
        )

    async def get(self, employee: str, calling: Reader, response: Response) -> EmployeeView:
        """One employee."""
        narrow = _scope(calling)
        known = (await self.changing.book.fresh()).employees.items.get(employee)
        if known is None or not _sees(narrow, known):
            raise not_found(KIND, employee)
        response.headers["ETag"] = etag(known.version)
        return _view(employee, known, narrow)

    async def hire(
        self, body: EmployeeInput, calling: Writing, command_id: CommandId, response: Response
    ) -> EmployeeChangedView:
        """Let somebody work here."""
        request = self._request(calling, command_id, "hire", body)
        await self._require_branches(body)
        employee = derived_id("employee", command_id)
        command = Hire(employee, body.contract(), request.at)
        return await self._changed(employee, request, command, response)

    async def change(
        self,
        employee: str,
        body: EmployeeInput,
        calling: Writing,
        command_id: CommandId,
        *,
        match: IfMatch,
        response: Response,
    ) -> EmployeeChangedView:
        """Give somebody another name, position, branches or keys."""
        request = self._request(calling, command_id, employee, body)
        await self._require_branches(body)
        command = ChangeEmployee(employee, body.contract(), request.at, match.require_of)
        return await self._changed(employee, request, command, response)

    async def leave(
        self,
        employee: str,
        body: LeaveInput,
        calling: Writing,
        command_id: CommandId,
        *,
        match: IfMatch,
        response: Response,
    ) -> EmployeeChangedView:
        """Let somebody go: their keys are refused, and a job hands over what was theirs."""
        request = self._request(calling, command_id, f"{employee}/leave", body)
        since = body.since or request.at.date()
        command = Leave(employee, since, body.successor, request.at, match.require_of)
        return await self._changed(employee, request, command, response)

    async def come_back(
        self,
        employee: str,
        calling: Writing,
        command_id: CommandId,
        *,
        match: IfMatch,
        response: Response,
    ) -> EmployeeChangedView:
        """Let somebody work here again; keys are bound anew."""
        request = self._request(calling, command_id, f"{employee}/return")
        command = Return(employee, request.at, match.require_of)
        return await self._changed(employee, request, command, response)

    async def erase(
        self,
        employee: str,
        body: EraseInput,
        calling: Writing,
        command_id: CommandId,
        response: Response,
    ) -> EmployeeChangedView:
        """Let the name of somebody who left be unknown, everywhere and for ever."""
        request = self._request(calling, command_id, f"{employee}/erase", body)
        done = await self.changing.book.erase_employee(request, employee)
        return await self._recorded(employee, done, response)

    async def _require_branches(self, body: EmployeeInput) -> None:
        branches = (await self.changing.book.fresh()).branches
        for number, branch in enumerate(body.branches or ()):
            branches.require(branch, f"branches.{number}")

    def _request(
        self, calling: Principal, command_id: str, what: str, body: BaseModel | None = None
    ) -> Request:
        _scope(calling).require(None)
        return self.changing.request(calling, command_id, f"employees/{what}", body)

    async def _changed(
        self, employee: str, request: Request, command: EmployeeCommand, response: Response
    ) -> EmployeeChangedView:
        subject = subject_of(employee)
        done = await self.changing.book.change("employees", request, command, subject)
        return await self._recorded(employee, done, response)

    async def _recorded(self, employee: str, done: Done, response: Response) -> EmployeeChangedView:
        known = (await self.changing.book.fresh()).employees.items[employee]
        response.headers["ETag"] = etag(known.version)
        return EmployeeChangedView(id=employee, version=known.version, repeated=done.repeated)


def _scope(calling: Principal) -> Scope:
    return scope(calling, Kind.EMPLOYEE)


def _sees(narrow: Scope, employee: Employee) -> bool:
    branches = employee.contract.branches
    return branches is None or narrow.everything or any(map(narrow.allows, branches))


def _view(name: str, employee: Employee, narrow: Scope) -> EmployeeView:
    contract = employee.contract
    return EmployeeView(
        id=name,
        version=employee.version,
        name=contract.name,
        position=contract.position,
        branches=None if contract.branches is None else list(contract.branches),
        principals=list(contract.principals) if narrow.everything else None,
        left=employee.left,
        successor=employee.successor,
        job=None if employee.successor is None else hand_over_job(name, employee.left_version),
    )
