"""The directory: the fold of a customer's events, however Kafka hands them out."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given, settings
from hypothesis import strategies as st

from services.customer.domain.commands import (
    AddIdentifier,
    Command,
    GiveConsent,
    NewIdentifier,
    Register,
    RemoveIdentifier,
    WithdrawConsent,
)
from services.customer.domain.state import stream_of
from services.customer.handlers.customers import Request, carry_out, new_customer_id
from services.customer.projections.directory import DIRECTORY, Contact, DirectoryEntry
from services.customer.projections.directory.keys import dice_of, moment_text
from shared.clock import ManualClock
from shared.decider import Refused
from shared.events.customer import (
    ConsentGiven,
    ConsentWithdrawn,
    CustomerRegistered,
    Evidence,
)
from shared.execute import Writer
from shared.identifiers import KnownIdentifier
from shared.keyring import Keyring
from shared.memory import MemoryEventStore, MemoryKeyStore
from shared.testing import DAY, logs_of, read, readings

EMAIL = KnownIdentifier("email", "e1", "anna@example.com")
CARD = KnownIdentifier("card", "c1", "A1")
EVIDENCE = Evidence(source="till")
GIVEN = ConsentGiven(topic="marketing", channel="email", evidence=EVIDENCE)
WITHDRAWN = ConsentWithdrawn(topic="marketing", channel="email", evidence=EVIDENCE)
ANNA = new_customer_id("anna")


@dataclass(frozen=True, slots=True)
class Shop:
    """A customer service without its servers."""

    store: MemoryEventStore
    keyring: Keyring
    writer: Writer

    @classmethod
    def opened(cls) -> "Shop":
        store, keyring = MemoryEventStore(), Keyring(MemoryKeyStore(), AESGCM(bytes(32)))
        return cls(store, keyring, Writer(store, keyring, ManualClock(DAY), "customer"))

    async def register(
        self, name: str, person: CustomerRegistered, *identifiers: KnownIdentifier
    ) -> None:
        command = Register(
            customer=new_customer_id(name),
            at=DAY,
            person=person,
            identifiers=tuple(NewIdentifier(known=each) for each in identifiers),
            consents=(GIVEN,),
        )
        await self.do(name, command)

    async def do(self, command_id: str, command: Command) -> None:
        """Carry out a command."""
        await carry_out(self.writer, Request(command_id, command_id, DAY), command)

    async def entries(self) -> Mapping[str, DirectoryEntry]:
        """The directory, read once in order."""
        return await read(DIRECTORY, logs_of(self.store.commits), self.keyring)


async def test_whoever_registers_stands_in_the_list_in_the_clear() -> None:
    shop = Shop.opened()
    person = CustomerRegistered(
        surname="Ivánova",
        name="Anna",
        birth_date="1980-02-29",
        home_branch="12",
        internal=True,
        custom={"pets": 2, "tags": ("a", "b")},
    )
    await shop.register("anna", person, EMAIL)
    assert await shop.entries() == {
        ANNA: DirectoryEntry(
            id=ANNA,
            versions={stream_of(ANNA): 2},
            registered_at=DAY,
            contacts=[Contact("email", "e1", "anna@example.com")],
            found_by=["email|e1"],
            consents=["marketing|email"],
            surname="Ivánova",
            name="Anna",
            birth_date="1980-02-29",
            home_branch="12",
            internal=True,
            custom={"pets": 2, "tags": ["a", "b"]},
            consent_states={"marketing|email|": True},
            shelf="-",
            dice=dice_of(ANNA),
            branches=["12"],
            has=["email"],
            names=["ivanova", "anna"],
            slots={
                "n0": f"-ivanova|{ANNA}",
                "n1": f"-anna|{ANNA}",
                "e0": f"-anna@example.com|{ANNA}",
            },
            marks=["in:12", "home:12"],
            sort={
                "name": f"-1ivanova anna|{ANNA}",
                # 17 digits, counted from 10^16, so that numbers of either sign compare as texts.
                "spent": f"-110000000000000000|{ANNA}",
                "visits": f"-110000000000000000|{ANNA}",
                "average": f"-0|{ANNA}",
                "first_visit": f"-0|{ANNA}",
                "last_visit": f"-0|{ANNA}",
                "registered_at": f"-1{moment_text(DAY)}|{ANNA}",
                "birthday": f"-102-29-1980|{ANNA}",
                "granted_discount": f"-0|{ANNA}",
                "status": f"-0|{ANNA}",
                "responsible": f"-0|{ANNA}",
                "home_branch": f"-112|{ANNA}",
                "city": f"-0|{ANNA}",
                "custom_pets": f"-110000000000000002|{ANNA}",
                "custom_tags": f"-0|{ANNA}",
            },
        )
    }


async def test_nothing_personal_is_in_the_log_that_the_list_is_made_from() -> None:
    shop = Shop.opened()
    await shop.register(
        "anna", CustomerRegistered(surname="Ivanova", custom={"pets": "Rex"}), EMAIL
    )
    log = "".join(text for commit in shop.store.commits for text in commit.events)
    assert "customer.registered.v1" in log
    assert [word for word in ("Ivanova", "Rex", "anna@example.com") if word in log] == []


async def test_identifiers_and_consents_come_and_go() -> None:
    shop = Shop.opened()
    await shop.register("anna", CustomerRegistered(), EMAIL)
    card = NewIdentifier(known=CARD)
    await shop.do("1", AddIdentifier(customer=ANNA, at=DAY, identifier=card))
    await shop.do("2", RemoveIdentifier(customer=ANNA, at=DAY, kind="email", hash="e1"))
    await shop.do("3", WithdrawConsent(customer=ANNA, at=DAY, withdrawn=WITHDRAWN))
    entry = (await shop.entries())[ANNA]
    assert entry.contacts == [Contact("card", "c1", "A1")]
    assert entry.found_by == ["card|c1"]
    assert entry.consents == []
    # Registered, agreed at registration, and the three above.
    assert entry.versions == {stream_of(ANNA): 5}


async def test_a_consent_given_twice_stands_there_once() -> None:
    shop = Shop.opened()
    await shop.register("anna", CustomerRegistered())
    await shop.do("1", GiveConsent(customer=ANNA, at=DAY, consent=GIVEN))
    assert (await shop.entries())[ANNA].consents == ["marketing|email"]


async def test_a_log_that_begins_in_the_middle_is_parked() -> None:
    shop = Shop.opened()
    await shop.register("anna", CustomerRegistered())
    (log,) = logs_of(shop.store.commits)
    with pytest.raises(AssertionError, match="version 1 is missing"):
        await read(DIRECTORY, [log[1:]], shop.keyring)


VALUES = [KnownIdentifier("card", str(n), f"CARD{n}") for n in range(4)]
PEOPLE = ("anna", "boris", "clara")
ACTIONS = st.tuples(
    st.sampled_from(PEOPLE),
    st.sampled_from(["register", "add", "remove", "give", "withdraw"]),
    st.sampled_from(VALUES),
)
"""Who, what, and with which identifier: many are refused, as they would be in a shop."""


async def lived(shop: Shop, actions: Sequence[tuple[str, str, KnownIdentifier]]) -> None:
    for number, (who, what, value) in enumerate(actions):
        customer = new_customer_id(who)
        with suppress(Refused):
            if what == "register":
                await shop.register(who, CustomerRegistered(surname=who), value)
            else:
                await shop.do(f"command {number}", _command(what, customer, value))


def _command(what: str, customer: str, value: KnownIdentifier) -> Command:
    match what:
        case "add":
            identifier = NewIdentifier(known=value)
            return AddIdentifier(customer=customer, at=DAY, identifier=identifier)
        case "remove":
            return RemoveIdentifier(customer=customer, at=DAY, kind=value.kind, hash=value.hash)
        case "give":
            return GiveConsent(customer=customer, at=DAY, consent=GIVEN)
        case _:
            return WithdrawConsent(customer=customer, at=DAY, withdrawn=WITHDRAWN)


@settings(max_examples=150, deadline=None)
@given(st.lists(ACTIONS, max_size=20), st.data())
def test_repeating_and_rewinding_change_nothing_in_the_directory(
    actions: Sequence[tuple[str, str, KnownIdentifier]], data: st.DataObject
) -> None:
    async def run() -> None:
        shop = Shop.opened()
        registrations = [
            (who, "register", value) for who, value in zip(PEOPLE, VALUES[1:], strict=True)
        ]
        await lived(shop, [*registrations, *actions])
        batches = data.draw(readings(logs_of(shop.store.commits)))
        entries = await read(DIRECTORY, batches, shop.keyring)
        assert entries == await shop.entries()
        # The list finds exactly whom the claims say.
        claims = await shop.store.claims([value.claim_id for value in VALUES])
        found = {key: entry.id for entry in entries.values() for key in entry.found_by}
        assert found == {name: c.owner for name, c in claims.items() if c.owner is not None}

    asyncio.run(run())
