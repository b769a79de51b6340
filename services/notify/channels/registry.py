"""All channels, a line each; those exist whose settings are there."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from services.notify.channels import Channel, Way
from services.notify.channels.email import EmailChannel, SmtpServer
from services.notify.channels.fcm import Fcm, ServiceAccount
from services.notify.channels.push_sealing import Vapid
from services.notify.channels.several import Several
from services.notify.channels.sms import Sms
from services.notify.channels.telegram import Telegram
from services.notify.channels.web_push import WebPush
from services.notify.channels.webhook import Webhook
from services.notify.channels.whatsapp import WhatsApp
from services.notify.settings import ChannelSettings

SHARED: frozenset[Way] = frozenset({"messenger", "push"})
"""Ways that several channels may serve, each for addresses of its own."""


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
