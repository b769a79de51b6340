"""Receipts in batches on a memory store: each once, and with few questions to the store."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from msgspec.structs import replace as changed

from services.interaction.domain.receipts import record_receipt
from services.interaction.handlers.facts import Recorder, SentFact
from services.interaction.handlers.imports import begin_import, end_import
from services.interaction.handlers.lines import no_snapshots, with_lines
from shared.clock import ManualClock
from shared.decider import Refused
from shared.envelope import decode
from shared.events.interaction import ReceiptLine, ReceiptRecorded
from shared.execute import Done, Outcome, Writer
from shared.keyring import Keyring
from shared.memory import MemoryEventStore, MemoryKeyStore
from shared.testing import DAY, InterceptedStore

LINE = ReceiptLine(product="bread", quantity=Decimal(1), amount=199)


@dataclass(slots=True)
class Tills:
    """An interaction service without its servers; `known` is whom identifiers find."""

    known: dict[str, str] = field(default_factory=dict)
    memory: MemoryEventStore = field(default_factory=MemoryEventStore)
    asked: list[set[str]] = field(default_factory=list)
    store: InterceptedStore = field(init=False)
    writer: Writer = field(init=False)

    def __post_init__(self) -> None:
        self.store = InterceptedStore(self.memory)
        keyring = Keyring(MemoryKeyStore(), AESGCM(bytes(32)))
        self.writer = Writer(self.store, keyring, ManualClock(DAY), "interaction")

    async def owners(self, ids: Collection[str]) -> Mapping[str, str]:
        self.asked.append(set(ids))
        return {name: self.known[name] for name in ids if name in self.known}

    async def send(
        self, sent: Sequence[SentFact], import_id: str | None = None
    ) -> Sequence[Outcome]:
        recorder = Recorder(self.writer, self.owners, no_snapshots)
        return await recorder.record(sent, import_id)


def sent(source_id: str, who: str = "card|a", content: str = "as it was") -> SentFact:
    receipt = record_receipt(
        source="pos", source_id=source_id, branch="12", time=DAY, now=DAY, lines=(LINE,)
    )
    return SentFact(receipt, (who,), content)


def kinds(outcomes: Sequence[Outcome]) -> list[str]:
    """`new`, `again`, or the type of the refusal."""
    return [
        outcome.type if isinstance(outcome, Refused) else "again" if outcome.repeated else "new"
        for outcome in outcomes
    ]


async def test_a_thousand_receipts_of_sixteen_customers_are_sixteen_commits() -> None:
    tills = Tills({f"card|{n}": f"customer-{n}" for n in range(16)})
    outcomes = await tills.send([sent(str(n), f"card|{n % 16}") for n in range(1000)])
    assert kinds(outcomes) == ["new"] * 1000
    assert len(tills.memory.commits) == 16
    assert sum(len(commit.events) for commit in tills.memory.commits) == 1000
    # One look-up of customers, one of known commands, one of heads, one insert: no more.
    assert [len(ids) for ids in tills.asked] == [16]
    assert (tills.store.questions, tills.store.appended) == (["known", "heads"], 1)
    # 1000 = 62 × 16 + 8, so the last receipt, number 999, is customer 7's 63rd.
    assert outcomes[999] == Done("interaction-customer-7", 63)


async def test_a_receipt_lies_in_the_stream_of_its_customer_and_says_why() -> None:
    tills = Tills({"card|a": "anna"})
    await tills.send([sent("1")])
    (commit,) = tills.memory.commits
    envelope = decode(commit.events[0])
    assert (commit.stream, commit.key) == ("interaction-anna", "anna")
    assert (envelope.subject, envelope.branch, envelope.history) == ("anna", "12", None)
    assert envelope.correlationid == "pos|12|1"


async def test_the_same_receipt_is_recorded_once_in_a_batch_and_for_ever() -> None:
    tills = Tills({"card|a": "anna"})
    assert kinds(await tills.send([sent("1"), sent("2"), sent("1")])) == ["new", "new", "again"]
    again = await tills.send([sent("3"), sent("2")])
    # Receipt 2 made version 2 of the stream, and says so each time.
    assert again == [
        Done("interaction-anna", 3),
        Done("interaction-anna", 2, repeated=True),
    ]
    assert sum(len(commit.events) for commit in tills.memory.commits) == 3


async def test_another_content_under_the_same_id_is_reported_and_not_recorded() -> None:
    tills = Tills({"card|a": "anna"})
    await tills.send([sent("1")])
    other = sent("1", content="something else")
    assert kinds(await tills.send([other, sent("2")])) == ["command-differs", "new"]
    assert kinds(await tills.send([sent("1"), other])) == ["again", "command-differs"]
    assert sum(len(commit.events) for commit in tills.memory.commits) == 2


async def test_who_is_not_known_is_refused_alone_and_may_be_sent_again_later() -> None:
    tills = Tills({"card|a": "anna"})
    batch = [sent("1"), sent("2", "card|b"), sent("3")]
    assert kinds(await tills.send(batch)) == ["new", "unknown-customer", "new"]
    tills.known["card|b"] = "boris"
    assert kinds(await tills.send(batch)) == ["again", "new", "again"]


async def test_what_was_recorded_is_answered_also_when_its_identifier_finds_another_or_nobody() -> (
    None
):
    tills = Tills({"card|a": "anna"})
    first = Done("interaction-anna", 1)
    assert await tills.send([sent("1")]) == [first]
    tills.known["card|a"] = "boris"
    assert await tills.send([sent("1")]) == [changed(first, repeated=True)]
    tills.known.clear()
    assert await tills.send([sent("1")]) == [changed(first, repeated=True)]
    assert kinds(await tills.send([sent("1", content="else")])) == ["command-differs"]


async def test_a_wrong_receipt_does_not_hold_its_neighbours_up() -> None:
    tills = Tills({"card|a": "anna"})
    ahead = changed(sent("2").command, time=DAY + timedelta(days=2))
    wrong = changed(sent("2"), command=ahead)
    assert kinds(await tills.send([sent("1"), wrong, sent("3")])) == ["new", "invalid", "new"]


async def test_nothing_sent_asks_nothing() -> None:
    tills = Tills()
    assert await tills.send([]) == []
    assert tills.store.questions == []


async def test_facts_of_an_import_say_so_while_it_is_open() -> None:
    tills = Tills({"card|a": "anna"})
    assert kinds(await tills.send([sent("1")], "2017")) == ["import-not-open"]
    await begin_import(tills.writer, "begin", "2017", "The year 2017", DAY)
    assert kinds(await tills.send([sent("1")], "2017")) == ["new"]
    assert decode(tills.memory.commits[-1].events[0]).history == "2017"
    await end_import(tills.writer, "end", "2017", 1, DAY)
    assert kinds(await tills.send([sent("2")], "2017")) == ["import-not-open"]


async def test_what_an_import_brought_is_answered_after_its_end_and_outside_of_it() -> None:
    tills = Tills({"card|a": "anna"})
    await begin_import(tills.writer, "begin", "2017", "The year 2017", DAY)
    await tills.send([sent("1")], "2017")
    await end_import(tills.writer, "end", "2017", 1, DAY)
    batch = [sent("1"), sent("2"), sent("1", content="else")]
    # The third one has the id of the first, which is what was recorded.
    assert kinds(await tills.send(batch, "2017")) == ["again", "import-not-open", "command-differs"]
    assert kinds(await tills.send([sent("1")])) == ["again"]


async def test_an_import_is_answered_alike_however_often_it_is_begun_and_ended() -> None:
    tills = Tills()
    first = await begin_import(tills.writer, "begin", "2017", "The year 2017", DAY)
    again = await begin_import(tills.writer, "begin", "2017", "The year 2017", DAY)
    other_id = await begin_import(tills.writer, "begin 2", "2017", "The year 2017", DAY)
    assert [each.version for each in (first, again, other_id)] == [1, 1, 1]
    await end_import(tills.writer, "end", "2017", 7, DAY)
    await end_import(tills.writer, "end 2", "2017", 8, DAY)
    begun, ended = tills.memory.commits
    assert (begun.key, begun.broadcast) == ("2017", False)
    # To every partition of the topic, since facts of the import lie in all of them.
    assert (ended.key, ended.broadcast) == ("2017", True)


@dataclass(frozen=True, slots=True)
class Dear:
    """A product that costs 10,000,000,000 with two decimals a piece."""

    path: tuple[str, ...] = ("food",)
    cost: int | None = 10**12


async def test_a_cost_that_is_too_large_to_be_added_up_is_none() -> None:
    async def catalogue(wanted: Collection[str]) -> Mapping[str, Dear]:
        return dict.fromkeys(wanted, Dear())

    for quantity, cost in (("1", 10**12), ("-1", -(10**12)), ("1.000001", None), ("1e11", None)):
        line = ReceiptLine(product="bread", quantity=Decimal(quantity), amount=199)
        receipt = record_receipt(
            source="pos", source_id="1", branch="12", time=DAY, now=DAY, lines=(line,)
        )
        (found,) = await with_lines(catalogue, [receipt.data])
        assert isinstance(found, ReceiptRecorded)
        assert (found.lines[0].categories, found.lines[0].cost) == (("food",), cost)
