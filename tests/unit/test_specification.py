"""The specification helper itself: it passes what is so, and shows what is not."""

import pytest

from shared.decider import NewEvent
from shared.events.customer import ConsentGiven, CustomerRegistered, Evidence
from shared.testing import DAY, Note, Receive, diary, given

A = ConsentGiven(topic="a", channel="email", evidence=Evidence(source="diary"))
B = A.model_copy(update={"topic": "b"})
REGISTERED = CustomerRegistered(surname="Ivanova")


def test_events_are_expected_by_their_data_or_whole() -> None:
    given(diary).when(Note("a")).then([A])
    given(diary, [A]).when(Note("b", copies=2)).then([B, B])
    given(diary).when(Note("a")).then([NewEvent(A, DAY)])
    given(diary).when(Receive("Ivanova")).then([REGISTERED])


def test_nothing_and_refusals_are_expected_by_name() -> None:
    given(diary, [REGISTERED]).when(Receive("Petrova")).then_nothing()
    refusal = given(diary).when(Note("")).then_refused("empty")
    assert refusal.status == 422


@pytest.mark.parametrize(
    "expected",
    [[], [B], [A, A], [NewEvent(A, DAY, branch="b7")], [NewEvent(A, DAY), A]],
)
def test_other_events_fail_and_are_shown(expected: list[ConsentGiven | NewEvent]) -> None:
    with pytest.raises(AssertionError, match=r"topic='a'"):
        given(diary).when(Note("a")).then(expected)


def test_a_refusal_in_place_of_events_fails_and_the_other_way_round() -> None:
    with pytest.raises(AssertionError, match=r"refused: .*empty"):
        given(diary).when(Note("")).then([A])
    with pytest.raises(AssertionError, match=r"refused: .*empty"):
        given(diary).when(Note("")).then_nothing()
    with pytest.raises(AssertionError, match="expected refused: empty"):
        given(diary).when(Note("a")).then_refused("empty")
    with pytest.raises(AssertionError, match="taken"):
        given(diary).when(Note("")).then_refused("taken")
    with pytest.raises(AssertionError, match="words"):
        given(diary).when(Note("")).then_refused("empty", "words")
