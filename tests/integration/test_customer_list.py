"""The list on a real server: any filter gives what a plain look at every entry gives, or a 422."""

import random
from collections.abc import AsyncIterator, Sequence
from datetime import date
from typing import Any

import httpx2
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from benchmarks.customers import entries, fill
from services.customer.domain.configuration.catalogue import Item
from services.customer.domain.configuration.chosen import Configuration
from services.customer.domain.configuration.fields import Fields
from services.customer.domain.filters import Filter, Sorting
from services.customer.main import build
from services.customer.projections.directory import DIRECTORY, DirectoryEntry
from services.customer.projections.directory.keys import COLUMNS
from services.customer.queries import sampling, walking
from services.customer.queries.clauses import Clause, flat
from services.customer.queries.directory import Directory, Listing, walk_of
from services.customer.queries.estimating import leading
from services.customer.queries.quick import QuickSearch
from services.customer.queries.walking import Slices
from shared.access import Kind, Role, Scope
from shared.decider import Refused
from shared.events.configuration import FieldDefined
from shared.identifiers import IdentifierRules
from shared.mongo import MongoDocuments
from shared.settings import Settings
from shared.testing import LocalChain, MongoSpace, client_of, eventually
from shared.testing.plans import require_plans, scans

Json = Any
SIZE = 400
CHAIN = Scope(Kind.CUSTOMER, None)
PETS = FieldDefined(
    field="pets", titles={"en": "Pets"}, kind="number", group="basic", purpose="to know them"
)
NOW = Configuration(fields=Fields(items={"pets": Item(PETS)}))
RULES = IdentifierRules(bytes(32), "RU")


@pytest.fixture
async def directory(mongo: MongoSpace, monkeypatch: pytest.MonkeyPatch) -> Directory:
    """A list that is sampled and cut, small as it is."""
    monkeypatch.setattr(sampling, "WANTED", 60)
    monkeypatch.setattr(walking, "SLICE", 50)
    documents = MongoDocuments(mongo.database("customer"), DIRECTORY.name)
    await fill(documents, SIZE)
    return Directory(documents.collection)


def everybody() -> Sequence[DirectoryEntry]:
    return list(entries(SIZE))


BRANCH = st.sampled_from([str(number) for number in range(12)])
NUMBERS = st.integers(-10, 3_000_000)
DAYS = st.dates(date(2014, 1, 1), date(2026, 1, 1)).map(date.isoformat)


def one_of(kind: str, values: st.SearchStrategy[Json]) -> st.SearchStrategy[Json]:
    return st.fixed_dictionaries(
        {
            "kind": st.just(kind),
            "any_of": st.lists(values, min_size=1, max_size=3),
            "negated": st.booleans(),
        }
    )


def ranged(
    kind: str, names: tuple[str, str], values: st.SearchStrategy[Json], **more: Json
) -> st.SearchStrategy[Json]:
    ends = st.fixed_dictionaries({}, optional=dict.fromkeys(names, values))
    told = st.fixed_dictionaries({"kind": st.just(kind), **more})
    return st.builds(lambda ends, told: {**told, **ends}, ends, told)


CONDITIONS = st.one_of(
    one_of("tag", st.sampled_from([f"tag{number}" for number in range(8)])),
    one_of("category", st.sampled_from(["gold", "silver"])),
    one_of("segment", st.sampled_from([f"segment{number}" for number in range(6)])),
    one_of("branch", BRANCH),
    one_of("home_branch", BRANCH),
    one_of("status", st.sampled_from(["new", "active", "lapsed", "gone"])),
    one_of("city", st.sampled_from([f"City {number}" for number in range(60)])),
    ranged(
        "number",
        ("at_least", "at_most"),
        NUMBERS,
        column=st.sampled_from(["spent", "visits", "average", "granted_discount"]),
    ),
    ranged(
        "date",
        ("since", "until"),
        DAYS,
        column=st.sampled_from(["first_visit", "last_visit", "registered_at", "birth_date"]),
    ),
    st.just({"kind": "birthday", "since": "02-01", "until": "06-30"}),
    st.fixed_dictionaries(
        {
            "kind": st.just("has"),
            "contact": st.sampled_from(["phone", "messenger"]),
            "negated": st.booleans(),
        }
    ),
    st.fixed_dictionaries({"kind": st.just("internal"), "value": st.booleans()}),
    st.fixed_dictionaries(
        {
            "kind": st.just("custom"),
            "field": st.sampled_from(["pets", "pets", "none"]),
            "any_of": st.lists(st.integers(0, 5), min_size=1, max_size=2),
            "negated": st.booleans(),
        }
    ),
    ranged("custom_number", ("at_least", "at_most"), st.integers(0, 4), field=st.just("pets")),
)
SORTS = st.builds(
    Sorting,
    column=st.sampled_from([*COLUMNS, "custom.pets"]),
    descending=st.booleans(),
)


