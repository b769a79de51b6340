"""Tills: what each has sent, once however it is read, and which numbers are missing."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import timedelta

import msgspec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given, settings
from hypothesis import strategies as st

from services.interaction.projections.tills import TILLS, Heard, heard_id
from services.interaction.queries.tills import gaps_in
from shared.clock import ManualClock
from shared.decider import NewEvent
from shared.events.interaction import ReceiptRecorded, ReceiptReturned
from shared.execute import Writer
from shared.keyring import Keyring
from shared.memory import MemoryDocuments, MemoryEventStore, MemoryKeyStore, MemoryParking
from shared.projector import Folder
from shared.testing import DAY, Log, logs_of, readings
from shared.testing.facts import tell


def sold(number: int | None, till: str | None = "1", fact: str = "f") -> ReceiptRecorded:
    return ReceiptRecorded(
        fact=fact, source="pos", source_id=fact, total=1, coupon_lines=0, lines=(),
        till=till, number=number,
    )  # fmt: skip


async def logs_after(*told: tuple[str, NewEvent]) -> Sequence[Log]:
    store = MemoryEventStore()
    keyring = Keyring(MemoryKeyStore(), AESGCM(bytes(32)))
    writer = Writer(store, keyring, ManualClock(DAY), "interaction")
    for customer, event in told:
        await tell(writer, f"interaction-{customer}", customer, [event])
    return logs_of(store.commits)


async def heard_after(batches: Sequence[Log]) -> Mapping[str, Heard]:
    documents, parking = MemoryDocuments(), MemoryParking()
    folder = Folder(TILLS, documents, parking)
    for batch in batches:
        await folder.fold(batch)
    assert await parking.count() == 0
    return {raw["_id"]: msgspec.convert({**raw, "rev": 0}, Heard) for raw in documents.everything()}


async def test_each_number_of_a_till_is_a_document_of_its_own() -> None:
    hour = timedelta(hours=1)
    heard = await heard_after(
        await logs_after(
            ("anna", NewEvent(sold(7), DAY - hour, "12")),
            ("boris", NewEvent(sold(8), DAY, "12")),
            ("boris", NewEvent(sold(None, fact="g"), DAY, "12")),
            ("boris", NewEvent(sold(9, till=None), DAY, "12")),
        )
    )
    # What names no till is nobody's.
    assert sorted(heard) == ["12|#g|1", "12|7|1", "12|8|1"]
    assert heard["12|7|1"] == Heard(
        id="12|7|1", versions={"interaction-anna": 1}, branch="12", till="1", number=7,
        recorded=DAY, time=DAY - hour,
    )  # fmt: skip


async def test_a_return_is_heard_too_and_has_no_number() -> None:
    back = ReceiptReturned(
        fact="r", source="pos", source_id="2", receipt="f", bought=DAY, total=1, lines=(), till="2"
    )
    heard = await heard_after(await logs_after(("anna", NewEvent(back, DAY, "12"))))
    assert [(each.till, each.number) for each in heard.values()] == [("2", None)]


def test_tills_with_bars_in_their_names_are_not_taken_for_one_another() -> None:
    assert heard_id("12", "a|b", 1, "f") != heard_id("12", "b", 1, "f")


def test_gaps_are_what_lies_between_numbers() -> None:
    assert gaps_in([3, 4, 7, 9]) == [(5, 6), (8, 8)]
    assert gaps_in([5]) == gaps_in([]) == []


SALES = st.lists(
    st.tuples(st.sampled_from(["anna", "boris"]), st.integers(1, 9), st.integers(-9, 9)),
    max_size=15,
)


@settings(max_examples=100, deadline=None)
@given(SALES, st.data())
def test_tills_are_the_same_however_the_topic_is_read(
    sales: Sequence[tuple[str, int, int]], data: st.DataObject
) -> None:
    async def run() -> None:
        told = [
            (who, NewEvent(sold(number, fact=f"f{place}"), DAY + timedelta(hours=hours), "12"))
            for place, (who, number, hours) in enumerate(sales)
        ]
        logs = await logs_after(*told)
        heard = await heard_after(data.draw(readings(logs)))
        assert {each.number: each.time for each in heard.values()} == {
            number: DAY + timedelta(hours=max(at for _, same, at in sales if same == number))
            for _, number, _ in sales
        }

    asyncio.run(run())
