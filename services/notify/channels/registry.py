"""All channels, a line each; those exist whose settings are there.

Several may serve one way where an address says which: `telegram:42`, `fcm:<token>`. What is before
the colon is the name of a channel, and the channel is given the rest.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

from services.notify.channels import Channel, Contact, Outgoing, Receipt, Rejected, Way
from services.notify.channels.email import EmailChannel, SmtpServer
from services.notify.channels.fcm import Fcm, ServiceAccount
from services.notify.channels.push_sealing import Vapid
from services.notify.channels.sms import Sms
from services.notify.channels.telegram import Telegram
from services.notify.channels.web_push import WebPush
from services.notify.channels.webhook import Webhook
from services.notify.channels.whatsapp import WhatsApp
from services.notify.settings import ChannelSettings

SHARED: frozenset[Way] = frozenset({"messenger", "push"})
"""Ways that several channels serve, by the name before the colon."""


@dataclass(frozen=True, slots=True)
class Ground:
    """What channels stand on beside settings; `now` gives unix seconds, `secret` is the chain's."""

    now: Callable[[], float]
    secret: bytes = field(repr=False)


Maker = Callable[[ChannelSettings, Ground], Channel | None]
"""Makes a channel; None where what it needs is not set. Raises ValueError for wrong settings."""


def _email(settings: ChannelSettings, _ground: Ground) -> Channel | None:
    if settings.smtp_url is None:
        return None
    server = SmtpServer.of(settings.smtp_url, settings.smtp_starttls)
    return EmailChannel(server, settings.mail_from, settings.smtp_deduplicates)


def _sms(settings: ChannelSettings, _ground: Ground) -> Channel | None:
    gateway = settings.sms_gateway
    return None if gateway is None else Sms(gateway, settings.sms_secret)


def _webhook(settings: ChannelSettings, ground: Ground) -> Channel | None:
    if settings.webhook_url is None:
        return None
    return Webhook(
        settings.webhook_url,
        ground.secret,
        ground.now,
        settings.webhook_private_addresses,
        settings.webhook_deduplicates,
    )


def _telegram(settings: ChannelSettings, _ground: Ground) -> Channel | None:
    token = settings.telegram_token
    return None if token is None else Telegram(settings.telegram_url, token)


def _whatsapp(settings: ChannelSettings, _ground: Ground) -> Channel | None:
    token, number = settings.whatsapp_token, settings.whatsapp_phone_number_id
    if token is None or number is None:
        return None
    return WhatsApp(settings.whatsapp_url, token, number)


def _fcm(settings: ChannelSettings, ground: Ground) -> Channel | None:
    path = settings.fcm_credentials_file
    return None if path is None else Fcm(settings.fcm_url, ServiceAccount.of(path), ground.now)


def _web_push(settings: ChannelSettings, ground: Ground) -> Channel | None:
    key, subject = settings.vapid_private_key, settings.vapid_subject
    if key is None or subject is None:
        return None
    vapid = Vapid.of(key.get_secret_value(), subject)
    return WebPush(vapid, ground.now, settings.webhook_private_addresses)


MAKERS: tuple[Maker, ...] = (
    _email,
    _sms,
    _webhook,
    _telegram,
    _whatsapp,
    _fcm,
    _web_push,
)


@dataclass(frozen=True, slots=True)
class Several:
    """Several channels for one way; what it declares holds of each of them."""

    serves: Way
    channels: Mapping[str, Channel]

    @property
    def name(self) -> str:
        """The way itself."""
        return self.serves

    @property
    def reaches(self) -> Contact:
        """The same for all."""
        return next(iter(self.channels.values())).reaches

    @property
    def deduplicates(self) -> timedelta | None:
        """The shortest time; None as soon as one does not."""
        times = [each.deduplicates for each in self.channels.values()]
        return (
            min((time for time in times if time is not None), default=None) if all(times) else None
        )

    @property
    def longest(self) -> int | None:
        """The least of them."""
        return min(
            (each.longest for each in self.channels.values() if each.longest is not None),
            default=None,
        )

    @property
    def at_once(self) -> int:
        """Of all together."""
        return sum(each.at_once for each in self.channels.values())

    @property
    def per_second(self) -> float | None:
        """Each keeps its own."""
        return None

    def to(self, address: str) -> Channel | None:
        """The channel of an address."""
        return self.channels.get(address.partition(":")[0])

    async def send(self, message: Outgoing) -> Receipt:
        """Hand one message over to the channel of its address."""
        channel = self.to(message.address)
        if channel is None:
            return Rejected("no-channel")
        return await channel.send(replace(message, address=message.address.partition(":")[2]))

    async def close(self) -> None:
        """Let go of connections."""
        for channel in self.channels.values():
            await channel.close()


def provider_of(channel: Channel, address: str) -> Channel:
    """The one channel that an address is handed to."""
    if isinstance(channel, Several):
        return channel.to(address) or channel
    return channel


def built(
    settings: ChannelSettings, ground: Ground, makers: Sequence[Maker] = MAKERS
) -> Mapping[str, Channel]:
    """The channels that are configured, by the way that they serve. Raises ValueError."""
    found: dict[Way, dict[str, Channel]] = {}
    for maker in makers:
        channel = maker(settings, ground)
        if channel is not None:
            found.setdefault(channel.serves, {})[channel.name] = channel
    channels: dict[str, Channel] = {}
    for way, those in found.items():
        if way in SHARED:
            channels[way] = Several(way, those)
            continue
        if len(those) > 1:
            message = f"{way} has several channels: {', '.join(sorted(those))}"
            raise ValueError(message)
        (channels[way],) = those.values()
    return channels