def plainly(entry: DirectoryEntry, condition: Json) -> bool:
    """The meaning of a condition, as one would tell it of a single customer."""
    kind = condition["kind"]
    if kind in {"number", "custom_number"}:
        values = {
            "spent": entry.spent,
            "visits": entry.visits,
            "average": entry.average,
            "granted_discount": max(entry.discounts.values(), default=None),
            "pets": entry.custom["pets"],
        }
        value = values[condition.get("column") or condition["field"]]
        return value is not None and bool(
            condition.get("at_least", value) <= value <= condition.get("at_most", value)
        )
    if kind == "date":
        if condition["column"] == "birth_date":
            day = entry.birth_date
        else:
            moment = getattr(entry, condition["column"])
            day = None if moment is None else moment.date().isoformat()
        return day is not None and bool(
            condition.get("since", day) <= day <= condition.get("until", day)
        )
    if kind == "birthday":
        born = entry.birth_date or ""
        return bool(condition["since"] <= born[5:] <= condition["until"])
    if kind == "has":
        found = any(c.kind == condition["contact"] for c in entry.contacts)
        return bool(found != condition["negated"])
    if kind == "internal":
        return bool(entry.internal == condition["value"])
    have: dict[str, set[Any]] = {
        "tag": set(entry.tags),
        "category": {grant.category for grant in entry.categories},
        "segment": set(entry.segments),
        "branch": {each.branch for each in entry.at_branches} | {entry.home_branch},
        "home_branch": {entry.home_branch},
        "status": {entry.status},
        "city": {entry.city},
        "custom": {entry.custom.get(condition.get("field", ""))},
    }
    negated: bool = condition["negated"]
    return bool(have[kind] & set(condition["any_of"])) != negated


async def all_pages(directory: Directory, listing: Listing, limit: int) -> list[str]:
    found: list[str] = []
    after = None
    while True:
        page = await directory.page(listing.scope, after, limit, listing)
        found += [entry.id for entry in page.entries]
        if page.after is None:
            return found
        after = page.after


@settings(
    max_examples=60,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    st.lists(CONDITIONS, max_size=4),
    SORTS,
    st.one_of(st.none(), st.frozensets(BRANCH, min_size=1, max_size=3)),
    st.sampled_from([7, 50, 400]),
)
async def test_any_filter_gives_what_a_look_at_every_entry_gives_or_is_refused(
    directory: Directory,
    where: Json,
    sorting: Sorting,
    branches: frozenset[str] | None,
    limit: int,
) -> None:
    scope = Scope(Kind.CUSTOMER, branches)
    try:
        asked = Filter.model_validate({"where": where})
        listing = Listing(asked, sorting, scope, NOW)
        found = await all_pages(directory, listing, limit)
    except ValidationError:
        # A range without an end, or one that ends before it begins.
        assert any(wrong_range(condition) for condition in where)
        return
    except Refused:
        assert any(condition.get("field") == "none" for condition in where)
        return
    wanted = [
        entry
        for entry in everybody()
        if all(plainly(entry, condition) for condition in where)
        and (branches is None or branches & set(entry.branches))
    ]
    key = sorting.column.replace("custom.", "custom_")
    wanted.sort(key=lambda entry: entry.sort[key], reverse=sorting.descending)
    assert found == [entry.id for entry in wanted]
    assert await directory.count(scope, listing) == len(wanted)


