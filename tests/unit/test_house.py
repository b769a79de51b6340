"""The house keeps its own rules: where code is imported from, what files may be called and say.

Nothing else notices these: a foreign package named `shared` would be imported without a word, and
a path of somebody's machine in a lock works until it is somebody else's turn.
"""

import fcntl
import os
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

import deploy
import services
import shared

REPOSITORY = Path(__file__).resolve().parents[2]
LOCKS = ["requirements.lock", "requirements-dev.lock", "requirements-image.lock"]
# In pieces, since this file is searched too.
REGISTRY_HOSTS = [
    "pypi" + ".org",
    "pythonhosted" + ".org",
    "maven.apache" + ".org",
    "maven" + ".org",
    "crates" + ".io",
    "npmjs" + ".org",
    "proxy.golang" + ".org",
]
MACHINE_PATH = re.compile(r"(?<![\w.~:)}-])/(?:work|root|home|Users)(?:/\w|\b(?!/))")
EXEMPTION = re.compile(r"# noqa|# type: ignore|# pragma|# hadolint ignore|# yamllint disable")
REASONED = re.compile(r"#[^#]*(?:noqa: [A-Z0-9, ]+|type: ignore\[[a-z, -]+\])\s*[-–—:#]\s*\w")


def files() -> list[Path]:
    """Every file that git knows or would take."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],  # noqa: S607 - git of whoever runs the tests
        cwd=REPOSITORY,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    paths = [REPOSITORY / name for name in listed.split("\0") if name]
    return [path for path in paths if path.is_file()]


def lines() -> list[tuple[str, str]]:
    """Every line of text with the place where it stands."""
    found = []
    for path in files():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        place = path.relative_to(REPOSITORY)
        found += [(f"{place}:{number}", line) for number, line in enumerate(text.splitlines(), 1)]
    return found


@pytest.mark.parametrize("package", [shared, services, deploy])
def test_the_packages_under_test_are_those_of_this_repository(package: object) -> None:
    assert Path(str(getattr(package, "__file__", None))).is_relative_to(REPOSITORY)


def test_no_other_distribution_brings_a_package_of_our_names() -> None:
    # An editable install is found after site-packages: such a package would win.
    brought = packages_distributions()
    foreign = {
        name: set(brought.get(name, [])) - {"regulars"} for name in ("shared", "services", "deploy")
    }
    assert foreign == {"shared": set(), "services": set(), "deploy": set()}


def test_our_packages_are_found_from_any_folder(tmp_path: Path) -> None:
    where = subprocess.run(
        [sys.executable, "-c", "import shared; print(shared.__file__)"],
        cwd=tmp_path,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()
    assert Path(where) == REPOSITORY / "shared" / "__init__.py"


def test_no_file_names_a_package_registry_or_a_path_of_a_machine() -> None:
    wrong = [
        place
        for place, line in lines()
        if any(host in line for host in REGISTRY_HOSTS) or MACHINE_PATH.search(line)
    ]
    assert wrong == []


@pytest.mark.parametrize(
    ("line", "is_one"),
    [
        ("open('/" + "home/eva/x')", True),
        ("-r /" + "root/lock", True),
        ("at /" + "work", True),
        ("GET https://shop.example/home/offers", False),
        ("mongodb://mongo/work/x", False),
        ("~/work/x", False),
        ("/homepage", False),
    ],
)
def test_a_path_of_a_machine_is_told_from_other_paths(line: str, *, is_one: bool) -> None:
    assert bool(MACHINE_PATH.search(line)) == is_one


def test_names_of_files_say_what_is_in_them() -> None:
    empty_names = {"base", "common", "helper", "helpers", "manager", "misc", "util", "utils"}
    wrong = [
        str(path.relative_to(REPOSITORY))
        for path in files()
        if path.suffix == ".py"
        and (path.name == "service.py" or {path.stem, *path.stem.split("_")} & empty_names)
    ]
    assert wrong == []


def test_no_file_of_the_product_is_longer_than_400_lines() -> None:
    long = [
        f"{path.relative_to(REPOSITORY)}: {count}"
        for path in files()
        if path.suffix == ".py" and not path.is_relative_to(REPOSITORY / "tests")
        if (count := len(path.read_text(encoding="utf-8").splitlines())) > 400
    ]
    assert long == []


def test_every_exemption_from_a_check_has_its_reason_beside_it() -> None:
    unreasoned = [
        place
        for place, line in lines()
        if place.partition(":")[0].endswith(".py")
        and not place.startswith("tests/unit/test_house.py")
        and EXEMPTION.search(line)
        and not REASONED.search(line)
    ]
    assert unreasoned == []


def test_every_exemption_of_ruff_in_the_configuration_has_its_reason() -> None:
    text = (REPOSITORY / "pyproject.toml").read_text(encoding="utf-8")
    begin = text.index("[tool.ruff.lint]")
    section = text[begin : text.index("[tool.ruff.lint.flake8-tidy-imports]")]
    listed = re.findall(r'^    "([A-Z]+[0-9]*)",(.*)$', section, flags=re.MULTILINE)
    assert listed
    assert [code for code, reason in listed if not reason.strip().startswith("# ")] == []


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_holds_pinned_packages_with_hashes_and_nothing_else(name: str) -> None:
    text = (REPOSITORY / name).read_text(encoding="utf-8")
    statements = [
        line
        for line in text.replace("\\\n", "").splitlines()
        if line.strip() and not line.lstrip().startswith("#")
    ]
    assert statements
    pinned = re.compile(r"[a-z0-9-]+==\S+ (?:; .+? )?(?:\s*--hash=sha256:[0-9a-f]{64})+")
    assert [line for line in statements if not pinned.fullmatch(line)] == []


def test_the_locks_agree_on_every_version() -> None:
    pins = [
        set(re.findall(r"^[a-z0-9-]+==\S+", (REPOSITORY / name).read_text("utf-8"), re.MULTILINE))
        for name in LOCKS
    ]
    run, dev, image = pins
    assert image <= run <= dev


def test_the_locks_hold_what_the_project_asks_for() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    asked = {
        "requirements-image.lock": project["dependencies"],
        "requirements.lock": [*project["dependencies"], *extras["embedded"], *extras["demo"]],
        "requirements-dev.lock": [*project["dependencies"], *extras["dev"]],
    }
    missing = [
        (lock, requirement)
        for lock, requirements in asked.items()
        for requirement in requirements
        if f"\n{re.split(r'[^A-Za-z0-9-]', requirement)[0].lower()}=="
        not in (REPOSITORY / lock).read_text(encoding="utf-8")
    ]
    assert missing == []


def clean(home: Path) -> subprocess.CompletedProcess[str]:
    """Run what `make clean` runs."""
    return subprocess.run(
        [sys.executable, REPOSITORY / ".ci" / "clean.py", home],
        cwd=REPOSITORY,
        check=False,
        capture_output=True,
        text=True,
    )


def begun_home(folder: Path) -> Path:
    """Make a folder look like a home that has run."""
    folder.mkdir()
    for name in ("lock", "ports.json", "master.key"):
        (folder / name).touch()
    (folder / "mongo").mkdir()
    return folder


def test_clean_removes_a_home_and_is_content_when_there_is_none(tmp_path: Path) -> None:
    home = begun_home(tmp_path / "home")
    assert clean(home).returncode == 0
    assert not home.exists()
    assert clean(home).returncode == 0


def test_clean_leaves_a_folder_that_is_no_home_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.odt").touch()
    (tmp_path / "lock").touch()
    answer = clean(tmp_path)
    assert (answer.returncode, (tmp_path / "thesis.odt").exists()) == (1, True)
    assert "left alone" in answer.stderr


def test_clean_leaves_a_repository_alone_even_when_a_home_was_begun_in_it(tmp_path: Path) -> None:
    home = begun_home(tmp_path / "clone")
    (home / ".git").mkdir()
    assert clean(home).returncode == 1
    assert (home / "ports.json").exists()


def test_clean_leaves_a_home_in_use_alone(tmp_path: Path) -> None:
    home = begun_home(tmp_path / "home")
    descriptor = os.open(home / "lock", os.O_RDWR)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        answer = clean(home)
    finally:
        os.close(descriptor)
    assert (answer.returncode, home.exists()) == (1, True)
    assert "in use" in answer.stderr
