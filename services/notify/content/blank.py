"""Whether a text shows anything.

Unicode has more that cannot be seen than white space: a name of a soft hyphen, a zero-width space
or a Hangul filler looks the same in a letter as none at all.
"""

import unicodedata

_UNSEEN_CATEGORIES = frozenset(["Cc", "Cf", "Cs", "Zl", "Zp", "Zs"])
# Letters and marks by their category that are drawn as nothing (Unicode: Default_Ignorable, and
# the Braille cell without a dot).
_UNSEEN = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0") | {
    chr(code)
    for start, end in ((0x180B, 0x180F), (0xFE00, 0xFE0F))
    for code in range(start, end + 1)
}


def blank(text: str) -> bool:
    """Whether nothing of it can be seen."""
    return not any(
        each not in _UNSEEN and unicodedata.category(each) not in _UNSEEN_CATEGORIES
        for each in text
    )


def in_one_line(text: str) -> str:
    """The text with each control character as a space, without spaces around it."""
    if text.isprintable():
        return text.strip()
    return "".join(
        " " if unicodedata.category(each) in {"Cc", "Zl", "Zp"} else each for each in text
    ).strip()