def wrong_range(condition: Json) -> bool:
    low = condition.get("at_least", condition.get("since"))
    high = condition.get("at_most", condition.get("until"))
    ranges = {"number", "custom_number", "date", "birthday"}
    return condition["kind"] in ranges and (
        (low is None and high is None) or (low is not None and high is not None and low > high)
    )


@settings(max_examples=200, deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=8),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["kind", "any_of", "column", "field", "since", "where"]), inner
            )
        ),
        max_leaves=8,
    )
)
def test_whatever_is_sent_as_a_filter_is_a_filter_or_is_refused_by_its_path(body: Json) -> None:
    assert {path[:2] for path in wrong_paths({"where": [body]})} <= {("where", 0)}


def wrong_paths(body: Json) -> Sequence[tuple[int | str, ...]]:
    try:
        Filter.model_validate(body)
    except ValidationError as failure:
        return [wrong["loc"] for wrong in failure.errors()]
    return []


async def test_no_question_scans_the_collection(directory: Directory, mongo: MongoSpace) -> None:
    await require_plans(mongo.database("plans"))
    scopes = [CHAIN, Scope(Kind.CUSTOMER, frozenset({"3"}))]
    wheres: list[Json] = [[], [{"kind": "tag", "any_of": ["tag7"]}]]
    sample = await directory.sampler.sample()
    for scope in scopes:
        for where in wheres:
            for column in COLUMNS:
                listing = Listing(
                    Filter.model_validate({"where": where}), Sorting(column=column), scope
                )
                walk = walk_of(listing, None)
                leader = leading(sample, walk, 50)
                clauses: list[Clause] = [*walk.clauses]
                if leader is None:
                    piece = Slices(sample, walk).following(50)
                    assert piece is not None
                    asked = flat([piece, *clauses])
                else:
                    asked = walking.led_by(leader, [*clauses, walk.span])
                plan = await directory.collection.motor.find(asked).limit(50).explain()
                assert not scans(plan), asked


async def test_a_search_finds_words_in_any_order_and_parts_of_contacts(
    directory: Directory,
) -> None:
    search = QuickSearch(directory, RULES)
    chance = random.Random(7)
    for entry in chance.sample(everybody(), 25):
        surname, name = (entry.surname or "").upper(), (entry.name or "")[:3]
        phone, email, card = (each.value or "" for each in entry.contacts)
        texts = [
            f"{name} {surname}",
            f"{surname[:-1]} {name}",
            phone[-7:],
            f"{phone[-7:-4]}-{phone[-4:]}",
            f"8 ({phone[2:5]}) {phone[5:]}",
            email[:-8],
            card,
            card[:6].lower(),
        ]
        for text in texts:
            found = await search.find(text, CHAIN, 50)
            assert entry.id in {each.id for each in found.entries} or found.more, text
        elsewhere = Scope(Kind.CUSTOMER, frozenset({"no such branch"}))
        assert (await search.find(f"{name} {surname}", elsewhere, 50)).entries == []
        assert (await search.find(phone[-5:], elsewhere, 50)).entries == []


ANNA = {
    "identifiers": [
        {"kind": "phone", "value": "+79161234567"},
        {"kind": "email", "value": "anna@example.com"},
    ],
    "surname": "Артёмова",
    "name": "Анна",
    "home_branch": "12",
    "tags": ["vip"],
}


@pytest.fixture
async def owner(chain: LocalChain) -> AsyncIterator[httpx2.AsyncClient]:
    """A service with a limit of three contacts an hour, as its owner calls it."""
    limited = chain.settings(Settings, contact_reveals_per_hour=3, phone_region="RU")
    async with chain.running(build, limited) as client:
        yield client


async def registered(owner: httpx2.AsyncClient, body: Json) -> str:
    answer = await owner.post("/v1/customers", json=body)
    assert answer.status_code == 201, answer.text
    customer: str = answer.json()["id"]
    version = answer.json()["version"]

    async def listed() -> bool | None:
        seen = await owner.get(f"/v1/customers/{customer}", params={"min_version": version})
        return True if seen.is_success else None

    await eventually(listed)
    return customer


async def names(owner: httpx2.AsyncClient, path: str, **body: Json) -> list[str]:
    answer = await owner.post(f"/v1/customers/{path}", json=body)
    assert answer.status_code == 200, answer.text
    return [each["columns"]["name"] for each in answer.json()["items"]]


