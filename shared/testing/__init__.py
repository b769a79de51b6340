"""What tests stand on: servers, specifications of deciders, and doubles that misbehave on demand.

Nothing of the product imports this package. Fixtures that hand it out are in `tests/conftest.py`.
"""

from shared.testing.chain import LocalChain, client_of, eventually
from shared.testing.doubles import DAY, InterceptedStore, Note, Receive, diary, note, receive
from shared.testing.reading import Log, LoggedRecord, logs_of, read, readings
from shared.testing.servers import (
    MongoSpace,
    Servers,
    drop_databases,
    servers_for_tests,
    unique_prefix,
)
from shared.testing.specification import Given, Result, given

__all__ = [
    "DAY",
    "Given",
    "InterceptedStore",
    "LocalChain",
    "Log",
    "LoggedRecord",
    "MongoSpace",
    "Note",
    "Receive",
    "Result",
    "Servers",
    "client_of",
    "diary",
    "drop_databases",
    "eventually",
    "given",
    "logs_of",
    "note",
    "read",
    "readings",
    "receive",
    "servers_for_tests",
    "unique_prefix",
]
