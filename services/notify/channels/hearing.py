"""Whose callbacks are heard, by the channel's name: those whose secret is set, and no other."""

from collections.abc import Callable, Mapping, Sequence

from services.notify.channels import sms, telegram, webhook, whatsapp
from services.notify.channels.registry import Ground
from services.notify.channels.reports import Heard
from services.notify.settings import ChannelSettings, SmsReports
from shared.calling import signing_key

Hearer = Callable[[Mapping[str, str], bytes], Sequence[Heard]]
"""From headers and body of a callback. Raises `BadSignature`, `Unreadable`."""


def hearers(settings: ChannelSettings, ground: Ground) -> Mapping[str, Hearer]:
    """One for each channel that is heard."""
    found: dict[str, Hearer] = {}
    if settings.telegram_webhook_secret is not None:
        found["telegram"] = _by(telegram.heard, settings.telegram_webhook_secret.get_secret_value())
    if settings.whatsapp_app_secret is not None:
        found["whatsapp"] = _by(whatsapp.heard, settings.whatsapp_app_secret.get_secret_value())
    gateway = settings.sms_gateway
    if gateway is not None and gateway.reports is not None:
        found["sms"] = _sms(gateway.reports, settings.sms_secret.get_secret_value())
    if settings.webhook_url is not None:
        found["webhook"] = _webhook(signing_key(ground.secret, settings.webhook_url), ground)
    return found


def telling(settings: ChannelSettings) -> frozenset[str]:
    """The channels that tell of deliveries; of others no silence means anything.

    SMTP tells of what came back and never of what arrived, and no push service tells later; whether
    a system of the chain does is declared.
    """
    gateway = settings.sms_gateway
    told = {
        "sms": gateway is not None and gateway.reports is not None,
        "whatsapp": settings.whatsapp_app_secret is not None,
        "webhook": settings.webhook_url is not None and settings.webhook_tells_deliveries,
    }
    return frozenset(name for name, tells in told.items() if tells)


def _by(heard: Callable[[Mapping[str, str], bytes, str], Sequence[Heard]], secret: str) -> Hearer:
    return lambda headers, body: heard(headers, body, secret)


def _sms(how: SmsReports, secret: str) -> Hearer:
    return lambda headers, body: sms.heard(how, headers, body, secret)


def _webhook(key: str, ground: Ground) -> Hearer:
    return lambda headers, body: webhook.heard(headers, body, key, ground.now())
