"""Nothing but the pinned bytes reaches Kafka's class path, and the network is asked once."""

import hashlib
import json
import re
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from deploy.embedded.artifacts import LOCK_FILE, Jar, cache_folder, ensure_jars, read_lock
from deploy.embedded.errors import ArtifactMissingError, ArtifactRefusedError

# jgo does not close the response to a download that fails; the collector does.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

ONE = b"the first jar"
TWO = b"the second jar"


class Mirror:
    """A Maven repository of two jars, which counts what is asked of it."""

    def __init__(self) -> None:
        self.files = {
            "/org/example/one/1.0/one-1.0.jar": ONE,
            "/org/example/two/2.0/two-2.0-linux.jar": TWO,
        }
        self.asked: Counter[str] = Counter()
        mirror = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                mirror.asked[self.path] += 1
                content = mirror.files.get(self.path)
                self.send_response(404 if content is None else 200)
                self.send_header("Content-Length", str(len(content or b"")))
                self.end_headers()
                self.wfile.write(content or b"")

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def mirror(monkeypatch: pytest.MonkeyPatch) -> Iterator[Mirror]:
    mirror = Mirror()
    monkeypatch.setenv("REGULARS_MAVEN_URL", mirror.url)
    yield mirror
    mirror.server.shutdown()
    mirror.server.server_close()


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    path = tmp_path / "lock.json"
    entries = [
        {"group": "org.example", "artifact": "one", "version": "1.0", "sha256": sha(ONE)},
        {
            "group": "org.example",
            "artifact": "two",
            "version": "2.0",
            "classifier": "linux",
            "sha256": sha(TWO),
        },
    ]
    path.write_text(json.dumps(entries))
    return path


def sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def test_what_is_missing_is_fetched_and_then_never_again(
    mirror: Mirror, lock: Path, tmp_path: Path
) -> None:
    paths = ensure_jars(tmp_path / "cache", lock)
    assert [path.read_bytes() for path in paths] == [ONE, TWO]
    mirror.asked.clear()
    assert ensure_jars(tmp_path / "cache", lock) == paths
    assert not mirror.asked


def test_a_jar_that_changed_on_disk_is_fetched_again(
    mirror: Mirror, lock: Path, tmp_path: Path
) -> None:
    paths = ensure_jars(tmp_path / "cache", lock)
    paths[0].write_bytes(b"something else")
    mirror.asked.clear()
    assert ensure_jars(tmp_path / "cache", lock)[0].read_bytes() == ONE
    assert {path for path in mirror.asked if path.endswith(".jar")} == {
        "/org/example/one/1.0/one-1.0.jar"
    }


def test_a_repository_that_sends_other_bytes_is_refused(
    mirror: Mirror, lock: Path, tmp_path: Path
) -> None:
    mirror.files["/org/example/one/1.0/one-1.0.jar"] = b"not what was pinned"
    with pytest.raises(ArtifactRefusedError, match=r"org\.example:one:1\.0 was refused"):
        ensure_jars(tmp_path / "cache", lock)
    assert not (tmp_path / "cache/maven/org/example/one/1.0/one-1.0.jar").exists()


def test_a_jar_that_is_nowhere_says_what_to_do(mirror: Mirror, lock: Path, tmp_path: Path) -> None:
    del mirror.files["/org/example/two/2.0/two-2.0-linux.jar"]
    with pytest.raises(ArtifactMissingError) as caught:
        ensure_jars(tmp_path / "cache", lock)
    for word in ("org.example:two:2.0:linux", "HTTPS_PROXY", "REGULARS_KAFKA_URL"):
        assert word in str(caught.value)


def test_no_network_at_all_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, lock: Path, tmp_path: Path
) -> None:
    monkeypatch.setenv("REGULARS_MAVEN_URL", "http://127.0.0.1:9")  # nobody listens there
    with pytest.raises(ArtifactMissingError, match="could not be downloaded"):
        ensure_jars(tmp_path / "cache", lock)


def test_starts_at_the_same_time_fetch_once(mirror: Mirror, lock: Path, tmp_path: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda _: ensure_jars(tmp_path / "cache", lock), range(4)))
    assert len(set(results)) == 1
    jars = {path: times for path, times in mirror.asked.items() if path.endswith(".jar")}
    assert set(jars.values()) == {1}


def test_nothing_half_fetched_stays_behind(mirror: Mirror, lock: Path, tmp_path: Path) -> None:
    ensure_jars(tmp_path / "cache", lock)
    assert mirror.asked
    assert sorted(path.name for path in (tmp_path / "cache").iterdir()) == ["lock", "maven"]


def test_the_committed_lock_pins_kafka_and_names_no_host_and_no_path() -> None:
    jars = read_lock(LOCK_FILE)
    assert list(jars) == sorted(jars)
    assert len({jar.coordinate for jar in jars}) == len(jars)
    assert all(re.fullmatch(r"[0-9a-f]{64}", jar.sha256) for jar in jars)
    assert "org.apache.kafka:kafka_2.13:4.3.1" in {jar.coordinate for jar in jars}
    assert "/" not in LOCK_FILE.read_text()


def test_a_jar_lies_where_maven_would_put_it() -> None:
    jar = Jar("org.example.deep", "thing", "1.2", "linux", "")
    assert jar.below(Path("m2")) == Path("m2/org/example/deep/thing/1.2/thing-1.2-linux.jar")


def test_the_cache_is_the_users_unless_named() -> None:
    assert cache_folder({"REGULARS_CACHE": "/somewhere"}) == Path("/somewhere")
    assert cache_folder({"XDG_CACHE_HOME": "/cache"}) == Path("/cache/regulars")
