"""Receipts in: one, or up to 1,000 at a time."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter

from services.interaction.api.inputs import Amount, At, Branch, Input, Quantity, Slug, Source, Text
from services.interaction.domain.receipts import RecordReceipt, customer_of
from services.interaction.handlers import receipts as handlers
from services.interaction.handlers.receipts import Owners, SentReceipt
from services.interaction.projections.identifiers import own_id
from shared.access import Kind, Permission, Principal, Scope, scope
from shared.clock import Clock
from shared.decider import Refused, invalid
from shared.events.contract import show_moment
from shared.events.customer import IdentifierKind
from shared.events.interaction import FactIdentifier, ReceiptLine
from shared.eventstore import body_hash
from shared.execute import Outcome, Writer
from shared.http import (
    BatchAnswer,
    RawItems,
    batch_body,
    batch_response,
    etag,
    parse_items,
    principal,
)
from shared.identifiers import IdentifierRules

Writing = Annotated[Principal, Depends(principal(Permission.FACTS_WRITE))]
ImportId = Annotated[Slug | None, Query(description="the import that these facts are history of")]
MAX_LINES = 2_000


class IdentifierInput(Input):
    """What the source knows of the customer."""

    kind: IdentifierKind
    value: Annotated[str, StringConstraints(min_length=1, max_length=200)]


class LineInput(ReceiptLine):
    """One line, as the contract has it, within limits; amounts in minor units, of any sign."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    product: Text
    quantity: Quantity = Field(description="may be 0")
    amount: Amount = Field(description="paid for the line, discounts taken off; may be 0")
    discount: Amount | None = Field(default=None, description="taken off by the shop")
    coupon: Amount | None = Field(default=None, description="taken off by a coupon")
    coupon_match: Amount | None = Field(
        default=None, description="taken off by the shop because of a coupon"
    )


class ReceiptInput(Input):
    """A basket that was paid; its customer is named by `customer` or by `identifier`."""

    source: Source = Field(default="pos", description="the system that reports it")
    source_id: Text = Field(description="the receipt's id there, unique within source and branch")
    branch: Branch
    time: At = Field(description="by the clock of the till; at most a day ahead")
    customer: Text | None = Field(default=None, description="the customer's id")
    identifier: IdentifierInput | None = None
    lines: tuple[LineInput, ...] = Field(min_length=1, max_length=MAX_LINES)
    total: Amount | None = Field(default=None, description="the sum of the lines, to be checked")
    till: Text | None = None
    cashier: Text | None = None


class RecordedReceipt(BaseModel):
    """The answer to a receipt."""

    id: str = Field(description="of the fact, for ever")
    customer: str
    version: int = Field(description="of the customer's facts; pass it on as `min_version`")
    repeated: bool = Field(description="it was recorded before")


@dataclass(frozen=True, slots=True)
class ReceiptApi:
    """The endpoints, on what they need."""

    writer: Writer
    owners: Owners
    rules: IdentifierRules
    clock: Clock

    def router(self) -> APIRouter:
        """The routes below `/v1/receipts`."""
        router = APIRouter(prefix="/v1/receipts", tags=["receipts"])
        router.add_api_route("", self.record, methods=["POST"], status_code=201)
        router.add_api_route(
            "/batch",
            self.record_batch,
            methods=["POST"],
            response_model=BatchAnswer,
            openapi_extra=batch_body(_ITEM),
        )
        return router

    async def record(
        self, body: ReceiptInput, calling: Writing, response: Response
    ) -> RecordedReceipt:
        """Record a receipt, once for ever by its source's id."""
        sent = self._sent(body, scope(calling, Kind.FACT), self.clock.now())
        (outcome,) = await handlers.record_receipts(self.writer, self.owners, [sent])
        if isinstance(outcome, Refused):
            raise outcome
        response.headers["ETag"] = etag(outcome.version)
        return RecordedReceipt(
            id=sent.receipt.fact,
            customer=customer_of(outcome.stream),
            version=outcome.version,
            repeated=outcome.repeated,
        )

    async def record_batch(
        self, items: RawItems, calling: Writing, import_id: ImportId = None
    ) -> Response:
        """Record up to 1,000 receipts; each has an outcome of its own."""
        if import_id is not None:
            calling.require(Permission.IMPORTS_RUN)
        sent = self._all_sent(items, calling)
        outcomes = await handlers.record_receipts(
            self.writer,
            self.owners,
            [each for each in sent if isinstance(each, SentReceipt)],
            import_id,
        )
        return batch_response(_in_order(sent, outcomes))

    def _all_sent(
        self, items: Sequence[bytes], calling: Principal
    ) -> Sequence[SentReceipt | Refused]:
        """Each item as a receipt, or why it is none."""
        narrow, now = scope(calling, Kind.FACT), self.clock.now()
        sent: list[SentReceipt | Refused] = []
        for item in parse_items(_ITEM, items):
            try:
                sent.append(item if isinstance(item, Refused) else self._sent(item, narrow, now))
            except Refused as refusal:
                sent.append(refusal)
        return sent

    def _sent(self, body: ReceiptInput, narrow: Scope, now: datetime) -> SentReceipt:
        narrow.require(body.branch)
        known: FactIdentifier | None = None
        if body.identifier is not None and body.customer is None:
            found_by = self.rules.known(
                body.identifier.kind, body.identifier.value, "identifier.value"
            )
            known = FactIdentifier(kind=found_by.kind, hash=found_by.hash)
            who = found_by.claim_id
        elif body.customer is not None and body.identifier is None:
            who = own_id(body.customer)
        else:
            raise invalid("customer", "should be there when `identifier` is not, and only then")
        receipt = RecordReceipt(
            source=body.source,
            source_id=body.source_id,
            branch=body.branch,
            time=body.time,
            now=now,
            lines=body.lines,
            total=body.total,
            identified_by=known,
            till=body.till,
            cashier=body.cashier,
        )
        return SentReceipt(receipt, who, _hash(body, who))


_ITEM: TypeAdapter[ReceiptInput] = TypeAdapter(ReceiptInput)


def _hash(body: ReceiptInput, who: str) -> str:
    """Over what the source says, equal for equal content; a total adds nothing to its lines."""
    plain = body.model_dump(
        mode="json", exclude_none=True, exclude={"customer", "identifier", "time", "total"}
    )
    return body_hash([plain, who, show_moment(body.time)])


def _in_order(
    sent: Sequence[SentReceipt | Refused], outcomes: Sequence[Outcome]
) -> list[tuple[str | None, Outcome]]:
    """The outcome of each item: its own refusal, or the next one of those that were carried out."""
    following = iter(outcomes)
    return [
        (None, each) if isinstance(each, Refused) else (each.receipt.fact, next(following))
        for each in sent
    ]
