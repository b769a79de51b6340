"""Sentences of rules in Russian: every text that the code can say is in the catalogue."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import services.segment
from services.segment.rules.reading import parse_rule
from services.segment.rules.sentences.tree import describe
from shared.wording import Languages, read_catalogue

SERVICE = Path(services.segment.__file__).parent
LOCALES = SERVICE / "locales"
SENTENCES = sorted((SERVICE / "rules" / "sentences").glob("*.py"))
RUSSIAN = Languages.read(LOCALES).wording("ru", "RUB")


def texts_of(source: str) -> Iterator[str]:
    """Whole texts, and the words that dictionaries of the module hold."""
    tree = ast.parse(source)
    told = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr)
            for part in ast.walk(node)}  # fmt: skip
    documents = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.FunctionDef | ast.ClassDef)
        and node.body and isinstance(node.body[0], ast.Expr)
    }  # fmt: skip
    words = {
        id(part)
        for node in tree.body
        if isinstance(node, ast.Assign | ast.AnnAssign)
        for table in ast.walk(node)
        if isinstance(table, ast.Dict)
        for value in table.values
        for part in ast.walk(value)
    }
    asked = {
        id(part)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in {"text", "plural"}
        for argument in node.args
        for part in (
            [argument.body, argument.orelse] if isinstance(argument, ast.IfExp) else [argument]
        )
    }
    for node in ast.walk(tree):
        if not isinstance(node, ast.Constant) or not isinstance(node.value, str):
            continue
        whole = "{" in node.value or node.value[:1] == " " or id(node) in words | asked
        if whole and id(node) not in told | documents:
            yield node.value


def untranslated(text: str) -> bool:
    """No letter in it, so that it is the same in every language."""
    rest = text.replace("{", " {").split()
    return not any(part.strip("},:;.()“”≥>≤<").isalpha() for part in rest if part[0] != "{")


def _several(texts: Any) -> list[str]:  # noqa: ANN401 - one text, or its plural forms
    return [texts] if isinstance(texts, str) else list(texts)


@pytest.mark.parametrize("path", SENTENCES, ids=lambda path: path.stem)
def test_every_text_is_in_the_catalogue(path: Path) -> None:
    catalogue = read_catalogue(LOCALES / "ru.po")
    there = {
        text
        for message in catalogue
        if all(_several(message.string))
        for text in _several(message.id)
    }
    missing = {
        text
        for text in texts_of(path.read_text(encoding="utf-8"))
        if text not in there and not untranslated(text)
    }
    assert missing == set()


def test_the_texts_of_the_code_are_found() -> None:
    found = set(texts_of('''
"""Not this."""
_WORDS = {"not this": "this", "nor_this": ("a pair", "of words")}
def say(wording, x):
    """Nor this."""
    for text in (" with {name}", "nor_this"):
        wording.text("and this")
    begun = " begun"
    return f"nor this {x}", wording.plural("one" if x else "other", "many", 2)
'''))  # fmt: skip
    assert found == {
        "this", "a pair", "of words", " with {name}", "and this", " begun", "one", "other", "many"
    }  # fmt: skip


def sentence(raw: dict[str, Any]) -> str:
    return describe(parse_rule(raw), RUSSIAN).replace("\u00a0", " ").replace("\u202f", " ")


ONE = {"op": ">=", "value": 1}


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (
            {
                "kind": "all",
                "clauses": [
                    {"kind": "date", "field": "birth_date", "yearly": True,
                     "test": {"op": "next", "within": "P7D"}},
                    {"kind": "consent", "topic": "news", "channel": "email"},
                ],
            },
            "день рождения в ближайшие 7 дней, считая сегодня и согласие на «news»: e-mail",
        ),
        (
            {"kind": "rfm_cell", "table": "chain", "cells": ["555", "554"]},
            "ячейка RFM 555 или 554 в таблице chain",
        ),
        (
            {"kind": "age", "test": {"op": ">=", "value": 21}},
            "возраст ≥ 21 года",
        ),
        (
            {"kind": "deals", "compare": ONE,
             "where": {"state": "open", "in_stage": "P2W", "stage": ["offer"]}},
            "есть сделки со статусом «открыта» на этапе offer уже 14 дней или дольше",
        ),
        (
            {"kind": "tasks", "compare": {"op": "==", "value": 0},
             "where": {"state": "overdue", "kind": ["call"]}},
            "нет задач со статусом «просрочена» вида «звонок»",
        ),
        (
            {"kind": "receipts", "aggregate": "count", "compare": ONE},
            "покупка была хотя бы раз",
        ),
        (
            {"kind": "receipts", "aggregate": "count", "compare": ONE, "within": "P1D"},
            "покупка была за последний день",
        ),
        (
            {"kind": "sequence", "first": {"facts": "visits"}, "then": {"facts": "receipts"},
             "direction": "after", "gap": "PT1M", "compare": {"op": "==", "value": 0},
             "within": "P2D"},
            "визит был за последние 2 дня, и за 1 минуту после этого покупок не было",
        ),
        (
            {"kind": "deals", "compare": {"op": "==", "value": 0},
             "where": {"closed": "P30D", "amount": {"op": ">", "value": 100}}},
            "нет сделок (сумма каждой > 1,00 ₽) (закрыты за последние 30 дней)",
        ),
        (
            {"kind": "deals", "compare": ONE, "where": {"in_stage": "P1D"}},
            "есть сделки на одном этапе уже 1 день или дольше",
        ),
        (
            {"kind": "tasks", "compare": ONE, "where": {"planned": "P2D"}},
            "есть задачи (поставлены за последние 2 дня)",
        ),
        (
            {"kind": "date", "field": "registered", "yearly": True, "test": {"op": "passed"}},
            "годовщина регистрации: в этом году позади",
        ),
        (
            {"kind": "date", "field": "birth_date", "yearly": True,
             "test": {"op": "next", "within": "P21D"}},
            "день рождения в ближайшие 21 день, считая сегодня",
        ),
        (
            {"kind": "age", "test": {"op": "==", "value": 21}},
            "возраст ровно 21 год",
        ),
        (
            {"kind": "attribute", "field": "city", "test": {"op": "begins", "value": "Са"}},
            "город начинается с «Са»",
        ),
    ],
)  # fmt: skip
def test_a_rule_is_said_in_russian(raw: dict[str, Any], said: str) -> None:
    assert sentence(raw) == said
