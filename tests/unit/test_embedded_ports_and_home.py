"""A home keeps its ports and secrets, and belongs to one process at a time."""

import base64
import json
import os
import socket
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from deploy.embedded.errors import EmbeddedError, HomeLockedError, PortTakenError
from deploy.embedded.home import HomeLock, ensure_keys
from deploy.embedded.ports import FIRST, LAST, LOOPBACK, Ports


def occupy(port: int) -> socket.socket:
    somebody = socket.create_server((LOOPBACK, port))
    somebody.listen()
    return somebody


def test_a_port_is_the_same_in_the_next_run(tmp_path: Path) -> None:
    first = Ports(tmp_path).claim("kafka", movable=True)
    assert Ports(tmp_path).claim("kafka", movable=True) == first


def test_ports_of_one_home_differ_and_lie_below_the_kernels_own_range(tmp_path: Path) -> None:
    ports = Ports(tmp_path)
    chosen = [ports.claim(f"service-{n}", movable=True) for n in range(50)]
    assert len(set(chosen)) == 50
    assert all(FIRST <= port <= LAST < 32_768 for port in chosen)


def test_a_movable_port_that_somebody_took_is_replaced(tmp_path: Path) -> None:
    first = Ports(tmp_path).claim("kafka", movable=True)
    with occupy(first):
        second = Ports(tmp_path).claim("kafka", movable=True, wait_seconds=0)
    assert second != first
    assert json.loads((tmp_path / "ports.json").read_text()) == {"kafka": second}


def test_an_address_that_people_know_is_not_moved_behind_their_back(tmp_path: Path) -> None:
    port = Ports(tmp_path).claim("mail-page", movable=False)
    with occupy(port), pytest.raises(PortTakenError) as caught:
        Ports(tmp_path).claim("mail-page", movable=False, wait_seconds=0)
    assert str(port) in str(caught.value)
    assert "ports.json" in str(caught.value)


def test_a_damaged_ports_file_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "ports.json").write_text("{")
    with pytest.raises(EmbeddedError, match="Remove it"):
        Ports(tmp_path)


def test_keys_are_private_random_and_never_replaced(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: ensure_keys(home), range(4)))
    paths = ensure_keys(home)
    assert set(paths) == {"master.key", "hmac.key"}
    contents = {path.read_bytes() for path in paths.values()}
    assert len(contents) == 2
    for path in paths.values():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert len(base64.b64decode(path.read_bytes(), validate=False)) == 32
    assert {path.read_bytes() for path in ensure_keys(home).values()} == contents
    assert sorted(path.name for path in home.iterdir()) == ["hmac.key", "master.key"]


def test_a_home_in_use_is_refused_with_a_clear_word(tmp_path: Path) -> None:
    with HomeLock(tmp_path), pytest.raises(HomeLockedError) as caught:
        HomeLock(tmp_path).acquire()
    assert f"process {os.getpid()}" in str(caught.value)
    assert "REGULARS_HOME" in str(caught.value)


def test_a_home_is_free_again_after_its_owner(tmp_path: Path) -> None:
    with HomeLock(tmp_path):
        pass
    with HomeLock(tmp_path):
        assert stat.S_IMODE((tmp_path / "lock").stat().st_mode) == 0o600


def test_a_home_stays_locked_while_a_child_of_a_dead_owner_lives(tmp_path: Path) -> None:
    lock = HomeLock(tmp_path).acquire()
    child = subprocess.Popen(
        [sys.executable, "-c", "input()"], stdin=subprocess.PIPE, pass_fds=[lock.descriptor]
    )
    lock.release()
    (tmp_path / "lock").write_text("")  # as if the owner were no process any more
    with pytest.raises(HomeLockedError):
        HomeLock(tmp_path, wait_seconds=0.2).acquire()
    child.communicate(b"\n")
    HomeLock(tmp_path, wait_seconds=0.2).acquire().release()
