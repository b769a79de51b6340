"""What is said about a customer: for each thing that can be said, the last word holds.

What a word is, and which of two holds, is in `saying.py`; deals and tasks are in `dealings.py`.
"""

from collections.abc import Iterable, Mapping
from typing import Self, TypeVar, cast

import msgspec

from services.segment.rules.dealings import Deal, Task
from services.segment.rules.language.fields import MISUSE
from services.segment.rules.language.record import (
    CONTACTS,
    consent_read,
    field_read,
    identifier_read,
)
from services.segment.rules.language.relations import list_read
from services.segment.rules.saying import Spoken

FieldValue = str | int | bool | tuple[str, ...]
"""What a field of a customer may hold; several texts are a field with several values."""


class Attribute(Spoken, array_like=True, frozen=True, tag="field"):
    """A field's value (None: cleared), and the version of the customer's stream that set it."""

    field: str
    value: FieldValue | None
    version: int

    @property
    def place(self) -> str:
        """The field."""
        return self.field

    @property
    def touches(self) -> tuple[str, ...]:
        """The field."""
        return (field_read(self.field),)


class Item(Spoken, array_like=True, frozen=True, tag="item"):
    """One of the values of a field (None: it is gone).

    `item` is what it is known by among them: a tag, a category with its giver, a suspected day.
    """

    field: str
    item: str
    value: str | int | None
    version: int

    @property
    def group(self) -> str:
        """The values of one field stand together."""
        return self.field

    @property
    def place(self) -> str:
        """The item of the field."""
        return f"{self.field}|{self.item}"

    @property
    def touches(self) -> tuple[str, ...]:
        """The field."""
        return (field_read(self.field),)

    def event(self, customer: str) -> str:
        """The id of the event that says so: suspicions have a stream of their own."""
        stream = "misuse" if self.field == MISUSE else "customer"
        return f"{stream}-{customer}@{self.version}"


class Listed(Spoken, array_like=True, frozen=True, tag="list"):
    """Whether the customer is on a list, and the version of the stream of lists that says so."""

    list: str
    there: bool
    version: int

    @property
    def place(self) -> str:
        """The list."""
        return self.list

    @property
    def touches(self) -> tuple[str, ...]:
        """The list."""
        return (list_read(self.list),)

    def event(self, customer: str) -> str:
        """The id of the event that says so: lists have a stream of their own."""
        return f"lists-{customer}@{self.version}"


class Consent(Spoken, array_like=True, frozen=True, tag="consent"):
    """Whether the customer agrees (None: neither said), and the version that says so.

    `contact` is the contact point that it is bound to; without one it is for any.
    """

    topic: str
    channel: str
    given: bool | None
    version: int
    contact: str = ""

    @property
    def group(self) -> str:
        """What is said of one topic stands together."""
        return self.topic

    @property
    def place(self) -> str:
        """Topic, channel and contact point."""
        return f"{self.topic}|{self.channel}|{self.contact}"

    @property
    def touches(self) -> tuple[str, ...]:
        """The topic, by this channel and by any."""
        return consent_read(self.topic, self.channel), consent_read(self.topic, None)


class Revoked(Spoken, array_like=True, frozen=True, tag="revoked"):
    """Every consent to the topic by the channel that was given before is withdrawn."""

    topic: str
    channel: str
    version: int

    @property
    def group(self) -> str:
        """What is said of one topic stands together."""
        return self.topic

    @property
    def place(self) -> str:
        """Topic and channel."""
        return f"{self.topic}|{self.channel}"

    @property
    def touches(self) -> tuple[str, ...]:
        """The topic, by this channel and by any."""
        return consent_read(self.topic, self.channel), consent_read(self.topic, None)


class Contact(Spoken, array_like=True, frozen=True, tag="contact"):
    """An identifier of the customer by its hash: whether it is there, and what is known of it.

    The two parts have versions of their own; 0 for a part that is not told.
    """

    kind: str
    hash: str
    there: bool
    there_version: int
    state: str = ""
    state_version: int = 0

    @property
    def place(self) -> str:
        """Kind and hash."""
        return f"{self.kind}|{self.hash}"

    @property
    def touches(self) -> tuple[str, ...]:
        """Its kind; and consents, which count only for contact points that are there."""
        named = identifier_read(self.kind)
        return (named, CONTACTS) if self.there_version else (named,)

    @property
    def version(self) -> int:
        """That of the last part."""
        return max(self.there_version, self.state_version)

    def after(self, held: Self) -> Self:
        """What holds of two words about this identifier."""
        presence = held if held.there_version > self.there_version else self
        knowledge = held if held.state_version > self.state_version else self
        return type(self)(
            self.kind, self.hash, presence.there, presence.there_version,
            knowledge.state, knowledge.state_version,
        )  # fmt: skip

    def besides(self, retold: Self) -> Self | None:
        """What another word about this identifier leaves out."""
        there, known = retold.there_version == 0, retold.state_version == 0
        return type(self)(
            self.kind, self.hash, there and self.there, self.there_version if there else 0,
            self.state if known else "", self.state_version if known else 0,
        )  # fmt: skip


class ContactsAnew(Spoken, array_like=True, frozen=True, tag="contacts"):
    """Identifiers that were told before are there no more: others find the customer now."""

    version: int

    @property
    def place(self) -> str:
        """There is one."""
        return ""

    @property
    def touches(self) -> tuple[str, ...]:
        """Contact points; it is only told of somebody who comes back, and is asked everything."""
        return (CONTACTS,)


Word = Attribute | Item | Listed | Consent | Revoked | Contact | ContactsAnew | Deal | Task


WordT = TypeVar(
    "WordT", Attribute, Item, Listed, Consent, Revoked, Contact, ContactsAnew, Deal, Task
)


class Known:
    """All words that hold."""

    __slots__ = ("_shelves",)

    def __init__(self, words: Iterable[Word] = ()) -> None:
        self._shelves: dict[tuple[type[Word], str], dict[str, Word]] = {}
        self.learn(words)

    def learn(self, words: Iterable[Word]) -> None:
        """Take in what is said, unless later words hold already."""
        for word in words:
            shelf = self._shelves.setdefault((type(word), word.group), {})
            held = shelf.get(word.place)
            shelf[word.place] = word if held is None else word.after(held)  # type: ignore[arg-type]  # a shelf holds one type

    def all(self) -> list[Word]:
        """Every one."""
        return [word for shelf in self._shelves.values() for word in shelf.values()]

    def on(self, kind: type[WordT], place: str, group: str = "") -> WordT | None:
        """The word of a kind at a place of a group."""
        return self.every(kind, group).get(place)

    def every(self, kind: type[WordT], group: str = "") -> Mapping[str, WordT]:
        """The words of a kind in a group by their places."""
        return cast("Mapping[str, WordT]", self._shelves.get((kind, group), {}))


class Told(msgspec.Struct, array_like=True, frozen=True):
    """One event about the customer: what it says, from which instant, in which version.

    `stream` is where it is told, None for the customer's own stream.
    """

    time: int
    version: int
    words: list[Word]
    stream: str | None = None
