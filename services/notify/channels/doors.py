"""Which contact points a way reaches, and the address that a channel is given of one.

Where several channels serve a way, what is before the colon of a contact point names its channel.
One that no channel is for is no address: a name in a messenger finds somebody, and cannot be
written to. Whoever has no such contact point is reached by another kind where a network goes by it:
WhatsApp by phone.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from services.notify.channels import Channel, Contact, Way
from services.notify.channels.several import Several

REACHES: Mapping[Way, Contact] = MappingProxyType(
    {
        "email": "email",
        "sms": "phone",
        "push": "push",
        "messenger": "messenger",
        "webhook": "external",
    }
)
"""The kind of contact point that each way reaches, whether it is set up or not."""
_FORMS: Mapping[str, re.Pattern[str]] = MappingProxyType(
    {"telegram": re.compile(r"-?\d{1,20}"), "whatsapp": re.compile(r"\+?\d{5,20}")}
)
"""What is an address in a network where not every name is one."""
_BY_ANOTHER: Mapping[str, Contact] = MappingProxyType({"whatsapp": "phone"})
_NETWORKS: Mapping[Way, Collection[str]] = MappingProxyType(
    {"messenger": ("telegram", "whatsapp"), "push": ("fcm", "webpush")}
)
"""Of ways that are not set up: their messages wait for it."""


@dataclass(frozen=True, slots=True)
class Door:
    """What a way reaches.

    `networks` are the channels that addresses name (None: they name none), `by_another` says which
    of them goes by another kind, too.
    """

    kind: Contact
    networks: frozenset[str] | None = None
    by_another: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_for_devices(self) -> bool:
        """Whether people have several of them, and the last one is in their hand."""
        return self.networks is not None

    def address(self, kind: str, value: str) -> str | None:
        """The address of a contact point; None where the way does not reach it."""
        if kind in self.by_another and kind != self.kind:
            return f"{self.by_another[kind]}:{value}"
        if kind != self.kind:
            return None
        if self.networks is None:
            return value
        network, _, name = value.partition(":")
        form = _FORMS.get(network)
        fits = bool(name) and (form is None or form.fullmatch(name) is not None)
        return value if network in self.networks and fits else None


def doors_of(channels: Mapping[str, Channel]) -> Mapping[str, Door]:
    """The doors of all ways, by those of the channels that are set up."""
    doors: dict[str, Door] = {}
    for way, kind in REACHES.items():
        channel = channels.get(way)
        if isinstance(channel, Several):
            names = frozenset(channel.channels)
            others: dict[str, str] = {
                _BY_ANOTHER[name]: name for name in sorted(names & _BY_ANOTHER.keys())
            }
            doors[way] = Door(kind, names, others)
        else:
            doors[way] = Door(kind, frozenset(_NETWORKS[way]) if way in _NETWORKS else None)
    return doors
