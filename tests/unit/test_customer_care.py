"""Care: what time alone changes of a customer, at its exact moment, at any speed."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.customer.engine.document import Care
from services.customer.engine.rules import CareRules, care_rules
from services.customer.engine.stepping import CareEngine, OlderRules
from services.customer.engine.taking import READS
from shared.envelope import Light
from shared.events import automation, care, configuration, deal, merging
from shared.events.contract import EventData
from shared.events.customer import (
    CustomerChanged,
    CustomerRegistered,
    Identifier,
    IdentifierAdded,
    IdentifierChanged,
    IdentifierRemoved,
)
from shared.events.interaction import ReceiptRecorded, ReceiptReturned, ReceiptVoided
from shared.events.moving import FactsMoved, MovedFact, MoveEnded
from shared.projection import Event
from shared.testing import DAY

YEAR = "P365D"
UPDATE = configuration.UpdateRule(every=YEAR, how="call", by="position", position="administrator")
EMAIL = Identifier(kind="email", hash="e1", epoch=1)
RECEIPT = ReceiptRecorded(
    fact="f", source="pos", source_id="1", total=100, coupon_lines=0, lines=()
)


THEIRS = "interaction-anna"


def voided(bought: float) -> ReceiptVoided:
    return ReceiptVoided(
        fact="v", source="pos", source_id="2", receipt="f", bought=on(bought), bought_at="1",
        total=100, lines=(),
    )  # fmt: skip


def moved(direction: str, bought: float) -> tuple[EventData, EventData]:
    """A receipt that changes hands, and the end of its move."""
    fact = MovedFact(
        fact="f", type=RECEIPT.type, time=on(bought), recordedtime=on(bought), home="b", hops=1,
        data=RECEIPT.model_dump(mode="json", exclude_none=True),
    )  # fmt: skip
    said = {"move": direction, "direction": direction, "reason": "merged", "other": "b"}
    part = FactsMoved.model_validate({**said, "facts": (fact,)})
    return part, MoveEnded.model_validate(said)


def on(day: float) -> datetime:
    return DAY + timedelta(days=day)


def rules(*fields: str, inactive: int | None = None, number: int = 1, day: float = 0) -> CareRules:
    """Every field to be confirmed each year, and inactive after so many days."""
    told: list[tuple[EventData, datetime]] = [
        (configuration.RecordRuleDefined.model_validate({"attribute": name, "rule": UPDATE}), DAY)
        for name in fields
    ]
    quiet: list[tuple[EventData, datetime]] = []
    if inactive is not None:
        when = automation.When(on="inactive", after=f"P{inactive}D")
        then = automation.Then(archive=True)
        rule = automation.AutomationDefined(
            rule="quiet", titles={"en": "q"}, when=when, then=then, since=DAY
        )
        quiet.append((rule, DAY))
    made = care_rules(told, quiet)
    return CareRules(number, on(day), made.fields, made.periods, made.inactive)


@dataclass(slots=True)
class Life:
    """A customer whose events are folded one by one; what time said is kept."""

    engine: CareEngine
    care: Care | None = None
    said: list[tuple[float, EventData]] | None = None
    version: int = 0

    def happens(
        self,
        day: float,
        data: EventData,
        *,
        time: float | None = None,
        stream: str = "customer-anna",
        history: str | None = None,
    ) -> "Life":
        self.version += 1
        light = Light(
            type=data.type,
            stream=stream,
            streamversion=self.version,
            time=on(day if time is None else time),
            recordedtime=on(day),
            data=msgspec.Raw(b""),
            subject="anna",
            history=history,
            correlationid="c",
        )
        struct = READS[data.type]
        told = msgspec.json.decode(data.model_dump_json(exclude_none=True), type=struct)
        self.care, events = self.engine.step(self.care, Event(light, told, 0))
        return self._say(events)

    def until(self, day: float) -> "Life":
        assert self.care is not None
        self.care, events = self.engine.wake(self.care, on(day))
        return self._say(events)

    def ruled_by(self, new: CareRules) -> "Life":
        assert self.care is not None
        self.engine = CareEngine(new)
        self.care, events = self.engine.revise(self.care, on(99_999))
        return self._say(events)

    def import_ends(self, day: float, name: str) -> "Life":
        assert self.care is not None
        self.care, events = self.engine.live(self.care, name, on(day))
        return self._say(events)

    def says(self, *expected: tuple[float, EventData]) -> None:
        """What time has said so far, each with its day."""
        assert (self.said or []) == list(expected)

    def _say(self, events: Sequence[object]) -> "Life":
        said = self.said or []
        for event in events:
            moment = (event.time - DAY) / timedelta(days=1)  # type: ignore[attr-defined]  # NewEvents
            said.append((moment, event.data))  # type: ignore[attr-defined]  # NewEvents
        self.said = said
        return self


def anna(made: CareRules) -> Life:
    registered = CustomerRegistered(city="Omsk", identifiers=(EMAIL,), custom={"pets": "2"})
    return Life(CareEngine(made)).happens(0, registered)


def overdue(field: str, since: float) -> care.ConfirmationOverdue:
    return care.ConfirmationOverdue(
        field=field, since=on(since), how="call", by="position:administrator"
    )


def test_a_field_is_overdue_at_the_exact_moment_and_once() -> None:
    life = anna(rules("city"))
    life.until(365).says()
    life.until(365.001).says((365, overdue("city", 0)))
    life.until(5_000).says((365, overdue("city", 0)))


def test_confirming_or_changing_a_field_begins_its_period_anew() -> None:
    life = anna(rules("city")).happens(100, care.FieldsConfirmed(fields=("city",)))
    life.happens(465, CustomerChanged(city="Tomsk")).says()  # 100 + 365: settled by the change
    life.until(831).says((830, overdue("city", 465)))
    life.happens(900, care.FieldsConfirmed(fields=("city", "surname")))
    # 900 + 365; a surname that nobody wrote down is not confirmed.
    life.until(2_000).says((830, overdue("city", 465)), (1265, overdue("city", 900)))


def test_a_kind_of_contact_counts_from_the_last_that_was_added_or_verified() -> None:
    life = anna(rules("email"))
    life.happens(10, IdentifierAdded(identifier=Identifier(kind="email", hash="e2", epoch=1)))
    life.happens(20, IdentifierChanged(kind="email", hash="e2", state="verified"))
    life.happens(30, IdentifierChanged(kind="email", hash="e2", state="bad"))
    life.happens(40, IdentifierRemoved(kind="email", hash="e1", epoch=1))
    life.until(386).says((385, overdue("email", 20)))
    life.happens(390, IdentifierRemoved(kind="email", hash="e2", epoch=1)).until(9_000)
    life.says((385, overdue("email", 20)))


def test_a_custom_field_has_its_own_rule_and_a_cleared_one_nothing_to_confirm() -> None:
    told = configuration.FieldDefined(
        field="pets", titles={"en": "p"}, kind="text", group="basic", purpose="p",
        update_rule=configuration.UpdateRule(every="P10D", how="any", by="responsible"),
    )  # fmt: skip
    made = care_rules([(told, DAY)], [])
    life = anna(made).until(11)
    pets = care.ConfirmationOverdue(field="custom.pets", since=DAY, how="any", by="responsible")
    life.says((10, pets))
    life.happens(12, CustomerChanged(cleared=("custom.pets",))).until(99)
    life.says((10, pets))


def test_a_blacklisting_ends_at_its_moment_unless_it_is_lifted_before() -> None:
    ended = care.BlacklistingEnded(cause="expired")
    life = anna(rules()).happens(1, care.CustomerBlacklisted(until=on(9))).until(10)
    life.says((9, ended))
    life.happens(11, care.CustomerBlacklisted(until=on(20)))
    life.happens(12, care.BlacklistingEnded(cause="lifted"))
    life.happens(13, care.CustomerBlacklisted()).until(999).says((9, ended))


def test_a_receipt_that_was_a_mistake_breaks_no_silence() -> None:
    life = anna(rules(inactive=100)).happens(30, RECEIPT, stream=THEIRS)
    life.happens(40, voided(30), stream=THEIRS).until(9_000)
    # Anna was registered on day 0, and nothing else has happened.
    life.says((100, automation.CustomerBecameInactive(rule="quiet", since=on(0))))


def test_what_is_brought_back_breaks_no_silence() -> None:
    back = ReceiptReturned(
        fact="r", source="pos", source_id="3", receipt="f", bought=on(0), total=1, lines=()
    )
    assert back.type not in READS


def test_receipts_that_change_hands_count_for_whoever_has_them() -> None:
    part, end = moved("in", 60)
    life = anna(rules(inactive=100)).happens(70, part, stream=THEIRS)
    assert life.care is not None
    assert life.care.last == on(0)
    life.happens(70, end, stream=THEIRS).until(160)
    life.says()
    assert life.care.last == on(60)
    part, end = moved("out", 60)
    life.happens(80, part, stream=THEIRS).happens(80, end, stream=THEIRS).until(9_000)
    life.says((100, automation.CustomerBecameInactive(rule="quiet", since=on(0))))


def test_a_void_that_overtakes_the_end_of_a_move_leaves_nothing() -> None:
    part, end = moved("in", 60)
    life = anna(rules(inactive=100)).happens(70, part, stream=THEIRS)
    life.happens(70, voided(60), stream=THEIRS).happens(70, end, stream=THEIRS)
    assert life.care is not None
    assert (life.care.last, life.care.bought, life.care.owed) == (on(0), b"", b"")


def test_who_is_silent_for_long_and_has_no_open_deal_becomes_inactive() -> None:
    quiet = automation.CustomerBecameInactive(rule="quiet", since=on(30))
    life = anna(rules(inactive=100)).happens(30, RECEIPT, stream="interaction-anna")
    life.until(131).says((130, quiet))
    life.happens(150, deal.DealOpened(
        deal="d", pipeline="p", stage="s", terms=deal.Terms(amount=1)
    ), stream="deal-d")  # fmt: skip
    life.until(400).says((130, quiet))
    life.happens(
        401, deal.DealWon(deal="d", pipeline="p", stage="s", amount=1), stream="deal-d"
    ).until(999)
    life.says((130, quiet), (501, automation.CustomerBecameInactive(rule="quiet", since=on(401))))


def test_an_archived_customer_has_no_timers_and_is_called_back_once_by_what_happens() -> None:
    life = anna(rules("city", inactive=100)).until(101)
    life.happens(101, care.CustomerArchived(by="rule:quiet")).until(900)
    quiet = (100.0, automation.CustomerBecameInactive(rule="quiet", since=on(0)))
    life.says(quiet)
    life.happens(900, RECEIPT, stream="interaction-anna")
    life.happens(901, RECEIPT, stream="interaction-anna")
    back = (900.0, automation.CustomerActiveAgain(event="interaction-anna@3"))
    life.says(quiet, back)
    life.happens(902, care.CustomerRestored(by="rule:activity")).until(903)
    # Silent for a year about the city: it falls due when the customer is looked at again.
    life.says(quiet, back, (902, overdue("city", 0)))
    life.until(1_003)
    assert (life.said or [])[-1] == (
        1002, automation.CustomerBecameInactive(rule="quiet", since=on(902)),
    )  # fmt: skip


def test_what_happened_between_the_notice_and_the_archiving_calls_back_at_once() -> None:
    life = anna(rules(inactive=100)).until(101)
    life.happens(101, RECEIPT, stream="interaction-anna")
    life.happens(102, care.CustomerArchived(by="rule:quiet"))
    assert (life.said or [])[-1] == (
        102, automation.CustomerActiveAgain(event="interaction-anna@2"),
    )  # fmt: skip
    # What a person archives stays so, until something new happens.
    person = anna(rules(inactive=100)).happens(101, care.CustomerArchived(by="person"))
    assert [data.type for _, data in person.said or []] == ["customer.became_inactive.v1"]


def test_who_was_merged_or_erased_has_no_timers_and_a_revert_brings_them_back() -> None:
    life = anna(rules("city", "email")).happens(
        1, merging.CustomerMerged(merge="m", survivor="boris")
    )
    life.until(900).says()
    reverted = merging.MergeReverted(merge="m", other="boris", role="loser", identifiers=())
    life.happens(900, reverted).until(901)
    # The e-mail stayed with the survivor.
    life.says((900, overdue("city", 0)))
    erased = merging.CustomerErased(erase="x", reason="request")
    gone = anna(rules("city", inactive=5)).happens(1, erased).until(9_000)
    gone.says()
    assert gone.care is not None
    assert gone.care.known == {}


def test_what_another_customer_brought_is_right_from_then_on_and_goes_with_the_revert() -> None:
    absorbed = merging.CustomerAbsorbed(
        merge="m", other="boris", identifiers=(Identifier(kind="phone", hash="p", epoch=2),)
    )
    life = anna(rules("phone")).happens(10, absorbed).until(376)
    life.says((375, overdue("phone", 10)))
    released = merging.ReleasedIdentifier(kind="phone", hash="p", epoch=3)
    life.happens(400, merging.MergeReverted(
        merge="m", other="boris", role="survivor", released=(released,)
    ))  # fmt: skip
    assert life.care is not None
    assert life.care.contacts == {"email": ["e1"]}
    assert "phone" not in life.care.known


def test_a_blacklisting_comes_with_a_merge_and_goes_with_its_revert() -> None:
    brought = merging.CustomerAbsorbed(
        merge="m", other="boris", blacklist=merging.Blacklisting(until=on(20))
    )
    life = anna(rules()).happens(10, brought).until(21)
    life.says((20, care.BlacklistingEnded(cause="expired")))
    reverted = merging.MergeReverted(
        merge="m", other="boris", role="survivor", cleared=("blacklist",)
    )
    anna(rules()).happens(10, brought).happens(11, reverted).until(21).says()


def test_who_finds_themselves_again_by_the_same_address_has_confirmed_nothing() -> None:
    life = anna(rules("email")).happens(10, merging.CustomerMerged(merge="m", survivor="b"))
    back = Identifier(kind="email", hash="e1", epoch=3)
    reverted = merging.MergeReverted(merge="m", other="b", role="loser", identifiers=(back,))
    life.happens(20, reverted).until(366).says((365, overdue("email", 0)))


def test_what_an_import_brings_is_looked_at_when_it_has_ended() -> None:
    life = Life(CareEngine(rules("city", inactive=100)))
    life.happens(1_000, CustomerRegistered(city="Omsk"), time=0, history="i")
    assert life.care is not None
    assert (life.care.history, life.care.due_at) == (["i"], None)
    life.happens(1_001, RECEIPT, time=950, history="i", stream="interaction-anna")
    life.import_ends(1_002, "other").says()
    life.import_ends(1_002, "i").until(1_003)
    life.says((1_002, overdue("city", 0)))
    # The receipt of day 950 counts: inactive on day 1,050.
    life.until(1_051)
    assert (life.said or [])[-1][0] == 1_050
    life.import_ends(1_060, "i")
    assert len(life.said or []) == 2


def test_a_newer_rule_set_is_answered_at_its_own_moment() -> None:
    life = anna(rules()).ruled_by(rules("city", number=2, day=700))
    life.until(701).says((700, overdue("city", 0)))
    assert life.care is not None
    assert life.care.rules == 2
    shorter = anna(rules("city")).until(366).ruled_by(rules(number=2, day=400))
    shorter.happens(500, CustomerChanged(city="Tomsk")).until(9_000)
    shorter.says((365, overdue("city", 0)))
    with pytest.raises(OlderRules):
        CareEngine(rules(number=1)).step(life.care, _anything())
    before = life.care
    assert CareEngine(rules(number=1)).wake(before, on(9_999)) == (before, ())
    assert CareEngine(rules(number=1)).revise(before, on(9_999)) == (before, ())


def _anything() -> Event:
    light = Light(
        type=care.CustomerRestored.type, stream="customer-anna", streamversion=99,
        time=DAY, recordedtime=DAY, data=msgspec.Raw(b""), subject="anna",
    )  # fmt: skip
    return Event(light, READS[care.CustomerRestored.type](), 0)


def test_the_number_of_the_rules_counts_only_what_timers_look_at() -> None:
    plain = configuration.FieldDefined(
        field="pets", titles={"en": "p"}, kind="text", group="basic", purpose="p"
    )
    then = automation.Then(discount=1)
    receipt = automation.When(on="receipt", at_least=1)
    other = automation.AutomationDefined(
        rule="r", titles={"en": "r"}, when=receipt, then=then, since=DAY
    )
    assert care_rules([(plain, DAY)], [(other, DAY)]).number == 0
    assert care_rules(
        [(plain, DAY), (plain.model_copy(update={"update_rule": UPDATE}), on(2))], [(other, DAY)]
    ) == CareRules(1, on(2), {"custom.pets": UPDATE}, {"custom.pets": timedelta(days=365)}, {})


# --- Against the plainest reading of the same rules -------------------------------------------

PERIOD, QUIET = 7, 5
KINDS = ("change", "confirm", "clear", "receipt", "open", "close", "blacklist", "lift",
         "archive", "restore", "merge", "revert")  # fmt: skip
Happening = tuple[int, int, str]
"""The day on which it was recorded, how many days before that it happened, and what."""


def event_of(kind: str, day: int) -> EventData:
    made: dict[str, EventData] = {
        "change": CustomerChanged(city="Tomsk"),
        "confirm": care.FieldsConfirmed(fields=("city",)),
        "clear": CustomerChanged(cleared=("city",)),
        "receipt": RECEIPT,
        "open": deal.DealOpened(deal="d", pipeline="p", stage="s", terms=deal.Terms(amount=1)),
        "close": deal.DealLost(deal="d", pipeline="p", stage="s", reason="r"),
        "blacklist": care.CustomerBlacklisted(until=on(day + 4)),
        "lift": care.BlacklistingEnded(cause="lifted"),
        "archive": care.CustomerArchived(by="person"),
        "restore": care.CustomerRestored(by="person"),
        "merge": merging.CustomerMerged(merge="m", survivor="b"),
        "revert": merging.MergeReverted(merge="m", other="b", role="loser"),
    }
    return made[kind]


NO_ACTIVITY = {"blacklist", "lift", "archive", "merge", "revert"}


def last_of(past: Sequence[Happening], *kinds: str) -> tuple[int, str] | None:
    """The number and kind of the last happening of these kinds."""
    found = [(number, kind) for number, (_, _, kind) in enumerate(past) if kind in kinds]
    return found[-1] if found else None


def is_last(past: Sequence[Happening], kind: str, other: str) -> bool:
    found = last_of(past, kind, other)
    return found is not None and found[1] == kind


def city_of(past: Sequence[Happening]) -> int | None:
    """The day on which the city was last known to be right."""
    known: int | None = 0
    for day, lag, kind in past:
        if kind == "clear":
            known = None
        elif kind == "change" or (kind == "confirm" and known is not None):
            known = day - lag if known is None else max(known, day - lag)
    return known


def due_of(past: Sequence[Happening]) -> list[tuple[str, int, int]]:
    """Type, day and what it is about, of all that time will say if nothing else happens."""
    if is_last(past, "archive", "restore") or is_last(past, "merge", "revert"):
        return []
    due = []
    blacklist = last_of(past, "blacklist", "lift")
    if blacklist is not None and blacklist[1] == "blacklist":
        number = blacklist[0]
        due.append(("customer.blacklisting_ended.v1", past[number][0] + 4, number))
    if (city := city_of(past)) is not None:
        due.append(("customer.confirmation_overdue.v1", city + PERIOD, city))
    if not is_last(past, "open", "close"):
        last = max([0, *(day - lag for day, lag, kind in past if kind not in NO_ACTIVITY)])
        due.append(("customer.became_inactive.v1", last + QUIET, last))
    return due


def plainly(happenings: Sequence[Happening], end: int) -> list[tuple[float, str]]:
    """Day by day, from the whole past each time: what is due by then and was not said."""
    said: set[tuple[str, int]] = set()
    out: list[tuple[float, str]] = []
    for today in range(end):
        past = [each for each in happenings if each[0] <= today]
        for name, moment, about in due_of(past):
            if moment <= today and (name, about) not in said:
                said.add((name, about))
                out.append((today, name))
    return out


@settings(max_examples=300, deadline=None)
@given(
    happenings=st.lists(
        st.tuples(st.integers(1, 40), st.integers(0, 3), st.sampled_from(KINDS)), max_size=12
    ),
    naps=st.lists(st.integers(1, 60), max_size=6),
)
def test_stepping_says_what_the_plain_reading_says_at_any_speed(
    happenings: list[Happening], naps: list[int]
) -> None:
    happenings.sort(key=lambda each: each[0])
    made = rules("city", inactive=QUIET)
    made = CareRules(1, DAY, made.fields, {"city": timedelta(days=PERIOD)}, made.inactive)
    life = Life(CareEngine(made)).happens(0, CustomerRegistered(city="Omsk"))
    naps = sorted(naps)
    for day, lag, kind in happenings:
        while naps and naps[0] <= day:
            life.until(naps.pop(0))
        life.happens(day, event_of(kind, day), time=day - lag)
    life.until(80)
    told = [
        (moment, data.type)
        for moment, data in life.said or []
        if data.type != automation.CustomerActiveAgain.type
    ]
    assert sorted(told) == sorted(plainly(happenings, 80))
