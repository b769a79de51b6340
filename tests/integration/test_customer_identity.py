"""Merging and erasing on real servers: after an erase nobody finds the plain texts again."""

from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
from aiokafka import TopicPartition

from services.customer.consumers import PROJECTIONS as CUSTOMER
from services.customer.engine.rules import NO_RULES
from services.customer.engine.stepping import CareEngine
from services.customer.main import build as build_customer
from services.customer.projections.care import care_v1
from services.customer.projections.duplicates import duplicates
from services.customer.projections.robots import ROBOTS
from services.interaction.consumers import PROJECTIONS as INTERACTION
from services.interaction.main import InteractionSettings
from services.interaction.main import build as build_interaction
from services.interaction.projections.totals import TOTALS
from services.notify.main import NotifySettings
from services.notify.main import build as build_notify
from services.notify.projections import CAMPAIGN_FIGURES, QUEUE, RECIPIENTS
from services.segment.consumers import PROJECTIONS as SEGMENT
from services.segment.engine.stepping import Engine
from services.segment.main import SegmentSettings
from services.segment.main import build as build_segment
from services.segment.projections import profiles_v2
from services.segment.rules.ruleset import RuleSet
from shared.access import Role
from shared.events import TOPICS
from shared.memory import MemoryDocuments, MemoryParking
from shared.mongo import connect
from shared.process import Kernel
from shared.projector import Folder
from shared.settings import Settings
from shared.testing import DAY, LocalChain, client_of, eventually
from shared.testing.chain import PARTITIONS
from shared.testing.kafka_log import read_partitions
from shared.testing.mail_server import MailServer, mail_server

Json = Any
SURNAME, NOTE, STREET = "Zvezdochkina", "prefers-the-window-seat", "Unforgettable-Lane"
HABIT, DEED = "feeds-the-pigeons-indoors", "threw-a-watermelon"
TITLE, CONTENT = "Passport-of-the-lighthouse", "the-content-of-the-passport"
OTHER, WHY = "Perevozchikova", "both-live-in-the-blue-house"
THIRD, CARD = "Kolokolnikova", "QW55443322"
ROWS = f"Телефон;ФИО;Карта\n+4930901820772;{THIRD} Cassandra;{CARD}\n"
DEAL, WISH, LOSS = "A-lamp-for-the-lighthouse", "as-bright-as-the-sun", "the-moon-was-cheaper"
ANNA = {
    "surname": SURNAME,
    "name": "Apollinariya",
    "patronymic": "Svyatoslavovna",
    "birth_date": "1931-07-23",
    "address": f"{STREET} 7",
    "workplace": "Lighthouse-Keepers-Guild",
    "home_branch": "12",
    "identifiers": [
        {"kind": "email", "value": "apollinariya@lighthouse.example"},
        {"kind": "phone", "value": "+4930901820771"},
    ],
    "consents": [{"topic": "marketing", "channel": "email", "source": "till"}],
    "note": NOTE,
}
BEA = {
    "surname": OTHER,
    "name": "Beatrisa",
    "birth_date": "1931-07-23",
    "home_branch": "12",
    "identifiers": [{"kind": "card", "value": "ZX90817263"}],
}
PLAIN = (
    SURNAME, "Apollinariya", "Svyatoslavovna", "1931-07-23", STREET, "Lighthouse-Keepers-Guild",
    "apollinariya@lighthouse.example", "4930901820771", NOTE, OTHER, "Beatrisa", "ZX90817263", WHY,
    HABIT, DEED, TITLE, CONTENT, THIRD, "Cassandra", CARD, "4930901820772", DEAL, WISH, LOSS,
)  # fmt: skip


AGREED = {"kind": "consent", "topic": "marketing", "channel": "email"}
GREETING = {
    "title": "Greeting",
    "trigger": {"kind": "on_entering", "segment": "agreed"},
    "channel": "email",
    "topic": "marketing",
    "template": {"subject": "Dear {{ customer.name }}", "text": "Your shop"},
    "start": "2017-12-01T00:00:00Z",
    "holdout_percent": 0,
}


