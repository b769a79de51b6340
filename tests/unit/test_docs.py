"""The documents say what is so: commands, files, links, settings and metrics that they name exist.

What a snippet of the README does is shown by tests/e2e/test_readme.py; here nothing is started.
"""

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client import Counter, Gauge, Histogram
from typer.testing import CliRunner

from deploy.cli import app
from services.segment.engine.stepping import HORIZON
from services.segment.rules.reading import parse_rule
from shared import telemetry

REPOSITORY = Path(__file__).resolve().parents[2]
ARCHITECTURE = sorted((REPOSITORY / "docs" / "architecture").glob("*.md"))
PAGES = [page for page in ARCHITECTURE if page.name != "README.md"]
DECISIONS = sorted((REPOSITORY / "docs" / "decisions").glob("*.md"))
README = REPOSITORY / "README.md"
DOCUMENTS = [README, REPOSITORY / "CHANGELOG.md", *ARCHITECTURE, *DECISIONS]
TOP = {path.name for path in REPOSITORY.iterdir()} - {".regulars"}
LONGEST_PAGE = 100
"""Lines: two screens."""
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"\]\(([^)\s]+)\)")
SETTING = re.compile(r"\bREGULARS_[A-Z_]+[A-Z]\b")


def name_of(path: Path) -> str:
    return str(path.relative_to(REPOSITORY))


each_document = pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
each_page = pytest.mark.parametrize("page", PAGES, ids=name_of)
each_decision = pytest.mark.parametrize("decision", DECISIONS, ids=name_of)


def blocks(document: Path, language: str) -> list[str]:
    """The fenced blocks of a language."""
    found = FENCE.findall(document.read_text(encoding="utf-8"))
    return [text for kind, text in found if kind == language]


def commands(document: Path) -> Iterator[list[str]]:
    """Every command line that a document shows, in a block or between backticks, in words."""
    lines = [line for block in blocks(document, "sh") for line in block.splitlines()]
    prose = FENCE.sub("", document.read_text(encoding="utf-8"))
    for line in [*lines, *CODE.findall(prose)]:
        try:
            words = shlex.split(line)
        except ValueError:
            continue  # a line of a longer quotation
        if words:
            yield words


def source() -> str:
    """All that could read a setting."""
    files = [
        *(path for folder in ("deploy", "services", "shared") for path in code(folder)),
        *(REPOSITORY / name for name in ("Makefile", "docker-compose.yml", ".ci/install")),
    ]
    return "\n".join(path.read_text(encoding="utf-8") for path in files)


def code(folder: str) -> list[Path]:
    return sorted((REPOSITORY / folder).rglob("*.py"))


def names_a_file(text: str) -> bool:
    """Whether a text between backticks is a path below the repository: `shared/access.py`."""
    return "/" in text and text.partition("/")[0] in TOP and " " not in text and "*" not in text


@each_document
def test_every_make_target_that_is_named_exists(document: Path) -> None:
    makefile = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    named = {
        word
        for words in commands(document)
        if words[0] == "make"
        for word in words[1:]
        if re.fullmatch(r"[a-z-]+", word) and not word.startswith("-")
    }
    assert named - targets == set()


@each_document
def test_every_command_and_option_that_is_named_is_in_its_help(document: Path) -> None:
    missing = []
    for program, *words in commands(document):
        if program.rpartition("/")[2] != "regulars":
            continue
        spoken = [word for word in words if re.fullmatch(r"[a-z]+", word)]
        answer = CliRunner().invoke(app, [*spoken[:2], "--help"], terminal_width=200)
        if answer.exit_code != 0:
            answer = CliRunner().invoke(app, [*spoken[:1], "--help"], terminal_width=200)
        options = [word for word in words if word.startswith("--")]
        if answer.exit_code != 0 or any(option not in answer.output for option in options):
            missing.append(shlex.join([program, *words]))
    assert missing == []


@each_document
def test_every_file_that_is_named_exists(document: Path) -> None:
    prose = FENCE.sub("", document.read_text(encoding="utf-8"))
    named = {text for text in CODE.findall(prose) if names_a_file(text)}
    assert {text for text in named if not (REPOSITORY / text).exists()} == set()


