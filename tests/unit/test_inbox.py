"""The inbox on memory: recorded, waiting or dead, each with its reason, and nothing passed over."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]  # it publishes no types

from services.interaction.api.inbox import InboxApi
from services.interaction.handlers.facts import Recorder
from services.interaction.handlers.inbox import FAILURES_BEFORE, MOST_FAILED, Inbox, Patience
from services.interaction.handlers.inbox_replaying import Replaying
from services.interaction.handlers.inbox_sealing import Sealer, Still
from services.interaction.handlers.incoming import ANY
from services.interaction.handlers.incoming.schema import EXAMPLES, FILE, broken, kinds, run, schema
from services.interaction.handlers.intake import Intake, Sent
from services.interaction.handlers.lines import no_snapshots
from services.interaction.handlers.returns import Returns
from shared.access import Authenticator, Role, issue
from shared.clock import ManualClock
from shared.decider import Refused
from shared.eventstore import StoreUnavailable
from shared.execute import Outcome, Writer
from shared.http import build_app
from shared.http.events_page import render
from shared.identifiers import IdentifierRules
from shared.kafka import INBOX, KafkaUrl
from shared.kafka.contract import asyncapi
from shared.keyring import Keyring
from shared.memory import (
    MemoryApiKeys,
    MemoryDeadLetters,
    MemoryEventStore,
    MemoryKeyStore,
    MemoryLeases,
    MemoryWaitingPlace,
)
from shared.testing import DAY, client_of

Json = Any
SECRET = b"s" * 32
SURNAME = "Ivanova"


def receipt(number: int, **more: Json) -> Json:
    return {
        "kind": "receipt",
        "source_id": f"r{number}",
        "branch": "12",
        "time": "2017-11-30T09:30:00Z",
        "lines": [{"product": "bread", "quantity": 2, "amount": 200}],
        **more,
    }


def given_back(number: int, of: int, **more: Json) -> Json:
    return {
        "kind": "return",
        "source_id": f"b{number}",
        "branch": "12",
        "time": "2017-11-30T10:30:00Z",
        "receipt": {"source_id": f"r{of}"},
        **more,
    }


@dataclass(slots=True)
class FailingIntake:
    """An intake with a fault that nobody has foreseen, for facts whose id says so."""

    intake: Intake
    away: bool = False

    def sent(self, items: Sequence[Any]) -> Sequence[Sent | Refused]:
        return self.intake.sent(items)

    async def take(self, sent: Sequence[Sent | Refused]) -> Sequence[tuple[str | None, Outcome]]:
        if self.away:
            raise StoreUnavailable("away")
        for each in sent:
            if not isinstance(each, Refused) and "broken" in each.command.id:
                raise KeyError(SURNAME)
        return await self.intake.take(sent)


@dataclass(slots=True)
class Till:
    """An inbox without its servers, and what was written to it."""

    clock: ManualClock = field(default_factory=lambda: ManualClock(DAY))
    store: MemoryEventStore = field(default_factory=MemoryEventStore)
    customers: dict[str, str] = field(default_factory=dict)
    dead: MemoryDeadLetters = field(default_factory=MemoryDeadLetters)
    offsets: int = 0
    place: MemoryWaitingPlace = field(init=False)
    intake: FailingIntake = field(init=False)
    inbox: Inbox = field(init=False)

    def __post_init__(self) -> None:
        writer = Writer(
            self.store, Keyring(MemoryKeyStore(), AESGCM(bytes(32))), self.clock, "interaction"
        )
        self.place = MemoryWaitingPlace(self.clock)
        self.intake = FailingIntake(
            Intake(
                Recorder(writer, self.owners, no_snapshots),
                Returns(writer),
                IdentifierRules(SECRET, "US"),
                self.clock,
            )
        )
        self.inbox = Inbox(
            self.intake,  # type: ignore[arg-type]  # the same methods
            self.store.known,
            self.owners,
            self.place,
            self.dead,
            Sealer(AESGCM(bytes(32))),
        )

    async def owners(self, ids: Collection[str]) -> Mapping[str, str]:
        return {name: self.customers[name] for name in ids if name in self.customers}

    def records(self, *values: Json) -> list[Still]:
        found = []
        for value in values:
            raw = value if isinstance(value, bytes | None) else json.dumps(value).encode()
            found.append(Still("interaction.inbox.v1", 0, self.offsets, 1_000, b"12", raw))
            self.offsets += 1
        return found

    async def write(self, *values: Json) -> None:
        await self.inbox.take(self.records(*values))

    def recorded(self) -> list[str]:
        """The source ids of all facts, each as often as it was recorded."""
        marks = [mark.id for commit in self.store.commits for mark in commit.commands]
        return sorted(mark.rpartition("|")[2] for mark in marks)

    def reasons(self) -> list[str]:
        return [letter.reason for letter in self.dead.letters]

    def pass_time(self, seconds: float) -> None:
        self.clock.moment += timedelta(seconds=seconds)


async def test_facts_of_all_kinds_are_recorded_once() -> None:
    till = Till()
    examples = [json.loads(path.read_text()) for path in sorted(EXAMPLES.glob("*.json"))]
    # A receipt, what is given back of it, and then it was a mistake.
    last = ["receipt", "return", "void"]
    examples.sort(key=lambda each: last.index(each["kind"]) if each["kind"] in last else -1)
    till.clock.moment += timedelta(days=400)
    await till.write(*examples)
    await till.write(*examples)
    assert len(till.recorded()) == len(set(till.recorded())) == len(examples) == 12
    assert till.reasons() == []


async def test_what_is_wrong_is_put_aside_as_it_was_with_the_reason_and_the_rest_goes_on() -> None:
    till = Till()
    secret = {SURNAME: 1, "extra": {SURNAME.lower(): [SURNAME]}}
    bad: list[Json] = [
        None,
        b"\xff{",
        b'{"kind": "receipt"',
        {"kind": SURNAME},
        receipt(1) | secret,
        receipt(2, total=7),
        receipt(3, time="2017-12-09T09:30:00Z"),
        receipt(4, lines=[{"product": "bread", "quantity": 1, "amount": SURNAME}]),
    ]
    records = till.records(*bad[:4], receipt(100), *bad[4:], receipt(101))
    await till.inbox.take(records)
    assert till.recorded() == ["r100", "r101"]
    letters = till.dead.letters
    wrong = [record for record in records if record.offset not in {4, 9}]
    assert [(each.offset, each.key, each.value) for each in letters] == [
        (record.offset, record.key, record.value) for record in wrong
    ]
    assert till.reasons() == [
        "unreadable",
        "unreadable",
        "unreadable",
        "invalid",
        "invalid",
        "invalid",
        "invalid",
        "invalid",
    ]
    fields = {error.field for each in letters for error in each.errors}
    assert {"receipt.lines.0.amount", "total", "time", "receipt.…"} <= fields
    told = str([(each.reason, each.title, each.errors) for each in letters])
    assert SURNAME not in told
    assert SURNAME.lower() not in told


async def test_the_same_id_with_other_content_is_a_conflict() -> None:
    till = Till()
    await till.write(receipt(1), receipt(1, till="2"))
    await till.write(receipt(1), receipt(1, till="3"))
    assert till.recorded() == ["r1"]
    assert till.reasons() == ["command-differs", "command-differs"]
    assert [letter.offset for letter in till.dead.letters] == [1, 3]


async def test_a_return_waits_for_its_receipt_and_a_fact_for_its_customer() -> None:
    till = Till()
    await till.write(given_back(1, of=5), receipt(2, customer="c1"), given_back(1, of=5))
    assert (till.recorded(), await till.place.count()) == ([], 2)
    assert await till.inbox.look_again() == 2
    # Looked at a moment ago: it is not asked again without a pause.
    assert await till.inbox.look_again() == 0
    await till.write(receipt(5))
    till.customers["customer|c1"] = "c1"
    till.pass_time(1)
    assert await till.inbox.look_again() == 2
    assert till.recorded() == ["b1", "r2", "r5"]
    assert (await till.place.count(), till.reasons()) == (0, [])


async def test_a_return_in_one_batch_with_its_receipt_need_not_wait() -> None:
    till = Till()
    await till.write(given_back(1, of=5), receipt(5))
    assert (till.recorded(), await till.place.count()) == (["b1", "r5"], 0)


async def test_what_turns_out_wrong_after_waiting_is_put_aside() -> None:
    till = Till()
    await till.write(given_back(1, of=5, lines=[{"line": 9, "quantity": 1}]))
    await till.write(receipt(5))
    await till.inbox.look_again()
    assert (till.reasons(), await till.place.count()) == (["invalid"], 0)
    assert json.loads(till.dead.letters[0].value or b"")["source_id"] == "b1"


async def test_what_waits_too_long_is_put_aside_and_may_be_sent_again() -> None:
    till = Till()
    till.inbox.patience = Patience(seconds=100)
    await till.write(given_back(1, of=5))
    for _ in range(10):
        till.pass_time(10)
        await till.inbox.look_again()
    assert (till.reasons(), await till.place.count()) == ([], 1)
    till.pass_time(30)
    await till.inbox.look_again()
    assert (till.reasons(), await till.place.count()) == (["waited-too-long"], 0)
    await till.write(receipt(5))
    replaying = Replaying(till.dead, MemoryLeases(till.clock), "me")
    assert [each.place for each in (await replaying.open(0, 10))[0]] == [0]
    assert await replaying.replay() == 1
    assert await replaying.open(0, 10) == ([], None)
    assert await replaying.replay() == 0
    ((_, value),) = till.dead.inbox
    await till.write(value)
    assert till.recorded() == ["b1", "r5"]


async def test_dead_letters_are_listed_in_pages_and_one_that_is_there_twice_once() -> None:
    till = Till()
    await till.write(*(b"x" for _ in range(5)))
    till.dead.letters.insert(1, till.dead.letters[0])
    replaying = Replaying(till.dead, MemoryLeases(till.clock), "me")
    first, following = await replaying.open(0, 3)
    assert [each.letter.offset for each in first] == [0, 1]
    assert following == 3
    second, following = await replaying.open(3, 3)
    assert ([each.letter.offset for each in second], following) == ([2, 3, 4], None)


async def test_dead_letters_are_sent_again_by_one_at_a_time() -> None:
    till = Till()
    leases = MemoryLeases(till.clock)
    assert await leases.acquire("inbox-replay", "another", 60)
    with pytest.raises(Refused, match="replay-under-way"):
        await Replaying(till.dead, leases, "me").replay()


async def test_more_than_may_wait_is_put_aside_and_not_lost() -> None:
    till = Till()
    till.inbox.patience = Patience(most=2)
    await till.write(given_back(1, of=5), given_back(2, of=5))
    await till.write(given_back(3, of=5))
    assert await till.place.count() == 2
    assert till.reasons() == ["too-much-waits"]
    assert json.loads(till.dead.letters[0].value or b"")["source_id"] == "b3"


async def test_what_waits_is_sealed() -> None:
    till = Till()
    await till.write(given_back(1, of=5, reason=SURNAME))
    (waiter,) = await till.place.due(10)
    assert SURNAME.encode() not in waiter.content
    assert SURNAME.encode() in (till.inbox.sealer.opened(waiter).value or b"")
    with pytest.raises(InvalidTag):
        till.inbox.sealer.opened(msgspec.structs.replace(waiter, id="another"))


async def test_while_the_database_is_away_nothing_is_put_aside() -> None:
    till = Till()
    till.intake.away = True
    records = till.records(receipt(1), b"x")
    with pytest.raises(StoreUnavailable):
        await till.inbox.take(records)
    assert (till.reasons(), await till.place.count()) == ([], 0)
    till.intake.away = False
    await till.inbox.take(records)
    assert (till.recorded(), till.reasons()) == (["r1"], ["unreadable"])


async def test_a_fact_that_makes_a_fault_is_tried_again_and_then_put_aside_alone() -> None:
    till = Till()
    records = till.records(receipt(1), receipt(2, source_id="broken"), receipt(3))
    for _ in range(FAILURES_BEFORE - 1):
        with pytest.raises(KeyError):
            await till.inbox.take(records)
    await till.inbox.take(records)
    assert (till.recorded(), till.reasons()) == (["r1", "r3"], ["internal"])
    assert SURNAME not in str(till.dead.letters[0].errors)


async def test_a_bad_deployment_stops_instead_of_draining_the_inbox() -> None:
    till = Till()
    till.inbox._failed = MOST_FAILED  # noqa: SLF001 - a hundred faults take long
    record = till.records(receipt(2, source_id="broken"))
    for _ in range(2 * FAILURES_BEFORE):
        with pytest.raises(KeyError):
            await till.inbox.take(record)
    assert till.reasons() == []


# --- The schema ----------------------------------------------------------------------------------


def test_the_committed_schema_is_that_of_the_models() -> None:
    assert run([]) == 0


@pytest.mark.parametrize("kind", sorted(kinds()))
def test_the_example_of_a_kind_is_right_by_schema_and_model(kind: str) -> None:
    example = json.loads((EXAMPLES / f"{kind}.json").read_text())
    Draft202012Validator(schema()).validate(example)
    assert getattr(ANY.validate_python(example), "kind") == kind  # noqa: B009 - each kind has it


def test_the_schema_asks_for_the_kind() -> None:
    assert not Draft202012Validator(schema()).is_valid(
        {name: value for name, value in receipt(1).items() if name != "kind"}
    )


def test_a_kind_that_goes_or_asks_for_more_breaks_tills_and_a_new_one_does_not() -> None:
    now = json.loads(FILE.read_text())
    first, *rest = now["oneOf"]
    assert list(broken({"oneOf": rest}, now)) == []
    assert list(broken(now, {"oneOf": rest})) == [f"{first['title']}: the kind is gone"]
    more = {**first, "required": [*first["required"], "till"]}
    assert len(list(broken(now, {"oneOf": [more, *rest]}))) == 1


def test_a_list_of_values_may_grow_and_never_shrink() -> None:
    now = json.loads(FILE.read_text())
    fewer = json.loads(FILE.read_text().replace('"messenger",', ""))
    assert fewer != now
    assert list(broken(fewer, now)) == []
    assert "messenger" in next(iter(broken(now, fewer)))


def test_the_inbox_is_described_beside_the_events_as_a_topic_that_the_service_reads() -> None:
    described = asyncapi("interaction", KafkaUrl("kafka:9092", "chain-"), {INBOX: schema()})
    assert described["channels"][INBOX]["address"] == f"chain-{INBOX}"
    actions = {name: each["action"] for name, each in described["operations"].items()}
    assert actions == {INBOX: "receive", "interaction.events.v1": "send"}
    page = render(described).partition(f"<code>{INBOX}</code>")[2].partition("<h2>")[0]
    # Every kind with its example.
    assert all(f"<code>{kind}</code>" in page for kind in kinds())
    assert page.count("<summary>Example</summary>") == len(kinds())


# --- Over HTTP -----------------------------------------------------------------------------------


async def test_an_operator_sees_the_reasons_and_sends_dead_letters_again() -> None:
    till = Till()
    await till.write(b"x", receipt(2, total=7), given_back(1, of=5))
    text, stored = issue(SECRET, title="test", roles=[Role.OWNER])
    cashier, other = issue(SECRET, title="till", roles=[Role.CASHIER])
    keys = MemoryApiKeys()
    await keys.add(stored)
    await keys.add(other)
    replaying = Replaying(till.dead, MemoryLeases(till.clock), "me")

    async def ready() -> Mapping[str, bool | str]:
        return {}

    app = build_app(
        title="Inbox",
        service="interaction",
        routers=[InboxApi(replaying, till.place).router()],
        authenticator=Authenticator(keys, SECRET),
        readiness=ready,
    )
    async with client_of(app, text) as client, client_of(app, cashier) as stranger:
        assert (await stranger.get("/v1/inbox/dead")).status_code == 403
        assert (await stranger.post("/v1/inbox/dead/replay")).status_code == 403
        first = (await client.get("/v1/inbox/dead", params={"limit": 1})).json()
        assert first["items"] == [
            {
                "place": 0,
                "topic": INBOX,
                "partition": 0,
                "offset": 0,
                "taken_at": "1970-01-01T00:00:01Z",
                "type": "urn:regulars:problem:unreadable",
                "title": "The request cannot be read.",
                "errors": [],
            }
        ]
        cursor = first["next_cursor"]
        second = (await client.get("/v1/inbox/dead", params={"cursor": cursor})).json()
        ((error,),) = (each["errors"] for each in second["items"])
        assert (error["field"], second["next_cursor"]) == ("total", None)
        assert (await client.get("/v1/inbox/waiting")).json() == {"waiting": 1}
        assert (await client.post("/v1/inbox/dead/replay")).json() == {"replayed": 2}
        assert (await client.get("/v1/inbox/dead")).json() == {"items": [], "next_cursor": None}
