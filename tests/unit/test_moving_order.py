"""In which order facts change hands."""

from typing import Any

from services.interaction.domain.held import Held, Kept
from services.interaction.domain.moving import misplaced
from shared.events.interaction import ReceiptRecorded, ReceiptReturned
from shared.testing import DAY


def kept(fact: str, kind: str, **data: Any) -> Kept:  # noqa: ANN401 - any fields of the event
    """A fact of anna's."""
    return Kept(
        fact=fact,
        type=kind,
        time=DAY,
        recorded=DAY,
        branch="1",
        history=None,
        home="anna",
        hops=0,
        data={"fact": fact, **data},
    )


def test_a_receipt_goes_before_what_was_given_back_of_it_though_it_came_back_later() -> None:
    # Two merges that were undone halfway have left the first receipt behind its return.
    state = Held("interaction-anna")
    for each in (
        kept("back", ReceiptReturned.type, receipt="first"),
        kept("other", ReceiptRecorded.type),
        kept("first", ReceiptRecorded.type),
    ):
        state.facts[each.fact] = each
    wrong = misplaced(state, {"anna": "clara"})
    assert [each.fact for each in wrong["clara"]] == ["other", "first", "back"]
