"""What the pages behind links say; English here, other languages in the catalogue."""

from collections.abc import Mapping
from types import MappingProxyType

from shared.events.customer import Channel
from shared.wording import Wording

LANGUAGES: Mapping[str, str] = MappingProxyType({"en": "English", "ru": "Русский"})
"""Each by its own name."""

WORDS: Mapping[str, str] = MappingProxyType(
    {
        "leave-title": "Unsubscribe",
        "leave-text": "Do you want no more messages of this kind?",
        "leave": "Unsubscribe",
        "still": "What you need to know, such as about an order, still reaches you.",
        "choose": "Choose what you hear about",
        "left-title": "You are unsubscribed",
        "left-text": "You get no more messages of this kind. It counts from now on.",
        "back": "If you change your mind, you can agree again there.",
        "page-title": "What you hear about",
        "page-text": "Tick what you want to hear about, and where.",
        "rather": "Write to me rather by",
        "any": "Whichever",
        "save": "Save",
        "nothing": "No messages at all",
        "saved": "Saved. What you no longer want ends at once, what is new begins soon.",
        "link-invalid": "This link does not work. Please open it from the message once more.",
        "link-expired": "This link is of an old message and has expired.",
        "erased": "This link has expired.",
        "too-many-requests": "Too many requests. Please try again later.",
        "unavailable": "This does not work right now, and nothing was changed. "
        "Please try again in a moment.",
        "failed": "This cannot be done. Please open the link from the message once more.",
    }
)

CHANNELS: Mapping[Channel, str] = MappingProxyType(
    {
        "email": "E-mail",
        "sms": "SMS",
        "push": "Notifications",
        "messenger": "Messenger",
        "webhook": "Other systems",
    }
)

TOPICS: Mapping[str, str] = MappingProxyType(
    {"marketing": "Offers", "news": "News", "loyalty": "Loyalty programme"}
)
"""Topics that chains have; another one is shown by its name."""


def said(name: str, wording: Wording) -> str:
    """What the pages say under a name."""
    return wording.text(WORDS.get(name, WORDS["failed"]))


def topic_of(topic: str, wording: Wording) -> str:
    """A topic, in words."""
    known = TOPICS.get(topic)
    if known is not None:
        return wording.word("topic", known)
    words = topic.replace("-", " ").replace("_", " ").strip()
    return words[:1].upper() + words[1:]


def channel_of(channel: Channel, wording: Wording) -> str:
    """A channel, in words."""
    return wording.word("channel", CHANNELS[channel])
