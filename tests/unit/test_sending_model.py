"""The whole sending policy, as two dispatchers carry it out, against a slow and obvious model.

The model keeps lists and looks through all of them; it shares no code with what it is held against.
"""

import asyncio
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from services.notify.channels import Accepted
from services.notify.handlers.books.policies import PolicyBook
from services.notify.handlers.campaigns.requests import Request, define, start
from services.notify.handlers.campaigns.scheduling import Occasion, schedule
from shared.envelope import Causation
from shared.events.customer import (
    ConsentGiven,
    ConsentWithdrawn,
    CustomerChanged,
    Evidence,
    Identifier,
    IdentifierAdded,
)
from shared.events.sending import Cap, QuietHours, SendingPolicyDefined
from shared.testing.channels import ScriptedChannel
from tests.unit.test_notify_dispatcher import DEFINED, Desk, answering

HOUR, TICK = timedelta(hours=1), timedelta(milliseconds=1)
PEOPLE = ("anna", "boris")
EVIDENCE = Evidence(source="till")


@dataclass(frozen=True)
class Plan:
    """A campaign: how it is sent."""

    service: bool
    priority: int
    drops: bool
    hours: int | None
    both: bool


@dataclass(frozen=True)
class Limit:
    """At most so many in so many hours, on one channel or on all."""

    most: int
    hours: int
    channel: str | None


@dataclass(frozen=True)
class Step:
    """So many hours pass; then something happens: a message is due, or a word is given."""

    hours: int
    customer: str
    campaign: int
    word: str | None
    channel: str


@dataclass
class Note:
    """A message of the model."""

    customer: str
    plan: Plan
    born: datetime
    fate: str = "open"
    until: datetime | None = None


@dataclass
class Model:
    """What everybody would do with a pencil."""

    zones: dict[str, str]
    night: tuple[int, int] | None
    limits: list[Limit]
    notes: list[Note] = field(default_factory=list)
    agreed: set[tuple[str, str]] = field(default_factory=set)
    withdrawn: dict[tuple[str, str], datetime] = field(default_factory=dict)
    sent: list[tuple[str, str, datetime]] = field(default_factory=list)

    def quiet(self, customer: str, at: datetime) -> bool:
        if self.night is None:
            return False
        hour = at.astimezone(ZoneInfo(self.zones[customer])).hour
        begin, end = self.night
        return begin <= hour < end if begin < end else hour >= begin or hour < end

    def full(self, customer: str, channel: str, at: datetime) -> bool:
        for limit in self.limits:
            if limit.channel not in (None, channel):
                continue
            count = 0
            for who, how, when in self.sent:
                counts = who == customer and limit.channel in (None, how)
                count += counts and when > at - limit.hours * HOUR
            if count >= limit.most:
                return True
        return False

    def room_at(self, customer: str, channel: str, at: datetime) -> datetime:
        ends = [when + limit.hours * HOUR for _, _, when in self.sent for limit in self.limits]
        return min(end for end in ends if end > at and not self.full(customer, channel, end))

    def day_at(self, customer: str, at: datetime) -> datetime:
        minute = at.replace(second=0, microsecond=0)
        while minute <= at or self.quiet(customer, minute):
            minute += timedelta(minutes=1)
        return minute

    def look(self, at: datetime) -> None:
        due = [
            note
            for note in self.notes
            if note.fate == "open" and (note.until is None or note.until <= at)
        ]
        for note in sorted(due, key=lambda each: (-each.plan.priority, each.born)):
            self.decide(note, at)

    def decide(self, note: Note, at: datetime) -> None:
        plan, who = note.plan, note.customer
        last = None if plan.hours is None else note.born + plan.hours * HOUR
        if last is not None and at > last:
            note.fate = "expired"
            return
        ways = ["email", "sms"] if plan.both else ["email"]
        open_ways = [way for way in ways if plan.service or (who, way) in self.agreed]
        if not open_ways:
            gone = self.withdrawn.get((who, ways[0]))
            note.fate = "withdrawn" if gone is not None and gone >= note.born else "no_consent"
            return
        way, until = open_ways[0], None
        if not plan.service and self.quiet(who, at):
            until = self.day_at(who, at)
        elif not plan.service and self.full(who, way, at):
            if plan.drops:
                note.fate = "cap"
                return
            until = self.room_at(who, way, at)
        if until is None:
            note.fate, note.until = way, None
            if not plan.service:
                self.sent.append((who, way, at))
        elif last is not None and until > last:
            note.fate = "expired"
        else:
            note.until = until


PLANS = st.builds(
    Plan,
    st.booleans(),
    st.integers(0, 9),
    st.booleans(),
    st.sampled_from([None, 5, 40]),
    st.booleans(),
)
LIMITS = st.builds(
    Limit, st.integers(1, 2), st.sampled_from([6, 24, 72]), st.sampled_from([None, "email", "sms"])
)
STEPS = st.builds(
    Step,
    st.sampled_from([0, 0, 1, 5, 13, 30]),
    st.sampled_from(PEOPLE),
    st.integers(0, 1),
    st.sampled_from([None, None, None, "agrees", "withdraws"]),
    st.sampled_from(["email", "sms"]),
)