@dataclass(frozen=True, slots=True)
class Town:
    """A chain with all its services, and a mail server."""

    chain: LocalChain
    customers: httpx2.AsyncClient
    segments: httpx2.AsyncClient
    notify: httpx2.AsyncClient
    interactions: httpx2.AsyncClient
    mails: MailServer

    async def register(self, body: Json) -> str:
        answer = await self.customers.post("/v1/customers", json=body)
        assert answer.status_code == 201, answer.text
        name: str = answer.json()["id"]
        return name

    async def post(self, path: str, body: Json) -> httpx2.Response:
        return await self.customers.post(f"/v1/{path}", json=body)

    async def greet(self) -> None:
        """Write to everybody who agreed, and wait until the mail and an export were taken."""
        segment = {"title": "Agreed", "rule": AGREED}
        answer = await self.segments.put("/v1/segments/agreed", json=segment)
        assert answer.is_success, answer.text
        answer = await self.notify.put("/v1/campaigns/greeting", json=GREETING)
        assert answer.is_success, answer.text
        answer = await self.notify.post("/v1/campaigns/greeting/start", json={})
        assert answer.is_success, answer.text
        export = {"format": "csv", "email": "owner@chain.example"}
        answer = await self.post("exports", export)
        assert answer.status_code == 202, answer.text

        async def delivered() -> bool | None:
            subjects = [str(mail["Subject"]) for mail in self.mails.taken]
            greeted = "Dear Apollinariya" in subjects
            return True if greeted and len(subjects) > 1 else None

        await eventually(delivered)

    async def found_in_databases(self) -> set[str]:
        """Which plain texts stand in any document of the chain, and where."""
        client = connect(self.chain.servers.mongo_url)
        try:
            found = set()
            for name in await client.list_database_names():
                if not name.startswith(self.chain.prefix):
                    continue
                for collection in await client[name].list_collection_names():
                    text = repr(await client[name][collection].find({}).to_list(None))
                    text = text.casefold()
                    found |= {
                        f"{each} in {name.removeprefix(self.chain.prefix)}.{collection}"
                        for each in PLAIN
                        if each.casefold() in text
                    }
            return found
        finally:
            client.close()


SALES = {
    "titles": {"en": "Sales"},
    "stages": [
        {
            "stage": "new", "titles": {"en": "New"}, "probability": 1000,
            "robots": [
                {"robot": "call", "action": {"kind": "task", "title": "Call"}},
                {"robot": "later", "after": 1, "action": {"kind": "task", "title": "Ask"}},
            ],
        },
        {"stage": "offer", "titles": {"en": "Offer"}, "probability": 5000},
    ],
    "won": {"en": "Won"},
    "lost": {"en": "Lost"},
    "lost_reasons": [{"reason": "price", "titles": {"en": "Price"}}],
}  # fmt: skip


