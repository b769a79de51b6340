"""What people write back: whose it is, once, and a message of theirs in the interaction service."""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from services.interaction.consumers.replies import StillMoving, subscription
from services.interaction.handlers.facts import Recorder
from services.interaction.handlers.places import UNDER_WAY
from services.notify.channels.reports import Reply
from services.notify.domain import MESSAGE, BeginSending, RecordSent, Schedule, message_stream
from services.notify.domain.message import MessageCommand
from services.notify.handlers.books.suppression import suppressed
from services.notify.handlers.returns.replying import Replying
from services.notify.handlers.returns.reporting import moment_of
from services.notify.projections import QUEUE, Contact, QueuedMessage
from services.notify.queries import Queue, Recipients
from shared.clock import ManualClock, SystemClock
from shared.decider import Refused
from shared.envelope import Causation, decode
from shared.events.contract import EventData
from shared.events.interaction import MessageRecorded
from shared.events.preferences import PreferenceWithdrawn
from shared.events.replies import ReplyReceived
from shared.eventstore import body_hash
from shared.execute import Command, Writer
from shared.identifiers import IdentifierRules
from shared.keyring import Keyring
from shared.memory import MemoryDocuments, MemoryEventStore, MemoryKeyStore, MemoryParking
from shared.projector import Folder
from shared.testing import logs_of
from shared.testing.collections import MemoryQuestions
from shared.testing.facts import records_of

NOW = datetime(2018, 1, 2, tzinfo=UTC)
RULES = IdentifierRules(bytes(32))
PHONE = RULES.known("phone", "+4930123456", "value")
MESSAGES = {name: f"0b6f3c1e-0000-5000-8000-00000000000{at}" for at, name in enumerate("ab", 1)}


async def _no_snapshots(_products: Collection[str]) -> Mapping[str, object]:
    return {}


@dataclass
class Bureau:
    """Both services as far as replies go."""

    clock: ManualClock = field(default_factory=lambda: ManualClock(NOW))
    store: MemoryEventStore = field(default_factory=MemoryEventStore)
    facts: MemoryEventStore = field(default_factory=MemoryEventStore)
    queue: MemoryDocuments = field(default_factory=MemoryDocuments)
    people: MemoryDocuments = field(default_factory=MemoryDocuments)
    owners: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.keyring = Keyring(MemoryKeyStore(), AESGCM(bytes(32)))
        self.writer = Writer(self.store, self.keyring, self.clock, "notify")
        self.replying = Replying(
            self.writer,
            RULES,
            Queue(MemoryQuestions(self.queue)),
            Recipients(MemoryQuestions(self.people), MemoryQuestions(MemoryDocuments())),
            {"stop"},
        )

    async def customers(self, *names: str) -> None:
        """People with one phone."""
        contact = Contact("phone", PHONE.hash, PHONE.value, shared=True)
        await self.people.write(
            [
                {"_id": name, "rev": 1, "versions": {}, "contacts": [_plain(contact)]}
                for name in names
            ]
        )

    async def do(self, name: str, command: MessageCommand, customer: str) -> None:
        stream, why = message_stream(command.message), Causation("test")
        execution = Command(name, body_hash(name), stream, customer, command, why, customer)
        await self.writer.one(MESSAGE, execution)

    async def send(self, name: str, customer: str, reference: str) -> None:
        """A message by SMS."""
        message = MESSAGES[name]
        steps: tuple[MessageCommand, ...] = (
            Schedule(message=message, at=NOW, campaign="c", occurrence="1", channel="sms"),
            BeginSending(message=message, at=NOW, contact=PHONE.hash, attempt="a", channel="sms"),
            RecordSent(message=message, at=NOW, attempt="a", reference=reference),
        )
        for number, command in enumerate(steps):
            await self.do(f"{message}|{number}", command, customer)
        self.clock.advance(timedelta(seconds=1))
        folder: Folder[QueuedMessage] = Folder(QUEUE, self.queue, MemoryParking(), self.keyring)
        for log in logs_of(self.store.commits):
            await folder.fold(log)

    async def replies(self) -> list[tuple[str | None, ReplyReceived]]:
        """Whose each one is, and what it says."""
        streams = dict.fromkeys(
            each.stream for each in self.store.commits if each.stream.startswith("reply-")
        )
        found = []
        for stream in streams:
            events, _ = (await self.writer.histories([stream]))[stream]
            (event,) = events
            assert isinstance(event, ReplyReceived)
            (commit,) = (await self.store.read([stream]))[stream]
            found.append((decode(commit.events[0]).subject, event))
        return found

    async def react(self) -> None:
        """Let the interaction service read what the other one published."""

        async def owners(names: Collection[str]) -> Mapping[str, str]:
            return {name: self.owners[name] for name in names if name in self.owners}

        writer = Writer(self.facts, self.keyring, self.clock, "interaction")
        recorder = Recorder(writer, owners, _no_snapshots)  # type: ignore[arg-type]  # no products
        await subscription(recorder, self.keyring, self.clock).react(
            records_of(self.store.commits, NOW)
        )

    async def recorded(self) -> list[tuple[str, EventData]]:
        """Streams and facts."""
        writer = Writer(self.facts, self.keyring, self.clock, "interaction")
        return [
            (each.stream, (await writer.histories([each.stream]))[each.stream][0][0])
            for each in self.facts.commits
        ]


