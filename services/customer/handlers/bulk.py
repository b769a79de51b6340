"""An action on many customers: whom it is about is written down first, then each has its command.

All found are those of one look at the list: who comes to match later is not touched, and who no
longer matches is. A job that was cut off while looking looks anew; one that was cut off later goes
on where it was, and what it did is not done twice.
"""

from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any, assert_never

from services.customer.domain import bulk as actions
from services.customer.domain.bulk import Bulk, Reach
from services.customer.domain.checking import (
    require_categories,
    require_responsible,
    require_status,
)
from services.customer.domain.commands import (
    Archive,
    AssignResponsible,
    ChangeCategories,
    ChangeTags,
    Command,
    RequestMessage,
    Restore,
    SetStatus,
)
from services.customer.domain.configuration.chosen import Configuration
from services.customer.domain.filters import Sorting
from services.customer.handlers.configuration import ConfigurationBook
from services.customer.handlers.customers import Request, carry_out_all
from services.customer.handlers.erasing import Eraser
from services.customer.projections.directory import DirectoryEntry
from services.customer.queries.directory import Directory, Listing
from shared.access import Kind, Scope
from shared.clock import Clock
from shared.decider import Refused
from shared.events.care import MessageRequested
from shared.eventstore import body_hash
from shared.execute import Done, Writer
from shared.jobs import Checkpoint, Flaw, Job, RowResult, row_command

BULK, REACH = "bulk", "bulk_reach"
CHUNK = 50
LOOK = 500
CONTACT_OF: Mapping[str, str] = MappingProxyType(
    {"email": "email", "sms": "phone", "messenger": "messenger", "push": "push"}
)
"""Channel → the kind of contact that it needs; the others need none that the list knows."""
WAITING, DONE, UNCHANGED, REFUSED = "waiting", "done", "unchanged", "refused"


@dataclass(frozen=True, slots=True)
class Freezer:
    """Writes down whom a job is about."""

    directory: Directory
    book: ConfigurationBook

    async def freeze(self, asked: Bulk | Reach, scope: Scope, checkpoint: Checkpoint) -> None:
        """A row for each, unless they are written down already."""
        if checkpoint.job.total is not None:
            return
        row = 0
        async for found in self._whom(asked, scope):
            results = [
                RowResult(row=number, outcome=WAITING, id=customer)
                for number, customer in enumerate(found, row + 1)
            ]
            row += len(found)
            await checkpoint(0, results=results)
        # Only now do they count: a look that was cut off is made anew.
        await checkpoint(0, total=row)

    async def rows(self, checkpoint: Checkpoint) -> AsyncIterator[Sequence[RowResult]]:
        """The rows that are not done, in chunks; each is done before the next one comes."""
        total = checkpoint.job.total or 0
        while (position := checkpoint.job.position) < total:
            yield await checkpoint.store.results(
                checkpoint.job.id, after=position, limit=min(CHUNK, total - position)
            )

    async def _whom(self, asked: Bulk | Reach, scope: Scope) -> AsyncIterator[Sequence[str]]:
        if asked.selected is not None:
            yield await self._in_scope(asked.selected, scope)
            return
        listing = Listing(asked.filter, Sorting(), scope, await self.book.fresh())
        after = None
        while True:
            page = await self.directory.page(scope, after, LOOK, listing)
            yield [entry.id for entry in page.entries]
            if page.after is None:
                return
            after = page.after

    async def _in_scope(self, selected: Sequence[str], scope: Scope) -> Sequence[str]:
        """Those of the selected that whoever asked may touch, each once."""
        unique = list(dict.fromkeys(selected))
        if scope.everything:
            return unique
        entries = [await self.directory.get(each) for each in unique]
        return [
            entry.id
            for entry in entries
            if entry is not None and any(scope.allows(each) for each in entry.branches)
        ]


@dataclass(frozen=True, slots=True)
class BulkAction:
    """The kind of job that acts; implements `JobKind`. Its params are `params_of`."""

    writer: Writer
    freezer: Freezer
    eraser: Eraser
    clock: Clock

    @property
    def name(self) -> str:
        """What its jobs are called."""
        return BULK

    async def run(self, job: Job, checkpoint: Checkpoint) -> None:
        """Write down whom it is about, then do it to each."""
        asked = Bulk.model_validate(job.params["asked"])
        require_possible(asked, await self.freezer.book.fresh())
        await self.freezer.freeze(asked, scope_of(job.params), checkpoint)
        async for rows in self.freezer.rows(checkpoint):
            results = await self._do(checkpoint.job, asked, rows)
            counts = Counter(result.outcome for result in results)
            await checkpoint(rows[-1].row, dict(counts), results)

    async def _do(self, job: Job, asked: Bulk, rows: Sequence[RowResult]) -> list[RowResult]:
        now = self.clock.now()
        requests = [self._request(job, row, now) for row in rows]
        if isinstance(asked.action, actions.DeleteAll):
            pairs = zip(rows, requests, strict=True)
            return [await self._delete(job, asked.action, *pair) for pair in pairs]
        configuration = await self.freezer.book.fresh()
        commands = [command_of(asked.action, row.id or "", job, now, configuration) for row in rows]
        outcomes = await carry_out_all(self.writer, list(zip(requests, commands, strict=True)))
        return [_result(row, each) for row, each in zip(rows, outcomes, strict=True)]

    def _request(self, job: Job, row: RowResult, now: datetime) -> Request:
        return Request(row_command(job.id, row.row), body_hash({"job": job.id}), now)

    async def _delete(
        self, job: Job, action: actions.DeleteAll, row: RowResult, request: Request
    ) -> RowResult:
        try:
            await self.eraser.request(request, row.id or "", action.reason, job.by)
        except Refused as refusal:
            return _result(row, refusal)
        return RowResult(row=row.row, outcome=DONE, id=row.id)


