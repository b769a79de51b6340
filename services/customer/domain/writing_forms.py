"""One written form for what people type to find somebody: any case, any accent.

The list stores these forms and searches by them, so both sides must come from here.
"""

import re
import unicodedata

_WORD = re.compile(r"\w+")
_SHORT_I = "\u0439"
"""A letter of its own, though it can be taken apart."""
_KEPT = str.maketrans({_SHORT_I: "\ue000"})
_BACK = str.maketrans({"\ue000": _SHORT_I})
LONGEST_WORD = 60


def folded(text: str) -> str:
    """The text in small letters without accents (Cyrillic yo as ye; short i stays itself)."""
    plain = unicodedata.normalize("NFC", text).casefold().translate(_KEPT)
    apart = unicodedata.normalize("NFKD", plain)
    bare = "".join(each for each in apart if not unicodedata.combining(each))
    return bare.translate(_BACK)


def words_of(text: str) -> list[str]:
    """The words of a text in their searched form, in its order, each cut to `LONGEST_WORD`."""
    return [word[:LONGEST_WORD] for word in _WORD.findall(folded(text))]


def digits_of(text: str) -> str:
    """The decimal digits of a text."""
    return "".join(each for each in text if each.isascii() and each.isdigit())