def _plain(contact: Contact) -> dict[str, object]:
    return {"kind": contact.kind, "hash": contact.hash, "value": contact.value, "shared": True}


@pytest.fixture
def bureau() -> Bureau:
    return Bureau()


def reply(text: str = "Yes, please", name: str = "r-1", answers: str | None = None) -> Reply:
    return Reply(address="+49 30 123456", text=text, id=name, answers=answers)


async def test_a_reply_is_of_whoever_the_message_was_for_that_it_answers(bureau: Bureau) -> None:
    await bureau.customers("anna", "boris")
    await bureau.send("a", "anna", "g-1")
    await bureau.send("b", "boris", "g-2")
    await bureau.replying.take("sms", [reply(answers="g-1")])
    await bureau.replying.take("sms", [reply(name="r-2", answers=MESSAGES["b"])])
    (first, told), (second, _) = await bureau.replies()
    assert (first, second) == ("anna", "boris")
    assert (told.message, told.campaign, told.text) == (MESSAGES["a"], "c", "Yes, please")
    assert (told.kind, told.contact, told.address) == ("phone", PHONE.hash, PHONE.value)


async def test_of_those_who_share_a_phone_it_is_who_got_the_latest_message(bureau: Bureau) -> None:
    await bureau.customers("anna", "boris")
    await bureau.send("a", "anna", "g-1")
    await bureau.send("b", "boris", "g-2")
    await bureau.replying.take("sms", [reply()])
    ((customer, told),) = await bureau.replies()
    # Whether it answers that message nobody has said.
    assert (customer, told.message) == ("boris", None)


async def test_a_reply_is_noted_once_and_holds_nothing_in_the_clear(bureau: Bureau) -> None:
    await bureau.customers("anna")
    for _ in range(2):
        await bureau.replying.take("sms", [reply("My address is Elm Street 5")])
    ((customer, _),) = await bureau.replies()
    assert customer == "anna"
    recorded = json.dumps(
        [(each.key, [mark.id for mark in each.commands], each.events)
         for each in bureau.store.commits]
    )  # fmt: skip
    assert "Elm Street" not in recorded
    assert "30123456" not in recorded


async def test_what_is_no_address_is_nobodys(bureau: Bureau) -> None:
    await bureau.replying.take("sms", [Reply(address="SHOP", text="x", id="r")])
    assert await bureau.replies() == []


