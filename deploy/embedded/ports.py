"""Ports of one home: free when first chosen, the same ever after.

They lie below the range from which the kernel takes the local ends of outgoing connections
(32768 and up on Linux, 49152 on macOS). A port inside that range could be lost to any client
while its server restarts, and a client that retries may even connect to itself there.

The caller holds the home's lock, so one process writes `ports.json` at a time.
"""

import errno
import json
import secrets
import socket
import time
from pathlib import Path

from deploy.embedded.errors import EmbeddedError, PortTakenError

LOOPBACK = "127.0.0.1"
FIRST, LAST = 20_000, 31_999


class Ports:
    """The persisted choice of ports, by name of the service that listens."""

    def __init__(self, home: Path) -> None:
        """Read what an earlier run chose, if any."""
        self._path = home / "ports.json"
        self._chosen = self._read()

    def claim(self, name: str, *, movable: bool, wait_seconds: float = 2.0) -> int:
        """Return the port of `name`, free at this moment.

        A port that somebody else uses by now is replaced when it is `movable` (only our own
        processes address it, and they are told each time); otherwise PortTakenError says so.
        `wait_seconds` is for a killed predecessor whose socket is just being closed.
        """
        port = self._chosen.get(name)
        if port is not None and _free_within(port, wait_seconds):
            return port
        if port is not None and not movable:
            raise PortTakenError(self._explain(name, port))
        return self._choose(name)

    def _choose(self, name: str) -> int:
        mine = set(self._chosen.values())
        for _ in range(200):
            port = FIRST + secrets.randbelow(LAST - FIRST + 1)
            if port not in mine and is_free(port):
                self._chosen[name] = port
                self._write()
                return port
        message = f"No free port between {FIRST} and {LAST} on {LOOPBACK} was found for {name}."
        raise EmbeddedError(message)

    def _read(self) -> dict[str, int]:
        try:
            raw = json.loads(self._path.read_text())
        except FileNotFoundError:
            return {}
        except ValueError:
            message = f"{self._path} is not readable JSON. Remove it to have new ports chosen."
            raise EmbeddedError(message) from None
        return {str(name): int(port) for name, port in raw.items()}

    def _write(self) -> None:
        draft = self._path.with_suffix(".tmp")
        draft.write_text(json.dumps(self._chosen, indent=2, sort_keys=True) + "\n")
        draft.replace(self._path)

    def _explain(self, name: str, port: int) -> str:
        return (
            f"Port {port}, the address of {name} in this home, is used by another process. "
            f'End that process, or remove "{name}" from {self._path} to have a new port chosen.'
        )


def is_free(port: int) -> bool:
    """Say whether a server could listen on the port of the loopback address now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As servers do: a port in TIME_WAIT of our own last run is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError as error:
            if error.errno in {errno.EADDRINUSE, errno.EACCES}:
                return False
            raise
        return True


def _free_within(port: int, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not is_free(port):
        if time.monotonic() >= deadline:
            return False
        time.sleep(0.05)
    return True
