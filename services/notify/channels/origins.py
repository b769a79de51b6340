"""Which contact points a provider means by an address of its own.

A number may be known as the phone of somebody or as their account in a messenger, written with its
plus or without, so one address may be several contact points: whoever looks for one tries all.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from services.notify.channels import Way
from shared.decider import Refused
from shared.events.customer import IdentifierKind
from shared.identifiers import IdentifierRules, KnownIdentifier

Named = Sequence[tuple[IdentifierKind, str]]


@dataclass(frozen=True, slots=True)
class Origin:
    """What a provider's word is about: the way that it serves, and what its addresses may be.

    `signs`: it is the provider for certain; anybody may write a mail.
    """

    way: Way
    named: Callable[[str], Named]
    signs: bool = True

    def contacts(self, rules: IdentifierRules, address: str) -> Sequence[KnownIdentifier]:
        """The contact points that the address may be, what is surest first."""
        found = []
        for kind, value in self.named(address):
            try:
                found.append(rules.known(kind, value, "address"))
            except Refused:
                continue  # it is none of this kind
        return found


def _whatsapp(address: str) -> Named:
    digits = address.removeprefix("+")
    return (
        ("messenger", f"whatsapp:{digits}"),
        ("messenger", f"whatsapp:+{digits}"),
        ("phone", f"+{digits}"),
    )


ORIGINS: Mapping[str, Origin] = MappingProxyType(
    {
        "email": Origin("email", lambda address: (("email", address),), signs=False),
        "sms": Origin("sms", lambda address: (("phone", address),)),
        "telegram": Origin("messenger", lambda address: (("messenger", f"telegram:{address}"),)),
        "whatsapp": Origin("messenger", _whatsapp),
        "webhook": Origin("webhook", lambda address: (("external", address),)),
    }
)
"""By the names of channels."""
