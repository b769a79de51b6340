"""Identity: the only place where ids are made.

New things get a UUIDv7, so that ids sort by their time of making; things that must come out the
same when they are computed twice (a message of an occurrence, a fact of a source id, the command of
a reaction) get a UUIDv5 over their parts.
"""

import uuid_utils

_NAMESPACE = uuid_utils.UUID("6f0b1c52-6d0c-5d0e-9d2b-5b8f6a8f3c11")
_SEPARATOR = "\x1f"


def new_id() -> str:
    """A new UUIDv7 in its 36-character text form."""
    return str(uuid_utils.uuid7())


def derived_id(*parts: str) -> str:
    """The UUIDv5 (RFC 9562) of the parts, the same in every process.

    Parts are joined by the ASCII unit separator, which no id or name of ours contains, so that
    ("a", "bc") and ("ab", "c") differ.
    """
    return str(uuid_utils.uuid5(_NAMESPACE, _SEPARATOR.join(parts)))
