"""Commands to commits: load, decide, append, and again where another writer was faster.

One call carries a batch: commands are deduplicated, known ones answer as they did the first time,
heads or histories are read with one query, and each stream gets at most one commit. In the steady
state a batch costs two round trips, known commands and insert, and a third one where streams are
not remembered.
"""

from shared.execute.commands import Command, Done, Outcome
from shared.execute.growth import MAX_COMMIT_BYTES, MAX_EVENT_BYTES
from shared.execute.rounds import ATTEMPTS, FAILURES
from shared.execute.sealing import encode_event
from shared.execute.together import Joint, JointDecider
from shared.execute.writer import Writer

__all__ = [
    "ATTEMPTS",
    "FAILURES",
    "MAX_COMMIT_BYTES",
    "MAX_EVENT_BYTES",
    "Command",
    "Done",
    "Joint",
    "JointDecider",
    "Outcome",
    "Writer",
    "encode_event",
]
