"""Segment rules as a chain has them, and customers to ask about, the same in every run.

Of twenty rules eight want so many receipts within some time, four a turnover, three customers who
have stopped coming, two receipts in the shops of a region, two an average; all of these of some of
the customers only, by two or three clauses about what is known of them and whether they agree to
hear from the chain. One asks everybody. Half of the customers agree to each topic; of the other
clauses each fits between a fortieth and two thirds of them. A year of receipts lies behind each
customer, 30 of 9.4 lines.
"""

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec

from benchmarks.sample import BEGIN, DISTINCT, basket, branch_of, customer_id, fact_id
from services.segment.engine.profile import Profile
from services.segment.engine.reported import Recorded
from services.segment.engine.stepping import Engine
from services.segment.rules.reading import parse_rule
from services.segment.rules.ruleset import LiveRule, RuleSet
from services.segment.rules.words import Attribute, Consent, Word
from shared.envelope import Light
from shared.projection import Event

Raw = dict[str, Any]

RECEIPTS = 30
YEAR = timedelta(days=365)
DEFINED = BEGIN - timedelta(hours=1)
"""When the rules were defined: after the year, before the log."""

CITIES = tuple(f"city-{number}" for number in range(40))
ACQUIRED = ("shop", "web", "friend", "mail", "event", "app")
STATUSES = ("new", "regular", "vip")
GENDERS = ("female", "male")
CONSENTS = (("news", "email"), ("offers", "sms"), ("offers", "email"))
REGIONS = tuple([f"store-{10 * region + shop}" for shop in range(10)] for region in range(12))
SPANS = ("P30D", "P60D", "P90D", "P180D", "P365D")
COUNTS = (1, 2, 3, 5, 8, 12, 20, 30)
SUMS = (1_000, 2_000, 5_000, 10_000, 20_000, 40_000)
"""Major units; a receipt is some 73."""
MINOR = 100


def _counted(chance: random.Random) -> list[Raw]:
    return [_receipts(chance.choice(SPANS), chance.choice(COUNTS))]


def _summed(chance: random.Random) -> list[Raw]:
    compare = {"op": ">=", "value": chance.choice(SUMS) * MINOR}
    within = chance.choice(SPANS)
    return [{"kind": "receipts", "aggregate": "sum", "within": within, "compare": compare}]


def _averaged(chance: random.Random) -> list[Raw]:
    compare = {"op": ">=", "value": chance.randint(40, 120) * MINOR}
    within = chance.choice(SPANS)
    return [{"kind": "receipts", "aggregate": "average", "within": within, "compare": compare}]


def _lapsed(chance: random.Random) -> list[Raw]:
    short, long = sorted(chance.sample(range(len(SPANS)), 2))
    stopped = {"kind": "not", "clause": _receipts(SPANS[short], 1)}
    return [_receipts(SPANS[long], chance.choice(COUNTS)), stopped]


def _regional(chance: random.Random) -> list[Raw]:
    where = {"branch": chance.choice(REGIONS)}
    return [{**_receipts(chance.choice(SPANS), chance.choice(COUNTS)), "where": where}]


def _receipts(within: str, least: int) -> Raw:
    compare = {"op": ">=", "value": least}
    return {"kind": "receipts", "aggregate": "count", "within": within, "compare": compare}


def _who(chance: random.Random) -> Iterator[Raw]:
    """Two or three clauses about who is meant."""
    tests: Sequence[Callable[[], Raw]] = (
        lambda: _among("city", chance.sample(CITIES, chance.randint(1, 6))),
        lambda: _among("acquisition", chance.sample(ACQUIRED, chance.randint(1, 3))),
        lambda: _among("status", chance.sample(STATUSES, chance.randint(1, 2))),
        lambda: _among("gender", [chance.choice(GENDERS)]),
        lambda: dict(
            zip(("kind", "topic", "channel"), ("consent", *chance.choice(CONSENTS)), strict=True)
        ),
    )
    for test in chance.sample(tests, chance.randint(2, 3)):
        yield test()


def _among(field: str, values: Sequence[str]) -> Raw:
    return {"kind": "attribute", "field": field, "test": {"op": "any_of", "values": list(values)}}


