#!/usr/bin/env python3
"""Remove a home folder, and nothing that is not one.

REGULARS_HOME may name any folder by mistake, and what is removed is gone: so only a folder that
carries the marks of a home, and whose owner has stopped, is touched.
"""

import fcntl
import shutil
import sys
from pathlib import Path

LOCK = "lock"
MARKS = {"hmac.key", "master.key", "owner.key", "ports.json"}


def objection(home: Path) -> str | None:
    """Say why the folder must stay, or None when it is a home that nobody uses."""
    if home.is_symlink() or not home.is_dir():
        return "it is no folder"
    if (home / ".git").exists() or Path.cwd().is_relative_to(home.resolve()):
        return "it holds more than a home"
    names = {entry.name for entry in home.iterdir()}
    if LOCK not in names or not (MARKS & names or names == {LOCK}):
        return "it does not look like a home of Regulars (no lock file, or no keys and ports)"
    with (home / LOCK).open() as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return f"it is in use by process {lock.read().strip() or '?'}; stop that one first"
    return None


def main(home: Path) -> int:
    """Remove the home; exit code 1 when it was left alone."""
    if not home.exists() and not home.is_symlink():
        return 0
    reason = objection(home)
    if reason:
        sys.stderr.write(f"{home} was left alone: {reason}.\n")
        return 1
    shutil.rmtree(home)
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
