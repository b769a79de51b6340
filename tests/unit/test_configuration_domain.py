"""Fields, categories, statuses and directories: what may be decided, and what is refused."""

from dataclasses import replace
from datetime import timedelta
from typing import TypeVar

import pytest

from services.customer.domain.configuration.catalogue import (
    MAX_ITEMS,
    Archive,
    Define,
    Restore,
    RestsOn,
)
from services.customer.domain.configuration.categories import CATEGORIES
from services.customer.domain.configuration.chosen import DECIDERS, Configuration
from services.customer.domain.configuration.computed import Totals, bounds_of
from services.customer.domain.configuration.directories import DIRECTORIES, key_of
from services.customer.domain.configuration.fields import (
    FIELDS,
    DefineRecordRule,
    RemoveRecordRule,
    rule_every,
)
from services.customer.domain.configuration.statuses import (
    DEFAULT_PATH,
    STATUSES,
    DefinePath,
    Statuses,
)
from shared.decider import Refused
from shared.events.configuration import (
    CategoryArchived,
    CategoryDefined,
    CategoryRestored,
    Choice,
    Computed,
    DirectoryEntryArchived,
    DirectoryEntryDefined,
    DirectoryEntryRestored,
    FieldArchived,
    FieldDefined,
    FieldRestored,
    Move,
    RecordRuleDefined,
    RecordRuleRemoved,
    StatusArchived,
    StatusDefined,
    StatusPathDefined,
    StatusRestored,
    Step,
    UpdateRule,
)
from shared.events.contract import EventData
from shared.http.preconditions import precondition_of
from shared.testing import DAY, given

DefinitionT = TypeVar("DefinitionT", bound=EventData)
YEARLY = UpdateRule(every="P365D", how="email", by="position", position="administrator")


def field(name: str = "pets", **more: object) -> FieldDefined:
    plain: dict[str, object] = {
        "field": name,
        "titles": {"en": name.title()},
        "kind": "text",
        "group": "basic",
        "purpose": "to know",
    }
    return FieldDefined.model_validate(plain | more)


def choices(*names: str) -> tuple[Choice, ...]:
    return tuple(Choice(name=name, titles={"en": name.title()}) for name in names)


def category(name: str = "gold", **more: object) -> CategoryDefined:
    plain: dict[str, object] = {
        "category": name,
        "titles": {"en": name.title()},
        "colour": "#ffd700",
    }
    return CategoryDefined.model_validate(plain | more)


def status(name: str = "regular", **more: object) -> StatusDefined:
    return StatusDefined.model_validate({"status": name, "titles": {"en": name.title()}} | more)


def entry(
    name: str = "web", directory: str = "source", title: str | None = None
) -> DirectoryEntryDefined:
    titles = {"en": title or name.title()}
    return DirectoryEntryDefined.model_validate(
        {"directory": directory, "entry": name, "titles": titles}
    )


def defining(definition: DefinitionT, name: str) -> Define[DefinitionT]:
    return Define(name, definition, DAY)


def resting_on(version: int) -> RestsOn:
    return precondition_of(f'"{version}"').require_of


def test_what_is_defined_can_be_changed_archived_and_restored() -> None:
    gold, richer = category(), category(discount=700)
    begun = given(CATEGORIES)
    begun.when(defining(gold, "gold")).then([gold])
    given(CATEGORIES, [gold]).when(defining(richer, "gold")).then([richer])
    given(CATEGORIES, [gold]).when(defining(gold, "gold")).then_nothing()
    given(CATEGORIES, [gold]).when(Archive("gold", DAY)).then([CategoryArchived(category="gold")])
    archived = [gold, CategoryArchived(category="gold")]
    given(CATEGORIES, archived).when(Archive("gold", DAY)).then_nothing()
    given(CATEGORIES, archived).when(Restore("gold", DAY)).then([CategoryRestored(category="gold")])
    restored = [*archived, CategoryRestored(category="gold")]
    given(CATEGORIES, restored).when(Restore("gold", DAY)).then_nothing()


def test_what_is_not_there_or_archived_is_not_touched() -> None:
    given(CATEGORIES).when(Archive("gold", DAY)).then_refused("not-found")
    given(CATEGORIES).when(Restore("gold", DAY)).then_refused("not-found")
    archived = given(CATEGORIES, [category(), CategoryArchived(category="gold")])
    archived.when(defining(category(discount=1), "gold")).then_refused("archived")


