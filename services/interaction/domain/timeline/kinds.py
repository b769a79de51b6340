"""What a kind of entry is: which of its event's data it keeps, and how it is put into words.

A sentence is written in English with places for values (`Deal won: {amount}`), and translated as a
whole; values keep the form of the event until somebody reads them, so that money, dates and words
follow the reader's language. Of several sentences the first counts whose places all have a value
and whose conditions hold: data may be absent, or of values that came after this was written.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from string import Formatter
from typing import Any

from shared.events.contract import EACH, Path

LONGEST_NAME = 200
"""Characters of one value: entries are short."""


class Group(StrEnum):
    """What belongs together for people who look for something."""

    PROFILE = "profile"
    CONSENT = "consent"
    NOTE = "note"
    IDENTITY = "identity"
    PURCHASE = "purchase"
    VISIT = "visit"
    CONTACT = "contact"
    WEB = "web"
    TASK = "task"
    POINTS = "points"
    DEAL = "deal"
    SEGMENT = "segment"
    MESSAGE = "message"


class Form(StrEnum):
    """How a value is shown."""

    NAME = "name"
    """As it is; of a list, one after the other."""
    WORD = "word"
    """A word of ours, which is translated; an unknown one is shown as it is."""
    MONEY = "money"
    """Minor units of the chain's currency."""
    NUMBER = "number"
    PERCENT = "percent"
    """Hundredths of a percent."""
    MOMENT = "moment"
    DAY = "day"
    SECONDS = "seconds"
    MINUTES = "minutes"


@dataclass(frozen=True, slots=True)
class Shown:
    """A value of a sentence: where it stands in the data, and how it is shown.

    With `count` it is how many there are; with `among` it is which of these fields there are (the
    path leads to what holds them). `words` says which list of words a word is of.
    """

    path: Path
    form: Form = Form.NAME
    words: str = ""
    count: bool = False
    among: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Saying:
    """A sentence, with its plural where it `counted` something, and when it is said."""

    one: str
    many: str | None = None
    counted: str | None = None
    when: Mapping[str, Any] = field(default_factory=dict)

    @property
    def places(self) -> frozenset[str]:
        """The names of its values."""
        texts = (self.one, self.many or "")
        return frozenset(
            name for text in texts for _, name, _, _ in Formatter().parse(text) if name is not None
        )

    def fits(self, said: Mapping[str, Any]) -> bool:
        """Whether it can be said of these values."""
        needed = self.places if self.counted is None else self.places | {self.counted}
        return needed <= said.keys() and all(
            said.get(name) == value for name, value in self.when.items()
        )


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of entry.

    `texts` are the personal texts that are shown beside the sentence; `amount` names the value that
    is the entry's amount; `source` is the path of the API that leads to what it is about, with
    places for fields of the data, and `{customer}`; `channel` is where the channel stands, or what
    it always is; `fact` says that it is a fact, which may change hands.
    """

    group: Group
    sayings: tuple[Saying, ...]
    shows: Mapping[str, Shown] = field(default_factory=dict)
    texts: tuple[Path, ...] = ()
    amount: str | None = None
    source: str = "/v1/customers/{customer}"
    channel: Path | str = ""
    fact: bool = False

    @property
    def counted(self) -> frozenset[str]:
        """The fields of which only the number is kept."""
        return frozenset(shown.path[0] for shown in self.shows.values() if shown.count)

    @property
    def fields(self) -> frozenset[str]:
        """The fields of the data that it keeps something of."""
        paths = [shown.path for shown in self.shows.values()]
        paths += self.texts
        if not isinstance(self.channel, str):
            paths.append(self.channel)
        among = {name for shown in self.shows.values() if not shown.path for name in shown.among}
        named = {name for _, name, _, _ in Formatter().parse(self.source) if name is not None}
        # Whose entry it is, is known without the data; some events name another customer there.
        return frozenset({path[0] for path in paths if path} | among | (named - {"customer"}))


@dataclass(frozen=True, slots=True)
class Kept:
    """What an entry keeps of its event's data; texts are sealed as they came."""

    said: dict[str, Any]
    sealed: dict[str, str]
    amount: int | None
    source: str
    channel: str


def kept_of(kind: Kind, data: Mapping[str, Any], customer: str) -> Kept:
    """What is kept of the data of an event of the kind that concerns the customer."""
    said = {
        name: value
        for name, shown in kind.shows.items()
        if (value := _value(data, shown)) is not None
    }
    amount = None if kind.amount is None else said.get(kind.amount)
    channel = kind.channel
    if not isinstance(channel, str):
        channel = next((str(value) for value in _at(data, channel)), "")
    source = kind.source.format_map({**_plain(data), "customer": customer})
    return Kept(said, _sealed(kind, data), amount, source, channel)


def saying_of(kind: Kind, said: Mapping[str, Any]) -> Saying:
    """The sentence that fits; the last one needs nothing."""
    return next((each for each in kind.sayings if each.fits(said)), kind.sayings[-1])


def _sealed(kind: Kind, data: Mapping[str, Any]) -> dict[str, str]:
    """The tokens of the texts, by a name each, in their order."""
    found: dict[str, str] = {}
    for path in kind.texts:
        for text in _at(data, path):
            found[f"{len(found):02}"] = text
    return found


def _value(data: Mapping[str, Any], shown: Shown) -> Any:  # noqa: ANN401 - any value of an event
    """What is to be shown; None where there is nothing."""
    if shown.among:
        holders = list(_at(data, shown.path)) if shown.path else [data]
        return [name for name in shown.among for each in holders if each.get(name)] or None
    found = list(_at(data, shown.path))
    if shown.count:
        return sum(len(each) for each in found) if found else None
    if EACH in shown.path or any(isinstance(each, list) for each in found):
        flat = [one for each in found for one in (each if isinstance(each, list) else [each])]
        return [_short(one) for one in flat] or None
    return _short(found[0]) if found else None


def _short(value: Any) -> Any:  # noqa: ANN401 - any value of an event
    if isinstance(value, str) and len(value) > LONGEST_NAME:
        return value[: LONGEST_NAME - 1] + "…"
    return value


def _plain(data: Mapping[str, Any]) -> dict[str, str]:
    return {name: value for name, value in data.items() if isinstance(value, str)}


def _at(node: Any, path: Path) -> Iterator[Any]:  # noqa: ANN401 - any value of an event
    """Whatever stands at the path."""
    if not path:
        if node is not None:
            yield node
    elif path[0] == EACH:
        for each in node.values() if isinstance(node, Mapping) else node:
            yield from _at(each, path[1:])
    elif isinstance(node, Mapping) and path[0] in node:
        yield from _at(node[path[0]], path[1:])
