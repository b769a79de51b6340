"""The pinned files of Apache Kafka: fetched once, checked at every start.

`kafka.lock.json` names each jar by its Maven coordinates and sha256, without host or path, so
that it says the same on every machine and behind every mirror. No file is put on a class path
unless its content is the pinned one; a file that changed on disk is fetched again.

`python -m deploy.embedded.artifacts --update` resolves the roots anew and rewrites the lock.
"""

import argparse
import fcntl
import hashlib
import json
import logging
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from deploy.embedded.errors import ArtifactMissingError, ArtifactRefusedError

if TYPE_CHECKING:
    from jgo.maven import MavenContext

LOCK_FILE = Path(__file__).with_name("kafka.lock.json")
# slf4j-simple: Kafka's own dependencies hold no logger behind slf4j, it would run in silence.
ROOTS = ("org.apache.kafka:kafka_2.13:4.3.1", "org.slf4j:slf4j-simple:1.7.36")
DOWNLOADS_AT_ONCE = 8
TIMEOUT_SECONDS = 20
ATTEMPTS = 3
log = logging.getLogger("regulars.embedded")


@dataclass(frozen=True, slots=True, order=True)
class Jar:
    """One pinned file: Maven coordinates and the hex sha256 of its content."""

    group: str
    artifact: str
    version: str
    classifier: str
    sha256: str

    @property
    def coordinate(self) -> str:
        """The name that a person would search for."""
        parts = (self.group, self.artifact, self.version, self.classifier)
        return ":".join(part for part in parts if part)

    def below(self, repository: Path) -> Path:
        """Where the file lies in a folder of Maven's layout."""
        suffix = f"-{self.classifier}" if self.classifier else ""
        name = f"{self.artifact}-{self.version}{suffix}.jar"
        return repository.joinpath(*self.group.split("."), self.artifact, self.version, name)


def cache_folder(environment: Mapping[str, str] = os.environ) -> Path:
    """The folder for files that all homes of a user share.

    REGULARS_CACHE, else `regulars` in the user's cache folder. Not ~/.m2: a file there that
    differs from the lock may be right for somebody else, and is not ours to replace.
    """
    if chosen := environment.get("REGULARS_CACHE"):
        return Path(chosen).absolute()
    base = environment.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "regulars"


def read_lock(path: Path = LOCK_FILE) -> tuple[Jar, ...]:
    """The pinned files, in the order of the lock, which is that of the class path."""
    entries = json.loads(path.read_text())
    return tuple(Jar(**{"classifier": "", **entry}) for entry in entries)


def ensure_jars(cache: Path | None = None, lock: Path = LOCK_FILE) -> tuple[Path, ...]:
    """Return the path of every pinned file, each with the pinned content.

    Without network and in some 50 ms when all are there. Else the missing and the changed are
    fetched, by one process at a time. Raises ArtifactMissingError or ArtifactRefusedError.
    """
    folder = cache if cache is not None else cache_folder()
    repository = folder / "maven"
    jars = read_lock(lock)
    if _lacking(jars, repository):
        folder.mkdir(parents=True, exist_ok=True)
        with _one_at_a_time(folder / "lock"):
            _fetch(_lacking(jars, repository), repository)
    return tuple(jar.below(repository) for jar in jars)


def _lacking(jars: Sequence[Jar], repository: Path) -> list[Jar]:
    with ThreadPoolExecutor(DOWNLOADS_AT_ONCE) as pool:
        sums = pool.map(lambda jar: _sha256(jar.below(repository)), jars)
        return [jar for jar, found in zip(jars, sums, strict=True) if found != jar.sha256]


