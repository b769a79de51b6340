"""Rules on messages of campaigns: from published events to who is in, why, and until when.

The log is written by the product's writers and folded by the worker's folder; only Kafka is not
there.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from services.notify.domain import message_stream
from services.notify.handlers.campaigns.scheduling import Occasion, schedule
from services.notify.projections import QueuedMessage
from services.segment.engine.explaining import explain
from services.segment.engine.profile import Profile
from services.segment.engine.stepping import HORIZON, Engine
from services.segment.projections import profiles_v2
from services.segment.rules.instants import instant
from services.segment.rules.reading import parse_rule
from services.segment.rules.ruleset import LiveRule, RuleSet
from shared.clock import ManualClock
from shared.decider import NewEvent
from shared.envelope import Causation, decode, decode_light, event_id
from shared.events.contract import EventData
from shared.events.customer import CustomerRegistered
from shared.events.notification import (
    MessageClicked,
    MessageDelivered,
    MessageFailed,
    MessageOpened,
    MessageScheduled,
    MessageSending,
    MessageSent,
)
from shared.execute import Command, Writer
from shared.keyring import Keyring
from shared.memory import MemoryDocuments, MemoryEventStore, MemoryKeyStore, MemoryParking
from shared.projection import Stepped
from shared.projector import SteppedFolder
from shared.testing import DAY
from shared.testing.facts import TOLD, records_of

Json = dict[str, Any]
HOUR = timedelta(hours=1)
NOW = timedelta(0)
WEEK = timedelta(days=7)
NOTIFICATIONS = "notification.events.v1"
MORE: Mapping[type[EventData], Mapping[str, str]] = {
    MessageScheduled: {"occurrence": "o", "channel": "email"},
    MessageSending: {"contact": "h", "attempt": "a"},
    MessageClicked: {"link": "shop"},
    MessageFailed: {"code": "550"},
}
"""What events tell beside the message and its campaign."""
KEYRING = Keyring(MemoryKeyStore(), AESGCM(bytes(32)))


def messages(op: str = ">=", value: int = 1, **more: object) -> Json:
    compare = {"op": op, "value": value}
    return {"kind": "notifications", "aggregate": "count", "compare": compare, **more}


def live(name: str, rule: Json) -> LiveRule:
    begin = DAY - timedelta(days=1)
    return LiveRule(1, parse_rule(rule, HORIZON // timedelta(milliseconds=1)), begin, name, name)


@dataclass(slots=True)
class Source:
    """Implements `SteppedSource`: these rules, and never others."""

    stepped: Stepped[Profile]
    number: int = 1

    async def refresh(self) -> None:
        """There is nothing newer."""


@dataclass(slots=True)
class Town:
    """What notify has recorded, and the worker that folds it."""

    rules: Mapping[str, Json]
    clock: ManualClock = field(default_factory=lambda: ManualClock(DAY))
    store: MemoryEventStore = field(default_factory=MemoryEventStore)
    documents: MemoryDocuments = field(default_factory=MemoryDocuments)
    engine: Engine = field(init=False)
    folder: SteppedFolder[Profile] = field(init=False)
    told: int = 0
    folded: int = 0
    commands: int = 0

    def __post_init__(self) -> None:
        rules = {name: live(name, rule) for name, rule in self.rules.items()}
        self.engine = Engine(RuleSet(1, rules, DAY - timedelta(days=1)))
        source = Source(profiles_v2(self.engine))
        self.folder = SteppedFolder(
            source.stepped.projection, self.documents, MemoryParking(), KEYRING,
            source=source, stepped_documents=self.documents, clock=self.clock,
            service="segment", append_deadline=timedelta(seconds=20),
        )  # fmt: skip

    @property
    def writer(self) -> Writer:
        return Writer(self.store, KEYRING, self.clock, "notify")

    async def tell(self, stream: str, why: Causation, *data: EventData) -> None:
        self.commands += 1
        name = f"c{self.commands}"
        events = [NewEvent(each, self.clock.now()) for each in data]
        command: Command[Sequence[NewEvent]] = Command(
            name, name, stream, "anna", events, why, "anna"
        )
        await self.writer.one(TOLD, command)

    async def message(self, name: str, *becomes: type[EventData], at: timedelta = NOW) -> None:
        """A message of campaign `name` less its number: what became of it, at a moment."""
        self.clock.moment = DAY + at
        campaign = name.rstrip("0123456789")
        told = {"message": name, "campaign": campaign}
        data = [each.model_validate({**told, **MORE.get(each, {})}) for each in becomes]
        await self.tell(f"message-{name}", Causation(name), *data)
        await self.fold()

    async def fold(self) -> None:
        new = self.store.commits[self.folded :]
        self.folded += len(new)
        await self.folder.fold(records_of(new, self.clock.now()))

    async def wake(self, at: timedelta) -> None:
        until = DAY + at
        due = await self.documents.load(await self.documents.due([0], until, 10))
        await self.folder.revise(
            list(due.values()),
            lambda profile: self.engine.wake(profile, until),
        )

    @property
    def profile(self) -> Profile:
        (raw,) = self.documents.everything()
        return msgspec.convert(raw, Profile)

    @property
    def inside(self) -> set[str]:
        return set(self.profile.memberships)

    def log(self) -> list[tuple[str, str, timedelta, str]]:
        """What was decided: entered or exited, the segment, when after DAY, and the cause."""
        lines = []
        for commit in self.documents.commits.commits:
            for text in commit.events:
                envelope = decode(text)
                data = msgspec.json.decode(envelope.data)
                change = envelope.type.split(".")[1]
                at = datetime.fromisoformat(envelope.time) - DAY
                cause = data["cause"].get("event", data["cause"]["kind"])
                lines.append((change, data["segment"], at, cause))
        return lines


async def test_who_opened_a_campaign_is_in_until_the_window_closes_and_knows_why() -> None:
    opened = messages(within="P7D", where={"state": ["opened"], "campaign": ["spring"]})
    town = Town({"opened": opened})
    await town.message("spring1", MessageSent, MessageDelivered)
    await town.message("autumn1", MessageSent, MessageOpened, at=HOUR)
    assert town.inside == set()
    await town.message("spring1", MessageOpened, at=2 * HOUR)
    assert town.inside == {"opened"}
    explained = explain(town.profile, parse_rule(opened), instant(DAY + 3 * HOUR))
    assert (explained.true, [each.event for each in explained.behind]) == (
        True, ["message-spring1@3"],
    )  # fmt: skip
    await town.wake(WEEK + 3 * HOUR)
    # It was opened two hours after DAY: a week later it is outside of the window.
    assert town.log() == [
        ("entered", "opened", 2 * HOUR, "message-spring1@3"),
        ("exited", "opened", WEEK + 2 * HOUR, "time"),
    ]


async def test_received_opened_clicked_never_and_at_least_so_often() -> None:
    month: Json = {"within": "P30D"}
    town = Town(
        {
            "received": messages(),
            "never-received": messages("==", 0),
            "often": messages(value=2, **month),
            "delivered": messages(**month, where={"state": ["delivered"]}),
            "silent": messages("==", 0, **month, where={"state": ["opened", "clicked"]}),
            "shop": messages(**month, where={"state": ["clicked"], "link": ["shop"]}),
            "campaigns": {**messages(value=2, **month), "aggregate": "distinct", "of": "campaign"},
        }
    )
    town.clock.moment = DAY - HOUR
    await town.tell("customer-anna", Causation("r"), CustomerRegistered())
    await town.fold()
    assert town.inside == {"never-received", "silent"}
    await town.message("spring1", MessageScheduled, MessageSending, MessageSent)
    assert town.inside == {"received", "silent"}
    await town.message("spring2", MessageSent, MessageDelivered, MessageFailed, at=HOUR)
    assert town.inside == {"received", "silent", "often", "delivered"}
    await town.message("autumn1", MessageSent, MessageClicked, at=2 * HOUR)
    assert town.inside == {"received", "often", "delivered", "shop", "campaigns"}


async def test_who_was_sent_something_and_did_not_open_it_in_time() -> None:
    ignored = {
        "kind": "sequence",
        "first": {"facts": "notifications"},
        "then": {"facts": "notifications", "where": {"state": ["opened"]}},
        "direction": "after",
        "gap": "P2D",
        "within": "P7D",
        "compare": {"op": "==", "value": 0},
    }
    town = Town({"ignored": ignored})
    await town.message("spring1", MessageSent)
    await town.wake(WEEK + HOUR)
    days = timedelta(days=1)
    assert town.log() == [
        ("entered", "ignored", 2 * days, "time"),
        ("exited", "ignored", 7 * days, "time"),
    ]


async def test_what_comes_late_and_out_of_order_ends_at_the_same() -> None:
    last = {"kind": "notifications", "aggregate": "last", "within": "P7D"}
    rules = {name: {**last, "having": {"campaign": [name]}} for name in ("spring", "autumn")}
    ends = []
    for names in (("spring1", "autumn1"), ("autumn1", "spring1")):
        town = Town(rules)
        # Both at the same moment, each the first of its stream: whoever learns of which first.
        for name in names:
            await town.message(name, MessageSent)
        ends.append(town.inside)
    assert ends[0] == ends[1]
    assert len(ends[0]) == 1


async def test_what_is_read_again_is_counted_once() -> None:
    town = Town({"often": messages(value=2)})
    await town.message("spring1", MessageSent, MessageOpened, MessageOpened)
    before = town.profile
    town.folded = 0
    await town.fold()
    assert town.profile == before
    assert (len(before.happened["notifications"]), before.totals["notifications"].count) == (3, 1)


async def test_other_events_of_messages_are_passed_over_unread(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    town = Town({"received": messages()})

    def refuse(_value: bytes) -> None:
        raise AssertionError("it was read")

    monkeypatch.setattr("shared.projector.decoding.decode_light", refuse)
    await town.message("spring1", MessageScheduled, MessageSending, MessageFailed)
    assert list(town.documents.everything()) == []


@pytest.mark.parametrize(
    ("rules", "spared"),
    [
        ({}, {NOTIFICATIONS}),
        ({"bought": {**messages(), "kind": "receipts"}}, {NOTIFICATIONS}),
        ({"received": messages()}, set()),
    ],
)
def test_the_relay_of_notify_is_waited_for_only_while_a_rule_asks_for_messages(
    rules: dict[str, Json], spared: set[str]
) -> None:
    stepped = profiles_v2(Engine(RuleSet(1, {name: live(name, r) for name, r in rules.items()})))
    assert NOTIFICATIONS in stepped.projection.topics
    assert stepped.spared == spared


@dataclass(slots=True)
class Circle:
    """Two campaigns, each for who got a message of the other last: nothing in them ever ends."""

    town: Town
    sent: list[str] = field(default_factory=list)

    async def hand_over(self, message: QueuedMessage) -> None:
        """What the dispatcher writes, in the chain of causes as it does."""
        stream = message_stream(message.id)
        why = Causation(message.correlation, event_id(stream, 1), message.depth + 1)
        data = MessageSent(message=message.id, campaign=message.campaign)
        self.sent.append(message.campaign)
        await self.town.tell(stream, why, data)

    def occasions(self, known: int) -> Sequence[Occasion]:
        """Enterings since then, as triggers take them."""
        found = []
        for commit in self.town.documents.commits.commits[known:]:
            for text in commit.events:
                light = decode_light(text.encode())
                if light.type == "segment.entered.v1":
                    segment = msgspec.json.decode(light.data)["segment"]
                    occurrence = f"{segment}@{light.streamversion}"
                    why = Causation.of(light)
                    found.append(Occasion(segment, "anna", occurrence, "email", why))
        return found


async def test_campaigns_that_cause_each_other_come_to_an_end() -> None:
    last = {"kind": "notifications", "aggregate": "last", "within": "P7D"}
    town = Town(
        {
            "ping": {**last, "having": {"campaign": ["pong"]}},
            "pong": {**last, "having": {"campaign": ["ping"]}},
        }
    )
    circle = Circle(town)
    # A person has started a broadcast: the message that begins it all is one cause deep.
    begin = Occasion("pong", "anna", "run@1", "email", Causation("start", "campaign-pong@2", 1))
    new = await schedule(town.writer, [begin])
    for turn in range(20):
        if not new:
            break
        town.clock.moment = DAY + turn * HOUR
        for message in new:
            await circle.hand_over(message)
        known = len(town.documents.commits.commits)
        await town.fold()
        new = await schedule(town.writer, circle.occasions(known))
    # Scheduled at depth 1, sent at 2, entered at 3; scheduled at 4, sent at 5, entered at 6;
    # scheduled at 7, sent at 8, entered at 9; the next would stand behind more than eight.
    assert circle.sent == ["pong", "ping", "pong"]
    assert town.inside == {"ping"}
