"""Identifiers: a fold of events, however Kafka hands them out."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import timedelta

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given, settings
from hypothesis import strategies as st

from services.customer.domain.commands import (
    AddIdentifier,
    NewIdentifier,
    Register,
    RemoveIdentifier,
)
from services.customer.domain.merging import Merge
from services.customer.domain.reverting import Revert
from services.customer.handlers.customers import Request as CustomerRequest
from services.customer.handlers.customers import carry_out, new_customer_id
from services.customer.handlers.erasing import Eraser
from services.customer.handlers.merging import merge, revert
from services.interaction.projections.identifiers import (
    IDENTIFIERS,
    Entry,
    Identifiers,
    lives_on,
    own_id,
    owners_of,
)
from shared.clock import ManualClock
from shared.decider import Refused
from shared.envelope import Causation
from shared.events.customer import ConsentGiven, CustomerRegistered, Evidence
from shared.execute import Writer
from shared.identifiers import KnownIdentifier
from shared.keyring import Keyring
from shared.memory import MemoryEventStore, MemoryKeyStore
from shared.testing import DAY, logs_of, read, readings

VALUES = [KnownIdentifier("card", str(n), f"CARD{n}") for n in range(4)]
PEOPLE = ("anna", "boris", "clara")
ANNA, BORIS, _ = map(new_customer_id, PEOPLE)
HOUR = timedelta(hours=1)


def writer(service: str) -> Writer:
    keyring = Keyring(MemoryKeyStore(), AESGCM(bytes(32)))
    return Writer(MemoryEventStore(), keyring, ManualClock(DAY), service)


async def register(writer: Writer, who: str, *identifiers: KnownIdentifier) -> None:
    consent = ConsentGiven(topic="t", channel="email", evidence=Evidence(source="till"))
    registering = Register(
        customer=new_customer_id(who),
        at=DAY,
        person=CustomerRegistered(surname=who),
        identifiers=tuple(NewIdentifier(known=each) for each in identifiers),
        consents=(consent,),
    )
    with suppress(Refused):
        await carry_out(writer, CustomerRequest(who, who, DAY), registering)


async def add(writer: Writer, who: str, value: KnownIdentifier, number: int = 0) -> None:
    request = CustomerRequest(f"add {who} {value.hash} {number}", str(number), DAY)
    identifier = NewIdentifier(known=value)
    adding = AddIdentifier(customer=new_customer_id(who), at=DAY, identifier=identifier)
    await carry_out(writer, request, adding)


async def remove(writer: Writer, who: str, value: KnownIdentifier, number: int = 0) -> None:
    request = CustomerRequest(f"remove {who} {value.hash} {number}", str(number), DAY)
    customer = new_customer_id(who)
    removing = RemoveIdentifier(customer=customer, at=DAY, kind=value.kind, hash=value.hash)
    await carry_out(writer, request, removing)


async def share(writer: Writer, who: str, value: KnownIdentifier, number: int = 0) -> None:
    """A value of several people, which makes no claim."""
    request = CustomerRequest(f"share {who} {value.hash} {number}", str(number), DAY)
    identifier = NewIdentifier(known=value, shared=True)
    adding = AddIdentifier(customer=new_customer_id(who), at=DAY, identifier=identifier)
    await carry_out(writer, request, adding)


async def merge_into(writer: Writer, who: str, into: str, number: int = 0) -> None:
    request = CustomerRequest(f"merge {who} {into} {number}", str(number), DAY)
    loser, survivor = new_customer_id(who), new_customer_id(into)
    await merge(writer, request, Merge(customer=loser, into=survivor, merge=f"m{number}", at=DAY))


async def join(writer: Writer, who: str, value: KnownIdentifier, number: int = 0) -> None:
    """Merge with one of the three, whom the value names."""
    await merge_into(writer, who, PEOPLE[int(value.hash) % 3], number)


async def part(writer: Writer, who: str, value: KnownIdentifier, number: int = 0) -> None:
    request = CustomerRequest(f"part {who} {value.hash} {number}", str(number), DAY)
    reverting = Revert(customer=new_customer_id(who), survivor=None, at=DAY)
    await revert(writer, request, reverting)


class NoFiles:
    """Nobody here has documents."""

    async def delete_of(self, owner: str) -> None:
        """There are none."""


async def erase(writer: Writer, who: str, number: int = 0) -> None:
    eraser = Eraser(writer, NoFiles())
    request = CustomerRequest(f"erase {who} {number}", str(number), DAY)
    wish = await eraser.request(request, new_customer_id(who), "request", None)
    await eraser.carry_out(wish, DAY, Causation(correlation="erase"))


def commits_of(writer: Writer) -> MemoryEventStore:
    assert isinstance(writer.store, MemoryEventStore)
    return writer.store


async def test_a_customer_is_found_by_identifiers_and_by_its_own_id() -> None:
    shop = writer("customer")
    await register(shop, "anna", VALUES[0])
    await add(shop, "anna", VALUES[1])
    found = await read(IDENTIFIERS, logs_of(commits_of(shop).commits))
    # Version 2 is the consent, which finds nobody; version 3 added the second card.
    assert found == {
        ANNA: Identifiers(
            id=ANNA,
            versions={f"customer-{ANNA}": 3},
            entries=[Entry(own_id(ANNA), 1), Entry("card|0", 1), Entry("card|1", 1)],
        )
    }
    assert owners_of(found.values(), {"card|0", own_id(ANNA), "card|9"}) == {
        "card|0": ANNA,
        own_id(ANNA): ANNA,
    }


async def test_what_was_removed_finds_nobody() -> None:
    shop = writer("customer")
    await register(shop, "anna", VALUES[0])
    await remove(shop, "anna", VALUES[0])
    found = await read(IDENTIFIERS, logs_of(commits_of(shop).commits))
    assert owners_of(found.values(), {"card|0", own_id(ANNA)}) == {own_id(ANNA): ANNA}


async def test_the_higher_epoch_owns_whichever_customer_was_read_last() -> None:
    shop = writer("customer")
    await register(shop, "anna", VALUES[0])
    await remove(shop, "anna", VALUES[0])
    await register(shop, "boris", VALUES[0])
    annas, boris = logs_of(commits_of(shop).commits)
    # Of Anna's events only the first two are read: the removal is still to come. Her epoch is 1;
    # to give it up was the second, so Boris has the third.
    for batches in ([annas[:2], boris], [boris, annas[:2]]):
        found = await read(IDENTIFIERS, batches)
        assert owners_of(found.values(), {"card|0"}) == {"card|0": BORIS}


async def test_a_value_that_comes_back_has_its_new_epoch() -> None:
    shop = writer("customer")
    await register(shop, "anna", VALUES[0])
    await remove(shop, "anna", VALUES[0])
    await add(shop, "anna", VALUES[0])
    (anna,) = (await read(IDENTIFIERS, logs_of(commits_of(shop).commits))).values()
    assert anna.entries == [Entry(own_id(ANNA), 1), Entry("card|0", 3)]


async def test_what_found_the_loser_finds_the_survivor_until_they_part() -> None:
    shop = writer("customer")
    await register(shop, "anna", VALUES[0])
    await register(shop, "boris", VALUES[1])
    names = {"card|0", "card|1"}
    await merge_into(shop, "boris", "anna")
    found = await read(IDENTIFIERS, logs_of(commits_of(shop).commits))
    assert owners_of(found.values(), names) == dict.fromkeys(names, ANNA)
    assert found[BORIS].merged == ANNA
    assert found[BORIS].entries == [Entry(own_id(BORIS), 1)]
    await part(shop, "boris", VALUES[0])
    found = await read(IDENTIFIERS, logs_of(commits_of(shop).commits))
    assert owners_of(found.values(), names) == {"card|0": ANNA, "card|1": BORIS}
    assert found[BORIS].merged is None


async def test_the_phone_of_a_family_finds_nobody() -> None:
    shop = writer("customer")
    await register(shop, "anna")
    await share(shop, "anna", VALUES[0])
    found = await read(IDENTIFIERS, logs_of(commits_of(shop).commits))
    assert owners_of(found.values(), {"card|0"}) == {}


async def test_who_was_erased_is_found_by_nothing() -> None:
    shop = writer("customer")
    await register(shop, "anna", VALUES[0])
    await register(shop, "boris", VALUES[1])
    await merge_into(shop, "boris", "anna")
    await erase(shop, "boris")
    found = await read(IDENTIFIERS, logs_of(commits_of(shop).commits))
    everything = {"card|0", "card|1", own_id(ANNA), own_id(BORIS)}
    assert owners_of(found.values(), everything) == {}
    assert [found[each].removed for each in (ANNA, BORIS)] == [True, True]


def test_who_lives_on_is_at_the_end_of_the_merges() -> None:
    assert lives_on("a", {"a": "b", "b": "c"}) == "c"
    assert lives_on("c", {"a": "b", "b": "c"}) == "c"
    # Of two partitions that are read apart one may show an older moment.
    assert lives_on("a", {"a": "b", "b": "a"}) is None


Act = Callable[[Writer, str, KnownIdentifier, int], Awaitable[None]]
ACTS: Sequence[Act] = (add, remove, share, join, part)
ACTIONS = st.tuples(st.sampled_from(PEOPLE), st.sampled_from(ACTS), st.sampled_from(VALUES))


@settings(max_examples=150, deadline=None)
@given(st.lists(ACTIONS, max_size=20), st.data())
def test_identifiers_find_whom_the_claims_say_however_the_topic_is_read(
    actions: Sequence[tuple[str, Act, KnownIdentifier]], data: st.DataObject
) -> None:
    async def run() -> None:
        shop = writer("customer")
        for who, value in zip(PEOPLE, VALUES[1:], strict=True):
            await register(shop, who, value)
        for number, (who, act, value) in enumerate(actions):
            try:
                await act(shop, who, value, number)
            except Refused:
                continue
        logs = logs_of(commits_of(shop).commits)
        found = await read(IDENTIFIERS, data.draw(readings(logs)))
        assert found == await read(IDENTIFIERS, logs)
        names = [value.claim_id for value in VALUES]
        claims = await shop.store.claims(names)
        assert owners_of(found.values(), names) == {
            name: claim.owner for name, claim in claims.items() if claim.owner is not None
        }

    asyncio.run(run())
