"""Deals, pipelines and assignment: what commands give, and each of their refusals."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given as drawn
from hypothesis import strategies as st

from services.customer.domain.assignment import (
    ASSIGNMENTS,
    Assignments,
    Candidates,
    candidates,
    choose,
    load_id,
)
from services.customer.domain.configuration.catalogue import Archive, Define, Restore
from services.customer.domain.deal import deal_stream, deal_version, generation_of
from services.customer.domain.deal_claims import DEAL_CLAIMS
from services.customer.domain.deal_stays import Stay, stays_after
from services.customer.domain.deal_terms import LARGEST_AMOUNT, MAX_LINES, Ground, sum_of
from services.customer.domain.dealing import (
    DEAL,
    AssignResponsible,
    Change,
    Continue,
    Lose,
    MoveStage,
    Open,
    Reopen,
    Transfer,
    Win,
)
from services.customer.domain.pipeline import LONGEST_AFTER, MAX_ROBOTS, MAX_STAGES, PIPELINES
from shared.decider import NewEvent, Refused
from shared.events.contract import EventData
from shared.events.deal import (
    AssignmentArchived,
    AssignmentDefined,
    AssignmentRestored,
    CallWebhook,
    DealChanged,
    DealContinued,
    DealLine,
    DealLost,
    DealOpened,
    DealReopened,
    DealResponsibleAssigned,
    DealStageMoved,
    DealTransferred,
    DealWon,
    LostReason,
    Origin,
    PipelineArchived,
    PipelineDefined,
    PipelineRestored,
    PlanTask,
    Robot,
    SetField,
    Stage,
    Strategy,
    Terms,
    Words,
)
from shared.eventstore import Claim, ClaimChange
from shared.testing import given
from shared.testing.specification import Result

Json = Any
NOW = datetime(2018, 1, 2, 9, tzinfo=UTC)
LATER = datetime(2018, 1, 4, 9, tzinfo=UTC)
TITLES = {"en": "Sales"}


def stage(name: str, probability: int = 0, *robots: Robot, archived: bool = False) -> Stage:
    return Stage(
        stage=name, titles={"en": name}, probability=probability, robots=robots, archived=archived
    )


def pipeline(*stages: Stage, name: str = "sales", **more: Json) -> PipelineDefined:
    return PipelineDefined(
        pipeline=name,
        titles=more.pop("titles", TITLES),
        stages=stages,
        won={"en": "Won"},
        lost={"en": "Lost"},
        **more,
    )


SALES = pipeline(
    stage("new", 1000),
    stage("offer", 5000),
    stage("old", 100, archived=True),
    lost_reasons=(LostReason(reason="price", titles={"en": "Price"}),),
)
LEASES = AssignmentDefined(
    deal_type="lease", titles={"en": "Leases"}, strategy="round_robin", employees=("a", "b", "c")
)
GROUND = Ground(
    pipelines=PIPELINES.fold([SALES, pipeline(stage("x"), name="gone"),
                              PipelineArchived(pipeline="gone")]),
    assignments=ASSIGNMENTS.fold([LEASES]),
    deal_types={"lease", "sale"},
    sources={"web"},
    branches={"12", "13"},
    employees={"a": None, "b": {"12"}, "c": {"13"}, "d": None},
)  # fmt: skip
SOFA = DealLine(product="sofa", quantity=2, price=1000, discount=100)
TERMS = Terms(amount=500, branch="12")
OPENED = DealOpened(
    deal="d1", pipeline="sales", stage="new", terms=TERMS, words=Words(title="Sofa"),
    responsible="a",
)  # fmt: skip
WON = DealWon(deal="d1", pipeline="sales", stage="new", amount=500)
LOST = DealLost(deal="d1", pipeline="sales", stage="new", reason="price")
TRANSFERRED = DealTransferred(deal="d1", stream="deal-d1-2", customer="boris", merge="m1")


def opening(**more: Json) -> Open:
    return Open(**{"deal": "d1", "at": NOW, "ground": GROUND, "pipeline": "sales", "terms": {},
                   **more})  # fmt: skip


def opened_by(result: Result) -> DealOpened:
    data = result.events[0].data
    assert isinstance(data, DealOpened)
    return data


def only(branch: str) -> Callable[[str | None], None]:
    """May touch what is of the branch."""

    def check(found: str | None) -> None:
        if found != branch:
            raise Refused("out-of-scope", 403, "Other branches.")

    return check


def at_version(wanted: int) -> Callable[[int], None]:
    def check(version: int) -> None:
        if version != wanted:
            raise Refused("precondition-failed", 412, "It has changed.")

    return check


def test_a_deal_is_opened_in_the_first_stage_that_lives() -> None:
    terms = {"amount": 700, "branch": "12", "source": "web", "expected_close": "2018-02-28"}
    given(DEAL).when(opening(terms=terms, words=Words(title="Sofa"))).then(
        [
            NewEvent(
                DealOpened(
                    deal="d1", pipeline="sales", stage="new", words=Words(title="Sofa"),
                    terms=Terms(amount=700, branch="12", source="web", expected_close="2018-02-28"),
                ),
                NOW,
                "12",
            )
        ]
    )  # fmt: skip


def test_the_amount_of_a_deal_with_lines_is_their_sum() -> None:
    # 2 × 1,000 − 100
    result = given(DEAL).when(opening(terms={"lines": (SOFA,)}))
    assert opened_by(result).terms.amount == 1900
    given(DEAL).when(opening(terms={"lines": (SOFA,), "amount": 1901})).then_refused(
        "invalid", "amount"
    )


def test_of_a_company_s_deal_nothing_is_sealed() -> None:
    words = Words(title="Chairs", comment="by May")
    result = given(DEAL).when(opening(company="acme", words=words))
    assert opened_by(result).words == Words(company_title="Chairs", company_comment="by May")
    opened = OPENED.model_copy(update={"company": "acme", "words": Words(company_title="Chairs")})
    given(DEAL, [opened]).when(
        Change(deal="d1", at=LATER, ground=GROUND, words=Words(title="Tables"))
    ).then([DealChanged(deal="d1", words=Words(company_title="Tables"))])
    given(DEAL, [opened]).when(Change(deal="d1", at=LATER, cleared=("title", "comment"))).then(
        [DealChanged(deal="d1", cleared=("title",))]
    )
    given(DEAL, [opened]).when(
        Lose(deal="d1", at=LATER, ground=GROUND, seen="a", reason="price", comment="dear")
    ).then([LOST.model_copy(update={"company_comment": "dear"})])


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"pipeline": "nothing"}, "pipeline"),
        ({"pipeline": "gone"}, "pipeline"),
        ({"stage": "nothing"}, "stage"),
        ({"stage": "old"}, "stage"),
        ({"terms": {"amount": -1}}, "amount"),
        ({"terms": {"amount": LARGEST_AMOUNT + 1}}, "amount"),
        ({"terms": {"deal_type": "x"}}, "deal_type"),
        ({"terms": {"source": "x"}}, "source"),
        ({"terms": {"branch": "x"}}, "branch"),
        ({"terms": {"expected_close": "soon"}}, "expected_close"),
        ({"terms": {"lines": (SOFA,) * (MAX_LINES + 1)}}, "lines"),
        ({"terms": {"lines": (SOFA.model_copy(update={"price": -1}),)}}, "lines.0.price"),
        ({"terms": {"lines": (SOFA.model_copy(update={"discount": -1}),)}}, "lines.0.discount"),
        ({"terms": {"lines": (SOFA.model_copy(update={"discount": 2001}),)}}, "lines.0.discount"),
        ({"responsible": "nobody"}, "responsible"),
        ({"responsible": "c", "terms": {"branch": "12"}}, "responsible"),
    ],
)
def test_an_opening_names_what_is_wrong(more: Json, field: str) -> None:
    given(DEAL).when(opening(**more)).then_refused("invalid", field)


def test_a_deal_is_opened_once_and_within_the_caller_s_branches() -> None:
    given(DEAL, [OPENED]).when(opening()).then_refused("already-opened")
    given(DEAL).when(opening(may_touch=only("13"))).then_refused("out-of-scope")


COMMANDS: list[Json] = [
    Change(deal="d1", at=LATER, terms={"amount": 1}),
    MoveStage(deal="d1", at=LATER, ground=GROUND, stage="offer"),
    Win(deal="d1", at=LATER, seen="a"),
    Lose(deal="d1", at=LATER, seen="a", reason="price"),
    AssignResponsible(deal="d1", at=LATER, seen="a", responsible="b"),
]


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_on_nothing_elsewhere_or_out_of_scope_is_refused(command: Json) -> None:
    given(DEAL).when(command).then_refused("not-found")
    refusal = given(DEAL, [OPENED, TRANSFERRED]).when(command).then_refused("deal-moved")
    assert refusal.extra == {"stream": "deal-d1-2"}
    given(DEAL, [OPENED]).when(type(command)(**{**_fields(command), "may_touch": only("13")})
                               ).then_refused("out-of-scope")  # fmt: skip


def _fields(command: Json) -> dict[str, Json]:
    return {name: getattr(command, name) for name in command.__dataclass_fields__}


@pytest.mark.parametrize("command", [each for each in COMMANDS if not isinstance(each, Win)])
def test_a_won_deal_refuses_changes_until_it_is_reopened(command: Json) -> None:
    given(DEAL, [OPENED, WON]).when(command).then_refused("deal-closed")
    reopened = DealReopened(deal="d1", pipeline="sales", stage="new")
    assert given(DEAL, [OPENED, WON, reopened]).when(command).events


def test_a_lost_deal_can_neither_be_won_nor_lost_for_another_reason() -> None:
    history = [OPENED, LOST]
    given(DEAL, history).when(Win(deal="d1", at=LATER, seen="a")).then_refused("deal-closed")
    again = Lose(deal="d1", at=LATER, ground=GROUND, seen="a", reason="price")
    given(DEAL, history).when(again).then_nothing()
    other = Lose(deal="d1", at=LATER, ground=GROUND, seen="a", reason="taste")
    given(DEAL, history).when(other).then_refused("deal-closed")
    given(DEAL, [OPENED]).when(other).then_refused("invalid", "reason")


@pytest.mark.parametrize("employee", ["a", "c"])
def test_who_rests_on_an_outdated_responsible_decides_again(employee: str) -> None:
    history = [OPENED, DealResponsibleAssigned(deal="d1", before="a", responsible="b")]
    for command in (
        Win(deal="d1", at=LATER, seen=employee),
        AssignResponsible(deal="d1", at=LATER, seen=employee, responsible="d"),
    ):
        given(DEAL, history).when(command).then_refused("deal-outdated")


def test_a_change_tells_the_terms_whole_and_only_the_texts_that_are_new() -> None:
    change = Change(
        deal="d1", at=LATER, ground=GROUND, terms={"source": "web"},
        words=Words(title="Sofa", comment="big"),
    )  # fmt: skip
    given(DEAL, [OPENED]).when(change).then(
        [
            NewEvent(
                DealChanged(
                    deal="d1",
                    terms=TERMS.model_copy(update={"source": "web"}),
                    words=Words(comment="big"),
                ),
                LATER,
                "12",
            )
        ]
    )
    given(DEAL, [OPENED, change_of(change)]).when(change).then_nothing()
    given(DEAL, [OPENED]).when(Change(deal="d1", at=LATER, cleared=("title", "comment"))).then(
        [DealChanged(deal="d1", cleared=("title",))]
    )


def change_of(change: Change) -> EventData:
    return given(DEAL, [OPENED]).when(change).events[0].data


def test_a_change_rests_on_the_version_that_was_read_unless_it_changes_nothing() -> None:
    # One event so far.
    stale = Change(deal="d1", at=LATER, terms={"amount": 1}, rests_on=at_version(2))
    given(DEAL, [OPENED]).when(stale).then_refused("precondition-failed")
    right = Change(deal="d1", at=LATER, terms={"amount": 1}, rests_on=at_version(1))
    assert given(DEAL, [OPENED]).when(right).events
    nothing = Change(deal="d1", at=LATER, terms={"amount": 500}, rests_on=at_version(2))
    given(DEAL, [OPENED]).when(nothing).then_nothing()


def test_an_amount_beside_lines_must_agree_and_follows_new_lines() -> None:
    lined = OPENED.model_copy(update={"terms": Terms(amount=1900, lines=(SOFA,))})
    alone = Change(deal="d1", at=LATER, terms={"amount": 5})
    given(DEAL, [lined]).when(alone).then_refused("invalid", "amount")
    one = SOFA.model_copy(update={"quantity": 1})
    followed = change_in(lined, {"lines": (one,)})
    assert followed.terms is not None
    # 1,000 − 100
    assert followed.terms.amount == 900
    without = change_in(lined, {"lines": None, "amount": 5})
    assert without.terms is not None
    assert (without.terms.amount, without.terms.lines) == (5, ())


def change_in(opened: DealOpened, terms: Json) -> DealChanged:
    data = given(DEAL, [opened]).when(Change(deal="d1", at=LATER, terms=terms)).events[0].data
    assert isinstance(data, DealChanged)
    return data


def test_a_deal_leaves_its_branch_only_for_one_of_the_caller_s() -> None:
    away = Change(deal="d1", at=LATER, terms={"branch": "13"}, may_touch=only("12"))
    given(DEAL, [OPENED]).when(away).then_refused("out-of-scope")


def test_stages_are_moved_between_those_that_live() -> None:
    move = MoveStage(deal="d1", at=LATER, ground=GROUND, stage="offer")
    given(DEAL, [OPENED]).when(move).then(
        [DealStageMoved(deal="d1", pipeline="sales", before="new", stage="offer")]
    )
    given(DEAL, [OPENED]).when(
        MoveStage(deal="d1", at=LATER, ground=GROUND, stage="new")
    ).then_nothing()
    for wrong in ("old", "nothing"):
        given(DEAL, [OPENED]).when(
            MoveStage(deal="d1", at=LATER, ground=GROUND, stage=wrong)
        ).then_refused("invalid", "stage")


def test_a_deal_is_won_once_and_reopened_where_it_was_or_elsewhere() -> None:
    win = Win(deal="d1", at=LATER, seen="a")
    given(DEAL, [OPENED]).when(win).then([WON])
    given(DEAL, [OPENED, WON]).when(win).then_nothing()
    reopen = Reopen(deal="d1", at=LATER, ground=GROUND, seen="a")
    given(DEAL, [OPENED]).when(reopen).then_nothing()
    given(DEAL, [OPENED, WON]).when(reopen).then(
        [DealReopened(deal="d1", pipeline="sales", stage="new")]
    )
    elsewhere = Reopen(deal="d1", at=LATER, ground=GROUND, seen="a", stage="offer")
    given(DEAL, [OPENED, WON]).when(elsewhere).then(
        [DealReopened(deal="d1", pipeline="sales", stage="offer")]
    )
    wrong = Reopen(deal="d1", at=LATER, ground=GROUND, seen="a", stage="old")
    given(DEAL, [OPENED, WON]).when(wrong).then_refused("invalid", "stage")


def test_somebody_who_works_at_the_branch_answers_for_a_deal() -> None:
    def assign(who: str | None) -> AssignResponsible:
        return AssignResponsible(deal="d1", at=LATER, ground=GROUND, seen="a", responsible=who)

    given(DEAL, [OPENED]).when(assign("b")).then(
        [DealResponsibleAssigned(deal="d1", before="a", responsible="b")]
    )
    given(DEAL, [OPENED]).when(assign(None)).then([DealResponsibleAssigned(deal="d1", before="a")])
    given(DEAL, [OPENED]).when(assign("a")).then_nothing()
    for wrong in ("nobody", "c"):
        given(DEAL, [OPENED]).when(assign(wrong)).then_refused("invalid", "responsible")


def test_a_deal_is_handed_over_only_from_who_answers_for_it_and_while_it_is_open() -> None:
    def hand_over(giver: str, taker: str = "b") -> AssignResponsible:
        return AssignResponsible(
            deal="d1", at=LATER, ground=GROUND, seen="a", responsible=taker, instead_of=giver
        )

    assigned = DealResponsibleAssigned(deal="d1", before="a", responsible="b")
    given(DEAL, [OPENED]).when(hand_over("a")).then([assigned])
    given(DEAL, [OPENED]).when(hand_over("b", "c")).then_nothing()
    given(DEAL, [OPENED, WON]).when(hand_over("a")).then_nothing()
    given(DEAL, [OPENED]).when(hand_over("a", "c")).then_refused("invalid", "responsible")


def test_a_deal_goes_on_in_another_stream_with_versions_that_grow() -> None:
    move = Transfer(deal="d1", at=LATER, stream="deal-d1-2", customer="boris", merge="m1")
    given(DEAL, [OPENED]).when(move).then([NewEvent(TRANSFERRED, LATER, "12")])
    continued = DealContinued(
        deal="d1", generation=2, merge="m1", origins=(Origin(merge="m1", customer="anna"),),
        pipeline="sales", stage="new", status="won", visits=(), terms=TERMS, opened=NOW,
    )  # fmt: skip
    going_on = Continue(deal="d1", at=LATER, continued=continued)
    given(DEAL).when(going_on).then([NewEvent(continued, LATER, "12")])
    given(DEAL, [continued]).when(going_on).then_nothing()
    state = DEAL.fold([continued])
    # The first event of the second stream.
    assert (state.status, state.deal_version) == ("won", 1_000_001)
    streams = ("deal-d1", "deal-d1-2", "deal-d1-11")
    assert [generation_of(each, "d1") for each in streams] == [1, 2, 11]
    assert [deal_stream("d1", each) for each in (1, 2, 11)] == list(streams)
    assert deal_version("deal-d1-2", "d1", 7) == 1_000_007


def test_deals_fold_only_their_own_events() -> None:
    with pytest.raises(TypeError):
        DEAL.fold([SALES])
    with pytest.raises(TypeError):
        PIPELINES.fold([OPENED])
    with pytest.raises(TypeError):
        ASSIGNMENTS.fold([OPENED])


def test_a_stay_ends_where_the_next_begins_and_with_the_outcome() -> None:
    stays = stays_after([], DealOpened.type, "new", NOW)
    stays = stays_after(stays, DealStageMoved.type, "offer", LATER)
    stays = stays_after(stays, DealWon.type, "offer", LATER)
    # Two days; none at all.
    assert stays == [
        Stay("new", NOW, LATER, "offer", 2 * 86_400_000),
        Stay("offer", LATER, LATER, "won", 0),
    ]
    assert stays_after(stays, DealReopened.type, "new", LATER)[-1] == Stay("new", LATER)
    with pytest.raises(ValueError, match="neither begins nor ends"):
        stays_after(stays, DealChanged.type, "new", LATER)


quantities = st.integers(1, 10**6)
prices = st.integers(0, 10**6)


@st.composite
def deal_lines(draw: st.DrawFn) -> DealLine:
    quantity, price = draw(quantities), draw(prices)
    discount = draw(st.integers(0, quantity * price))
    return DealLine(product="p", quantity=quantity, price=price, discount=discount)


@drawn(st.lists(deal_lines(), min_size=1, max_size=8), st.integers(-3, 3))
def test_lines_and_amount_agree_exactly_or_the_deal_is_refused(
    lines: list[DealLine], off: int
) -> None:
    exact = sum(each.quantity * each.price for each in lines) - sum(e.discount for e in lines)
    assert sum_of(lines) == exact
    command = opening(terms={"lines": tuple(lines), "amount": exact + off})
    result = given(DEAL).when(command)
    if off or exact > LARGEST_AMOUNT:
        result.then_refused("invalid", "amount")
    else:
        assert opened_by(result).terms.amount == exact


# --- Pipelines ---------------------------------------------------------------------------------


def define(definition: PipelineDefined) -> Define[PipelineDefined]:
    return Define(definition.pipeline, definition, NOW)


def test_a_pipeline_is_defined_archived_and_restored() -> None:
    given(PIPELINES).when(define(SALES)).then([SALES])
    given(PIPELINES, [SALES]).when(define(SALES)).then_nothing()
    given(PIPELINES, [SALES]).when(Archive("sales", NOW)).then([PipelineArchived(pipeline="sales")])
    given(PIPELINES, [SALES, PipelineArchived(pipeline="sales")]).when(Restore("sales", NOW)).then(
        [PipelineRestored(pipeline="sales")]
    )
    given(PIPELINES).when(Archive("sales", NOW)).then_refused("not-found")


def test_a_stage_that_is_left_out_stays_archived_and_its_robots_go() -> None:
    robot = Robot(robot="call", action=PlanTask(title="Call"))
    before = pipeline(stage("new", 1000, robot), stage("offer", 5000))
    given(PIPELINES, [before]).when(define(pipeline(stage("offer", 6000)))).then(
        [pipeline(stage("offer", 6000), stage("new", 1000, archived=True))]
    )


def robots(*made: Robot) -> PipelineDefined:
    return pipeline(stage("new", 0, *made))


def robot(action: Json, after: int = 0) -> Robot:
    return Robot(robot="r", after=after, action=action)


@pytest.mark.parametrize(
    ("definition", "field"),
    [
        (pipeline(), "stages"),
        (pipeline(stage("a", archived=True)), "stages"),
        (pipeline(*(stage(f"s{n}") for n in range(MAX_STAGES + 1))), "stages"),
        (pipeline(stage("a"), stage("a")), "stages"),
        (pipeline(stage("won")), "stages.0.stage"),
        (
            pipeline(
                stage("a"), lost_reasons=(LostReason(reason="r", titles={}),) * 2
            ),
            "lost_reasons",
        ),
        (
            robots(*(Robot(robot=f"r{n}", action=PlanTask(title="t"))
                     for n in range(MAX_ROBOTS + 1))),
            "stages.0.robots",
        ),
        (robots(robot(PlanTask(title="t")), robot(PlanTask(title="t"))), "stages.0.robots"),
        (robots(robot(PlanTask(title="t"), LONGEST_AFTER + 1)), "stages.0.robots.0.after"),
        (robots(robot(SetField(field="source"))), "stages.0.robots.0.action.value"),
        (robots(robot(SetField(field="stage", value="x"))), "stages.0.robots.0.action.value"),
        (robots(robot(SetField(field="expected_close"))), "stages.0.robots.0.action.days"),
        (robots(robot(CallWebhook(url="ftp://x/y"))), "stages.0.robots.0.action.url"),
        (robots(robot(CallWebhook(url="https://u:p@x/"))), "stages.0.robots.0.action.url"),
        (robots(robot(CallWebhook(url="https:///x"))), "stages.0.robots.0.action.url"),
    ],
)  # fmt: skip
def test_a_pipeline_names_what_is_wrong(definition: PipelineDefined, field: str) -> None:
    given(PIPELINES).when(define(definition)).then_refused("invalid", field)


def test_two_pipelines_are_not_called_the_same() -> None:
    given(PIPELINES, [SALES]).when(define(pipeline(stage("a"), name="other"))).then_refused(
        "title-taken"
    )


# --- Assignment --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "more",
    [
        {"employees": ()},
        {"employees": ("a", "a")},
        {"employees": ("a", "b"), "strategy": "fixed"},
        {"employees": tuple(str(n) for n in range(201))},
    ],
)
def test_a_rule_names_what_is_wrong(more: Json) -> None:
    wrong = LEASES.model_copy(update=more)
    given(ASSIGNMENTS).when(Define("lease", wrong, NOW)).then_refused("invalid", "employees")


def test_a_rule_is_defined_archived_and_restored() -> None:
    given(ASSIGNMENTS).when(Define("lease", LEASES, NOW)).then([LEASES])
    archived = AssignmentArchived(deal_type="lease")
    given(ASSIGNMENTS, [LEASES]).when(Archive("lease", NOW)).then([archived])
    assert Assignments().rule("lease") is None
    assert ASSIGNMENTS.fold([LEASES, archived]).rule("lease") is None
    restored = AssignmentRestored(deal_type="lease")
    given(ASSIGNMENTS, [LEASES, archived]).when(Restore("lease", NOW)).then([restored])
    assert ASSIGNMENTS.fold([LEASES, archived, restored]).rule("lease") == LEASES


def among(strategy: Strategy, *employees: str) -> Candidates:
    rule = AssignmentDefined(
        deal_type="lease", titles={}, strategy=strategy, employees=("a", "b", "c")
    )
    return Candidates(rule, None, employees or rule.employees)


def held(claim_id: str, value: str) -> dict[str, Claim]:
    return {claim_id: Claim(claim_id, value, 1)}


def test_turns_go_round_and_pass_over_who_is_not_there() -> None:
    turn = among("round_robin").turn_id
    chosen = [
        choose(among("round_robin"), held(turn, last)) for last in ("", "a", "b", "c", "gone")
    ]
    assert chosen == ["a", "b", "c", "a", "a"]
    assert choose(among("round_robin", "a", "c"), held(turn, "a")) == "c"
    assert choose(among("round_robin", "c"), held(turn, "c")) == "c"


def test_who_has_the_fewest_open_deals_gets_the_next_and_of_equals_the_first() -> None:
    loads = {**held(load_id("a"), "2"), **held(load_id("b"), "1")}
    assert choose(among("least_open"), loads) == "c"  # 2, 1 and none
    assert choose(among("least_open", "a", "b"), loads) == "b"
    assert choose(among("least_open"), {}) == "a"
    assert choose(among("fixed"), {}) == "a"


def test_only_who_works_at_the_branch_is_a_candidate() -> None:
    found = candidates(LEASES, "12", GROUND.employees or {})
    assert found.employees == ("a", "b")
    assert choose(candidates(LEASES, "12", {"c": {"13"}}), {}) is None


def test_an_opening_takes_its_turn_and_counts_as_open_in_the_same_commit() -> None:
    command = opening(terms={"deal_type": "lease", "branch": "12"})
    assert list(DEAL_CLAIMS.ids(command)) == ["turn|lease|12", "open-deals|a", "open-deals|b"]
    claims = {**held("turn|lease|12", "a"), **held("open-deals|b", "4")}
    resting = DEAL_CLAIMS.given(command, claims)
    result = given(DEAL).when(resting)
    data = result.events[0].data
    assert isinstance(data, DealOpened)
    assert (data.responsible, data.rule) == ("b", "lease")
    # b had four open deals.
    assert DEAL_CLAIMS.changes(resting, result.events) == [
        ClaimChange("turn|lease|12", 1, "b"),
        ClaimChange("open-deals|b", 1, "5"),
    ]


def test_closing_reopening_and_assigning_move_the_numbers_of_open_deals() -> None:
    claims = {**held("open-deals|a", "3"), **held("open-deals|b", "1")}
    for history, command, changes in (
        ([OPENED], Win(deal="d1", at=LATER, seen="a"), [("open-deals|a", "2")]),
        ([OPENED, WON], Reopen(deal="d1", at=LATER, ground=GROUND, seen="a"),
         [("open-deals|a", "4")]),
        ([OPENED], AssignResponsible(deal="d1", at=LATER, seen="a", responsible="b"),
         [("open-deals|a", "2"), ("open-deals|b", "2")]),
        ([OPENED], AssignResponsible(deal="d1", at=LATER, seen="a", responsible=None),
         [("open-deals|a", "2")]),
    ):  # fmt: skip
        resting = DEAL_CLAIMS.given(command, claims)
        events = given(DEAL, history).when(resting).events
        found = [(each.id, each.owner) for each in DEAL_CLAIMS.changes(resting, events)]
        assert found == changes