async def with_third(town: Town, anna: str, bea: str) -> dict[str, str]:
    """Somebody who was imported, with a lost deal and a company, who was taken for bea once.

    Gives what stands in the paths of requests.
    """

    async def done(method: str, path: str, body: Json = None, **more: Json) -> Json:
        answer = await town.customers.request(method, f"/v1/{path}", json=body, **more)
        assert answer.is_success, answer.text
        return answer.json()

    uploaded = await town.customers.post(
        "/v1/imports", params={"filename": "list.csv"}, content=ROWS.encode()
    )
    assert uploaded.status_code == 201, uploaded.text
    draft = uploaded.json()["id"]
    await done("POST", f"imports/{draft}/start")

    async def found() -> Json | None:
        answer = await town.post("customers/find", {"kind": "card", "value": CARD})
        return answer.json() if answer.is_success else None

    third = (await eventually(found))["id"]
    await done("PUT", "pipelines/sales", SALES)
    opening = {"customer": third, "pipeline": "sales", "title": DEAL, "comment": WISH, "amount": 9}
    deal = (await done("POST", "deals", opening))["id"]
    other = (await done("POST", "deals", {**opening, "customer": anna}))["id"]
    company = await done("POST", "companies", {"name": "Beacons"})
    await done(
        "PUT",
        f"companies/{company['id']}/contacts/{third}",
        {"position": "Keeper"},
        headers={"If-Match": f'"{company["version"]}"'},
    )
    await done("POST", f"customers/{third}/merge", {"into": bea})

    def whose(customer: str) -> Any:  # noqa: ANN401 - asked again and again
        async def ask() -> bool | None:
            shown = (await town.customers.get(f"/v1/deals/{deal}")).json()
            return True if shown["customer"] == customer else None

        return ask

    await eventually(whose(bea))
    await done("POST", f"deals/{deal}/lose", {"reason": "price", "comment": LOSS})
    await done("POST", f"customers/{third}/merge/revert")
    await eventually(whose(third))
    await done("POST", f"customers/{third}/merge", {"into": anna, "reason": WHY})
    await eventually(whose(anna))
    return {
        "customer": anna, "deal": deal, "company": company["id"], "import_id": draft,
        "job_id": draft, "job": draft, "name": "sales", "segment": "agreed",
        "campaign": "greeting", "other": other,
    }  # fmt: skip


async def disclosed(town: Town, customer: str) -> None:
    """Raise AssertionError where something that is held of the person is not told to them."""

    async def whole() -> Json | None:
        answer = await town.customers.get(f"/v1/customers/{customer}/access")
        # Robots, and the list of deals, follow the log.
        asked = "deal.task_requested.v1" in answer.text and LOSS in answer.text
        return answer if asked and len(answer.json()["deals"]) > 1 else None

    answer = await eventually(whole)
    assert [each for each in PLAIN if each not in answer.text] == [CONTENT]
    assert [each["terms"]["amount"] for each in answer.json()["deals"]] == [9, 9]


async def taken_back(town: Town, draft: str) -> None:
    """Take an import back whose customers are erased: nothing of theirs is there to be changed."""
    assert (await town.post(f"imports/{draft}/revert", {})).is_success
    job = await town.customers.get(f"/v1/jobs/{draft}/events", timeout=60)
    assert '"state":"reverted"' in job.text.replace(" ", "")


async def looked_everywhere(town: Town, places: dict[str, str]) -> None:
    """Raise AssertionError where a question to a service fails, or tells a plain text."""
    for client in (town.customers, town.segments, town.notify, town.interactions):
        paths = (await client.get("/openapi.json")).json()["paths"]
        assert len(paths) > 3
        for path, methods in paths.items():
            if "get" not in methods or path.endswith("/events"):
                continue
            asked = path.format_map(defaultdict(lambda: "x", places))
            answer = await client.get(asked)
            assert answer.status_code < 500, (path, answer.text)
            assert told(answer) == [], path
    identifiers = ({"kind": "card", "value": CARD}, {"kind": "phone", "value": "+4930901820771"})
    for path, body in (
        *(("customers/find", each) for each in identifiers),
        ("customers/quick", {"q": SURNAME}),
        ("customers/quick", {"q": "0771"}),
        ("customers/search", {"columns": ["name", "contacts"]}),
        ("customers/check", {"surname": SURNAME, "birth_date": "1931-07-23"}),
        ("customers/check", {"identifiers": identifiers}),
        ("customers/count", {}),
    ):
        answer = await town.post(path, body)
        assert answer.status_code < 500, (path, answer.text)
        assert told(answer) == [], (path, answer.text)


def told(answer: httpx2.Response) -> list[str]:
    return [each for each in PLAIN if each.casefold() in answer.text.casefold()]