async def test_a_reply_becomes_a_message_of_the_customer_once(bureau: Bureau) -> None:
    await bureau.customers("anna")
    bureau.owners = {"customer|anna": "anna"}
    await bureau.send("a", "anna", "g-1")
    await bureau.replying.take("sms", [reply(answers="g-1")])
    for _ in range(2):
        await bureau.react()
    ((stream, fact),) = await bureau.recorded()
    assert stream == "interaction-anna"
    assert isinstance(fact, MessageRecorded)
    assert (fact.direction, fact.channel, fact.text) == ("in", "sms", "Yes, please")
    assert fact.extra == {"campaign": "c", "message": MESSAGES["a"]}
    assert fact.identified_by is not None
    assert fact.identified_by.value is None


async def test_a_reply_of_nobody_waits_for_whoever_turns_out_to_have_the_address(
    bureau: Bureau,
) -> None:
    await bureau.replying.take("sms", [reply()])
    ((customer, _),) = await bureau.replies()
    assert customer is None
    await bureau.react()
    ((stream, fact),) = await bureau.recorded()
    assert stream.startswith("unknown-")
    assert isinstance(fact, MessageRecorded)
    assert fact.identified_by is not None
    # By it somebody may be registered.
    assert fact.identified_by.value == PHONE.value


async def test_what_nobody_is_known_to_have_written_is_kept_in_the_fact_alone(
    bureau: Bureau,
) -> None:
    await bureau.customers("anna")
    bureau.owners = {"customer|anna": "anna"}
    await bureau.replying.take("telegram", [Reply("42", "I live in Elm Street", "r-1")])
    await bureau.replying.take("sms", [reply("Yes")])
    for _ in range(2):
        await bureau.react()
    by_whom = dict(await bureau.replies())
    # Of somebody unknown the fact has the text, and goes with whoever adopts it.
    assert (by_whom[None].text, by_whom[None].address) == (None, None)
    facts = {stream.partition("-")[0]: fact for stream, fact in await bureau.recorded()}
    assert {fact.text for fact in facts.values() if isinstance(fact, MessageRecorded)} == {
        "I live in Elm Street",
        "Yes",
    }
    # Of a customer it goes with the customer's key, and that is none of ours.
    assert by_whom["anna"].text == "Yes"


async def test_of_what_was_not_recorded_the_reply_is_kept(
    bureau: Bureau, monkeypatch: pytest.MonkeyPatch
) -> None:
    await bureau.replying.take("sms", [reply()])

    async def refusing(_self: Recorder, sent: list[object]) -> list[Refused]:
        return [Refused("invalid", 422, "The input is not valid.") for _ in sent]

    monkeypatch.setattr(Recorder, "record", refusing)
    await bureau.react()
    ((_, told),) = await bureau.replies()
    assert told.text == "Yes, please"


async def test_of_who_was_erased_nothing_is_recorded(bureau: Bureau) -> None:
    await bureau.customers("anna")
    await bureau.replying.take("sms", [reply()])
    await bureau.keyring.erase(["anna"], "e-1")
    await bureau.react()
    assert bureau.facts.commits == []
    await bureau.replying.take("sms", [reply(name="r-2")])
    # What an erased key would seal is not written at all.
    assert len(bureau.store.commits) == 1


async def test_while_facts_move_the_reply_is_tried_again(
    bureau: Bureau, monkeypatch: pytest.MonkeyPatch
) -> None:
    await bureau.customers("anna")
    await bureau.replying.take("sms", [reply()])

    async def moving(_self: Recorder, sent: list[object]) -> list[Refused]:
        return [UNDER_WAY for _ in sent]

    monkeypatch.setattr(Recorder, "record", moving)
    with pytest.raises(StillMoving):
        await bureau.react()


