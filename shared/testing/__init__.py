"""What tests stand on: servers, specifications of deciders, and doubles that misbehave on demand.

Nothing of the product imports this package. Fixtures that hand it out are in `tests/conftest.py`.
"""

from shared.testing.doubles import DAY, InterceptedStore, Note, Receive, diary, note, receive
from shared.testing.servers import MongoSpace, Servers, servers_for_tests, unique_prefix
from shared.testing.specification import Given, Result, given

__all__ = [
    "DAY",
    "Given",
    "InterceptedStore",
    "MongoSpace",
    "Note",
    "Receive",
    "Result",
    "Servers",
    "diary",
    "given",
    "note",
    "receive",
    "servers_for_tests",
    "unique_prefix",
]
