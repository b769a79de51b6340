"""How many messages a text is for the network: what an SMS costs is counted in them.

Texts of the default alphabet of GSM 03.38 (3GPP TS 23.038, section 6.2.1) go in septets: 160 in one
message, 153 in each of several, since the header that joins them (TS 23.040, section 9.2.3.24.1)
takes the room of seven. Signs of the extension table take two, which stay together. Any other sign
makes the whole text UCS-2: 70 units of 16 bits in one message, 67 in each of several; a sign beyond
the basic plane takes two, which stay together.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
EXTENSION = frozenset("\f^{}\\[~]|€")
_FIRST_BEYOND = 0x10000


@dataclass(frozen=True, slots=True)
class Segments:
    """How a text goes out; `units` are septets or 16-bit units, without joining headers."""

    alphabet: Literal["gsm-7", "ucs-2"]
    units: int
    count: int


def segments_of(text: str) -> Segments:
    """How a text goes out; an empty one is one message too."""
    if BASIC.union(EXTENSION).issuperset(text):
        return _cut("gsm-7", [1 + (sign in EXTENSION) for sign in text], 160, 153)
    return _cut("ucs-2", [1 + (ord(sign) >= _FIRST_BEYOND) for sign in text], 70, 67)


def _cut(
    alphabet: Literal["gsm-7", "ucs-2"], sizes: Iterable[int], alone: int, joined: int
) -> Segments:
    units = used = 0
    count = 1
    for size in sizes:
        units += size
        if used + size > joined:
            count, used = count + 1, 0
        used += size
    return Segments(alphabet, units, 1 if units <= alone else count)