def _sha256(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return None


@contextmanager
def _one_at_a_time(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _fetch(jars: Sequence[Jar], repository: Path) -> None:
    """Fetch into a folder of its own, check, and only then move into the repository."""
    if not jars:
        return
    log.warning("Fetching Kafka, %d files from Maven's repository, this once", len(jars))
    repository.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(dir=repository.parent, prefix="incoming-") as name,
        ThreadPoolExecutor(DOWNLOADS_AT_ONCE) as pool,
    ):
        incoming = Path(name)
        context = _context(incoming)
        for jar, path in zip(jars, pool.map(lambda j: _download(context, j), jars), strict=True):
            found = _sha256(path)
            if found != jar.sha256:
                message = (
                    f"{jar.coordinate} was refused: the repository sent a file with sha256 "
                    f"{found}, the lock {LOCK_FILE.name} pins {jar.sha256}. Nothing of it was "
                    "run. A proxy or mirror that alters files is the usual reason."
                )
                raise ArtifactRefusedError(message)
            target = jar.below(repository)
            target.parent.mkdir(parents=True, exist_ok=True)
            path.replace(target)


def _context(repository: Path) -> "MavenContext":
    # Here, not above: jgo and requests take a third of a second that a warm start need not pay.
    from jgo.maven import MavenContext, PythonResolver

    mirror = os.environ.get("REGULARS_MAVEN_URL")
    return MavenContext(
        resolver=PythonResolver(),
        repo_cache=repository,
        remote_repos={"mirror": mirror.rstrip("/")} if mirror else None,
        timeout=TIMEOUT_SECONDS,
    )


def _download(context: "MavenContext", jar: Jar) -> Path:
    component = context.project(jar.group, jar.artifact).at_version(jar.version)
    artifact = component.artifact(jar.classifier)
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return Path(artifact.resolve())
        except (OSError, RuntimeError) as error:  # requests' errors are OSErrors
            # jgo writes in place: what a cut connection leaves would pass for the file.
            jar.below(context.repo_cache).unlink(missing_ok=True)
            if attempt == ATTEMPTS:
                message = (
                    f"{jar.coordinate} could not be downloaded ({error}). Kafka's 45 MB are "
                    "fetched once from Maven Central. Check the network; behind a proxy set "
                    "HTTPS_PROXY, for a mirror REGULARS_MAVEN_URL, or set REGULARS_KAFKA_URL "
                    "to a broker that runs already."
                )
                raise ArtifactMissingError(message) from error
    raise AssertionError


def resolve_roots() -> list[Jar]:
    """Resolve the roots and all they need at run time, over the network; hash what came."""
    with tempfile.TemporaryDirectory() as name:
        context = _context(Path(name))
        roots = [context.create_dependency(root) for root in ROOTS]
        direct, transitive = context.resolver.resolve(roots)
        jars = set()
        for dependency in (*direct, *transitive):
            path = dependency.artifact.resolve()
            jars.add(
                Jar(
                    dependency.groupId,
                    dependency.artifactId,
                    dependency.version,
                    dependency.classifier,
                    _sha256(path) or "",
                )
            )
        return sorted(jars)


def write_lock(jars: Sequence[Jar], path: Path = LOCK_FILE) -> None:
    """Write the lock so that a change of one file is a change of one entry."""
    entries = [{k: v for k, v in asdict(jar).items() if v} for jar in jars]
    draft = path.with_suffix(".tmp")
    draft.write_text(json.dumps(entries, indent=1) + "\n")
    draft.replace(path)


def run(arguments: Sequence[str]) -> int:
    """Fetch what the lock pins, or with --update rewrite the lock; 0 when all is there."""
    parser = argparse.ArgumentParser(prog="python -m deploy.embedded.artifacts")
    parser.add_argument("--update", action="store_true", help="resolve anew, rewrite the lock")
    if parser.parse_args(arguments).update:
        write_lock(resolve_roots())
    try:
        paths = ensure_jars()
    except (ArtifactMissingError, ArtifactRefusedError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    size = sum(path.stat().st_size for path in paths)
    sys.stdout.write(f"{len(paths)} files, {size / 1e6:.0f} MB, all as pinned\n")
    return 0


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
