"""Ids: new ones sort by their making, derived ones depend on every part and on nothing else."""

import uuid

from hypothesis import assume, given
from hypothesis import strategies as st

from shared.ids import derived_id, new_id

text = st.text(st.characters(exclude_characters="\x1f", codec="utf-8"))
parts = st.lists(text, min_size=1, max_size=4)


def test_new_ids_are_uuids_of_version_7_that_differ_and_sort_by_their_making() -> None:
    ids = [new_id() for _ in range(1000)]
    assert ids == sorted(ids)
    assert len(set(ids)) == 1000
    assert {uuid.UUID(text).version for text in ids} == {7}
    assert {len(text) for text in ids} == {36}


def test_a_derived_id_is_the_same_for_ever() -> None:
    # Written down once: messages and facts of the past were named with it.
    assert derived_id("message", "campaign-1", "customer-1", "3") == (
        "04648000-79e4-5eaf-b41a-d782d49deb5b"
    )


@given(parts, parts)
def test_derived_ids_are_equal_only_for_equal_parts(first: list[str], second: list[str]) -> None:
    assume(first != second)
    assert derived_id(*first) == derived_id(*first)
    assert derived_id(*first) != derived_id(*second)
    assert uuid.UUID(derived_id(*first)).version == 5