def test_a_change_rests_on_the_version_of_the_item_and_not_of_its_neighbours() -> None:
    # gold is of version 1, silver of 2.
    two = given(CATEGORIES, [category(), category("silver")])
    richer = category(discount=700)
    two.when(Define("gold", richer, DAY, resting_on(1))).then([richer])
    two.when(Define("gold", richer, DAY, resting_on(2))).then_refused("precondition-failed")
    two.when(Archive("gold", DAY, resting_on(2))).then_refused("precondition-failed")
    two.when(Define("iron", category("iron"), DAY, resting_on(2))).then_refused(
        "precondition-failed"
    )


def test_two_living_items_never_have_one_title_in_a_language() -> None:
    gold = given(CATEGORIES, [category()])
    gold.when(defining(category("oro", titles={"en": "GOLD"}), "oro")).then_refused("title-taken")
    same_elsewhere = category("oro", titles={"de": "Gold"})
    gold.when(defining(same_elsewhere, "oro")).then([same_elsewhere])
    again = category("oro", titles={"en": "Gold"})
    archived = [category(), CategoryArchived(category="gold"), again]
    given(CATEGORIES, archived).when(Restore("gold", DAY)).then_refused("title-taken")


def test_a_kind_has_a_limit() -> None:
    full = [category(f"c{number}") for number in range(MAX_ITEMS)]
    given(CATEGORIES, full).when(defining(category(), "gold")).then_refused("too-many")


def test_a_living_category_can_be_given_another_not() -> None:
    folded = CATEGORIES.fold([category(), category("old"), CategoryArchived(category="old")])
    assert folded.require("gold", "category").colour == "#ffd700"
    for name in ("old", "none"):
        with pytest.raises(Refused) as refused:
            folded.require(name, "category")
        assert refused.value.errors[0].field == "category"


@pytest.mark.parametrize(
    ("wrong", "place"),
    [
        (field(choices=choices("a")), "choices"),
        (field(kind="list"), "choices"),
        (field(kind="list", choices=choices("a", "b", "a")), "choices.2.name"),
        (field(decimals=1), "decimals"),
        (field(kind="number", decimals=7), "decimals"),
        (field(retention="three years"), "retention"),
        (field(retention="P101Y"), "retention"),
        (field(update_rule=UpdateRule(every="P1Y", how="any", by="responsible")),
         "update_rule.every"),
        (field(update_rule=UpdateRule(every="P1D", how="any", by="position")),
         "update_rule.position"),
        (field(update_rule=UpdateRule(every="P1D", how="any", by="responsible", employee="e")),
         "update_rule.employee"),
    ],
)  # fmt: skip
def test_a_field_that_makes_no_sense_is_refused(wrong: FieldDefined, place: str) -> None:
    given(FIELDS).when(defining(wrong, "pets")).then_refused("invalid", place)


def test_choices_of_one_title_are_refused() -> None:
    twins = (Choice(name="a", titles={"en": "A"}), Choice(name="b", titles={"en": "a"}))
    wrong = field(kind="list", choices=twins)
    given(FIELDS).when(defining(wrong, "pets")).then_refused("title-taken")


def test_the_type_of_a_field_stays() -> None:
    begun = given(FIELDS, [field(kind="number")])
    begun.when(defining(field(kind="money"), "pets")).then_refused("field-fixed")
    begun.when(defining(field(kind="number", decimals=2), "pets")).then_refused("field-fixed")
    begun.when(defining(field(kind="number", required=True), "pets")).then(
        [field(kind="number", required=True)]
    )


def test_fields_are_archived_and_restored() -> None:
    begun = given(FIELDS, [field()])
    begun.when(Archive("pets", DAY)).then([FieldArchived(field="pets")])
    given(FIELDS, [field(), FieldArchived(field="pets")]).when(Restore("pets", DAY)).then(
        [FieldRestored(field="pets")]
    )


@pytest.mark.parametrize(
    ("more", "value", "normal"),
    [
        ({}, "  two cats ", "two cats"),
        ({"kind": "number"}, -3, -3),
        ({"kind": "money"}, 1250, 1250),
        ({"kind": "date"}, "20171231", "2017-12-31"),
        ({"kind": "yes_no"}, False, False),
        ({"kind": "list", "choices": choices("cat", "dog")}, "dog", "dog"),
        ({"kind": "multi_list", "choices": choices("cat", "dog")}, ["dog", "cat"], ("cat", "dog")),
    ],
)
def test_a_value_gets_its_one_written_form(
    more: dict[str, object], value: object, normal: object
) -> None:
    fields = FIELDS.fold([field("pets", **more)])
    assert fields.checked({"pets": value}) == {"pets": normal}


