"""How alike two customers are, and under which blocks they are looked for.

Only customers who share a block are ever compared, so that nothing is quadratic in the base. A
block is made of what does not change by a slip of the pen: names as they sound (Cyrillic and Latin
alike), a phone without any one of its digits. Blocks are keyed hashes: an index of them holds no
name. The score is out of 100, and says which fields made it.
"""

import re
import unicodedata
from collections.abc import Iterator, Mapping
from itertools import groupby
from types import MappingProxyType

import msgspec
from rapidfuzz.distance import OSA, JaroWinkler

from shared.keyring import keyed_hash

LIKELY = 60
"""Pairs below this score are no suggestion."""
BLOCK_DIGITS = 16
"""Of a block's hash: two blocks that fall together only cost a comparison more."""
MOST_PHONES = 3
"""Of how many phones of a customer blocks are made."""
PHONE_DIGITS = 10
"""The last digits of a phone, which are those of the subscriber in most countries."""
ALIKE = 0.85
"""Names that are less similar than this (Jaro-Winkler, 1 is equal) say nothing."""
SOUNDS_ALIKE = 0.95
"""How similar names are at the least that sound the same."""
_CYRILLIC: Mapping[str, str] = MappingProxyType(
    dict(zip("абвгдезийклмнопрстуфхцыэ", "abvgdeziiklmnoprstufhcie", strict=True))
    | {"ё": "e", "ж": "z", "ч": "c", "ш": "s", "щ": "s", "ю": "u", "я": "a", "ь": "", "ъ": ""}
)
_SOUNDS: Mapping[str, str] = MappingProxyType(
    dict(zip("bdgzvwqyjeou", "ptksffkiiiaa", strict=True)) | {"h": "", "x": "ks"}
)
_DIGRAPHS = (("sch", "s"), ("shch", "s"), ("sh", "s"), ("ch", "c"), ("zh", "z"), ("kh", "h"),
             ("ph", "f"), ("ts", "c"), ("tz", "c"), ("ck", "k"), ("yu", "u"), ("ya", "a"),
             ("yo", "e"), ("ju", "u"), ("ja", "a"))  # fmt: skip


class Likeness(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What customers are compared by; `phones` are digits, `shared` are `<kind>|<hash>`."""

    surname: str | None = None
    name: str | None = None
    patronymic: str | None = None
    birth_date: str | None = None
    city: str | None = None
    phones: list[str] = msgspec.field(default_factory=list)
    shared: list[str] = msgspec.field(default_factory=list)


class Score(msgspec.Struct, frozen=True):
    """How alike two are, of 100, and the fields that made it."""

    points: int
    fields: tuple[str, ...]


def latin(text: str) -> str:
    """Small Latin letters of a name, without marks: `Ёлкин` is `elkin`, `Müller` is `muller`."""
    spelt = "".join(_CYRILLIC.get(letter, letter) for letter in text.casefold())
    bare = unicodedata.normalize("NFKD", spelt)
    return re.sub(r"[^a-z]", "", bare)


def sound(text: str) -> str:
    """A name as it sounds, roughly: `Ivanov` and `Иванофф` are one."""
    letters = latin(text)
    for written, heard in _DIGRAPHS:
        letters = letters.replace(written, heard)
    heard = "".join(_SOUNDS.get(letter, letter) for letter in letters)
    return "".join(letter for letter, _ in groupby(heard))


def blocks(person: Likeness, secret: bytes) -> list[str]:
    """The blocks of a customer, sorted."""
    hashes = {keyed_hash(secret, "duplicate", each) for each in _blocks(person)}
    return sorted(each[:BLOCK_DIGITS] for each in hashes)


def _blocks(person: Likeness) -> Iterator[str]:
    surname, name = sound(person.surname or ""), sound(person.name or "")
    if surname and name and person.birth_date:
        first, second = sorted((surname, name))
        yield f"born|{first}|{second}|{person.birth_date}"
    if surname and person.birth_date:
        yield f"day|{surname}|{person.birth_date}"
    if surname and name and person.city:
        yield f"city|{surname}|{name[0]}|{sound(person.city)}"
    for phone in person.phones[:MOST_PHONES]:
        digits = phone[-PHONE_DIGITS:]
        # Two numbers that differ by a digit, one more or one less, have one of these in common.
        yield f"phone|{digits}"
        for place in range(len(digits)):
            yield f"phone|{digits[:place]}{digits[place + 1 :]}"
    for identifier in person.shared:
        yield f"shared|{identifier}"


def compare(one: Likeness, other: Likeness) -> Score:
    """How alike two customers are."""
    points = 0.0
    fields: list[str] = []
    for field, most in (("surname", 30), ("name", 20), ("patronymic", 10)):
        similar = _similar(getattr(one, field), getattr(other, field))
        if similar >= ALIKE:
            points += most * similar
            fields.append(field)
        elif similar >= 0:
            points -= most / 2
    if one.birth_date and other.birth_date:
        same = one.birth_date == other.birth_date
        points += 35 if same else -30
        fields += ["birth_date"] if same else []
    if one.city and other.city and latin(one.city) == latin(other.city):
        points += 10
        fields.append("city")
    if any(near(left, right) for left in one.phones for right in other.phones):
        points += 35
        fields.append("phone")
    if set(one.shared) & set(other.shared):
        points += 25
        fields.append("shared")
    return Score(max(0, min(100, round(points))), tuple(fields))


def near(one: str, other: str) -> bool:
    """Whether two numbers are at most one slip apart."""
    left, right = one[-PHONE_DIGITS:], other[-PHONE_DIGITS:]
    return OSA.distance(left, right, score_cutoff=1) <= 1


def _similar(one: str | None, other: str | None) -> float:
    """0 to 1; −1 where one of them is not known."""
    left, right = latin(one or ""), latin(other or "")
    if not left or not right:
        return -1
    similar = JaroWinkler.similarity(left, right)
    return max(similar, SOUNDS_ALIKE) if sound(left) == sound(right) else similar
