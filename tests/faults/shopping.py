"""A script of what customers do: commits of three services, each at its moment.

A past comes in by an import, then a few minutes of life: receipts of tills whose clocks are off,
consents given and withdrawn, messages of campaigns that are opened, customers who come late.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from services.customer.domain.commands import (
    CustomerCommand,
    GiveConsent,
    Register,
    WithdrawConsent,
)
from services.customer.domain.customer import CUSTOMER
from services.customer.domain.state import stream_of as customer_stream
from services.interaction.domain.facts import FACTS
from services.interaction.domain.imports import IMPORTS, BeginImport, EndImport, import_stream_of
from services.interaction.domain.receipts import record_receipt
from services.interaction.domain.streams import stream_of
from services.segment.rules.reading import parse_rule
from services.segment.rules.ruleset import LiveRule, RuleSet
from shared.clock import ManualClock
from shared.decider import Decider, NewEvent
from shared.envelope import Causation
from shared.events.customer import ConsentGiven, ConsentWithdrawn, CustomerRegistered, Evidence
from shared.events.interaction import ReceiptLine
from shared.events.notification import MessageOpened, MessageSent
from shared.eventstore import Commit
from shared.execute import Command, Writer
from shared.keyring import Keyring
from shared.memory import MemoryEventStore, MemoryKeyStore
from shared.testing import DAY
from shared.testing.facts import TOLD

IMPORT = "2017"
IMPORT_ENDS = 20.0
LIFE_BEGINS = 100.0
LIFE_ENDS = 250.0
HELD = "lapsed"
QUIET = 400.0
"""Nothing is due any more: the longest window is two minutes."""


@dataclass(frozen=True, slots=True)
class Scene:
    """What a service appends so many seconds after DAY."""

    at: float
    service: str
    commit: Commit


Script = Sequence[Scene]


@dataclass(slots=True)
class _Author:
    """Writes the script with the product's own deciders."""

    random: Random
    clock: ManualClock
    stores: Mapping[str, MemoryEventStore]
    scenes: list[Scene]
    numbers: int = 0

    async def write(
        self,
        service: str,
        decider: Decider[Any, Any],
        stream: str,
        key: str,
        body: object,
        *,
        history: str | None = None,
    ) -> None:
        store = self.stores[service]
        writer = Writer(store, Keyring(MemoryKeyStore(), AESGCM(bytes(32))), self.clock, service)
        self.numbers += 1
        name = f"c{self.numbers}"
        subject = None if stream.startswith("import-") else key
        causation = Causation(name, history=history)
        await writer.one(decider, Command(name, name, stream, key, body, causation, subject))
        at = (self.clock.moment - DAY).total_seconds()
        self.scenes.append(Scene(at, service, store.commits[-1]))

    async def customer(self, command: CustomerCommand) -> None:
        name = command.customer
        await self.write("customer", CUSTOMER, customer_stream(name), name, command)

    async def receipt(self, customer: str, time: datetime, history: str | None = None) -> None:
        coupon = 50 if self.random.random() < 0.3 else None
        amount = self.random.choice([0, 400, 1_500, 6_000])
        receipt = record_receipt(
            source="pos",
            source_id=f"r{self.numbers}",
            branch=self.random.choice("AB"),
            time=time,
            now=self.clock.now(),
            lines=(ReceiptLine(product="p", quantity=Decimal(1), amount=amount, coupon=coupon),),
        )
        stream = stream_of(customer)
        await self.write("interaction", FACTS, stream, customer, receipt, history=history)

    async def message(self, customer: str) -> None:
        """One that was sent, and perhaps opened at once; each a stream of its own."""
        told = {"message": f"m{self.numbers}", "campaign": self.random.choice(["spring", "autumn"])}
        body = [NewEvent(MessageSent.model_validate(told), self.clock.now())]
        if self.random.random() < 0.5:
            body.append(NewEvent(MessageOpened.model_validate(told), self.clock.now()))
        await self.write("notify", TOLD, f"message-{told['message']}", customer, body)

    def go_to(self, seconds: float) -> datetime:
        self.clock.moment = DAY + timedelta(seconds=round(seconds, 3))
        return self.clock.moment


async def script_of(seed: int, customers: int = 12, events: int = 110) -> Script:
    """The script of a seed; scenes in the order of their moments."""
    clock = ManualClock(DAY)
    stores = {name: MemoryEventStore() for name in ("customer", "interaction", "notify")}
    author = _Author(Random(seed), clock, stores, [])
    await _past(author, [f"c{n}" for n in range(customers)])
    await _life(author, [f"c{n}" for n in range(customers)], events)
    return sorted(author.scenes, key=lambda scene: scene.at)


