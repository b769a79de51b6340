"""A value that goes from one customer to another stays sealed as it was; a lookalike is sealed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from shared.clock import ManualClock
from shared.decider import Decider, NewEvent, Refused
from shared.envelope import Causation, decode
from shared.events.contract import EventData
from shared.events.customer import CustomerRegistered, Identifier
from shared.eventstore import EventStore, body_hash
from shared.execute import Command, Joint, JointDecider, Writer
from shared.keyring import PREFIX, Keyring, KeyStore, MissingKey, StoredKey, is_token
from shared.memory import MemoryKeyStore
from shared.testing import DAY

LOSER, SURVIVOR = "customer-1", "customer-2"
Records = tuple[CustomerRegistered, ...]
MASTER = AESGCM(bytes(32))


def evolve(records: Records, data: EventData) -> Records:
    assert isinstance(data, CustomerRegistered)
    return (*records, data)


def register(data: CustomerRegistered, _records: Records) -> Sequence[NewEvent]:
    return [NewEvent(data, DAY)]


records: Decider[CustomerRegistered, Records] = Decider(tuple, register, evolve)


@dataclass(frozen=True, slots=True)
class Merge:
    """The survivor gets the loser's record, with the name that a caller typed."""

    typed: str | None = None


def merge(
    body: Merge, states: Mapping[str, Records], _claims: object
) -> Mapping[str, Sequence[NewEvent]]:
    absorbed = states[LOSER][-1].model_copy(update={"name": body.typed} if body.typed else {})
    return {
        SURVIVOR: [NewEvent(absorbed, DAY)],
        LOSER: [NewEvent(CustomerRegistered(gender="male"), DAY)],
    }


merging: JointDecider[Merge, Records] = JointDecider(records, merge)
SOMEBODY = CustomerRegistered(
    surname="Ivanova",
    name="Anna",
    birth_date="1990-02-03",
    identifiers=(Identifier(kind="phone", hash="cc", epoch=1, value="+70000000000"),),
    custom={"shoe": 38, "vip": True, "pets": ("cat", "dog"), "nick": "An:ya", "a: b": "c"},
)


def registration(
    owner: str, data: CustomerRegistered, name: str = "r"
) -> Command[CustomerRegistered]:
    return Command(
        id=f"{name}|{owner}",
        hash=body_hash(repr(data)),
        stream=f"customer-{owner}",
        key=owner,
        body=data,
        causation=Causation("chain"),
        subject=owner,
    )


def joint(typed: str | None = None) -> Joint[Merge]:
    streams = {SURVIVOR: "2", LOSER: "1"}
    return Joint("merge", body_hash(typed), streams, Merge(typed), Causation("chain"))


@pytest.fixture
async def writer(store: EventStore, keys: KeyStore) -> Writer:
    writer = writer_on(store, keys)
    await writer.one(records, registration("1", SOMEBODY))
    return writer


def writer_on(store: EventStore, keys: KeyStore) -> Writer:
    """With a cache of its own, as another process has it."""
    return Writer(store, Keyring(keys, MASTER), ManualClock(DAY), "customer")


async def stored(writer: Writer, stream: str) -> dict[str, Any]:
    """The data of the stream's last event, as it is published."""
    commit = (await writer.store.read([stream]))[stream][-1]
    data: dict[str, Any] = msgspec.json.decode(decode(commit.events[-1]).data)
    return data


async def opened(writer: Writer, stream: str) -> CustomerRegistered:
    return (await writer.state(records, stream))[0][-1]


def personal(data: Mapping[str, Any]) -> list[Any]:
    """All personal values of the record."""
    fields = [data[name] for name in ("surname", "name", "birth_date")]
    return [*fields, data["identifiers"][0]["value"], *data["custom"].values()]


async def test_a_sealed_history_holds_every_kind_of_personal_value_as_its_token(
    writer: Writer,
) -> None:
    histories = await writer.histories([LOSER], sealed=True)
    (record,) = histories[LOSER][0]
    values = personal(record.model_dump())
    # Three fields, a phone, five custom values: text, number, boolean, list.
    assert len(values) == 9
    assert all(is_token(value) for value in values)
    assert personal(await stored(writer, LOSER)) == values


async def test_an_absorbed_value_keeps_key_and_place_of_its_first_stream(writer: Writer) -> None:
    await writer.together(merging, joint(), sealed=True)
    before = await writer.store.read([LOSER])
    first = msgspec.json.decode(decode(before[LOSER][0].events[0]).data)
    assert personal(await stored(writer, SURVIVOR)) == personal(first)
    assert (await stored(writer, SURVIVOR))["surname"].startswith(f"{PREFIX}1:{LOSER}:surname:")


async def test_who_reads_the_survivor_sees_what_the_loser_was(writer: Writer) -> None:
    await writer.together(merging, joint(), sealed=True)
    assert await opened(writer, SURVIVOR) == SOMEBODY