@pytest.mark.parametrize(
    ("more", "value"),
    [
        ({}, "  "),
        ({}, 3),
        ({}, "x" * 2001),
        ({"kind": "number"}, True),
        ({"kind": "number"}, "3"),
        ({"kind": "money"}, 2**53 + 1),
        ({"kind": "date"}, "2017-02-30"),
        ({"kind": "date"}, 20171231),
        ({"kind": "yes_no"}, "yes"),
        ({"kind": "list", "choices": choices("cat")}, "dog"),
        ({"kind": "list", "choices": choices("cat")}, ["cat"]),
        ({"kind": "multi_list", "choices": choices("cat")}, []),
        ({"kind": "multi_list", "choices": choices("cat")}, ["cat", "dog"]),
        ({"kind": "multi_list", "choices": choices("cat")}, [["cat"]]),
    ],
)
def test_a_value_of_another_type_is_refused_by_its_place(
    more: dict[str, object], value: object
) -> None:
    fields = FIELDS.fold([field("pets", **more)])
    with pytest.raises(Refused) as refused:
        fields.checked({"pets": value})
    assert [error.field for error in refused.value.errors] == ["custom.pets"]


def test_every_wrong_value_is_named_at_once_and_required_ones_are_missed() -> None:
    fields = FIELDS.fold([field(), field("size", kind="number"), field("name", required=True)])
    with pytest.raises(Refused) as refused:
        fields.checked({"pets": 1, "size": "big", "none": "x"}, whole=True)
    assert sorted(error.field for error in refused.value.errors) == [
        "custom.name",
        "custom.none",
        "custom.pets",
        "custom.size",
    ]
    assert fields.checked({}, {"name": "x"}, whole=True) == {}
    with pytest.raises(Refused):
        fields.checked({"name": None}, {"name": "x"})


def test_of_an_archived_field_values_stay_and_can_be_taken_away_but_not_given() -> None:
    fields = FIELDS.fold([field(), FieldArchived(field="pets")])
    assert fields.checked({"pets": "cat"}, {"pets": "cat"}) == {"pets": "cat"}
    assert fields.checked({"pets": None}, {"pets": "cat"}) == {"pets": None}
    with pytest.raises(Refused):
        fields.checked({"pets": "dog"}, {"pets": "cat"})


def test_a_choice_that_is_gone_stays_where_it_is() -> None:
    before = {"pets": ("cat", "dog")}
    fields = FIELDS.fold([field(kind="multi_list", choices=choices("cat"))])
    assert fields.checked({"pets": ["cat", "dog"]}, before) == {"pets": ("cat", "dog")}
    with pytest.raises(Refused):
        fields.checked({"pets": ["dog"]}, before)
    # A number is no yes: 1 == True for Python, not for a record.
    yes = FIELDS.fold([field(kind="yes_no")])
    with pytest.raises(Refused):
        yes.checked({"pets": 1}, {"pets": True})


LEVEL = Computed(
    of="spending_level", steps=(Step(choice="low", least=0), Step(choice="high", least=10_000))
)
HABIT = Computed(
    of="buying_habit", steps=(Step(choice="often", least=0), Step(choice="rare", least=30))
)


def computed(name: str, how: Computed, **more: object) -> FieldDefined:
    names = choices(*(step.choice for step in how.steps))
    return field(name, **{"kind": "list", "choices": names, "computed": how, **more})


def test_computed_fields_say_what_the_totals_are_in_the_words_of_the_chain() -> None:
    fields = FIELDS.fold([computed("level", LEVEL), computed("habit", HABIT)])
    assert fields.computed(Totals(spent=9_999, visits=1)) == {"level": "low"}
    assert fields.computed(Totals(spent=-1)) == {}
    month = DAY + timedelta(days=31)
    # Two visits, 31 days apart; three visits in 31 days are 15 days apart.
    twice = Totals(10_000, 2, DAY, month)
    assert fields.computed(twice) == {"level": "high", "habit": "rare"}
    assert fields.computed(replace(twice, visits=3)) == {"level": "high", "habit": "often"}
    archived = FIELDS.fold([computed("level", LEVEL), FieldArchived(field="level")])
    assert archived.computed(twice) == {}


