"""Whatever was there and whatever a file says: taken back, all is as it was before."""

import asyncio
from dataclasses import dataclass

from hypothesis import example, given, settings
from hypothesis import strategies as st

from services.customer.domain.state import Customer
from services.customer.queries.records import Records
from tests.unit.importing import World

PHONES = [f"+7916000000{number}" for number in range(4)]
HEADER = "phone,card,name,city,tags,agrees\n"
CELLS = st.tuples(
    st.sampled_from(PHONES),
    st.sampled_from(["", "", "A1", "A2"]),
    st.sampled_from(["", "Anna", "Boris"]),
    st.sampled_from(["", "Kazan", "Perm"]),
    st.sampled_from(["", "vip", "vip;new"]),
    st.sampled_from(["", "yes", "no"]),
)
FILES = st.lists(CELLS, min_size=1, max_size=8).map(
    lambda rows: HEADER + "".join(",".join(row) + "\n" for row in rows)
)


def each_once(card: str) -> st.SearchStrategy[str]:
    """Files in which each row is of somebody else; `card` begins the cards, if there are any."""
    rows = st.lists(CELLS, min_size=1, max_size=4, unique_by=(lambda row: row[0],))
    return rows.map(
        lambda found: (
            HEADER
            + "".join(
                ",".join((row[0], card and f"{card}{place}", *row[2:])) + "\n"
                for place, row in enumerate(found)
            )
        )
    )


@dataclass(frozen=True)
class Seen:
    """What a customer is, apart from how they came to be so."""

    record: object
    identifiers: frozenset[str]
    tags: frozenset[str]
    agreed: frozenset[object]


def seen(state: Customer) -> Seen:
    return Seen(
        state.record,
        frozenset(state.identifiers),
        state.tags,
        # Unknown and refused count alike: not given.
        frozenset(key for key, standing in state.consents.items() if standing.given),
    )


async def everybody(world: World) -> dict[str, Seen]:
    """All customers that a list would show."""
    records = Records(world.writer)
    names = await world.store.names("customer-")
    found = {name: (await records.get(name.removeprefix("customer-"))).state for name in names}
    return {name: seen(state) for name, state in found.items() if not state.archived}


async def imported_twice(first: str, second: str) -> None:
    world = World()
    await world.run(first, uses={"agrees": world.agrees})
    await world.run(second, uses={"agrees": world.agrees})
    before = world.events()
    again = await world.run(second, uses={"agrees": world.agrees})
    assert set(again.counts) <= {"duplicate", "error"}
    assert world.events() == before


@settings(max_examples=25, deadline=None)
@given(first=each_once(""), second=each_once("C"))
def test_a_second_run_of_a_file_that_does_not_contradict_itself_adds_nothing(
    first: str, second: str
) -> None:
    asyncio.run(imported_twice(first, second))


async def imported_and_reverted(first: str, second: str) -> None:
    world = World()
    await world.run(first, uses={"agrees": world.agrees})
    before = await everybody(world)
    undone = await world.revert(await world.run(second, uses={"agrees": world.agrees}))
    assert undone.state == "reverted"
    assert await everybody(world) == before
    results = await world.results(undone)
    assert not any(each.flaws for each in results if each.undone is not None)


@settings(max_examples=25, deadline=None)
@given(first=FILES, second=FILES)
@example(
    first="phone,card,name,city,tags,agrees\n+79160000003,A2,,,,\n",
    # The second row is decided again, after the third: its phone is the first one's by then.
    second="phone,card,name,city,tags,agrees\n"
    "+79160000002,A2,,,,\n+79160000002,,,Kazan,,\n+79160000003,,,Perm,,\n",
)
def test_a_revert_restores_what_was(first: str, second: str) -> None:
    asyncio.run(imported_and_reverted(first, second))
