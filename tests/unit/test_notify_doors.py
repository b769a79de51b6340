"""Push, messengers and webhooks through the dispatcher: which contact point, by which provider."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import get_args

import pytest

from services.notify.channels import Accepted, Contact, Outgoing, Receipt
from services.notify.channels.doors import REACHES, Door, doors_of
from services.notify.channels.several import Several
from services.notify.domain import Stage
from services.notify.handlers.campaigns.scheduling import Occasion, schedule
from services.notify.projections.recipients import REACHING
from shared.envelope import Causation
from shared.events.contract import EventData
from shared.events.customer import (
    AnyChannel,
    AnyKind,
    Channel,
    ConsentGiven,
    ConsentWithdrawn,
    Evidence,
    Identifier,
    IdentifierAdded,
    IdentifierChanged,
    IdentifierRemoved,
)
from tests.unit.test_notify_dispatcher import CAMPAIGN, DEFINED, Desk

TILL = Evidence(source="till")
WHY = Causation("c", "cause", 1)
BROWSER = 'webpush:{"endpoint":"https://push.example/a","keys":{"auth":"YQ","p256dh":"YQ"}}'


@dataclass(slots=True)
class Provider:
    """One of several channels for a way: it notes to which address it was given something."""

    name: str
    serves: Channel
    reaches: Contact
    got: list[str]
    deduplicates: timedelta | None = None
    longest: int | None = None
    at_once: int = 1
    per_second: float | None = None

    async def send(self, message: Outgoing) -> Receipt:
        self.got.append(f"{self.name} {message.address}")
        return Accepted()

    async def close(self) -> None:
        """Nothing to let go of."""


def contact(kind: AnyKind, value: str, *, preferred: bool | None = None) -> IdentifierAdded:
    identifier = Identifier(kind=kind, hash=f"h-{value}", epoch=1, value=value, preferred=preferred)
    return IdentifierAdded(identifier=identifier)


def agreed(channel: AnyChannel, bound: str | None = None) -> ConsentGiven:
    return ConsentGiven(topic="marketing", channel=channel, contact=bound, evidence=TILL)


def ways(got: list[str], *names: str) -> Mapping[str, Several]:
    kinds: Mapping[str, Channel] = {
        "telegram": "messenger", "whatsapp": "messenger", "fcm": "push", "webpush": "push"
    }  # fmt: skip
    found: dict[Channel, dict[str, Provider]] = {}
    for name in names:
        way = kinds[name]
        found.setdefault(way, {})[name] = Provider(name, way, REACHES[way], got)
    return {way: Several(way, those) for way, those in found.items()}


async def sent(channel: Channel, *told: EventData, providers: tuple[str, ...]) -> list[str]:
    """What providers were given for a customer of whom this was told; else why it was not."""
    got: list[str] = []
    desk = await Desk.opened(definition=DEFINED.model_copy(update={"channel": channel}))
    await desk.customer("anna", *told, email=False)
    why = Occasion(CAMPAIGN, "anna", "lapsed@1", channel, WHY)
    await schedule(desk.writer(), [why])
    await desk.fold()
    desk.know_all()
    channels = {**ways(got, *providers), "webhook": Provider("webhook", "webhook", "external", got)}
    dispatcher = await desk.dispatcher(channels=channels)
    await dispatcher.step()
    reasons = [reason for reason in await desk.reasons() if reason is not None]
    stages = await desk.stages()
    return [*got, *reasons] or [str(stage) for stage in stages]


PUSH = ("fcm", "webpush")
CHATS = ("telegram", "whatsapp")


@pytest.mark.parametrize(
    ("channel", "point", "providers", "handed"),
    [
        ("push", contact("push", "fcm:aB:c"), PUSH, "fcm aB:c"),
        ("push", contact("push", BROWSER), PUSH, BROWSER.replace("webpush:", "webpush ", 1)),
        ("messenger", contact("messenger", "telegram:42"), CHATS, "telegram 42"),
        ("messenger", contact("messenger", "whatsapp:+4930123456"), CHATS, "whatsapp +4930123456"),
        # WhatsApp goes by phone, for whoever agreed to messengers.
        ("messenger", contact("phone", "+4930123456"), CHATS, "whatsapp +4930123456"),
        ("webhook", contact("external", "crm-17"), (), "webhook crm-17"),
    ],
)
async def test_a_campaign_reaches_people_by_the_channel_of_their_address(
    channel: Channel, point: EventData, providers: tuple[str, ...], handed: str
) -> None:
    assert await sent(channel, point, agreed(channel), providers=providers) == [handed]
    # By each channel only with a consent for it.
    other: Channel = "email"
    assert await sent(channel, point, agreed(other), providers=providers) == ["no_consent"]
    gone = ConsentWithdrawn(topic="marketing", channel=channel, evidence=TILL)
    told = (point, agreed(channel), gone)
    assert await sent(channel, *told, providers=providers) == ["withdrawn"]


async def test_of_several_devices_the_last_one_is_used_unless_one_is_preferred() -> None:
    old, new = contact("push", "fcm:old"), contact("push", BROWSER)
    assert await sent("push", old, new, agreed("push"), providers=PUSH) == [
        BROWSER.replace("webpush:", "webpush ", 1)
    ]
    first = contact("push", "fcm:old", preferred=True)
    assert await sent("push", first, new, agreed("push"), providers=PUSH) == ["fcm old"]
    # One that is bad, or was taken by another customer, is none.
    bad = IdentifierChanged(kind="push", hash="h-fcm:old", state="bad")
    told = (old, first, bad, agreed("push"))
    assert await sent("push", *told, providers=PUSH) == ["bad_address"]
    moved = IdentifierRemoved(kind="push", hash="h-fcm:old", epoch=1)
    assert await sent("push", old, moved, agreed("push"), providers=PUSH) == ["no_address"]


async def test_a_consent_for_one_device_reaches_no_other() -> None:
    mine, another = contact("push", "fcm:mine"), contact("push", "fcm:another")
    told = (mine, another, agreed("push", "h-fcm:mine"))
    assert await sent("push", *told, providers=PUSH) == ["fcm mine"]


async def test_an_account_of_a_messenger_goes_before_the_phone() -> None:
    phone = contact("phone", "+4930123456", preferred=True)
    told = (contact("messenger", "telegram:42"), phone, agreed("messenger"))
    assert await sent("messenger", *told, providers=CHATS) == ["telegram 42"]
    assert await sent("messenger", *told, providers=("whatsapp",)) == ["whatsapp +4930123456"]


async def test_a_name_that_nothing_can_be_written_to_is_no_address() -> None:
    told = (contact("messenger", "telegram:anna"), contact("messenger", "vk:anna"))
    found = await sent("messenger", *told, agreed("messenger"), providers=("telegram",))
    assert found == ["no_address"]


async def test_while_a_way_is_not_set_up_its_messages_wait() -> None:
    told = (contact("push", "fcm:a"), agreed("push"))
    assert await sent("push", *told, providers=CHATS) == [str(Stage.SCHEDULED)]


def test_every_kind_that_a_way_reaches_is_read_and_every_way_has_one() -> None:
    assert frozenset(get_args(Contact)) == REACHING == frozenset(REACHES.values())
    assert set(REACHES) == set(get_args(Channel)) == set(doors_of({}))


def test_a_new_network_needs_no_line_here() -> None:
    channel = Provider("pigeon", "messenger", "messenger", [])
    doors = doors_of({"messenger": Several("messenger", {"pigeon": channel})})
    assert doors["messenger"] == Door("messenger", frozenset({"pigeon"}))
    assert doors["messenger"].address("messenger", "pigeon:loft 7") == "pigeon:loft 7"
    assert doors["messenger"].address("messenger", "pigeon:") is None
    assert doors["messenger"].address("phone", "+4930123456") is None
