"""Figures of campaigns: each message once, people once, and what they tell over HTTP."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from services.notify.api import FiguresApi
from services.notify.domain.findings import FAILED, SENTENCES
from services.notify.handlers.books.campaigns import CampaignBook
from services.notify.handlers.campaigns.requests import Request, define
from services.notify.main import LOCALES
from services.notify.projections import CAMPAIGN_EFFECTS, MessageFigures, campaign_figures_of
from services.notify.queries import Effects, Figures
from shared.access import Authenticator, Role, issue
from shared.clock import ManualClock
from shared.decider import NewEvent
from shared.events.campaign import CampaignDefined
from shared.events.contract import EventData
from shared.events.interaction import ReceiptRecorded
from shared.events.notification import (
    MessageClicked,
    MessageDelivered,
    MessageFailed,
    MessageFellBack,
    MessageHeldOut,
    MessageOpened,
    MessageScheduled,
    MessageSending,
    MessageSent,
    MessageSuppressed,
    MessageUncertain,
)
from shared.events.preferences import PreferenceWithdrawn
from shared.events.reports import MessageBounced, MessageComplained
from shared.execute import Writer
from shared.http import build_app
from shared.keyring import Keyring
from shared.memory import (
    MemoryApiKeys,
    MemoryDocuments,
    MemoryEventStore,
    MemoryKeyStore,
    MemoryParking,
)
from shared.projector import Folder
from shared.testing import client_of, logs_of
from shared.testing.aggregating import MemorySums
from shared.testing.facts import tell
from shared.wording import Languages, read_catalogue

Json = Any
NOW = datetime(2018, 1, 2, 22, tzinfo=UTC)
SECRET = bytes(32)
KEYRING = Keyring(MemoryKeyStore(), AESGCM(bytes(32)))
CAMPAIGN = "we-miss-you"
WORDS = {"subject": "s", "text": "t"}
DEFINED: dict[str, Any] = {
    "campaign": CAMPAIGN,
    "title": "We miss you",
    "trigger": {"kind": "on_entering", "segment": "lapsed-30"},
    "channel": "email",
    "topic": "marketing",
    "template": WORDS,
    "variants": [{"name": name, "weight": 1, "template": WORDS} for name in ("a", "b")],
    "start": "2018-01-01T00:00:00Z",
    "holdout_percent": 10,
}


class Log:
    """What was told of messages and receipts, folded into both read models."""

    def __init__(self) -> None:
        self.notify, self.interaction = MemoryEventStore(), MemoryEventStore()
        self.messages, self.effects = MemoryDocuments(), MemoryDocuments()

    async def message(self, name: str, customer: str, *told: EventData) -> None:
        writer = Writer(self.notify, KEYRING, ManualClock(NOW), "notify")
        events = [NewEvent(each, NOW) for each in told]
        await tell(writer, f"message-{name}", customer, events)

    async def says(self, customer: str, data: EventData) -> None:
        writer = Writer(self.notify, KEYRING, ManualClock(NOW), "notify")
        await tell(writer, f"preferences-{customer}", customer, [NewEvent(data, NOW)])

    async def buys(self, customer: str, total: int) -> None:
        writer = Writer(self.interaction, KEYRING, ManualClock(NOW), "interaction")
        data = ReceiptRecorded(
            fact=f"f-{customer}", source="pos", source_id=customer, total=total,
            coupon_lines=0, lines=(),
        )  # fmt: skip
        at = NOW + timedelta(days=1)
        await tell(writer, f"interaction-{customer}", customer, [NewEvent(data, at)])

    async def fold(self) -> None:
        parking = MemoryParking()
        logs = [*logs_of(self.notify.commits), *logs_of(self.interaction.commits)]
        figures = Folder(campaign_figures_of(UTC), self.messages, parking, KEYRING)
        effects = Folder(CAMPAIGN_EFFECTS, self.effects, parking, KEYRING)
        for log in logs:
            await figures.fold(log)
            await effects.fold(log)
        assert await parking.count() == 0

    @property
    def figures(self) -> Figures:
        return Figures(MemorySums(self.messages))


def told_of(name: str, *kinds: type[EventData], **fields: object) -> list[EventData]:
    """The life of a message."""
    more: dict[type[EventData], dict[str, Any]] = {
        MessageScheduled: {"occurrence": "o", "channel": "email"},
        MessageSending: {"contact": "h", "attempt": "a", "channel": "email"},
        MessageSuppressed: {"reason": "no_consent"},
        MessageFailed: {"code": "550"},
        MessageFellBack: {"channel": "email", "reason": "bounced"},
        MessageBounced: {"channel": "email", "permanent": True},
        MessageComplained: {"channel": "email"},
        MessageClicked: {"link": "https://shop.example/a.b?c=d"},
    }
    known: dict[str, Any] = {"message": name, "campaign": CAMPAIGN}
    return [
        kind.model_validate(
            known
            | more.get(kind, {})
            | {field: value for field, value in fields.items() if field in kind.model_fields}
        )
        for kind in kinds
    ]


SENT = (MessageScheduled, MessageSending, MessageSent)


async def _lived() -> Log:
    log = Log()
    await log.message("m1", "anna", *told_of("m1", *SENT, variant="a"))
    opens = told_of("m1", MessageOpened, MessageOpened, MessageClicked, MessageClicked)
    await log.message("m1", "anna", *opens)
    await log.message("m2", "anna", *told_of("m2", *SENT, MessageOpened, variant="a"))
    await log.message("m3", "boris", *told_of("m3", *SENT, MessageDelivered, variant="b"))
    await log.message("m4", "boris", *told_of("m4", *SENT, MessageBounced, MessageFellBack))
    again = [told_of("m4", MessageSending, channel="sms")[0], *told_of("m4", MessageSent)]
    await log.message("m4", "boris", *again)
    await log.message("m5", "cora", *told_of("m5", MessageScheduled, MessageHeldOut))
    await log.message("m6", "cora", *told_of("m6", MessageScheduled, MessageSuppressed))
    await log.message("m7", "cora", *told_of("m7", *SENT[:2], MessageFailed))
    await log.message("m8", "cora", *told_of("m8", *SENT[:2], MessageUncertain))
    await log.message("m9", "cora", *told_of("m9", *SENT[:2]))
    await log.message("m10", "dora", *told_of("m10", *SENT, MessageComplained))
    await log.says(
        "dora",
        PreferenceWithdrawn(
            customer="dora", topic="marketing", channel="email", source="one-click", message="m10"
        ),
    )
    await log.fold()
    return log


async def test_each_message_is_counted_once_and_people_once() -> None:
    figures = (await _lived()).figures
    whole = await figures.whole(CAMPAIGN)
    outcomes, told = whole.outcomes, whole.told
    # Sent: m1, m2, m3, m4 by its second channel, and m10.
    assert (outcomes.sent, outcomes.held_out, outcomes.failed) == (5, 1, 1)
    assert (outcomes.uncertain, outcomes.open, outcomes.suppressed) == (1, 1, {"no_consent": 1})
    assert outcomes.scheduled == 10
    # Two messages were opened or clicked, both by Anna: m1 twice and m2 once.
    assert (told.opened, told.opens, told.people["opened"]) == (2, 3, 1)
    assert (told.clicked, told.clicks, told.people["clicked"]) == (1, 2, 1)
    # Arrived: those that were opened, and m3.
    assert (told.delivered, told.bounced, told.fell_back, told.complained) == (3, 1, 1, 1)
    # Anna, Boris and Dora got at least one; Dora wants no more.
    assert (told.people["reached"], told.people["left"]) == (3, 1)


async def test_figures_are_split_by_channel_variant_day_and_link() -> None:
    figures = (await _lived()).figures
    channels = await figures.channels(CAMPAIGN)
    # m4 came back by mail and went by SMS.
    assert {name: (each["sent"], each["fell_back"]) for name, each in channels.items()} == {
        "email": (4, 1),
        "sms": (1, 0),
    }
    assert (channels["email"]["bounced"], channels["email"]["failed"]) == (1, 1)
    variants = await figures.parts(CAMPAIGN, "variant")
    assert [(each.key, each.outcomes.sent) for each in variants] == [("a", 2), ("b", 1)]
    (day,) = await figures.parts(CAMPAIGN, "day")
    assert (day.key, day.outcomes.scheduled) == ("2018-01-02", 10)
    assert await figures.links(CAMPAIGN) == {"https://shop.example/a.b?c=d": 2}


async def test_what_was_taken_or_may_have_been_has_its_cost_and_nothing_else() -> None:
    log = Log()
    by_sms = {"channel": "sms", "segments": 3, "cost": 21}
    await log.message("m1", "anna", *told_of("m1", *SENT, **by_sms, variant="a"))
    await log.message("m2", "anna", *told_of("m2", *SENT[:2], MessageUncertain, **by_sms))
    # Refused for good, refused by its first channel, and not answered yet.
    await log.message("m3", "anna", *told_of("m3", *SENT[:2], MessageFailed, **by_sms))
    first = told_of("m4", *SENT[:2], MessageFellBack, **by_sms)
    await log.message("m4", "boris", *first, *told_of("m4", *SENT[1:], channel="email"))
    await log.message("m5", "boris", *told_of("m5", *SENT[:2], **by_sms))
    # It came back when it had been paid for, and nobody could tell at first.
    settled = told_of("m6", *SENT[:2], MessageUncertain, MessageSent, MessageFellBack, **by_sms)
    await log.message("m6", "boris", *settled, *told_of("m6", *SENT[1:], channel="email"))
    await log.fold()
    figures = log.figures
    told = (await figures.whole(CAMPAIGN)).told
    # m1, m2 and m6 have cost three segments at 7 each.
    assert (told.segments, told.cost) == (9, 63)
    channels = await figures.channels(CAMPAIGN)
    assert {name: (each["segments"], each["cost"]) for name, each in channels.items()} == {
        "sms": (9, 63),
        "email": (0, 0),
    }
    (variant,) = await figures.parts(CAMPAIGN, "variant")
    assert (variant.key, variant.told.cost) == ("a", 21)


async def test_a_day_is_one_of_the_chains_calendar() -> None:
    log, documents = Log(), MemoryDocuments()
    await log.message("m1", "anna", *told_of("m1", *SENT))
    tokyo = campaign_figures_of(ZoneInfo("Asia/Tokyo"))
    folder: Folder[MessageFigures] = Folder(tokyo, documents, MemoryParking(), KEYRING)
    for each in logs_of(log.notify.commits):
        await folder.fold(each)
    # 22:00 in UTC is seven in the morning of the next day in Tokyo.
    assert [raw["day"] for raw in documents.everything()] == ["2018-01-03"]


async def test_a_way_out_that_is_read_before_its_message_counts_all_the_same() -> None:
    log = Log()
    withdrawn = PreferenceWithdrawn(
        customer="anna", topic="marketing", channel="email", source="one-click", message="m1"
    )
    await log.says("anna", withdrawn)
    await log.fold()
    await log.message("m1", "anna", *told_of("m1", *SENT))
    await log.fold()
    whole = await log.figures.whole(CAMPAIGN)
    assert (whole.outcomes.sent, whole.told.people["left"]) == (1, 1)


async def test_a_way_out_without_a_message_is_no_figure_of_a_campaign() -> None:
    log = Log()
    data = PreferenceWithdrawn(
        customer="anna", topic="marketing", channel="email", source="message-page"
    )
    await log.says("anna", data)
    await log.fold()
    assert log.messages.everything() == []


async def _asked(log: Log, language: str = "en", path: str = CAMPAIGN) -> Json:
    await log.fold()
    store, clock = MemoryEventStore(), ManualClock(NOW)
    writer = Writer(store, KEYRING, clock, "notify")
    definition = CampaignDefined.model_validate(DEFINED)
    await define(writer, Request("d", DEFINED, NOW), definition, lambda _version: None)
    keys = MemoryApiKeys()
    text, stored = issue(SECRET, title="test", roles=[Role.OWNER], branches=None)
    await keys.add(stored)
    effects, languages = Effects(MemorySums(log.effects)), Languages.read(LOCALES)
    app = build_app(
        title="test",
        service="notify",
        routers=[FiguresApi(CampaignBook(store), log.figures, effects, languages).router()],
        authenticator=Authenticator(keys, SECRET),
        readiness=_ready,
    )
    async with client_of(app, text) as client:
        answer = await client.get(
            f"/v1/campaigns/{path}/figures", headers={"Accept-Language": language}
        )
    return answer.json() if answer.is_success else answer.status_code


async def _ready() -> dict[str, Any]:
    return {}


async def _groups(sizes: Mapping[str, tuple[int, int]]) -> Log:
    """A log in which of so many customers of each group so many bought for 1,000."""
    log = Log()
    for group, (customers, buyers) in sizes.items():
        for number in range(customers):
            name = f"{group}-{number}"
            kinds: Sequence[type[EventData]] = (
                (MessageScheduled, MessageHeldOut) if group == "holdout" else SENT
            )
            await log.message(name, name, *told_of(name, *kinds, variant=group))
            if number < buyers:
                await log.buys(name, 1_000)
    return log


async def test_what_a_campaign_has_changed_is_told_with_its_interval() -> None:
    found = await _asked(await _groups({"a": (150, 90), "b": (150, 30), "holdout": (120, 24)}))
    bought = found["bought"]
    assert (bought["customers"], bought["buyers"], bought["turnover_minor"]) == (300, 120, 120_000)
    # 120 of 300 are 0.4 of the customers, who brought 400 each.
    assert (bought["share_of_buyers"], bought["turnover_per_customer_minor"]) == (0.4, 400.0)
    assert found["bought_in_holdout"]["share_of_buyers"] == 0.2
    said = {(each["of"], each["against"]): each for each in found["uplift"]}
    assert list(said) == [
        ("sent", "holdout"),
        ("a", "holdout"),
        ("b", "holdout"),
        ("a", "b"),
    ]
    all_of_them = said["sent", "holdout"]
    assert (all_of_them["customers"], all_of_them["customers_against"]) == (300, 120)
    assert all_of_them["share_of_buyers"]["value"] == 0.2
    assert all_of_them["sentence"] == SENTENCES["more"]
    assert all_of_them["turnover_per_customer_minor"]["value"] == 200.0
    # 30 of 150 are as many as 24 of 120.
    assert said["b", "holdout"]["finding"] == "no_telling"
    assert said["a", "b"]["finding"] == "more"
    assert [each["bought"]["buyers"] for each in found["by_variant"]] == [90, 30]
    assert (found["attribution_days"], found["caution"]) == (7, None)


async def test_a_campaign_that_is_too_small_says_so() -> None:
    log = await _groups({"a": (120, 100), "holdout": (10, 0)})
    (sent, own, second, pair) = (await _asked(log))["uplift"]
    assert {each["finding"] for each in (sent, own, second, pair)} == {"too_small"}
    assert sent["sentence"] == "Too few to tell: each group needs at least 100 customers."
    assert (sent["share_of_buyers"], sent["turnover_per_customer_minor"]) == (None, None)
    (russian, *_) = (await _asked(log, "ru"))["uplift"]
    assert russian["sentence"].startswith("Слишком мало")


async def test_without_a_holdout_only_variants_are_compared() -> None:
    (pair,) = (await _asked(await _groups({"a": (3, 1)})))["uplift"]
    assert (pair["of"], pair["against"], pair["customers_against"]) == ("a", "b", 0)


async def test_many_failures_are_said_to_flatter() -> None:
    log = await _groups({"a": (18, 1)})
    await log.message("f1", "f1", *told_of("f1", *SENT[:2], MessageFailed))
    # One of 19 is more than one in twenty.
    assert (await _asked(log))["caution"] == FAILED
    await log.message("s1", "s1", *told_of("s1", *SENT))
    assert (await _asked(log))["caution"] is None


async def test_a_campaign_that_there_is_not_has_no_figures() -> None:
    assert await _asked(Log(), path="nothing") == 404


@pytest.mark.parametrize("sentence", [*SENTENCES.values(), FAILED])
def test_each_sentence_is_there_in_russian(sentence: str) -> None:
    message = read_catalogue(LOCALES / "ru.po").get(sentence)
    assert message is not None
    assert message.string
