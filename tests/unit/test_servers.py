"""Where tests get their servers: what the environment names is taken, and nothing is started."""

import time
from pathlib import Path

import pytest

from shared.testing import MongoSpace, servers_for_tests, unique_prefix
from shared.testing.servers import DOCKER_SECONDS, KAFKA_SETTING, MONGO_SETTING, docker_answers


def test_servers_named_by_the_environment_are_taken_as_they_are() -> None:
    environment = {KAFKA_SETTING: "kafka:9092", MONGO_SETTING: "mongodb://mongo:27017"}
    with servers_for_tests(environment) as servers:
        assert servers.kafka_url == "kafka:9092"
        assert servers.mongo_url == "mongodb://mongo:27017"
        assert servers.embedded is None


@pytest.mark.parametrize(
    ("script", "answer"),
    [("exit 0", True), ("echo Cannot connect to the Docker daemon >&2; exit 1", False)],
)
def test_a_docker_client_counts_only_when_its_engine_answers(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    script: str,
    answer: bool,  # noqa: FBT001 - a parameter of the case
) -> None:
    client(tmp_path, script)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert docker_answers() is answer


def test_an_engine_that_hangs_does_not_keep_tests_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client(tmp_path, "exec sleep 60")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    begun = time.monotonic()
    assert docker_answers() is False
    assert time.monotonic() - begun < DOCKER_SECONDS + 5


def test_without_a_docker_client_there_is_no_engine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert docker_answers() is False


def client(folder: Path, script: str) -> None:
    path = folder / "docker"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def test_prefixes_differ_and_fit_the_names_of_databases_and_topics() -> None:
    prefixes = [unique_prefix() for _ in range(100)]
    assert len(set(prefixes)) == 100
    # MongoDB takes 63 bytes, the longest of our names is `interaction`.
    assert all(len(prefix) <= 63 - len("interaction") for prefix in prefixes)
    assert all(prefix.replace("-", "").isalnum() for prefix in prefixes)


def test_each_test_has_databases_of_its_own() -> None:
    first, second = MongoSpace("mongodb://mongo:27017"), MongoSpace("mongodb://mongo:27017")
    names = {space.database(name).name for space in (first, second) for name in ("a", "b")}
    assert len(names) == 4
    assert first.database("a").name == f"{first.prefix}a"
    first.close()
    second.close()