@dataclass(frozen=True, slots=True)
class Reaching:
    """The kind of job that counts who could be reached, and by reason who not."""

    freezer: Freezer

    @property
    def name(self) -> str:
        """What its jobs are called."""
        return REACH

    async def run(self, job: Job, checkpoint: Checkpoint) -> None:
        """Write down whom it is about, then look at each."""
        asked = Reach.model_validate(job.params["asked"])
        await self.freezer.freeze(asked, scope_of(job.params), checkpoint)
        async for rows in self.freezer.rows(checkpoint):
            ids = [row.id or "" for row in rows]
            entries = await self.freezer.directory.several(ids)
            results = [
                RowResult(
                    row=row.row, outcome=reach_of(entries.get(row.id or ""), asked), id=row.id
                )
                for row in rows
            ]
            counts = Counter(result.outcome for result in results)
            await checkpoint(rows[-1].row, dict(counts), results)


def reach_of(entry: DirectoryEntry | None, asked: Reach) -> str:
    """`reached`, or the first reason why not."""
    kind = CONTACT_OF.get(asked.channel)
    contacts = [] if entry is None else [each for each in entry.contacts if each.kind == kind]
    if entry is None or entry.shelf is None:
        return "gone"
    if entry.internal:
        return "internal"
    if entry.blacklisted:
        return "blacklisted"
    if kind is not None and not contacts:
        return "no_contact"
    if kind is not None and all(each.state == "bad" for each in contacts):
        return "bad_contact"
    if f"{asked.topic}|{asked.channel}" not in entry.consents:
        return "no_consent"
    return "reached"


def params_of(asked: Bulk | Reach, scope: Scope) -> dict[str, Any]:
    """What a job keeps of what was asked, and for whom it may act."""
    branches = None if scope.branches is None else sorted(scope.branches)
    return {"asked": asked.model_dump(mode="json"), "branches": branches}


def scope_of(params: Mapping[str, Any]) -> Scope:
    """The part of the chain that whoever asked may touch."""
    branches = params["branches"]
    return Scope(Kind.CUSTOMER, None if branches is None else frozenset(branches))


def require_possible(asked: Bulk, now: Configuration) -> None:
    """Raise `Refused` for an action that could be done to nobody."""
    match asked.action:
        case actions.CategorizeAll(give=give):
            require_categories(now, give, "action.give")
        case actions.AssignAll(employee=employee):
            require_responsible(now, employee, "action.employee")
        case actions.BringAll(status=status):
            require_status(now, status, "action.status")
        case _:
            return


def command_of(
    action: actions.TagAll
    | actions.CategorizeAll
    | actions.AssignAll
    | actions.BringAll
    | actions.ShelveAll
    | actions.MessageAll,
    customer: str,
    job: Job,
    now: datetime,
    configuration: Configuration,
) -> Command:
    """What is asked of one customer."""
    about: dict[str, Any] = {"customer": customer, "at": now, "by": job.by}
    match action:
        case actions.TagAll(add=add, remove=remove):
            return ChangeTags(add=frozenset(add), remove=frozenset(remove), **about)
        case actions.CategorizeAll(give=give, withdraw=withdraw):
            return ChangeCategories(give=frozenset(give), withdraw=frozenset(withdraw), **about)
        case actions.AssignAll(employee=employee):
            return AssignResponsible(employee=employee, **about)
        case actions.BringAll(status=status):
            statuses = configuration.statuses

            def may_follow(before: str | None) -> None:
                statuses.require_move(before or statuses.initial, status, "action.status")

            return SetStatus(status=status, may_follow=may_follow, **about)
        case actions.ShelveAll(kind=kind):
            return Archive(**about) if kind == "archive" else Restore(**about)
        case actions.MessageAll():
            message = MessageRequested(
                request=job.id,
                template=action.template,
                topic=action.topic,
                channel=action.channel,
                by=job.by,
            )
            return RequestMessage(message=message, **about)
        case _:
            assert_never(action)


def _result(row: RowResult, outcome: Done | Refused) -> RowResult:
    if isinstance(outcome, Refused):
        flaw = Flaw(outcome.detail or outcome.title)
        return RowResult(row=row.row, outcome=REFUSED, id=row.id, flaws=(flaw,))
    customer = outcome.stream.removeprefix("customer-")
    done = DONE if outcome.changed else UNCHANGED
    return RowResult(row=row.row, outcome=done, id=customer, version=outcome.version)