async def test_what_was_absorbed_is_gone_with_the_losers_key(
    writer: Writer, store: EventStore, keys: KeyStore
) -> None:
    await writer.together(merging, joint("Maria"), sealed=True)
    erased = MemoryKeyStore()
    await erased.insert([StoredKey("1", None), *(await keys.load(["2"])).values()])
    left = await opened(writer_on(store, erased), SURVIVOR)
    # The typed name is the survivor's own; all the others were sealed for the loser.
    assert left == CustomerRegistered(
        name="Maria", identifiers=(Identifier(kind="phone", hash="cc", epoch=1),), custom={}
    )


async def test_a_sealed_history_lacks_what_was_erased(writer: Writer, store: EventStore) -> None:
    await writer.together(merging, joint(), sealed=True)
    erased = MemoryKeyStore()
    await erased.insert([StoredKey("1", None)])
    histories = await writer_on(store, erased).histories([SURVIVOR], sealed=True)
    (record,) = histories[SURVIVOR][0]
    assert record == CustomerRegistered(
        identifiers=(Identifier(kind="phone", hash="cc", epoch=1),), custom={}
    )


async def test_a_sealed_history_whose_key_is_lost_stops(store: EventStore, writer: Writer) -> None:
    assert await writer.store.heads([LOSER])
    with pytest.raises(MissingKey):
        await writer_on(store, MemoryKeyStore()).histories([LOSER], sealed=True)


async def test_a_copied_value_can_be_copied_once_more(writer: Writer) -> None:
    await writer.together(merging, joint(), sealed=True)
    state, _ = await writer.state(records, SURVIVOR)
    assert state == (SOMEBODY,)
    (copy,) = (await writer.histories([SURVIVOR], sealed=True))[SURVIVOR][0]
    assert isinstance(copy, CustomerRegistered)
    await writer.one(records, registration("3", copy), sealed=True)
    assert await opened(writer, "customer-3") == SOMEBODY
    assert personal(await stored(writer, "customer-3")) == personal(await stored(writer, SURVIVOR))


async def test_in_a_sealed_command_other_texts_are_sealed_as_ever(writer: Writer) -> None:
    (copy,) = (await writer.histories([LOSER], sealed=True))[LOSER][0]
    assert isinstance(copy, CustomerRegistered)
    mixed = copy.model_copy(update={"name": "Maria", "patronymic": PREFIX + "1:customer-1:x"})
    await writer.one(records, registration("3", mixed), sealed=True)
    data = await stored(writer, "customer-3")
    for own in ("name", "patronymic"):
        assert data[own].startswith(f"{PREFIX}3:customer-3:{own}:")
    state = await opened(writer, "customer-3")
    assert (state.name, state.patronymic) == ("Maria", PREFIX + "1:customer-1:x")
    assert state.surname == "Ivanova"


async def stranger(writer: Writer) -> str:
    """The token of a third customer's name, as everybody can read it in the log."""
    await writer.one(records, registration("7", CustomerRegistered(name="Secret"), "stranger"))
    token: str = (await stored(writer, "customer-7"))["name"]
    return token


async def test_a_token_sent_by_a_caller_is_sealed_like_any_other_text(writer: Writer) -> None:
    token = await stranger(writer)
    await writer.one(records, registration("3", CustomerRegistered(name=token)))
    assert (await opened(writer, "customer-3")).name == token


@pytest.mark.parametrize("sealed", [True, False])
async def test_a_token_typed_into_a_joint_command_is_sealed_too(
    writer: Writer, *, sealed: bool
) -> None:
    """Also in the sealed mode: only tokens that its streams hold are passed over."""
    token = await stranger(writer)
    await writer.together(merging, joint(token), sealed=sealed)
    absorbed = await opened(writer, SURVIVOR)
    assert (absorbed.surname, absorbed.name) == ("Ivanova", token)
    assert (await stored(writer, SURVIVOR))["name"].startswith(f"{PREFIX}2:{SURVIVOR}:name:")


async def test_unsealed_a_joint_command_copies_the_clear_text_under_its_own_key(
    writer: Writer,
) -> None:
    await writer.together(merging, joint())
    assert await opened(writer, SURVIVOR) == SOMEBODY
    assert (await stored(writer, SURVIVOR))["surname"].startswith(f"{PREFIX}2:{SURVIVOR}:")


@pytest.mark.parametrize("owner", ["1", "2"])
async def test_nothing_is_recorded_of_either_when_one_was_erased(
    writer: Writer, store: EventStore, keys: KeyStore, owner: str
) -> None:
    assert await writer.store.heads([LOSER])
    erased = MemoryKeyStore()
    await erased.insert([StoredKey(owner, None), *(await keys.load(["1"])).values()])
    with pytest.raises(Refused, match="erased"):
        await writer_on(store, erased).together(merging, joint(), sealed=True)
    assert await store.heads([SURVIVOR]) == {}


async def test_a_sealed_copy_for_an_erased_customer_is_refused(writer: Writer) -> None:
    (copy,) = (await writer.histories([LOSER], sealed=True))[LOSER][0]
    assert isinstance(copy, CustomerRegistered)
    await writer.keyring.store.insert([StoredKey("3", None)])
    with pytest.raises(Refused, match="erased"):
        await writer.one(records, registration("3", copy), sealed=True)
