"""Clauses about record, days, deals and tasks: how they read, and what is refused."""

from typing import Any

import pytest

from services.segment.rules.language.tree import reads, to_json
from services.segment.rules.reading import InvalidRule, parse_rule
from services.segment.rules.sentences.tree import describe
from shared.wording import Languages

ENGLISH = Languages().wording("en", "EUR")
ONE = {"op": ">=", "value": 1}
NONE = {"op": "==", "value": 0}


def field(name: str, op: str, **test: object) -> dict[str, Any]:
    return {"kind": "attribute", "field": name, "test": {"op": op, **test}}


def dated(name: str, op: str, **test: object) -> dict[str, Any]:
    return {"kind": "date", "field": name, "test": {"op": op, **test}}


def yearly(name: str, op: str, **test: object) -> dict[str, Any]:
    return {**dated(name, op, **test), "yearly": True}


def aged(op: str, **test: object) -> dict[str, Any]:
    return {"kind": "age", "test": {"op": op, **test}}


def consent(**more: object) -> dict[str, Any]:
    return {"kind": "consent", "topic": "news", **more}


def known(kind: str, op: str, **test: object) -> dict[str, Any]:
    return {"kind": "identifier", "identifier": kind, "test": {"op": op, **test}}


def deals(compare: dict[str, Any], **where: object) -> dict[str, Any]:
    return {"kind": "deals", "compare": compare, **({"where": where} if where else {})}


def tasks(compare: dict[str, Any], **where: object) -> dict[str, Any]:
    return {"kind": "tasks", "compare": compare, **({"where": where} if where else {})}


READ = [
    (field("city", "contains", value="mar"), "city contains “mar”", {"field city"}),
    (field("surname", "begins", value="Iv"), "surname begins with “Iv”", {"field surname"}),
    (field("custom.size", "<", value=5), "size is < 5", {"field custom.size"}),
    (field("custom.size", "between", low=3, high=5), "size is between 3 and 5",
     {"field custom.size"}),
    (field("birth_date", "between", low="1990-01-01", high="1990-12-31"),
     "date of birth is between Jan 1, 1990 and Dec 31, 1990", {"field birth_date"}),
    (field("discount", ">=", value=1050), "granted discount is ≥ 10.5%", {"field discount"}),
    (field("misuse", ">", value=0), "number of days on which misuse is suspected is > 0",
     {"field misuse"}),
    (field("tags", "any_of", values=["vip", "new"]), "tag is vip or new", {"field tags"}),
    (field("categories", "is_not", value="gold"), "category is not gold", {"field categories"}),
    (field("status", "is", value="active"), "status is active", {"field status"}),
    (field("responsible", "known"), "who is responsible is known", {"field responsible"}),
    (field("archived", "is", value=True), "is archived", {"field archived"}),
    (field("archived", "is_not", value=True), "is not archived", {"field archived"}),
    (field("blacklisted", "is", value=False), "is not on the blacklist", {"field blacklisted"}),
    (field("internal", "is", value=True), "is staff or a test", {"field internal"}),
    (field("preferred_channel", "is", value="sms"), "preferred channel is SMS",
     {"field preferred_channel"}),
    (consent(channel="sms"), "agrees to news by SMS", {"consent news|sms", "contacts"}),
    (consent(), "agrees to news by some channel", {"consent news|", "contacts"}),
    (consent(state="withdrawn"), "has withdrawn the consent to news",
     {"consent news|", "contacts"}),
    (consent(state="unknown", channel="push"), "has said nothing about news by push",
     {"consent news|push", "contacts"}),
    (known("email", "known"), "email address is known", {"identifier email"}),
    (known("phone", "verified"), "phone number is verified", {"identifier phone"}),
    (known("email", "bad"), "email address reaches nobody", {"identifier email"}),
    (known("card", ">", value=1), "number of identifiers of the kind card: > 1",
     {"identifier card"}),
    (yearly("birth_date", "next", within="P7D"),
     "birthday within the next 7 days, today included", {"field birth_date"}),
    (yearly("birth_date", "last", within="P1D"),
     "birthday today", {"field birth_date"}),
    ({**yearly("birth_date", "today"), "zone": "branch"},
     "birthday today (days of the home branch)", {"field birth_date", "field home_branch"}),
    (yearly("birth_date", "passed"), "birthday over for this year", {"field birth_date"}),
    (yearly("registered", "on", day="12-24"), "anniversary of the registration on 24 December",
     {"field registered"}),
    (yearly("custom.wedding", "between", low="12-20", high="01-10"),
     "anniversary of wedding between 20 December and 10 January", {"field custom.wedding"}),
    (dated("custom.ends", "passed"), "ends before today", {"field custom.ends"}),
    (dated("registered", "on", day="2026-01-02"), "registration on Jan 2, 2026",
     {"field registered"}),
    (dated("first_receipt", "today"), "first receipt today", {"receipts"}),
    (aged(">=", value=18), "≥ 18 years old", {"field birth_date"}),
    (aged("between", low=18, high=25), "between 18 and 25 years old", {"field birth_date"}),
    (deals(ONE), "deals", {"deals"}),
    (deals(NONE, state="open"), "no deals that are open", {"deals"}),
    (deals(ONE, state="won", pipeline=["b2b"], stage=["offer", "talk"], closed="P30D"),
     "deals that are won in pipeline b2b in stage offer or talk closed within 30 days", {"deals"}),
    (deals({"op": ">", "value": 2}, deal_type=["new"], source=["web"], branch=["12"],
           responsible=["e1"], amount={"op": ">=", "value": 500_000}),
     ("number of deals of type new from source web in branch 12 of the employee e1"
      " of ≥ €5,000.00 each: > 2"), {"deals", "deals terms", "deals holder"}),
    (deals(ONE, in_stage="P2W", opened="P90D"),
     "deals open in one stage for at least 14 days opened within 90 days", {"deals"}),
    (tasks(ONE, state="overdue", kind=["call"]),
     "tasks that are overdue of the kind call", {"tasks", "tasks terms"}),
    (tasks(NONE), "no tasks", {"tasks"}),
    (tasks({"op": "<", "value": 3}, state="completed", outcome=["reached"], ended="P1D"),
     "number of tasks that are completed with the outcome reached ended within 1 day: < 3",
     {"tasks"}),
    (tasks(ONE, responsible=["e1"], branch=["12"], planned="PT36H"),
     "tasks of the employee e1 in branch 12 planned within 1 day 12 hours",
     {"tasks", "tasks terms"}),
]  # fmt: skip


