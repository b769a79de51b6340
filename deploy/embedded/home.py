"""The home folder: one owner at a time, and the secrets that live in it.

Kafka's and MongoDB's files bear one process each; two stacks on one home would corrupt it or
fight over ports. So a home is locked by `flock` for as long as its owner *or any child of it*
lives: children inherit the descriptor, and a next start after a kill -9 waits for the last of
them instead of meeting its files half released.
"""

import base64
import fcntl
import os
import secrets
import time
from pathlib import Path
from typing import Self

from deploy.embedded.errors import HomeLockedError

KEY_BYTES = 32
KEY_FILES = ("master.key", "hmac.key")
# A killed owner stays listed until its parent has noticed; one that lives will not go so soon.
OWNER_SECONDS = 1.0


class HomeLock:
    """Exclusive ownership of a home folder, as a context manager.

    A home whose owner lives is refused within a second. When it is gone but a child of it still
    holds the lock, `wait_seconds` is how long to wait for that one's end: the kernel is at it.
    Raises HomeLockedError.
    """

    def __init__(self, home: Path, wait_seconds: float = 20.0) -> None:
        """Name the home; nothing is touched before `acquire`."""
        self.home = home
        self._wait_seconds = wait_seconds
        self._descriptor: int | None = None

    @property
    def descriptor(self) -> int:
        """The locked file descriptor, for children to inherit."""
        if self._descriptor is None:
            message = "the home is not locked yet"
            raise RuntimeError(message)
        return self._descriptor

    def acquire(self) -> Self:
        """Lock the home, creating it (mode 0700) when it does not exist."""
        self.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self.home / "lock"
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        began = time.monotonic()
        while not _try_lock(descriptor):
            owner = path.read_text().strip()
            patience = OWNER_SECONDS if _is_alive(owner) else self._wait_seconds
            if time.monotonic() - began >= patience:
                os.close(descriptor)
                raise HomeLockedError(self._explain(owner))
            time.sleep(0.05)
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode())
        self._descriptor = descriptor
        return self

    def release(self) -> None:
        """Give the home up; safe to call twice."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _explain(self, owner: str) -> str:
        by = f" (process {owner})" if owner else ""
        return (
            f"The home folder {self.home} is in use by another `up`, `demo` or test run{by}. "
            "Stop that one first, or name another folder with REGULARS_HOME."
        )

    def __enter__(self) -> Self:
        """Lock."""
        return self.acquire()

    def __exit__(self, *_: object) -> None:
        """Unlock."""
        self.release()


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_alive(owner: str) -> bool:
    """Whether a process of that id exists; a file still empty says nothing yet."""
    try:
        os.kill(int(owner), 0)
    except (ProcessLookupError, ValueError):
        return False
    except PermissionError:
        return True
    return True


def ensure_keys(home: Path) -> dict[str, Path]:
    """Create the chain's secrets when they are missing; return file name → path.

    `master.key` wraps the customers' keys, `hmac.key` hashes identifiers. Each is 32 random
    bytes in base64, mode 0600, complete from the moment that its name exists, and never
    replaced: data written under a lost key is unreadable for good.
    """
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    paths = {name: home / name for name in KEY_FILES}
    for path in paths.values():
        if not path.exists():
            _create_once(path, base64.b64encode(secrets.token_bytes(KEY_BYTES)) + b"\n")
    return paths


def _create_once(path: Path, content: bytes) -> None:
    """Write a private file that appears whole; whoever came first is kept."""
    draft = path.with_name(f"{path.name}.{secrets.token_hex(4)}.tmp")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(draft, path)
        except FileExistsError:
            return
    finally:
        draft.unlink(missing_ok=True)
