"""What the words of `regulars import` ask for."""

from pathlib import Path

import pytest

from deploy.importing import FACTS, Place, Wanted, wanted
from services.interaction.handlers.importing import SHAPES


def asked(*words: str, revert: str | None = None, resume: str | None = None) -> Wanted:
    return wanted(words, None, revert=revert, resume=resume, dry_run=False)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    found = tmp_path / "receipts"
    found.write_text("x\n")
    return found


def test_a_file_alone_is_of_customers(file: Path) -> None:
    assert asked(str(file)) == asked("customers", str(file)) == Wanted(file)
    assert asked(str(file)).place == Place("customer", "/v1/imports", {})


def test_a_file_may_be_named_like_a_kind(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(file.parent)
    assert asked("receipts") == Wanted(Path("receipts"))
    assert asked("receipts", "receipts") == Wanted(Path("receipts"), what="receipts")


def test_receipts_go_to_the_service_of_facts(file: Path) -> None:
    place = asked("receipts", str(file)).place
    assert place == Place("interaction", "/v1/file-imports", {"facts": "receipts"})
    assert asked("visits", revert="i1") == Wanted(None, what="visits", revert="i1")


@pytest.mark.parametrize(
    ("words", "more", "wrong"),
    [
        ((), {}, "name a file"),
        (("receipts",), {}, "name a file"),
        (("shoes", "a.csv"), {}, "'shoes' is none of customers, receipts"),
        (("nowhere.csv",), {}, "there is no file nowhere.csv"),
        (("nowhere.csv",), {"revert": "i1"}, "name a file"),
        ((), {"revert": "i1", "resume": "i1"}, "name a file"),
    ],
)
def test_what_makes_no_sense_is_refused(
    words: tuple[str, ...], more: dict[str, str], wrong: str
) -> None:
    with pytest.raises(ValueError, match=wrong):
        asked(*words, **more)


def test_the_command_knows_every_kind_of_facts_that_the_service_takes() -> None:
    assert set(FACTS) == set(SHAPES)
