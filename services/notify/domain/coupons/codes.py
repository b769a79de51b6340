"""Codes of coupons: read aloud, typed by hand, and the same however they are written.

A generated code follows from the chain's secret, its pool and the occasion for which it is given:
whoever derives it, and however often, gets the same one, so nobody has to hand them out. The
letters leave out vowels, which make words, and what looks alike (0 O, 1 I). There are 29 of them,
a prime: so the check letter, a sum of the letters weighted by their places, finds every wrong
letter and every two that changed places.
"""

import re

from shared.keyring import keyed_hash

LETTERS = "23456789BCDFGHJKLMNPQRSTVWXYZ"
LONGEST = 40
SHORTEST = 4
_NORMAL = re.compile(rf"[A-Z0-9]{{{SHORTEST},{LONGEST}}}")


def normal(code: str) -> str | None:
    """Letters and digits, upper case; blanks, dashes and the like are for the eye. None: none."""
    found = "".join(letter for letter in code.upper() if letter.isalnum())
    return found if _NORMAL.fullmatch(found) else None


def generated(
    secret: bytes,
    pool: str,
    occasion: str,
    letters: int,
    *,
    prefix: str | None = None,
    turn: int = 0,
) -> str:
    """The code for an occasion. Where it is another's already, the next `turn` gives another."""
    number = int(keyed_hash(secret, "coupon", f"{pool}|{turn}|{occasion}"), 16)
    found = ""
    for _ in range(letters):
        number, place = divmod(number, len(LETTERS))
        found += LETTERS[place]
    code = found + check_letter(found)
    return code if prefix is None else f"{prefix}-{code}"


def check_letter(letters: str) -> str:
    """What follows the letters of a code: the weighted sum of their places, modulo 29."""
    weighted = ((at + 2) * LETTERS.index(letter) for at, letter in enumerate(letters))
    return LETTERS[sum(weighted) % len(LETTERS)]


def is_mistyped(code: str) -> bool:
    """Whether the letters of a generated code contradict their check letter; no prefix is in it."""
    letters, last = code[:-1], code[-1:]
    return not set(code) <= set(LETTERS) or check_letter(letters) != last
