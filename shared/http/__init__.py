"""HTTP as every service speaks it: problems, idempotency, versions, pages, batches, health.

It knows no database and no broker: those reach it as the ports that it is given.
"""

from shared.http.app import build_app
from shared.http.batches import (
    BatchAnswer,
    Quick,
    RawItems,
    batch_body,
    batch_response,
    in_order,
    parse_items,
)
from shared.http.callers import Caller, CommandId, asked_hash, principal
from shared.http.pages import Cursor, Limit, Page, cursor_of, page_of, position_of
from shared.http.preconditions import (
    IfMatch,
    IfMatchUnlessNew,
    MinVersion,
    Precondition,
    etag,
    until,
)
from shared.http.problems import Problem, problem_of, refusal_of

__all__ = [
    "BatchAnswer",
    "Caller",
    "CommandId",
    "Cursor",
    "IfMatch",
    "IfMatchUnlessNew",
    "Limit",
    "MinVersion",
    "Page",
    "Precondition",
    "Problem",
    "Quick",
    "RawItems",
    "asked_hash",
    "batch_body",
    "batch_response",
    "build_app",
    "cursor_of",
    "etag",
    "in_order",
    "page_of",
    "parse_items",
    "position_of",
    "principal",
    "problem_of",
    "refusal_of",
    "until",
]
