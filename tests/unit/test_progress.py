"""W: what a reader of a partition cannot have missed."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given as given_hypothesis
from hypothesis import strategies as st

from shared.progress import Progress, Reach, decode_progress, encode_progress, reach

NOON = datetime(2018, 1, 2, 12, tzinfo=UTC)
A, B = "a.events.v1", "b.events.v1"


def told(seconds: int, offsets: dict[str, dict[int, int]], *refused: str) -> Progress:
    """A record that says: all before noon and so many seconds lies below these offsets."""
    system = NOON + timedelta(seconds=seconds)
    return Progress("x", system, system + timedelta(days=365), offsets, list(refused))


def at(seconds: int) -> Reach:
    system = NOON + timedelta(seconds=seconds)
    return Reach(system, system + timedelta(days=365))


def test_a_reader_has_w_once_it_stands_at_the_offset() -> None:
    progress = [told(0, {A: {0: 5, 1: 7}})]
    assert reach(progress, 0, {(A, 0): 4, (A, 1): 9}, [A]) is None
    assert reach(progress, 0, {(A, 0): 5}, [A]) == at(0)
    assert reach(progress, 1, {(A, 0): 5, (A, 1): 6}, [A]) is None


def test_an_empty_partition_is_reached_by_a_reader_that_has_read_nothing() -> None:
    assert reach([told(0, {A: {0: 0}})], 0, {}, [A]) == at(0)


def test_of_several_topics_the_lowest_w_counts() -> None:
    progress = [told(9, {A: {0: 1}}), told(3, {B: {0: 1}})]
    positions = {(A, 0): 1, (B, 0): 1}
    assert reach(progress, 0, positions, [A, B]) == at(3)
    assert reach(progress, 0, positions, [A]) == at(9)


def test_one_topic_that_lacks_is_enough_to_know_nothing() -> None:
    progress = [told(9, {A: {0: 1}}), told(3, {B: {0: 2}})]
    assert reach(progress, 0, {(A, 0): 1, (B, 0): 1}, [A, B]) is None


def test_a_topic_that_nobody_has_told_of_is_not_known() -> None:
    assert reach([told(0, {A: {0: 0}})], 0, {}, [A, B]) is None
    assert reach([], 0, {}, [A]) is None
    assert reach([told(0, {A: {0: 0}}), None], 0, {}, [A, B]) is None


def test_who_has_told_nothing_is_waited_for_only_where_its_topics_are_asked_about() -> None:
    assert reach([None, told(0, {A: {0: 0}})], 0, {}, [A]) == at(0)


def test_one_record_may_tell_of_several_topics() -> None:
    record = told(4, {A: {0: 1}, B: {0: 0}})
    assert reach([record], 0, {(A, 0): 1}, [A, B]) == at(4)


@given_hypothesis(
    seconds=st.integers(-(10**6), 10**6),
    offsets=st.dictionaries(
        st.sampled_from([A, B]), st.dictionaries(st.integers(0, 48), st.integers(0, 2**62))
    ),
    refused=st.lists(st.text()),
)
def test_a_record_is_read_as_it_was_written(
    seconds: int, offsets: dict[str, dict[int, int]], refused: list[str]
) -> None:
    record = told(seconds, offsets, *refused)
    assert decode_progress(encode_progress(record)) == record


@pytest.mark.parametrize("value", [b"", b"null", b"[]", b"{}", b'{"service":1}'])
def test_what_is_no_progress_is_not_taken_for_any(value: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        decode_progress(value)
