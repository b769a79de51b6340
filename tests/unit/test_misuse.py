"""Suspicions of misuse: told once for each day, lifted by a person, seen in totals."""

from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import httpx2
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from services.interaction.api import TotalsApi
from services.interaction.domain.misuse import MISUSE, LiftMisuse, SuspectMisuse, misuse_stream
from services.interaction.domain.streams import stream_of
from services.interaction.handlers.misuse import TellMisuse
from services.interaction.projections.totals import totals_of
from services.interaction.queries.customers import Customers
from services.interaction.queries.totals import Totals
from shared.access import Authenticator, Role, issue
from shared.clock import ManualClock
from shared.decider import NewEvent
from shared.events.interaction import (
    MisuseLifted,
    MisuseSuspected,
    ReceiptLine,
    ReceiptRecorded,
)
from shared.execute import Writer
from shared.http import build_app
from shared.keyring import Keyring
from shared.memory import (
    MemoryApiKeys,
    MemoryDocuments,
    MemoryEventStore,
    MemoryKeyStore,
    MemoryParking,
)
from shared.projector import Folder
from shared.testing import DAY, client_of, given, logs_of
from shared.testing.collections import MemoryQuestions
from shared.testing.facts import tell

SECRET = bytes(32)
LIMIT = 2
TOTALS = totals_of(ZoneInfo("UTC"), LIMIT)
SUSPECT = SuspectMisuse(day="2017-12-01", count=3, limit=LIMIT, at=DAY, fact="f")
SUSPECTED = MisuseSuspected(day="2017-12-01", count=3, limit=LIMIT, fact="f")
LIFTED = MisuseLifted(days=("2017-12-01",), by="key:1")


def test_a_day_with_too_many_receipts_is_told() -> None:
    given(MISUSE).when(SUSPECT).then([NewEvent(SUSPECTED, DAY)])


def test_a_day_is_told_once_also_when_more_receipts_come() -> None:
    more = SuspectMisuse(day="2017-12-01", count=4, limit=LIMIT, at=DAY)
    given(MISUSE, [SUSPECTED]).when(more).then_nothing()


def test_what_was_lifted_is_not_told_again() -> None:
    given(MISUSE, [SUSPECTED, LIFTED]).when(SUSPECT).then_nothing()


def test_another_day_is_news() -> None:
    other = SuspectMisuse(day="2017-12-02", count=3, limit=LIMIT, at=DAY)
    told = MisuseSuspected(day="2017-12-02", count=3, limit=LIMIT)
    given(MISUSE, [SUSPECTED, LIFTED]).when(other).then([told])


def test_a_person_lifts_all_that_is_suspected() -> None:
    lift = LiftMisuse(at=DAY, by="key:1")
    second = MisuseSuspected(day="2017-12-02", count=3, limit=LIMIT)
    given(MISUSE, [SUSPECTED, LIFTED, second]).when(lift).then(
        [NewEvent(MisuseLifted(days=("2017-12-02",), by="key:1"), DAY)]
    )


def test_where_nothing_is_suspected_nothing_can_be_lifted() -> None:
    lift = LiftMisuse(at=DAY)
    given(MISUSE).when(lift).then_refused("not-suspected")
    given(MISUSE, [SUSPECTED, LIFTED]).when(lift).then_refused("not-suspected")


