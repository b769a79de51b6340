"""What is said about a customer: for each thing that can be said, the last word holds.

A word has a place (which field, which consent) and the version of the stream that says it. Of two
words at one place the one of the higher version holds, whatever order they were learnt in.
"""

from collections.abc import Iterable, Mapping
from typing import TypeVar, cast

import msgspec

from services.segment.rules.language.record import consent_read, field_read

FieldValue = str | int | bool | tuple[str, ...]
"""What a field of a customer may hold; several texts are a field with several values."""


class Attribute(msgspec.Struct, array_like=True, frozen=True, tag="field"):
    """A field's value (None: cleared), and the version of the customer's stream that set it."""

    field: str
    value: FieldValue | None
    version: int

    @property
    def place(self) -> str:
        """The field."""
        return self.field

    @property
    def touches(self) -> str:
        """What rules read of it."""
        return field_read(self.field)


class Consent(msgspec.Struct, array_like=True, frozen=True, tag="consent"):
    """Whether the customer agrees, and the version of the customer's stream that says so."""

    topic: str
    channel: str
    given: bool
    version: int

    @property
    def place(self) -> str:
        """Topic and channel."""
        return f"{self.topic}|{self.channel}"

    @property
    def touches(self) -> str:
        """What rules read of it."""
        return consent_read(self.topic, self.channel)


Word = Attribute | Consent


WordT = TypeVar("WordT", Attribute, Consent)


class Known:
    """All words that hold."""

    __slots__ = ("_shelves",)

    def __init__(self, words: Iterable[Word] = ()) -> None:
        self._shelves: dict[type[Word], dict[str, Word]] = {}
        self.learn(words)

    def learn(self, words: Iterable[Word]) -> None:
        """Take in what is said, unless a later word holds already."""
        for word in words:
            shelf = self._shelves.setdefault(type(word), {})
            held = shelf.get(word.place)
            if held is None or held.version <= word.version:
                shelf[word.place] = word

    def all(self) -> list[Word]:
        """Every one."""
        return [word for shelf in self._shelves.values() for word in shelf.values()]

    def on(self, kind: type[WordT], place: str) -> WordT | None:
        """The word of a kind at a place."""
        return self.every(kind).get(place)

    def every(self, kind: type[WordT]) -> Mapping[str, WordT]:
        """The words of a kind by their places."""
        return cast("Mapping[str, WordT]", self._shelves.get(kind, {}))


class Told(msgspec.Struct, array_like=True, frozen=True):
    """One event about the customer: what it says, from which instant, in which version."""

    time: int
    version: int
    words: list[Word]