@settings(max_examples=15, deadline=None)
@given(
    st.tuples(PLANS, PLANS),
    st.tuples(st.lists(LIMITS, max_size=2), st.sampled_from([None, (21, 9), (2, 3), (12, 14)])),
    st.fixed_dictionaries(
        dict.fromkeys(PEOPLE, st.sampled_from(["UTC", "Europe/Berlin", "America/New_York"]))
    ),
    # The clocks of Berlin are put forward on 25 March 2018, those of New York on the 11th.
    st.sampled_from([0, 67, 81]),
    st.lists(STEPS, min_size=1, max_size=10),
)
async def test_two_dispatchers_do_what_everybody_would_do_with_a_pencil(
    plans: tuple[Plan, Plan],
    policy: tuple[list[Limit], tuple[int, int] | None],
    zones: dict[str, str],
    days: int,
    steps: list[Step],
) -> None:
    limits, night = policy
    desk, model = await Desk.opened(), Model(zones, night, limits)
    desk.clock.advance(timedelta(days=days))
    await arranged(desk, plans, model)
    born: dict[datetime, int] = {}
    for number, step in enumerate(steps):
        desk.clock.advance(step.hours * HOUR + TICK)
        at = desk.clock.moment
        if step.word is not None:
            await told(desk, model, step)
        else:
            why = Causation("c", f"cause@{number}", 1)
            name = f"plan-{step.campaign}"
            occasion = Occasion(name, step.customer, f"x@{number}", "email", why)
            await schedule(desk.writer(), [occasion])
            model.notes.append(Note(step.customer, plans[step.campaign], at))
            born[at] = len(model.notes) - 1
        desk.reached = desk.clock.moment + TICK
        await worked(desk)
        model.look(at)
        found = {
            born[raw["scheduled_at"]]: (fate_of(raw), raw.get("until"))
            for raw in desk.queue.everything()
        }
        assert [found[number] for number in range(len(model.notes))] == [
            (note.fate, note.until if note.fate == "open" else None) for note in model.notes
        ]


def fate_of(raw: dict[str, object]) -> object:
    match raw["stage"]:
        case "sent":
            return raw["channel"]
        case "suppressed":
            return raw["reason"]
        case "scheduled":
            return "open"
        case stage:
            return stage


async def arranged(desk: Desk, plans: tuple[Plan, Plan], model: Model) -> None:
    at = desk.clock.moment
    quiet: tuple[QuietHours, ...] = ()
    if model.night is not None:
        begin, end = (f"{hour:02d}:00" for hour in model.night)
        quiet = (QuietHours(begin=begin, end=end),)
    caps = tuple(
        Cap.model_validate(
            {"most": each.most, "within": f"PT{each.hours}H", "channel": each.channel}
        )
        for each in model.limits
    )
    policy = SendingPolicyDefined(quiet=quiet, caps=caps)
    await PolicyBook(desk.writer()).define("policy", policy, at, lambda _version: None)
    for number, plan in enumerate(plans):
        name = f"plan-{number}"
        said = {
            "campaign": name,
            "purpose": "service" if plan.service else "advertising",
            "priority": plan.priority,
            "caps": "drop" if plan.drops else "wait",
            "max_age": None if plan.hours is None else f"PT{plan.hours}H",
            "fallback": ("sms",) if plan.both else (),
        }
        definition = DEFINED.model_copy(update=said)
        await define(desk.writer(), Request(f"d{name}", name, at), definition, lambda _v: None)
        await start(desk.writer(), Request(f"s{name}", name, at), name)
    for name in PEOPLE:
        phone = Identifier(kind="phone", hash=f"p-{name}", epoch=1, value="+70000000001")
        lives = CustomerChanged(time_zone=model.zones[name])
        await desk.customer(name, IdentifierAdded(identifier=phone), lives)


async def told(desk: Desk, model: Model, step: Step) -> None:
    kind = ConsentGiven if step.word == "agrees" else ConsentWithdrawn
    said = {"topic": "marketing", "channel": step.channel, "evidence": EVIDENCE}
    await desk.customer(step.customer, kind.model_validate(said))
    key = (step.customer, step.channel)
    if step.word == "agrees":
        model.agreed.add(key)
    elif key in model.agreed:
        model.agreed.remove(key)
        model.withdrawn[key] = desk.clock.moment


async def worked(desk: Desk) -> None:
    """Two dispatchers side by side, until nothing moves."""
    sms = ScriptedChannel(answering(Accepted()), None)
    channels = {"email": desk.channel, "sms": sms}
    before = -1
    await desk.fold()
    while len(desk.store.commits) != before:
        before = len(desk.store.commits)
        one, two = [await desk.dispatcher(channels=channels) for _ in range(2)]
        await asyncio.gather(one.step(), two.step())
        await desk.fold()