@pytest.mark.parametrize(("raw", "sentence", "looks_at"), READ)
def test_a_form_is_read_said_and_written_again(
    raw: dict[str, Any], sentence: str, looks_at: set[str]
) -> None:
    rule = parse_rule(raw)
    assert describe(rule, ENGLISH) == sentence
    assert reads(rule) == looks_at
    assert to_json(rule) == raw


REFUSED = [
    (field("nickname", "known"), "rule.field", "must be surname, name"),
    (field("custom.", "known"), "rule.field", "`custom.` and the name"),
    (field("city", "<", value=3), "rule.test.op", "city is a text: ask is, is_not, any_of"),
    (field("city", "is", value=3), "rule.test.value", "city is a text"),
    (field("gender", "contains", value="m"), "rule.test.op", "gender is one of a list"),
    (field("preferred_channel", "is", value="fax"), "rule.test.value", "'email' or 'sms'"),
    (field("archived", "known"), "rule.test.op", "archived is yes or no"),
    (field("archived", "is", value="yes"), "rule.test.value", "true or false"),
    (field("discount", "known"), "rule.test.op", "discount is a whole number"),
    (field("discount", "is", value=True), "rule.test.value", "discount is a whole number"),
    (field("discount", "between", low="2026-01-01", high="2026-01-02"), "rule.test.low", "number"),
    (field("tags", "any_of", values=["a", 1]), "rule.test.values", "tags is several texts"),
    (field("birth_date", "is", value="1990"), "rule.test.value", "a date such as 2017-12-31"),
    (field("birth_date", "between", low=1, high=2), "rule.test.low", "a date such as"),
    (field("custom.x", "between", low=2, high=1), "rule.test.high", "is not before `low`"),
    (field("custom.x", "between", low=2, high="2026-01-01"), "rule.test.high", "number where"),
    (field("custom.x", "between", low="x", high="2026-01-01"), "rule.test.low", "2017-12-31"),
    (field("custom.x", "contains", value=""), "rule.test.value", "at least 1"),
    (consent(channel="fax"), "rule.channel", "'email'"),
    (consent(state="maybe"), "rule.state", "'given'"),
    (known("fax", "known"), "rule.identifier", "'phone'"),
    (known("email", "is", value="a@b"), "rule.test.op", "'verified'"),
    (known("email", ">=", value=-1), "rule.test.value", "0 or more"),
    (dated("city", "today"), "rule.field", "must be birth_date, registered"),
    (dated("birth_date", "next", within="PT36H"), "rule.test.within", "calendar days"),
    (dated("birth_date", "next", within="P1M"), "rule.test.within", "say it in days"),
    (dated("birth_date", "on", day="12-24"), "rule.test.day", "needs `yearly`"),
    (dated("birth_date", "between", low="2026-02-01", high="2026-01-01"), "rule.test.high",
     "not before `low`"),
    (yearly("birth_date", "on", day="2026-12-24"), "rule.test.day", "such as 12-24"),
    (yearly("birth_date", "on", day="02-30"), "rule.test.day", "such as 12-24"),
    (yearly("birth_date", "next", within="P367D"), "rule.test.within", "a year at most"),
    ({**dated("birth_date", "today"), "zone": "mine"}, "rule.zone", "'chain' or 'branch'"),
    (aged("between", low=5, high=4), "rule.test.high", "not below `low`"),
    (aged("is", value=4), "rule.test.op", "'between'"),
    (deals({"op": ">=", "value": -1}), "rule.compare.value", "0 or more"),
    (deals(ONE, state="won", in_stage="P1D"), "rule.where.in_stage", "only an open deal"),
    (deals(ONE, state="open", closed="P1D"), "rule.where.closed", "not closed"),
    (deals(ONE, stage=[]), "rule.where.stage", "at least 1"),
    (deals(ONE, colour="red"), "rule.where.colour", "not part of this form"),
    (tasks({"op": ">=", "value": -1}), "rule.compare.value", "0 or more"),
    (tasks(ONE, state="open", ended="P1D"), "rule.where.ended", "an open task has not ended"),
    (tasks(ONE, state="overdue", outcome=["x"]), "rule.where.outcome", "has not ended"),
    (tasks(ONE, kind=["party"]), "rule.where.kind[0]", "'call'"),
]  # fmt: skip


@pytest.mark.parametrize(("raw", "path", "words"), REFUSED)
def test_what_does_not_fit_is_refused_with_the_path_and_what_would(
    raw: dict[str, Any], path: str, words: str
) -> None:
    with pytest.raises(InvalidRule) as refused:
        parse_rule(raw)
    assert [error.field for error in refused.value.errors] == [path]
    assert words in refused.value.errors[0].message
