"""Random lives of customers: whatever happens, one person has one living record and its values.

Everything runs through the real writer on a memory store, so claims and commits are those of the
product.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given, settings
from hypothesis import strategies as st

from services.customer.domain.commands import (
    AddIdentifier,
    ChangeRecord,
    ChangeTags,
    Command,
    GiveConsent,
    NewIdentifier,
    Register,
    RemoveIdentifier,
    WithdrawConsent,
)
from services.customer.domain.customer import CUSTOMER
from services.customer.domain.merging import Merge
from services.customer.domain.reverting import Revert
from services.customer.domain.state import Customer, stream_of
from services.customer.handlers.customers import Request, carry_out
from services.customer.handlers.erasing import Eraser
from services.customer.handlers.merging import merge, merge_id, revert
from shared.clock import ManualClock
from shared.decider import Refused
from shared.envelope import Causation
from shared.events.customer import (
    ConsentGiven,
    ConsentWithdrawn,
    CustomerRegistered,
    Evidence,
    RecordFields,
)
from shared.execute import Writer
from shared.identifiers import KnownIdentifier
from shared.keyring import Keyring
from shared.memory import MemoryEventStore, MemoryKeyStore
from shared.testing import DAY

PEOPLE = ("a", "b", "c", "d")
VALUES = tuple(KnownIdentifier("phone", f"h{number}", f"+{number}") for number in range(3))

people = st.sampled_from(PEOPLE)
values = st.sampled_from(VALUES)
contacts = st.sampled_from([None, *(each.hash for each in VALUES)])
changes = (
    st.tuples(st.just("change"), people, st.sampled_from(["x", "y"])),
    st.tuples(st.just("add"), people, values, st.booleans()),
    st.tuples(st.just("remove"), people, values),
    st.tuples(st.just("consent"), people, st.booleans(), contacts),
    st.tuples(st.just("tag"), people, st.sampled_from(["t", "u"]), st.booleans()),
)
merges = (
    st.tuples(st.just("merge"), people, people),
    st.tuples(st.just("there and back"), people, people),
    st.tuples(st.just("revert"), people),
)
# Who was erased takes part in nothing any more: a life in which it is rare goes further.
steps = st.one_of(*changes, *changes, *merges, *merges, *merges, *merges)
endings = st.one_of(st.tuples(st.just("erase"), people), *changes, *merges)


class NoFiles:
    """Nobody here has documents."""

    async def delete_of(self, owner: str) -> None:
        """There are none."""


Step = tuple[object, ...]
"""What is done, to whom, and with what."""


@dataclass(slots=True)
class Chain:
    """A chain of stores in memory."""

    store: MemoryEventStore = field(default_factory=MemoryEventStore)
    sent: int = 0
    writer: Writer = field(init=False)

    def __post_init__(self) -> None:
        keyring = Keyring(MemoryKeyStore(), AESGCM(bytes(32)))
        self.writer = Writer(self.store, keyring, ManualClock(DAY), "customer")

    def request(self) -> Request:
        self.sent += 1
        return Request(f"c{self.sent}", f"h{self.sent}", DAY)

    async def state(self, customer: str) -> Customer:
        stream = stream_of(customer)
        histories = await self.writer.histories([stream], sealed=True)
        return CUSTOMER.fold(histories[stream][0]) if stream in histories else Customer()

    async def do(self, command: Command) -> None:
        await carry_out(self.writer, self.request(), command)

    async def merge(self, loser: str, into: str) -> str:
        request = self.request()
        command = Merge(customer=loser, into=into, merge=merge_id(request.command_id), at=DAY)
        return (await merge(self.writer, request, command)).survivor

    async def revert(self, loser: str) -> None:
        command = Revert(customer=loser, survivor=None, at=DAY)
        await revert(self.writer, self.request(), command)

    async def erase(self, customer: str) -> None:
        eraser = Eraser(self.writer, NoFiles())
        request = self.request()
        wish = await eraser.request(request, customer, "request", None)
        await eraser.carry_out(wish, DAY, Causation(correlation=request.command_id))

    async def step(self, step: Step) -> None:
        match step:
            case ("merge", str(loser), str(into)):
                await self.merge(loser, into)
            case ("there and back", str(loser), str(into)):
                await self.there_and_back(loser, into)
            case ("revert", str(customer)):
                await self.revert(customer)
            case ("erase", str(customer)):
                await self.erase(customer)
            case _:
                await self.do(self.command(step))

    def command(self, step: Step) -> Command:
        kind, customer, *rest = step
        about: dict[str, Any] = {"customer": customer, "at": DAY}
        match (kind, *rest):
            case ("change", str(name)):
                fields = RecordFields(name=name, custom={"shoe": f"{customer} {name}"})
                return ChangeRecord(fields=fields, **about)
            case ("add", KnownIdentifier() as known, bool(shared)):
                identifier = NewIdentifier(known=known, shared=shared, preferred=True)
                return AddIdentifier(identifier=identifier, **about)
            case ("remove", KnownIdentifier() as known):
                return RemoveIdentifier(kind=known.kind, hash=known.hash, **about)
            case ("consent", given, contact):
                word: dict[str, Any] = {"topic": "news", "channel": "sms", "contact": contact}
                word["evidence"] = Evidence(source=f"word {self.sent}")
                if given:
                    return GiveConsent(consent=ConsentGiven.model_validate(word), **about)
                return WithdrawConsent(withdrawn=ConsentWithdrawn.model_validate(word), **about)
            case ("tag", str(tag), on):
                about["add" if on else "remove"] = frozenset({tag})
                return ChangeTags(**about)
            case _:
                raise AssertionError(step)

    async def there_and_back(self, loser: str, into: str) -> None:
        before = {customer: await self.state(customer) for customer in PEOPLE}
        await self.merge(loser, into)
        try:
            await self.revert(loser)
        except Refused as refusal:
            raise AssertionError("what was just merged can be reverted") from refusal
        after = {customer: await self.state(customer) for customer in PEOPLE}
        assert {name: timeless(each) for name, each in before.items()} == {
            name: timeless(each) for name, each in after.items()
        }

    async def check(self) -> None:
        states = {customer: await self.state(customer) for customer in PEOPLE}
        for customer, state in states.items():
            forest(customer, states)
            held = {claim.id: claim.epoch for claim in await self.store.claims_of([customer])}
            lives = state.registered and state.merged is None and not state.erased
            found = {
                key: each.epoch
                for key, each in state.identifiers.items()
                if lives and not each.shared
            }
            # A living customer claims what finds it, at the same epochs; others claim nothing.
            assert held == found
            if state.erased:
                assert state.record == RecordFields()
                assert set(await self.writer.keyring.erased([customer])) == {customer}


def timeless(state: Customer) -> Customer:
    """The state without what grows with every change: versions and epochs."""
    return replace(
        state,
        version=0,
        identifiers={
            key: each.model_copy(update={"epoch": 1}) for key, each in state.identifiers.items()
        },
        absorbed=tuple(
            replace(each, epochs=dict.fromkeys(each.epochs, 1)) for each in state.absorbed
        ),
    )


def forest(customer: str, states: dict[str, Customer]) -> None:
    """The survivors of a customer come to an end, and each knows whom it absorbed."""
    seen = {customer}
    current = customer
    while (merged := states[current].merged) is not None:
        others = [each.data.merge for each in states[merged.survivor].absorbed]
        assert merged.merge in others
        assert states[merged.survivor].erased == states[current].erased
        current = merged.survivor
        assert current not in seen
        seen.add(current)


async def live(life: Sequence[Step]) -> None:
    chain = Chain()
    for number, customer in enumerate(PEOPLE):
        known = tuple(NewIdentifier(known=each) for each in VALUES[number : number + 1])
        person = CustomerRegistered(surname=f"name of {customer}")
        await chain.do(Register(customer=customer, at=DAY, person=person, identifiers=known))
    for step in life:
        with suppress(Refused):
            await chain.step(step)
        await chain.check()


@settings(max_examples=60, deadline=None)
@given(st.lists(steps, min_size=10, max_size=30), st.lists(endings, max_size=5))
def test_whatever_happens_merges_form_a_forest_and_a_value_has_one_owner(
    life: list[Step], ending: list[Step]
) -> None:
    asyncio.run(live([*life, *ending]))