@dataclass(slots=True)
class Shop:
    """Totals, the sweeper of suspicions and the API, on memory."""

    store: MemoryEventStore = field(default_factory=MemoryEventStore)
    documents: MemoryDocuments = field(default_factory=MemoryDocuments)
    keys: MemoryApiKeys = field(default_factory=MemoryApiKeys)
    clock: ManualClock = field(default_factory=lambda: ManualClock(DAY + timedelta(days=1)))

    @property
    def writer(self) -> Writer:
        keyring = Keyring(MemoryKeyStore(), AESGCM(bytes(32)))
        return Writer(self.store, keyring, self.clock, "interaction")

    async def sell(self, who: str, number: int, branch: str = "12") -> None:
        """A receipt an hour after the one before."""
        line = ReceiptLine(product="p", quantity=Decimal(1), amount=10)
        receipt = ReceiptRecorded(
            fact=f"{who}-{number}", source="pos", source_id=str(number), total=10,
            coupon_lines=0, lines=(line,),
        )  # fmt: skip
        stream = who if who.startswith("unknown-") else stream_of(who)
        time = DAY + timedelta(hours=number)
        await tell(self.writer, stream, who, [NewEvent(receipt, time, branch)])

    async def read(self) -> None:
        """Let totals read everything, again."""
        folder = Folder(TOTALS, self.documents, MemoryParking())
        for log in logs_of(self.store.commits):
            await folder.fold(log)

    async def sweep(self) -> int:
        """Let the sweeper look once."""
        await self.read()
        found = await MemoryQuestions(self.documents).find({})
        due = [raw for raw in found if raw.get("due_at") is not None]
        await TellMisuse(self.writer)(due, self.clock.now())
        await self.read()
        return len(due)

    async def caller(self, role: Role, *branches: str) -> httpx2.AsyncClient:
        """Somebody who calls the API."""
        text, stored = issue(SECRET, title="test", roles=[role], branches=branches or None)
        await self.keys.add(stored)
        customers = MemoryDocuments()
        await customers.write([{"_id": "anna", "rev": 1, "entries": [], "versions": {}}])
        totals = TotalsApi(
            Customers(MemoryQuestions(customers)),  # type: ignore[arg-type]  # asked no more
            Totals(MemoryQuestions(self.documents)),  # type: ignore[arg-type]  # than it answers
            self.writer,
            self.clock,
        )
        app = build_app(
            title="test", service="interaction", routers=[totals.router()],
            authenticator=Authenticator(self.keys, SECRET), readiness=_ready,
        )  # fmt: skip
        return client_of(app, text)


async def _ready() -> dict[str, bool | str]:
    return {}


async def test_what_totals_notice_is_told_exactly_once_however_often_it_is_swept() -> None:
    shop = Shop()
    for number in range(LIMIT + 2):
        await shop.sell("anna", number)
        await shop.sell("boris", number * 24)
        await shop.sell("unknown-1", number)
    assert await shop.sweep() == 2  # Anna and the stranger; Boris comes once a day
    assert await shop.sweep() == 0
    told = [each for each in shop.store.commits if each.stream.startswith("misuse-")]
    assert [each.stream for each in told] == [misuse_stream("anna"), misuse_stream("unknown-1")]
    assert [each.key for each in told] == ["anna", "unknown-1"]
    # The same documents as before they were read again, as after a kill: nothing more is told.
    await TellMisuse(shop.writer)([], DAY)
    assert len([each for each in shop.store.commits if each.stream.startswith("misuse-")]) == 2


async def test_a_manager_sees_and_lifts_suspicions_and_a_cashier_does_not() -> None:
    shop = Shop()
    for number in range(LIMIT + 1):
        await shop.sell("anna", number)
    await shop.sweep()
    manager, cashier = await shop.caller(Role.MANAGER), await shop.caller(Role.CASHIER, "12")
    day = str(DAY.date())
    suspicion = {"day": day, "receipts": 3, "limit": 2, "lifted": False}
    items = [{"customer": "anna", "unknown": None, **suspicion}]
    assert (await manager.get("/v1/misuse")).json() == {"items": items}
    totals = (await cashier.get("/v1/customers/anna/totals")).json()
    assert (totals["receipts"], totals["suspicions"]) == (3, [suspicion])
    assert (await cashier.post("/v1/misuse/anna/lift")).status_code == 403
    assert (await manager.post("/v1/misuse/anna/lift")).status_code == 204
    await shop.read()
    assert (await manager.get("/v1/misuse")).json() == {"items": []}
    assert (await manager.post("/v1/misuse/anna/lift")).status_code == 409


async def test_who_bought_at_other_branches_only_is_not_to_be_seen() -> None:
    shop = Shop()
    for number in range(LIMIT + 1):
        await shop.sell("anna", number, "13")
    await shop.sweep()
    manager = await shop.caller(Role.MANAGER, "12")
    assert (await manager.get("/v1/misuse")).json() == {"items": []}
    assert (await manager.post("/v1/misuse/anna/lift")).status_code == 404
    assert (await manager.get("/v1/customers/anna/totals")).json()["receipts"] == 0