async def test_the_list_over_http(chain: LocalChain, owner: httpx2.AsyncClient) -> None:
    anna = await registered(owner, ANNA)
    await registered(owner, {"surname": "Борисов", "home_branch": "7"})
    await registered(owner, {"surname": "Власов", "home_branch": "7", "tags": ["vip"]})
    assert await names(owner, "search") == ["Артёмова Анна", "Борисов", "Власов"]
    vips = [{"kind": "tag", "any_of": ["vip"]}]
    by_name = {"column": "name", "descending": True}
    assert await names(owner, "search", where=vips, sort=by_name) == ["Власов", "Артёмова Анна"]
    first = (await owner.post("/v1/customers/search", json={"limit": 1})).json()
    assert "артемова" not in first["next_cursor"]
    cursor = first["next_cursor"]
    assert await names(owner, "search", limit=1, cursor=cursor) == ["Борисов"]
    wrong = await owner.post("/v1/customers/search", json={"sort": by_name, "cursor": cursor})
    assert (wrong.status_code, wrong.json()["errors"][0]["field"]) == (422, "cursor")
    for body, field in (
        ({"where": [{"kind": "number", "column": "spent"}]}, "where.0.number"),
        ({"where": [{"kind": "custom", "field": "x", "any_of": [1]}]}, "where.0.field"),
        ({"columns": ["shoe"]}, "columns.0"),
        ({"sort": {"column": "tags"}}, "sort.column"),
    ):
        answer = await owner.post("/v1/customers/search", json=body)
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, field)
    assert (await owner.get("/v1/customers/count")).json() == {
        "count": 3,
        "exact": True,
        "shown": "3",
    }
    for text in ("артемова", "АННА арт", "8 916 123-45-67", "4567", "anna@ex"):
        assert await names(owner, "quick", q=text) == ["Артёмова Анна"], text

    seven = client_of(owner._transport.app, await chain.key(Role.CASHIER, branches=["7"]))  # type: ignore[attr-defined]  # noqa: SLF001 - the app of the running service
    async with seven:
        assert await names(seven, "search") == ["Борисов", "Власов"]
        assert await names(seven, "quick", q="артемова") == []
        whole = {"q": "+7 916 1234567", "contacts": "clear", "columns": ["contacts", "tags"]}
        (found,) = (await seven.post("/v1/customers/quick", json=whole)).json()["items"]
        assert (found["id"], found["clear"], found["columns"]["tags"]) == (anna, False, None)
        assert found["columns"]["contacts"][0]["value"] == "•••67"


async def test_contacts_in_the_clear_are_metered_and_noted(owner: httpx2.AsyncClient) -> None:
    anna = await registered(owner, ANNA)
    # Three an hour: the record was read once already, to see that it is there.
    clear = {"q": "артемова", "contacts": "clear"}
    (found,) = (await owner.post("/v1/customers/quick", json=clear)).json()["items"]
    assert found["columns"]["contacts"][0]["value"] == "+79161234567"
    whole = {"kind": "phone", "value": "+79161234567"}
    assert (await owner.post("/v1/customers/find", json=whole)).status_code == 200
    for refused in (
        await owner.post("/v1/customers/quick", json=clear),
        await owner.post("/v1/customers/find", json=whole),
        await owner.get(f"/v1/customers/{anna}"),
    ):
        kind = refused.json()["type"].rpartition(":")[2]
        assert (refused.status_code, kind) == (429, "too-many-reveals")
        assert 0 < int(refused.headers["Retry-After"]) <= 3601
    masked = await owner.post("/v1/customers/quick", json={"q": "артемова"})
    assert masked.json()["items"][0]["columns"]["contacts"][0]["value"] == "•••67"
    lines = (await owner.get("/v1/contact-reveals")).json()["items"]
    assert sorted(line["way"] for line in lines) == ["find", "quick", "record"]
    assert [line["customers"] for line in lines] == [[anna]] * 3