def test_a_level_is_a_range_of_what_is_measured() -> None:
    assert bounds_of(LEVEL, "low") == (0, 9_999)
    assert bounds_of(LEVEL, "high") == (10_000, None)
    assert bounds_of(LEVEL, "none") == (None, None)


def test_nobody_writes_a_computed_field() -> None:
    fields = FIELDS.fold([computed("level", LEVEL)])
    with pytest.raises(Refused) as refused:
        fields.checked({"level": "high"})
    assert refused.value.errors[0].field == "custom.level"
    begun = given(FIELDS, [computed("level", LEVEL)])
    plain = field("level", kind="list", choices=choices("low", "high"))
    begun.when(defining(plain, "level")).then_refused("field-fixed")


@pytest.mark.parametrize(
    ("more", "place"),
    [
        ({"kind": "text", "choices": ()}, "computed"),
        ({"required": True}, "required"),
        ({"update_rule": YEARLY}, "update_rule"),
        ({"choices": choices("low")}, "computed.steps.1.choice"),
        ({"computed": Computed(of="spending_level", steps=())}, "computed.steps"),
        (
            {"computed": LEVEL.model_copy(update={"steps": (LEVEL.steps[0], LEVEL.steps[0])})},
            "computed.steps.1.least",
        ),
    ],
)
def test_a_computed_field_that_makes_no_sense_is_refused(
    more: dict[str, object], place: str
) -> None:
    wrong = computed("level", LEVEL, **more)
    given(FIELDS).when(defining(wrong, "level")).then_refused("invalid", place)


def test_update_rules_are_of_record_attributes_and_of_living_fields() -> None:
    rule = RecordRuleDefined(attribute="email", rule=YEARLY)
    fields = FIELDS.fold(
        [field(update_rule=YEARLY), field("old", update_rule=YEARLY), rule,
         FieldArchived(field="old")]
    )  # fmt: skip
    assert fields.update_rules == {"email": YEARLY, "custom.pets": YEARLY}
    assert rule_every(YEARLY).days == 365
    assert rule_every(YEARLY.model_copy(update={"every": "P2W"})).days == 14


def test_an_update_rule_of_the_record_is_given_and_taken_away() -> None:
    defined = RecordRuleDefined(attribute="email", rule=YEARLY)
    given(FIELDS).when(DefineRecordRule("email", YEARLY, DAY)).then([defined])
    begun = given(FIELDS, [defined])
    begun.when(DefineRecordRule("email", YEARLY, DAY)).then_nothing()
    begun.when(RemoveRecordRule("email", DAY)).then([RecordRuleRemoved(attribute="email")])
    given(FIELDS).when(RemoveRecordRule("email", DAY)).then_refused("not-found")
    other = YEARLY.model_copy(update={"every": "P30D"})
    stale = DefineRecordRule("email", other, DAY, resting_on(7))
    begun.when(stale).then_refused("precondition-failed")
    begun.when(RemoveRecordRule("email", DAY, resting_on(7))).then_refused("precondition-failed")
    nonsense = YEARLY.model_copy(update={"every": "often"})
    given(FIELDS).when(DefineRecordRule("phone", nonsense, DAY)).then_refused(
        "invalid", "rule.every"
    )
    assert FIELDS.fold([defined, RecordRuleRemoved(attribute="email")]).update_rules == {}


def test_five_statuses_and_their_path_are_there_without_any_event() -> None:
    statuses = Statuses()
    assert list(statuses.items) == ["new", "potential", "active", "contract_signed", "lapsed"]
    assert statuses.initial == "new"
    assert (statuses.meaning("lead"), statuses.meaning("lapsed")) == ("potential", "lapsed")
    assert statuses.allowed(None) == ("new",)
    statuses.require_move("new", "potential", "status")
    statuses.require_move("lapsed", "active", "status")


def test_a_move_off_the_path_or_to_no_status_is_refused() -> None:
    statuses = STATUSES.fold([status()])
    for before, after, kind in (
        ("active", "new", "off-path"),
        (None, "active", "off-path"),
        ("new", "regular", "off-path"),
        ("new", "none", "invalid"),
    ):
        with pytest.raises(Refused) as refused:
            statuses.require_move(before, after, "status")
        assert refused.value.type == kind