async def _past(author: _Author, names: Sequence[str]) -> None:
    now = author.go_to(0)
    await author.write(
        "interaction", IMPORTS, import_stream_of(IMPORT), IMPORT,
        BeginImport(import_id=IMPORT, title="the past", at=now),
    )  # fmt: skip
    facts = 0
    for number, name in enumerate(names):
        now = author.go_to(0.5 + number * 0.7)
        if author.random.random() < 0.8:
            person = CustomerRegistered(home_branch=author.random.choice("AB"))
            await author.customer(Register(customer=name, at=now, person=person))
        for _ in range(author.random.randint(0, 6)):
            past = now - timedelta(seconds=author.random.randint(1, 900))
            await author.receipt(name, past, IMPORT)
            facts += 1
    now = author.go_to(IMPORT_ENDS)
    await author.write(
        "interaction", IMPORTS, import_stream_of(IMPORT), IMPORT,
        EndImport(import_id=IMPORT, facts=facts, at=now),
    )  # fmt: skip


async def _life(author: _Author, names: Sequence[str], events: int) -> None:
    registered = {scene.commit.key for scene in author.scenes if scene.service == "customer"}
    moments = sorted(author.random.uniform(LIFE_BEGINS, LIFE_ENDS) for _ in range(events))
    for moment in moments:
        now = author.go_to(moment)
        name = author.random.choice(names)
        if name not in registered:
            registered.add(name)
            person = CustomerRegistered(home_branch="B")
            await author.customer(Register(customer=name, at=now, person=person))
        elif (what := author.random.random()) < 0.25:
            await _change_mind(author, name, now)
        elif what < 0.45:
            await author.message(name)
        else:
            # Most tills are right, some are minutes late, one is hours ahead.
            off = author.random.choice([0, 0, 0, -1, -45, -150, 30, 7_200])
            await author.receipt(name, now + timedelta(seconds=off))


async def _change_mind(author: _Author, name: str, now: datetime) -> None:
    evidence = Evidence(source="till")
    if author.random.random() < 0.5:
        given = ConsentGiven(topic="marketing", channel="email", evidence=evidence)
        await author.customer(GiveConsent(customer=name, at=now, consent=given))
    else:
        gone = ConsentWithdrawn(topic="marketing", channel="email", evidence=evidence)
        await author.customer(WithdrawConsent(customer=name, at=now, withdrawn=gone))


def _count(op: str, value: int, **more: object) -> dict[str, Any]:
    compare = {"op": op, "value": value}
    return {"kind": "receipts", "aggregate": "count", "compare": compare, **more}


_MESSAGES = {
    "kind": "notifications",
    "aggregate": "count",
    "within": "PT1M",
    "compare": {"op": ">=", "value": 1},
}
RULES: Mapping[str, dict[str, Any]] = {
    "lapsed": {"kind": "all", "clauses": [_count(">=", 1), _count("==", 0, within="PT1M")]},
    "frequent": _count(">=", 3, within="PT2M"),
    "big": {
        "kind": "receipts",
        "aggregate": "sum",
        "compare": {"op": ">=", "value": 7_000},
        "within": "PT2M",
    },
    "once": _count("==", 1),
    "new": {"kind": "receipts", "aggregate": "first", "within": "PT2M"},
    "coupon": _count(">=", 1, within="PT2M", where={"coupon": True}),
    "read": {**_MESSAGES, "where": {"state": ["opened"], "campaign": ["spring"]}},
    "reachable": {"kind": "consent", "topic": "marketing", "channel": "email"},
}


RULES_CHANGE: Mapping[int, float] = {
    2: (LIFE_BEGINS + LIFE_ENDS) / 2,
    3: (LIFE_BEGINS + LIFE_ENDS) / 2 + 15,
    4: (LIFE_BEGINS + LIFE_ENDS) / 2 + 40,
}
"""When the rule set of each number is there, in seconds after DAY."""


def rules_of(number: int) -> RuleSet:
    """The rule set of a number.

    1 is `RULES`; 2 adds one and widens another, half way through; 3 holds one that people keep
    entering and leaving, and 4 releases it.
    """
    begin = DAY - timedelta(days=1)
    moments = [
        begin,
        *(DAY + timedelta(seconds=RULES_CHANGE[each]) for each in range(2, number + 1)),
    ]
    rules = {name: _live(name, rule, begin, 1) for name, rule in RULES.items()}
    if number >= 2:
        widened = {"regular": _count(">=", 2, within="PT2M"), "frequent": _count(">=", 2)}
        rules |= {name: _live(name, rule, moments[1], 2) for name, rule in widened.items()}
    held = {}
    if number == 3:
        held = {HELD: rules.pop(HELD)}
    if number >= 4:
        rules[HELD] = _live(HELD, RULES[HELD], moments[3], 1)
    return RuleSet(number, rules, moments[-1], held, tuple(moments))


def _live(name: str, rule: dict[str, Any], at: datetime, definition: int) -> LiveRule:
    return LiveRule(
        definition=definition,
        rule=parse_rule(rule),
        defined_at=at,
        event=f"segment-{name}@{definition}",
        correlation=name,
    )
