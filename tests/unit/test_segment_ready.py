"""Ready segments: every one is a rule, and is said in both languages."""

from pathlib import Path

import pytest

import services.segment
from services.segment.engine.stepping import HORIZON
from services.segment.rules.reading import parse_rule
from services.segment.rules.ready import READY, Ready
from services.segment.rules.sentences.tree import describe
from shared.wording import Languages, read_catalogue

LOCALES = Path(services.segment.__file__).parent / "locales"
ENGLISH = Languages().wording("en")


@pytest.mark.parametrize("ready", READY, ids=lambda ready: ready.name)
def test_a_ready_segment_can_be_defined_as_it_is(ready: Ready) -> None:
    rule = parse_rule(dict(ready.rule), int(HORIZON.total_seconds() * 1000))
    assert describe(rule, ENGLISH)


def test_titles_are_in_the_catalogue() -> None:
    russian = read_catalogue(LOCALES / "ru.po")
    there = {message.id for message in russian if message.string}
    assert {ready.title for ready in READY} <= there


def test_names_are_those_of_segments_and_there_is_one_of_each() -> None:
    names = [ready.name for ready in READY]
    assert len(set(names)) == len(names)
    assert all(name.replace("-", "").isalnum() and name.islower() for name in names)