MIX: Sequence[tuple[Callable[[random.Random], list[Raw]], bool]] = (
    *((_counted, True),) * 8,
    *((_summed, True),) * 4,
    *((_lapsed, True),) * 3,
    *((_regional, True),) * 2,
    (_averaged, True),
    (_averaged, True),
    (_counted, False),
)
"""What is asked of receipts, and whether only of some customers."""


def receipt_rule(number: int) -> Raw:
    """A rule over receipts."""
    chance = random.Random(f"rule {number}")
    # Neighbours differ in shape, so that ten rules are of many shapes too.
    asked, of_some = MIX[number * 7 % len(MIX)]
    who = list(_who(chance)) if of_some else []
    clauses = [*asked(chance), *who]
    return {"kind": "all", "clauses": clauses} if len(clauses) > 1 else clauses[0]


def everybodys_rule(number: int) -> Raw:
    """The same of a rule that asks all customers, whatever is known of them."""
    asked, _of_some = MIX[number * 7 % len(MIX)]
    clauses = asked(random.Random(f"rule {number}"))
    return {"kind": "all", "clauses": clauses} if len(clauses) > 1 else clauses[0]


def errand_rule(number: int) -> Raw:
    """A rule over tasks or deals, which no receipt touches."""
    chance = random.Random(f"errand {number}")
    compare = {"op": ">=", "value": chance.randint(1, 3)}
    if number % 2:
        where = {"state": chance.choice(("open", "overdue")), "branch": chance.choice(REGIONS)}
        return {"kind": "tasks", "where": where, "compare": compare}
    where = {"state": "won", "closed": chance.choice(SPANS)}
    return {"kind": "deals", "where": where, "compare": compare}


def rule_set(count: int, rule_of: Callable[[int], Raw] = receipt_rule) -> RuleSet:
    """The first rules of a kind, written out and ready."""
    live: Mapping[str, LiveRule] = {
        f"segment-{number}": LiveRule(
            1, parse_rule(rule_of(number)), DEFINED, f"segment-{number}@1", "benchmark"
        )
        for number in range(count)
    }
    rules = RuleSet(1, live, DEFINED, {}, (DEFINED,))
    rules.prepare()
    return rules


def customers(count: int, receipts: int = RECEIPTS) -> list[Profile]:
    """Customers with their year, whom nobody has asked anything yet."""
    chance = random.Random("customers")
    baskets = random.Random("baskets")
    bought = [
        msgspec.json.decode(basket(baskets).data.json_bytes(), type=Recorded)
        for _ in range(DISTINCT)
    ]
    engine = Engine(RuleSet(0, {}))
    return [_customer(number, receipts, engine, bought, chance) for number in range(count)]


def _customer(
    number: int, receipts: int, engine: Engine, bought: Sequence[Recorded], chance: random.Random
) -> Profile:
    customer = customer_id(number)
    times = sorted(DEFINED - YEAR * chance.random() for _ in range(receipts))
    profile: Profile | None = None
    for version, at in enumerate(times, start=1):
        light = Light(
            "interaction.receipt_recorded.v1", f"interaction-{customer}", version, at, at,
            msgspec.Raw(b""), customer, branch_of(number, version),
        )  # fmt: skip
        receipt = msgspec.structs.replace(
            chance.choice(bought), fact=fact_id(0x4000_0000 + number * receipts + version)
        )
        profile, _ = engine.step(profile, Event(light, receipt, 0))
    if profile is None:
        raise AssertionError
    return msgspec.structs.replace(profile, rev=1, words=_words(chance))


def _words(chance: random.Random) -> list[Word]:
    fields = {
        "city": CITIES, "acquisition": ACQUIRED, "status": STATUSES, "gender": GENDERS,
    }  # fmt: skip
    consents = [Consent(*each, given=chance.random() < 1 / 2, version=1) for each in CONSENTS]
    return [
        *(Attribute(field, chance.choice(values), 1) for field, values in fields.items()),
        *consents,
    ]


def asked(profiles: Sequence[Profile], engine: Engine) -> list[Profile]:
    """The customers once all rules have been asked, and their logs say so."""
    found = []
    for profile in profiles:
        after, _ = engine.revise(profile, DEFINED)
        after.stream_seq = after.stream_version = after.transitions
        found.append(after)
    return found


def raw(profile: Profile) -> Raw:
    """A customer as stored."""
    stored: Raw = msgspec.to_builtins(profile, builtin_types=(datetime, bytes))
    return stored
