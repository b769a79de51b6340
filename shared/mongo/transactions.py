"""Transactions that leave nothing open behind them, however they end.

What a forgotten transaction has written stays locked on the server for a minute, and everybody
who needs those documents waits. Drivers abort a transaction whose body fails, but not where the
deadline around it has passed (the abort has no time left either), nor where the awaiting task was
cancelled (their thread goes on). So the work runs in a task that cancellation does not reach, ends
with the deadline around it, and is aborted beyond that deadline.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from contextvars import Context

from pymongo import timeout
from pymongo.errors import InvalidOperation, PyMongoError

from shared.mongo.connection import Database, Session, session_of, translated

ABORT_SECONDS = 5.0
TRIES = 50
"""Of a transaction that met another one; the deadline around it usually comes first."""
LONGEST_REST_SECONDS = 0.05

Work = Callable[[Session], Awaitable[None]]


async def transact(database: Database, work: Work) -> None:
    """Do the work in one transaction, again while another one is in its way.

    Raises what the work raises, and `StoreUnavailable`; then nothing of it stays, unless the answer
    to the commit itself is missing. A cancelled caller is kept until the driver is done, which the
    deadline around bounds.
    """
    doing = asyncio.ensure_future(_do(database, work))
    try:
        await asyncio.shield(doing)
    except asyncio.CancelledError:
        await asyncio.gather(doing, return_exceptions=True)
        raise


async def _do(database: Database, work: Work) -> None:
    async with session_of(database) as session:
        with translated():
            for number in range(1, TRIES + 1):
                try:
                    await _try(session, work)
                except PyMongoError as failure:
                    if number == TRIES or not failure.has_error_label("TransientTransactionError"):
                        raise
                    await asyncio.sleep(min(0.002 * number, LONGEST_REST_SECONDS))
                else:
                    return


async def _try(session: Session, work: Work) -> None:
    session.start_transaction()
    try:
        await work(session)
        await _commit(session)
    except BaseException:
        # In a context without the deadline that may just have ended the work.
        abort = asyncio.create_task(_abort(session), context=Context())
        await asyncio.shield(abort)
        raise


async def _commit(session: Session) -> None:
    """Commit; asked again, a server that has committed says so."""
    for number in range(1, TRIES + 1):
        try:
            await session.commit_transaction()
        except PyMongoError as failure:
            unknown = failure.has_error_label("UnknownTransactionCommitResult")
            if number == TRIES or not unknown or failure.timeout:
                raise
        else:
            return


async def _abort(session: Session) -> None:
    # Refused where it has not begun, or has ended in a commit.
    with timeout(ABORT_SECONDS), suppress(InvalidOperation):
        await session.abort_transaction()
