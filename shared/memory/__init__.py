"""The in-memory twins of what `shared.mongo` does: equals of the real ones.

tests/contract runs one suite over both. They serve unit tests and are the specification in its
shortest form; nothing of them survives the process.
"""

from shared.memory.access import MemoryApiKeys, MemoryKeyStore
from shared.memory.dead_letters import MemoryDeadLetters
from shared.memory.documents import MemoryDocuments
from shared.memory.events import MemoryEventStore
from shared.memory.expiring import MemoryExpiring
from shared.memory.files import MemoryFiles
from shared.memory.jobs import MemoryJobs
from shared.memory.leases import MemoryLeases
from shared.memory.outbox import MemoryOutbox
from shared.memory.parking import MemoryParking
from shared.memory.reveals import MemoryReveals
from shared.memory.waiting import MemoryWaitingPlace

__all__ = [
    "MemoryApiKeys",
    "MemoryDeadLetters",
    "MemoryDocuments",
    "MemoryEventStore",
    "MemoryExpiring",
    "MemoryFiles",
    "MemoryJobs",
    "MemoryKeyStore",
    "MemoryLeases",
    "MemoryOutbox",
    "MemoryParking",
    "MemoryReveals",
    "MemoryWaitingPlace",
]