@each_document
def test_every_relative_link_leads_somewhere(document: Path) -> None:
    prose = FENCE.sub("", document.read_text(encoding="utf-8"))
    links = [link for link in LINK.findall(prose) if not link.startswith("https://")]
    broken = [link for link in links if not (document.parent / link.partition("#")[0]).exists()]
    assert broken == []


@each_document
def test_every_setting_that_is_named_is_read_somewhere(document: Path) -> None:
    known = set(SETTING.findall(source()))
    # Fields of settings are read under their names with the prefix.
    known |= {
        f"REGULARS_{field.upper()}"
        for field in re.findall(r"^    ([a-z_]+): ", source(), re.MULTILINE)
    }
    if document == README:
        known |= set(SETTING.findall((REPOSITORY / "shared/testing/servers.py").read_text("utf-8")))
    named = set(SETTING.findall(document.read_text(encoding="utf-8")))
    assert named - known == set()


@each_page
def test_a_page_begins_with_what_holds_then_says_how_then_how_to_change_it(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    title, _, rest = text.partition("\n\n")
    assert re.fullmatch(r"# [A-Z].*", title)
    assert rest.startswith("**What holds.** ")
    assert 0 < rest.find("\n## How\n") < rest.find("\n## When changing it\n")
    assert len(text.splitlines()) <= LONGEST_PAGE


def test_the_index_of_the_architecture_lists_every_page() -> None:
    index = (REPOSITORY / "docs" / "architecture" / "README.md").read_text(encoding="utf-8")
    assert sorted(LINK.findall(index)) == sorted(["../decisions", *(page.name for page in PAGES)])


def test_decisions_are_numbered_without_gaps() -> None:
    numbers = [decision.name[:4] for decision in DECISIONS]
    assert numbers == [f"{number:04}" for number in range(1, len(DECISIONS) + 1)]


@each_decision
def test_a_decision_has_its_number_and_the_four_headings(decision: Path) -> None:
    text = decision.read_text(encoding="utf-8")
    assert text.startswith(f"# {decision.name[:4]} ")
    headings = ["Context.", "Choice.", "Consequence.", "Revisit when"]
    assert re.findall(r"^\*\*([^*]+)\*\*", text, re.MULTILINE) == headings


def test_the_table_of_metrics_is_that_of_the_code() -> None:
    page = (REPOSITORY / "docs" / "architecture" / "telemetry.md").read_text(encoding="utf-8")
    shown = re.findall(r"^\| `(regulars_\w+)` \| (.*?) \| (.*) \|$", page, re.MULTILINE)
    real = [
        (
            family.name + ("_total" if isinstance(metric, Counter) else ""),
            ", ".join(f"`{label}`" for label in metric._labelnames),  # noqa: SLF001 - told nowhere else
            family.documentation,
        )
        for metric in vars(telemetry).values()
        if isinstance(metric, Counter | Gauge | Histogram)
        for family in metric.describe()
    ]
    assert sorted(shown) == sorted(real)


def test_the_rule_of_the_segments_page_and_that_of_the_readme_are_rules() -> None:
    (shown,) = blocks(REPOSITORY / "docs" / "architecture" / "rules.md", "json")
    (sent,) = re.findall(r"segments/\S+ -d '(\{.*?\n\})'", README.read_text("utf-8"), re.DOTALL)
    for raw in (json.loads(shown), json.loads(sent)["rule"]):
        parse_rule(raw, HORIZON.days * 24 * 60 * 60 * 1000)


def test_the_readme_names_the_read_models_that_each_service_keeps() -> None:
    row = re.compile(r"^\| \[(\w+)\]\(services/\w+\) \|.*\| ([^|]+) \|$", re.MULTILINE)
    table = row.findall(README.read_text(encoding="utf-8"))
    kept = {
        folder.name: {
            name
            for path in folder.rglob("*.py")
            for name in re.findall(r'name="(\w+)_v\d+"', path.read_text(encoding="utf-8"))
        }
        for folder in sorted((REPOSITORY / "services").iterdir())
        if (folder / "main.py").exists()
    }
    assert {service: set(CODE.findall(models)) for service, models in table} == kept
