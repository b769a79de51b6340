"""Receipts in: their coupons are redeemed, and good again when they come back.

Facts that move to another customer are events of types of their own and change nothing here; what
is brought in from history redeems as anything else, since only codes of ours do.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
from faststream.kafka import KafkaBroker

from services.notify.handlers.coupons.redeeming import Bought, CameBack, redeem, take_back
from shared import telemetry
from shared.envelope import UNREADABLE, Causation, Light, decode_light, glimpse_type
from shared.events.interaction import ReceiptRecorded, ReceiptReturned, ReceiptVoided
from shared.execute import Writer
from shared.kafka import KafkaUrl, react_until_cancelled, subscribe
from shared.records import RawRecord

TOPICS = ("interaction.events.v1",)
GROUP = "notify.coupons"
READER = "coupons"
_BOUGHT, _RETURNED, _VOIDED = (
    kind.type.encode() for kind in (ReceiptRecorded, ReceiptReturned, ReceiptVoided)
)


class Receipt(msgspec.Struct, gc=False):
    """Of `interaction.receipt_recorded`."""

    fact: str
    total: int
    coupons: list[str] = []


class Returned(msgspec.Struct, gc=False):
    """Of `interaction.receipt_returned` and `interaction.receipt_voided`."""

    receipt: str
    total: int


_receipt = msgspec.json.Decoder(Receipt).decode
_returned = msgspec.json.Decoder(Returned).decode


async def react(writer: Writer, records: Sequence[RawRecord]) -> None:
    """Note what became of coupons. Raises `StoreUnavailable`."""
    bought: list[Bought] = []
    back: list[CameBack] = []
    for record in records:
        value = record.value or b""
        kind = glimpse_type(value)
        if kind not in (_BOUGHT, _RETURNED, _VOIDED):
            continue
        try:
            found = _read(decode_light(value))
        except UNREADABLE:
            telemetry.REACTION_PASSED_OVER.labels(READER).inc()
            continue
        if isinstance(found, Bought):
            bought.append(found)
        elif found is not None:
            back.append(found)
    # Nothing comes back before it was bought, and each is decided on its own.
    if bought:
        await redeem(writer, bought)
    if back:
        await take_back(writer, back)


def _read(light: Light) -> Bought | CameBack | None:
    if light.type == ReceiptRecorded.type:
        receipt = _receipt(light.data)
        if not receipt.coupons:
            return None
        return Bought(
            receipt=receipt.fact,
            codes=tuple(receipt.coupons),
            total=receipt.total,
            by=light.subject,
            time=light.time,
            branch=light.branch,
            why=Causation.of(light),
        )
    if light.type not in (ReceiptReturned.type, ReceiptVoided.type):
        return None
    returned = _returned(light.data)
    whole = None if light.type == ReceiptVoided.type else returned.total
    return CameBack(returned.receipt, whole, light.time, Causation.of(light))


@dataclass(frozen=True, slots=True)
class Redemptions:
    """The subscription."""

    broker: KafkaBroker
    kafka: KafkaUrl
    writer: Writer

    async def run(self) -> None:
        """React until cancelled; on the way out let the batch in hand finish."""

        async def redeemed(records: Sequence[RawRecord]) -> None:
            await react(self.writer, records)

        subscribe(
            self.broker,
            *(self.kafka.topic(topic) for topic in TOPICS),
            group=self.kafka.topic(GROUP),
            react=redeemed,
            title="coupons",
            description="Codes on receipts are redeemed, and good again when receipts come back.",
        )
        await react_until_cancelled(self.broker)
