"""What the driver says of a failed write: an answer, or that nothing is known."""

from typing import Any

import pytest
from pymongo.errors import (
    AutoReconnect,
    BulkWriteError,
    DuplicateKeyError,
    OperationFailure,
    PyMongoError,
    ServerSelectionTimeoutError,
)

from shared.eventstore import StoreUnavailable
from shared.mongo.connection import lost_indexes, translated


def failure(*codes: int, concerns: int = 0) -> BulkWriteError:
    """A bulk write whose operations 10, 11, … failed with the codes."""
    errors = [{"index": 10 + number, "code": code} for number, code in enumerate(codes)]
    details: dict[str, Any] = {
        "writeErrors": errors,
        "writeConcernErrors": [{"code": 64}] * concerns,
    }
    return BulkWriteError(details)


def test_duplicate_keys_name_their_operations() -> None:
    assert lost_indexes(failure(11000, 11000)) == {10, 11}


@pytest.mark.parametrize("codes", [(), (112,), (11000, 121)])
def test_another_error_leaves_the_outcome_unknown(codes: tuple[int, ...]) -> None:
    with pytest.raises(StoreUnavailable):
        lost_indexes(failure(*codes))


def test_writes_that_no_majority_has_are_not_known_to_stay() -> None:
    """The others of the batch look written, and may yet be rolled back."""
    with pytest.raises(StoreUnavailable):
        lost_indexes(failure(11000, concerns=1))


@pytest.mark.parametrize(
    "error",
    [
        ServerSelectionTimeoutError("no server at mongo:27017"),
        AutoReconnect("connection closed"),
        OperationFailure("name: Ivanova", 13),
    ],
)
def test_an_absent_server_is_told_without_quoting_documents(error: PyMongoError) -> None:
    with pytest.raises(StoreUnavailable) as told, translated():
        raise error
    assert type(error).__name__ in str(told.value)
    assert "Ivanova" not in str(told.value)
    assert told.value.__cause__ is error


def test_answers_pass_untranslated() -> None:
    for answer in (DuplicateKeyError("E11000", 11000), failure(11000)):
        with pytest.raises(type(answer)), translated():
            raise answer