@pytest.fixture
async def town(chain: LocalChain) -> AsyncIterator[Town]:
    async with AsyncExitStack() as exits:
        mails = await exits.enter_async_context(mail_server())
        customers = await exits.enter_async_context(
            chain.running(build_customer, chain.settings(Settings, smtp_url=mails.url))
        )
        interactions = await exits.enter_async_context(
            chain.running(build_interaction, chain.settings(InteractionSettings))
        )
        segments = await exits.enter_async_context(
            chain.running(build_segment, chain.settings(SegmentSettings))
        )
        notify = await exits.enter_async_context(
            chain.running(build_notify, chain.settings(NotifySettings, smtp_url=mails.url))
        )
        yield Town(chain, customers, segments, notify, interactions, mails)


async def rebuilt(chain: LocalChain) -> str:
    """Every read model from the first record on, as text."""
    settings = chain.settings(Settings)
    kernel = Kernel.unconnected(settings, "customer")
    projections: Sequence[Any] = (
        *CUSTOMER,
        duplicates(kernel.hmac_secret),
        *INTERACTION,
        TOTALS,
        *SEGMENT,
        care_v1(CareEngine(NO_RULES)).projection,
        ROBOTS.projection,
        profiles_v2(Engine(RuleSet(1, {}, DAY))).projection,
        RECIPIENTS,
        QUEUE,
        CAMPAIGN_FIGURES,
    )
    try:
        places = [
            TopicPartition(kernel.kafka.topic(topic), partition)
            for service in ("customer", "interaction", "segment", "notify")
            for topic in TOPICS[service]
            for partition in range(PARTITIONS)
        ]
        records = await read_partitions(kernel.kafka.bootstrap, places)
        text = ""
        for projection in projections:
            documents, parking = MemoryDocuments(), MemoryParking()
            folder: Folder[Any] = Folder(projection, documents, parking, kernel.keyring)
            for place in places:
                topic = place.topic.removeprefix(chain.prefix)
                if any(topic.endswith(each) for each in projection.topics):
                    await folder.fold(records[place])
            assert await parking.count() == 0, projection.name
            text += repr(list(documents.everything()))
        return text
    finally:
        await kernel.close()


async def test_after_an_erase_no_plain_text_is_found_anywhere_and_all_is_rebuilt(
    town: Town, capfd: pytest.CaptureFixture[str]
) -> None:
    anna, bea = await town.register(ANNA), await town.register(BEA)
    for path, body in (
        (f"customers/{bea}/notes", {"text": HABIT}),
        ("duplicates/dismiss", {"customer": anna, "other": bea}),
    ):
        assert (await town.post(path, body)).is_success
    listed = await town.customers.put(f"/v1/customers/{bea}/blacklisting", json={"reason": DEED})
    assert listed.is_success, listed.text
    scan = await town.customers.post(
        f"/v1/customers/{bea}/documents",
        params={"title": TITLE},
        content=CONTENT.encode(),
        headers={"content-type": "text/plain"},
    )
    assert scan.is_success, scan.text

    async def listed_all() -> bool | None:
        return True if SURNAME in (await town.customers.get("/v1/customers")).text else None

    await eventually(listed_all)
    places = await with_third(town, anna, bea)
    await town.greet()
    merged = await town.post(f"customers/{bea}/merge", {"into": anna, "reason": WHY})
    assert merged.status_code == 200, merged.text
    assert merged.json()["id"] == anna
    whole = (await town.customers.get(f"/v1/customers/{bea}")).json()
    assert whole["id"] == anna
    assert bea in whole["absorbed"]
    assert {each["kind"] for each in whole["identifiers"]} == {"email", "phone", "card"}
    assert [(each["customer"], each["text"]) for each in whole["notes"]] == [
        (anna, NOTE), (bea, HABIT),
    ]  # fmt: skip
    document = whole["documents"][0]["id"]
    file = await town.customers.get(f"/v1/customers/{anna}/documents/{document}")
    assert file.text == CONTENT
    await disclosed(town, bea)

    async def everywhere() -> bool | None:
        found = await town.found_in_databases()
        models = ("customer.directory", "customer.duplicates", "notify.recipients")
        return True if all(any(f" in {each}" in one for one in found) for each in models) else None

    await eventually(everywhere)
    wrong = await town.post(f"customers/{bea}/erase", {"confirm": "yes", "reason": "request"})
    assert wrong.status_code == 422
    erased = await town.post(f"customers/{bea}/erase", {"confirm": "erase", "reason": "request"})
    assert erased.status_code == 200, erased.text
    for path in (anna, bea, f"{anna}/access"):
        assert (await town.customers.get(f"/v1/customers/{path}")).status_code == 410

    async def nowhere() -> bool | None:
        return None if await town.found_in_databases() else True

    try:
        await eventually(nowhere, 30)
    except TimeoutError:
        assert await town.found_in_databases() == set()
    await taken_back(town, places["import_id"])
    await looked_everywhere(town, places)
    await looked_everywhere(town, {**places, "customer": bea, "deal": places["other"]})
    embedded = town.chain.servers.embedded
    files = sorted(embedded.home.rglob("*.log")) if embedded is not None else []
    assert embedded is None or found_in_files(files, ["pii:v1:"])
    assert found_in_files(files) == []
    logged = capfd.readouterr()
    assert [each for each in PLAIN if each in logged.out + logged.err] == []
    models = (await rebuilt(town.chain)).casefold()
    assert anna in models
    assert [each for each in PLAIN if each.casefold() in models] == []