def test_who_stands_in_an_archived_status_may_go_anywhere() -> None:
    history: list[EventData] = [status(), StatusArchived(status="regular")]
    STATUSES.fold(history).require_move("regular", "active", "status")


def test_a_status_on_the_path_is_not_archived() -> None:
    given(STATUSES).when(Archive("potential", DAY)).then_refused("on-the-path")
    given(STATUSES, [status()]).when(Archive("regular", DAY)).then(
        [StatusArchived(status="regular")]
    )


def test_a_meaning_is_of_one_living_status() -> None:
    given(STATUSES).when(defining(status(meaning="lead"), "regular")).then_refused("meaning-taken")
    renamed = status("potential", meaning="lead", titles={"en": "Lead"})
    given(STATUSES).when(defining(renamed, "potential")).then([renamed])
    free = StatusPathDefined(initial="new", moves=())
    lead = status(meaning="lead")
    history: list[EventData] = [free, StatusArchived(status="potential"), lead]
    given(STATUSES, history).when(Restore("potential", DAY)).then_refused("meaning-taken")
    restored: list[EventData] = [*history[:2], status()]
    given(STATUSES, restored).when(Restore("potential", DAY)).then(
        [StatusRestored(status="potential")]
    )


def test_a_path_leads_between_living_statuses_once() -> None:
    path = StatusPathDefined(initial="new", moves=(Move(before="new", after="active"),))
    given(STATUSES).when(DefinePath(path, DAY)).then([path])
    given(STATUSES).when(DefinePath(DEFAULT_PATH, DAY)).then_nothing()
    given(STATUSES, [path]).when(DefinePath(DEFAULT_PATH, DAY, resting_on(0))).then_refused(
        "precondition-failed"
    )
    for moves, place in (
        ((("new", "none"),), "moves.0.after"),
        ((("none", "new"),), "moves.0.before"),
        ((("new", "new"),), "moves.0"),
        ((("new", "active"), ("new", "active")), "moves.1"),
    ):
        wrong = StatusPathDefined(
            initial="new", moves=tuple(Move(before=one, after=two) for one, two in moves)
        )
        given(STATUSES).when(DefinePath(wrong, DAY)).then_refused("invalid", place)
    nowhere = StatusPathDefined(initial="none", moves=())
    given(STATUSES).when(DefinePath(nowhere, DAY)).then_refused("invalid", "initial")
    long = StatusPathDefined(initial="new", moves=path.moves * 1001)
    given(STATUSES).when(DefinePath(long, DAY)).then_refused("invalid", "moves")


def test_entries_of_different_directories_do_not_meet() -> None:
    web, deal = entry(), entry(directory="deal_type")
    given(DIRECTORIES, [web]).when(defining(deal, "deal_type/web")).then([deal])
    twin = entry("site", title="Web")
    given(DIRECTORIES, [web]).when(defining(twin, "source/site")).then_refused("title-taken")
    begun = given(DIRECTORIES, [web])
    gone = DirectoryEntryArchived(directory="source", entry="web")
    begun.when(Archive(key_of("source", "web"), DAY)).then([gone])
    back = DirectoryEntryRestored(directory="source", entry="web")
    given(DIRECTORIES, [web, gone]).when(Restore(key_of("source", "web"), DAY)).then([back])


def test_only_a_living_entry_can_be_chosen() -> None:
    history: list[EventData] = [
        entry(),
        entry("fax"),
        DirectoryEntryArchived(directory="source", entry="fax"),
    ]
    folded = DIRECTORIES.fold(history)
    assert folded.require("source", "web", "acquisition").titles == {"en": "Web"}
    assert [each.entry for each in folded.entries("source")] == ["web"]
    for name in ("fax", "none"):
        with pytest.raises(Refused):
            folded.require("source", name, "acquisition")


@pytest.mark.parametrize("kind", DECIDERS)
def test_no_kind_takes_an_event_of_another(kind: str) -> None:
    stranger: EventData = field() if kind != "fields" else category()
    with pytest.raises(TypeError):
        DECIDERS[kind].fold([stranger])


def test_every_kind_has_its_place_in_the_configuration() -> None:
    empty = Configuration()
    assert {kind: getattr(empty, kind) for kind in DECIDERS} == {
        kind: decider.initial() for kind, decider in DECIDERS.items()
    }
