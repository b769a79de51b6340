"""Connections to Kafka on uvloop: one that has closed is a fault of Kafka, as on any other loop.

Writing to a transport that has closed meanwhile does nothing on asyncio's own loop and raises
`RuntimeError` on uvloop; aiokafka waits for `OSError` alone (aio-libs/aiokafka issue 1038). Its
tasks in the background end by it, and whoever waits for them waits for ever: a broker that is
started again would leave consumers behind that read nothing any more.
"""

from collections.abc import Awaitable
from typing import Any

from aiokafka import conn
from aiokafka.errors import KafkaConnectionError

_Connection: Any = conn.AIOKafkaConnection


class ClosedIsAway(_Connection):  # type: ignore[misc]  # aiokafka is not typed
    """A connection to a broker whose closed transport counts as a broken one."""

    def send(self, request: object, expect_response: bool = True) -> Awaitable[Any]:  # noqa: FBT001, FBT002 - aiokafka's
        """Send a request. Raises `KafkaConnectionError`."""
        try:
            sent: Awaitable[Any] = super().send(request, expect_response)
        except RuntimeError as closed:
            self.close(reason=conn.CloseReason.CONNECTION_BROKEN)
            message = f"Connection at {self.host}:{self.port} has closed"
            raise KafkaConnectionError(message) from closed
        return sent


def mend() -> None:
    """Let every client of this process make such connections."""
    conn.AIOKafkaConnection = ClosedIsAway