def found_in_files(files: Sequence[Path], words: Sequence[str] = PLAIN) -> list[str]:
    return [
        f"{each} in {file.name}"
        for file in files
        for content in [file.read_bytes()]
        for each in words
        if each.encode() in content
    ]


async def test_only_who_may_merges_erases_and_is_told_everything(town: Town) -> None:
    anna, bea = await town.register({"surname": "A"}), await town.register({"surname": "B"})
    calls = {
        "merge": {"into": bea},
        "merge/revert": None,
        "erase": {"confirm": "erase", "reason": "request"},
    }
    chain = town.chain
    app = town.customers._transport.app  # type: ignore[attr-defined] # noqa: SLF001 - the same app
    async with client_of(app, await chain.key(Role.CASHIER)) as cashier:
        for path, body in calls.items():
            answer = await cashier.post(f"/v1/customers/{anna}/{path}", json=body)
            assert answer.status_code == 403, path
        assert (await cashier.get(f"/v1/customers/{anna}/access")).status_code == 403
    async with client_of(app, await chain.key(Role.MANAGER)) as manager:
        merged = await manager.post(f"/v1/customers/{anna}/merge", json=calls["merge"])
        assert merged.status_code == 200, merged.text
        stale = await manager.post(
            f"/v1/customers/{anna}/merge/revert", headers={"If-Match": '"1"'}
        )
        assert stale.status_code == 412
        assert (await manager.post(f"/v1/customers/{anna}/merge/revert")).status_code == 200
        erase = await manager.post(f"/v1/customers/{anna}/erase", json=calls["erase"])
        assert erase.status_code == 403


async def test_likely_duplicates_are_suggested_warned_of_and_dismissed(town: Town) -> None:
    one = {"surname": "Орлова", "name": "Анна", "birth_date": "1980-01-02"}
    first = await town.register(one)
    second = await town.register({**one, "surname": "Orlova", "name": "Anna"})

    async def pairs() -> Json | None:
        items = (await town.customers.get("/v1/duplicates")).json()["items"]
        return items or None

    (pair,) = await eventually(pairs)
    assert set(pair["customers"]) == {first, second}
    assert (pair["score"], pair["fields"]) == (85, ["surname", "name", "birth_date"])
    warned = (await town.post("customers/check", one)).json()["items"]
    assert {each["customer"] for each in warned} == {first, second}
    dismissed = await town.post("duplicates/dismiss", {"customer": first, "other": second})
    assert dismissed.status_code == 200, dismissed.text

    async def gone() -> bool | None:
        return None if await pairs() else True

    await eventually(gone)
