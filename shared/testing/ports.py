"""Ports for the processes that a test starts and has to find again."""

import secrets
import socket

FIRST, LAST = 10_000, 19_999
"""Below those that the kernel gives to the local ends of connections, of which a chain opens
hundreds while a process starts; and below those of the servers that the project starts."""


def free_port() -> int:
    """A port of the loopback address on which nobody listens now."""
    while True:
        port = FIRST + secrets.randbelow(LAST - FIRST + 1)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
