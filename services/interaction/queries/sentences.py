"""An entry as a sentence, in the language of whoever reads it."""

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any

from services.interaction.domain.timeline import KINDS, WORDS, Form
from services.interaction.domain.timeline.kinds import Kind, Shown, saying_of
from shared.wording import Wording

CUSTOM = "custom."
"""How fields of the chain's own begin, which have no word of ours."""


def sentence_of(event_type: str, said: Mapping[str, Any], wording: Wording) -> str:
    """What happened, in one sentence without its full stop."""
    kind = KINDS[event_type]
    saying = saying_of(kind, said)
    if saying.counted is not None and saying.many is not None:
        text = wording.plural(saying.one, saying.many, said.get(saying.counted, 0))
    else:
        text = wording.text(saying.one)
    return text.format_map(_values(kind, said, wording))


class _Values(dict[str, str]):
    """What a sentence shows; of what is not told, and of somebody erased, an ellipsis is left."""

    def __missing__(self, _name: str) -> str:
        return "…"


def _values(kind: Kind, said: Mapping[str, Any], wording: Wording) -> _Values:
    return _Values(
        (name, _listed(shown, said[name], wording))
        for name, shown in kind.shows.items()
        if name in said
    )


def _listed(shown: Shown, value: Any, wording: Wording) -> str:  # noqa: ANN401 - any value of an entry
    if isinstance(value, list):
        return wording.listed([_shown(shown, each, wording) for each in value])
    return _shown(shown, value, wording)


def _shown(shown: Shown, value: Any, wording: Wording) -> str:  # noqa: ANN401 - any value of an entry
    match shown.form:
        case Form.MONEY:
            return wording.money(value)
        case Form.NUMBER:
            return wording.number(value)
        case Form.PERCENT:
            return wording.percent(value)
        case Form.MOMENT:
            return wording.moment(datetime.fromisoformat(value))
        case Form.DAY:
            return wording.day(date.fromisoformat(value))
        case Form.SECONDS:
            return wording.span(timedelta(seconds=value))
        case Form.MINUTES:
            return wording.span(timedelta(minutes=value))
        case Form.WORD:
            return _word(shown.words, value, wording)
        case Form.NAME:
            return str(value)


def _word(among: str, code: str, wording: Wording) -> str:
    """A word of ours; another one came after this was written, and is shown as it is."""
    english = WORDS[among].get(code)
    return code.removeprefix(CUSTOM) if english is None else wording.word(among, english)
