"""Which MongoDB-compatible server a home gets, and that it keeps it."""

import sys
from pathlib import Path

import pytest

from deploy.embedded import mongo
from deploy.embedded.errors import EmbeddedError, MongoMissingError
from deploy.embedded.mongo import MongoSettings, choose, find
from deploy.embedded.ports import Ports
from deploy.embedded.stack import StackSettings
from deploy.embedded.supervisor import Child, Supervisor


class Machine:
    """A PATH of its own, on which programs appear and vanish."""

    def __init__(self, programs: Path) -> None:
        self.programs = programs
        programs.mkdir()

    def install(self, program: str, version: str) -> None:
        path = self.programs / program
        path.write_text(f"#!/bin/sh\necho {program} {version}\n")
        path.chmod(0o755)

    def remove(self, program: str) -> None:
        (self.programs / program).unlink()


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Machine:
    machine = Machine(tmp_path / "programs")
    monkeypatch.setenv("PATH", str(machine.programs))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "elsewhere" / "python"))
    return machine


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "mongo"
    folder.mkdir()
    return folder


def test_mongod_comes_first_then_rust_then_the_wheel(machine: Machine, tmp_path: Path) -> None:
    kinds = []
    for number, program in enumerate(["", "secantusd-rs", "mongod"]):
        if program:
            machine.install(program, "1.2.3")
        folder = tmp_path / str(number)
        folder.mkdir()
        kinds.append(choose(folder).kind)
    assert kinds == ["wheel", "rust", "mongod"]


def test_a_server_is_named_with_its_version(machine: Machine) -> None:
    machine.install("secantusd-rs", "0.5.3")
    found = find("rust")
    assert found is not None
    assert found.name == "secantusd-rs 0.5.3"


def test_a_home_stays_with_the_server_that_it_was_begun_with(machine: Machine, data: Path) -> None:
    assert choose(data).kind == "wheel"
    machine.install("mongod", "8.0")
    assert choose(data).kind == "wheel"


def test_a_server_that_vanished_is_not_silently_replaced(machine: Machine, data: Path) -> None:
    machine.install("secantusd-rs", "0.5.3")
    assert choose(data).kind == "rust"
    machine.remove("secantusd-rs")
    with pytest.raises(MongoMissingError, match="begun with it") as caught:
        choose(data)
    assert "REGULARS_MONGO_SERVER=wheel" in str(caught.value)
    assert choose(data, "wheel").kind == "wheel"


@pytest.mark.usefixtures("machine")
def test_a_forced_server_that_is_missing_says_so(data: Path) -> None:
    with pytest.raises(MongoMissingError, match=r"mongod is not on PATH\. REGULARS_MONGO_SERVER"):
        choose(data, "mongod")


def test_files_of_another_family_are_not_shadowed(machine: Machine, data: Path) -> None:
    assert choose(data).kind == "wheel"
    machine.install("mongod", "8.0")
    with pytest.raises(MongoMissingError, match="cannot read"):
        choose(data, "mongod")


@pytest.mark.usefixtures("machine")
def test_no_server_at_all_says_what_can_be_done(
    monkeypatch: pytest.MonkeyPatch, data: Path
) -> None:
    monkeypatch.setattr(mongo, "find", lambda _kind: None)
    with pytest.raises(MongoMissingError) as caught:
        choose(data)
    for word in ("pre-releases", "make fast-mongo", "REGULARS_MONGO_URL"):
        assert word in str(caught.value)


def test_the_setting_is_read_from_the_environment() -> None:
    settings = StackSettings.from_environment({"REGULARS_MONGO_SERVER": "rust"})
    assert settings.database.server == "rust"
    assert StackSettings.from_environment({}).database.server is None
    with pytest.raises(EmbeddedError, match="mongod, rust, wheel"):
        StackSettings.from_environment({"REGULARS_MONGO_SERVER": "postgres"})


async def test_mongod_lets_go_of_a_dead_process_within_seconds(
    machine: Machine, tmp_path: Path
) -> None:
    machine.install("mongod", "8.0")
    commands: list[tuple[str, ...]] = []

    class Watching(Supervisor):
        async def start(self, child: Child) -> None:
            commands.append(tuple(child.command))

    await mongo.start(Watching(tmp_path), tmp_path, Ports(tmp_path), MongoSettings())
    (command,) = commands
    place = command.index("--setParameter")
    assert command[place + 1] == "transactionLifetimeLimitSeconds=10"


@pytest.mark.parametrize(
    ("gibibytes", "megabytes"), [(2, 512), (4, 512), (8, 1_024), (24, 3_072), (64, 4_096)]
)
def test_the_cache_is_an_eighth_of_the_memory_within_bounds(gibibytes: int, megabytes: int) -> None:
    assert mongo.cache_for(gibibytes * 1024**3) == megabytes


def test_memory_is_what_a_container_may_have(tmp_path: Path) -> None:
    limit = tmp_path / "memory.max"
    machine = mongo.memory_bytes(limit)
    limit.write_text("max\n")
    assert mongo.memory_bytes(limit) == machine > 1024**2
    limit.write_text("1048576\n")
    assert mongo.memory_bytes(limit) == 1024**2