async def test_who_answers_an_sms_by_stop_has_withdrawn_every_consent_to_sms(
    bureau: Bureau,
) -> None:
    await bureau.customers("anna")
    (raw,) = (await bureau.people.load(["anna"])).values()
    consents = {"news|sms|": True, "offers|sms|h": True, "news|email|": True}
    await bureau.people.write([{**raw, "rev": 2, "consents": consents}])
    for _ in range(2):
        await bureau.replying.take("sms", [reply(" Stop! ")])
    said = (await bureau.writer.histories(["preferences-anna"]))["preferences-anna"][0]
    assert [
        (each.topic, each.channel, each.source)
        for each in said
        if isinstance(each, PreferenceWithdrawn)
    ] == [("news", "sms", "reply"), ("offers", "sms", "reply")]
    # It is a message of theirs as well.
    assert len(await bureau.replies()) == 1


@pytest.mark.parametrize(
    ("provider", "text"),
    [("sms", "Please do not stop"), ("email", "stop"), ("sms", ""), ("telegram", "/start")],
)
async def test_only_the_word_alone_ends_messages_and_not_by_mail(
    bureau: Bureau, provider: str, text: str
) -> None:
    await bureau.replying.take(provider, [reply(text)])
    assert {each.stream.partition("-")[0] for each in bureau.store.commits} <= {"reply"}


@pytest.mark.parametrize(
    ("provider", "address", "text"),
    [("telegram", "4711", "/stop"), ("whatsapp", "4930123456", "STOP")],
)
async def test_in_a_messenger_the_word_ends_what_was_agreed_to_for_messengers(
    bureau: Bureau, provider: str, address: str, text: str
) -> None:
    await bureau.customers("anna")
    (raw,) = (await bureau.people.load(["anna"])).values()
    contact = RULES.known("messenger", f"{provider}:{address}", "address")
    having = {"kind": "messenger", "hash": contact.hash}
    consents = {"news|sms|": True, "news|messenger|": True}
    told = {**raw, "rev": 2, "consents": consents, "contacts": [having]}
    await bureau.people.write([told])
    await bureau.replying.take(provider, [Reply(address=address, text=text, id="r-1")])
    said = (await bureau.writer.histories(["preferences-anna"]))["preferences-anna"][0]
    assert [each.channel for each in said if isinstance(each, PreferenceWithdrawn)] == ["messenger"]


async def test_the_number_of_nobody_that_says_stop_gets_nothing_more(bureau: Bureau) -> None:
    await bureau.replying.take("sms", [reply("STOP")])
    assert await suppressed(bureau.store, [PHONE.hash]) == {PHONE.hash}


async def test_who_was_merged_and_answers_by_stop_ends_what_the_survivor_agreed_to(
    bureau: Bureau,
) -> None:
    await bureau.send("a", "anna", "g-1")
    await bureau.people.write(
        [
            {"_id": "anna", "rev": 1, "versions": {}, "merged": "boris",
             "consents": {"news|sms|": True}},
            {"_id": "boris", "rev": 1, "versions": {}, "consents": {"offers|sms|": True}},
        ]
    )  # fmt: skip
    await bureau.replying.take("sms", [reply("stop", answers="g-1")])
    assert not (await bureau.store.heads(["preferences-anna"]))
    (said,) = (await bureau.writer.histories(["preferences-boris"]))["preferences-boris"][0]
    assert isinstance(said, PreferenceWithdrawn)
    assert (said.customer, said.topic) == ("boris", "offers")


async def test_of_whom_nothing_is_read_yet_the_number_gets_nothing_more(bureau: Bureau) -> None:
    await bureau.send("a", "anna", "g-1")
    await bureau.replying.take("sms", [reply("stop", answers="g-1")])
    # What anna has agreed to cannot be told, so nothing could be withdrawn.
    assert await suppressed(bureau.store, [PHONE.hash]) == {PHONE.hash}


def test_a_time_at_the_end_of_all_calendars_says_nothing() -> None:
    clock = SystemClock(shift=timedelta(days=1))
    now = clock.now()
    assert now <= moment_of(clock, datetime.max.replace(tzinfo=UTC)) < now + timedelta(hours=1)
