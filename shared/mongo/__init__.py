"""MongoDB: the only package that imports motor, so that another client is one package's work.

Nothing here relies on what only one server has; `docs/architecture/mongodb.md` lists the traps.
"""

from shared.mongo.access import MongoApiKeys
from shared.mongo.connection import Collection, Database, connect
from shared.mongo.documents import MongoDocuments
from shared.mongo.events import MongoEventStore
from shared.mongo.expiring import MongoExpiring
from shared.mongo.feed import MongoCommitLog, MongoFeed
from shared.mongo.files import MongoFiles
from shared.mongo.jobs import MongoJobs
from shared.mongo.keys import MongoKeyStore
from shared.mongo.leases import MongoLeases
from shared.mongo.outbox import MongoOutbox
from shared.mongo.parking import MongoParking
from shared.mongo.reveals import MongoReveals
from shared.mongo.waiting import MongoWaitingPlace

__all__ = [
    "Collection",
    "Database",
    "MongoApiKeys",
    "MongoCommitLog",
    "MongoDocuments",
    "MongoEventStore",
    "MongoExpiring",
    "MongoFeed",
    "MongoFiles",
    "MongoJobs",
    "MongoKeyStore",
    "MongoLeases",
    "MongoOutbox",
    "MongoParking",
    "MongoReveals",
    "MongoWaitingPlace",
    "connect",
]
