"""What merges, reverts and erases of customers mean for static lists; each done again is nothing.

A merge of somebody who was merged themselves goes on to wherever the lists are by now. Each step is
a command of its own, whose id is made of the event's and the stream's: killed between two, the
event is heard again and the rest is done.
"""

from dataclasses import dataclass

from services.segment.domain.listing import (
    LISTING,
    Close,
    GiveBack,
    HandOver,
    Listing,
    Receive,
    TakeBack,
    listing_stream,
)
from services.segment.domain.listing import Command as Listed
from shared.clock import Clock
from shared.envelope import Causation
from shared.eventstore import body_hash
from shared.execute import Command, Writer


@dataclass(frozen=True, slots=True)
class Heard:
    """An event about a customer: its id, and the chain of causes that it is in."""

    event: str
    customer: str
    why: Causation


@dataclass(frozen=True, slots=True)
class ListMerging:
    """Lets lists follow customers."""

    writer: Writer
    clock: Clock

    async def merged(self, heard: Heard, merge: str, survivor: str) -> None:
        """The lists leave the customer, and go to the survivor."""
        body = HandOver(merge, survivor, heard.event, self.clock.now())
        loser = await self._carry_out(heard, heard.customer, body)
        lists, seen, into = loser.lent, {heard.customer}, survivor
        while True:
            receive = Receive(merge, lists, heard.event, self.clock.now())
            state = await self._carry_out(heard, into, receive)
            seen.add(into)
            if state.away is None or merge not in state.passed or state.away.survivor in seen:
                return
            lists = state.passed[merge]
            merge, into = state.away.merge, state.away.survivor

    async def reverted(self, heard: Heard, merge: str, survivor: str) -> None:
        """What came by the merge leaves the survivor, and the customer has it again."""
        loser, _ = await self.writer.state(LISTING, listing_stream(heard.customer))
        lists, seen, at, by = loser.lent, set[str](), survivor, merge
        while True:
            give = GiveBack(by, lists, heard.event, self.clock.now())
            state = await self._carry_out(heard, at, give)
            seen.add(at)
            if state.away is None or state.away.survivor in seen:
                break
            lists = lists - state.lent
            by, at = state.away.merge, state.away.survivor
        take = TakeBack(merge, heard.event, self.clock.now())
        await self._carry_out(heard, heard.customer, take)

    async def erased(self, heard: Heard, erase: str) -> None:
        """The customer leaves all lists, for good."""
        await self._carry_out(heard, heard.customer, Close(erase, heard.event, self.clock.now()))

    async def _carry_out(self, heard: Heard, customer: str, body: Listed) -> Listing:
        """The state after the command."""
        stream = listing_stream(customer)
        step = type(body).__name__
        await self.writer.one(
            LISTING,
            Command(
                id=f"lists|{heard.event}|{step}|{customer}",
                hash=body_hash([step, customer]),
                stream=stream,
                key=customer,
                body=body,
                causation=heard.why,
                subject=customer,
            ),
        )
        state, _ = await self.writer.state(LISTING, stream)
        return state