async def test_views_are_saved_for_each_user(chain: LocalChain, owner: httpx2.AsyncClient) -> None:
    view = {
        "title": "VIP",
        "columns": ["name", "spent"],
        "pinned": ["name"],
        "filter": {"where": [{"kind": "tag", "any_of": ["vip"]}]},
    }
    assert (await owner.get("/v1/views/vip")).status_code == 404
    saved = await owner.put("/v1/views/vip", json=view)
    assert saved.status_code == 200, saved.text
    assert (await owner.get("/v1/views/vip")).json()["pinned"] == ["name"]
    wrong = {**view, "pinned": ["visits"]}
    assert (await owner.put("/v1/views/vip", json=wrong)).status_code == 422
    other = client_of(owner._transport.app, await chain.key(Role.CASHIER))  # type: ignore[attr-defined]  # noqa: SLF001 - the app of the running service
    async with other:
        assert (await other.get("/v1/views")).json() == []
    assert [each["name"] for each in (await owner.get("/v1/views")).json()] == ["vip"]
    assert (await owner.delete("/v1/views/vip")).status_code == 204
    assert (await owner.get("/v1/views")).json() == []


async def ended(owner: httpx2.AsyncClient, job: str) -> Json:
    async def look() -> Json | None:
        found = (await owner.get(f"/v1/jobs/{job}")).json()
        return found if found["state"] in {"done", "failed", "stopped"} else None

    return await eventually(look)


async def begun(owner: httpx2.AsyncClient, path: str, **body: Json) -> Json:
    answer = await owner.post(f"/v1/customers/{path}", json=body)
    assert answer.status_code == 202, answer.text
    return await ended(owner, answer.json()["id"])


async def test_all_found_are_acted_on_each_with_a_result(owner: httpx2.AsyncClient) -> None:
    anna = await registered(owner, ANNA)
    boris = await registered(owner, {"surname": "Борисов"})
    vips = {"where": [{"kind": "tag", "any_of": ["vip"]}]}
    job = await begun(owner, "bulk", action={"kind": "tag", "add": ["seen"]}, filter=vips)
    assert (job["state"], job["counts"]) == ("done", {"done": 1})
    (result,) = (await owner.get(f"/v1/jobs/{job['id']}/results")).json()["items"]
    assert (result["id"], result["outcome"]) == (anna, "done")
    both = {"selected": [boris, "nobody", anna]}
    tagged = await begun(owner, "bulk", action={"kind": "tag", "add": ["seen"]}, **both)
    assert tagged["counts"] == {"done": 1, "refused": 1, "unchanged": 1}
    shelved = await begun(owner, "bulk", action={"kind": "archive"}, selected=[boris])
    assert shelved["counts"] == {"done": 1}
    reach = await begun(owner, "bulk/reach", topic="marketing", channel="sms", selected=[anna])
    assert reach["counts"] == {"no_consent": 1}
    message = {"kind": "message", "template": "t", "topic": "marketing", "channel": "sms"}
    assert (await begun(owner, "bulk", action=message, selected=[anna]))["counts"] == {"done": 1}

    async def in_sight(archived: bool, *wanted: str) -> bool | None:  # noqa: FBT001 - of one filter
        found = await names(owner, "search", archived=archived)
        return True if found == list(wanted) else None

    await eventually(lambda: in_sight(True, "Борисов"))  # noqa: FBT003 - as above
    await eventually(lambda: in_sight(False, "Артёмова Анна"))  # noqa: FBT003 - as above
    forget = {"kind": "delete", "reason": "request", "confirm": "yes"}
    wrong = await owner.post("/v1/customers/bulk", json={"action": forget, "selected": [anna]})
    assert (wrong.status_code, wrong.json()["errors"][0]["field"]) == (422, "action.delete.confirm")
    gone = await begun(owner, "bulk", action={**forget, "confirm": "delete"}, selected=[anna])
    assert gone["counts"] == {"done": 1}
    await eventually(lambda: in_sight(False))  # noqa: FBT003 - as above
    assert await names(owner, "quick", q="артемова") == []


async def test_a_bulk_action_that_nobody_could_get_is_refused_at_once(
    owner: httpx2.AsyncClient,
) -> None:
    for action, field in (
        ({"kind": "category", "give": ["none"]}, "action.give.0"),
        ({"kind": "status", "status": "none"}, "action.status"),
    ):
        answer = await owner.post("/v1/customers/bulk", json={"action": action})
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, field)
