"""The pages behind links of messages (`shared/http/public_pages.py`), in which all is escaped.

A page has no more of a person than its reader needs to know whose it is: one address, masked. A
page that is only looked at changes nothing: programs that look for bad links open every one.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import groupby
from typing import cast

from services.notify.api.link_words import LANGUAGES, channel_of, said, topic_of
from services.notify.handlers.returns.choices import Row, Shown
from services.notify.projections import Contact
from shared.events.customer import Channel
from shared.http.public_pages import Inputs, page
from shared.masking import masked
from shared.wording import Wording

TICKED, WAS, ALL, RATHER = "yes", "was", "nothing", "rather"
"""Names of inputs: what is ticked, what was so when the page was shown, the end of all, and the
channel that is liked best."""
_BETWEEN = "|"
_LONG_NAME = 3


@dataclass(frozen=True, slots=True)
class LinkPages:
    """The pages in one language; `choosing` is the token of the page of preferences."""

    wording: Wording
    choosing: str = ""

    def leaving(self, shown: Shown) -> str:
        """One button, and what it ends."""
        body = [
            f"<h1>{self._said('leave-title')}</h1>",
            f"<p>{self._said('leave-text')}</p>",
            self._about(shown),
            f'<form method="post" action="?lang={self.wording.language}">',
            f"<button>{self._said('leave')}</button></form>",
            self._choose(),
            f'<p class="aside">{self._said("still")}</p>',
        ]
        return self._page("leave-title", body)

    def left(self, shown: Shown) -> str:
        """It is done."""
        body = [
            f"<h1>{self._said('left-title')}</h1>",
            f'<p class="note good" role="status">{self._said("left-text")}</p>',
            self._about(shown),
            self._choose(),
            f'<p class="aside">{self._said("back")} {self._said("still")}</p>',
        ]
        return self._page("left-title", body)

    def choice(self, shown: Shown, note: str | None = None) -> str:
        """Topics by channels, one yes or no each."""
        told = f'<p class="note good" role="status">{self._said(note)}</p>' if note else ""
        rows = groupby(enumerate(shown.rows), key=lambda each: each[1].topic)
        body = [
            f"<h1>{self._said('page-title')}</h1>",
            told,
            f"<p>{self._said('page-text')}</p>",
            self._contact(shown.contact),
            f'<form method="post" action="?lang={self.wording.language}">',
            *(self._topic(topic, list(each)) for topic, each in rows),
            self._rather(shown),
            f"<button>{self._said('save')}</button></form>",
            # By itself: however much there is to tick, this is never too much to send.
            f'<form method="post" action="?lang={self.wording.language}">',
            f'<button class="plain" name="{ALL}" value="all">{self._said("nothing")}</button>',
            "</form>",
            f'<p class="aside">{self._said("still")}</p>',
        ]
        return self._page("page-title", body)

    def refused(self, note: str) -> str:
        """What cannot be shown, calmly."""
        return self._page(note, [f"<h1>{self._said(note)}</h1>"])

    def _topic(self, topic: str, rows: Sequence[tuple[int, Row]]) -> str:
        ticks = "".join(self._tick(*each) for each in rows)
        legend = escape(topic_of(topic, self.wording))
        return f"<fieldset><legend>{legend}</legend>{ticks}</fieldset>"

    def _tick(self, number: int, row: Row) -> str:
        value = escape(f"{row.topic}{_BETWEEN}{row.channel}")
        was = f'<input type="hidden" name="{WAS}" value="{value}">' if row.given else ""
        label = escape(channel_of(row.channel, self.wording))
        return (
            f'<p class="row">{was}<input type="checkbox" id="c{number}" name="{TICKED}" '
            f'value="{value}"{" checked" if row.given else ""}>'
            f'<label class="tick" for="c{number}">{label}</label></p>'
        )

    def _rather(self, shown: Shown) -> str:
        """By which channel rather than by another, where there is a choice."""
        if len(shown.reached) <= 1:
            return ""
        offered: list[Channel | None] = [*shown.reached]
        if shown.preferred not in shown.reached:
            offered = [None, *offered]
        options = "".join(
            f'<option value="{each or ""}"{" selected" if each == shown.preferred else ""}>'
            f"{escape(channel_of(each, self.wording)) if each else self._said('any')}</option>"
            for each in offered
        )
        return (
            f'<p><label for="{RATHER}">{self._said("rather")}</label> '
            f'<select id="{RATHER}" name="{RATHER}">{options}</select></p>'
        )

    def _about(self, shown: Shown) -> str:
        """What a message was about, and how it came."""
        parts = [topic_of(shown.topic, self.wording)]
        parts += [channel_of(each, self.wording) for each in shown.channels]
        return f"<p><strong>{escape(' · '.join(parts))}</strong></p>{self._contact(shown.contact)}"

    def _contact(self, contact: Contact | None) -> str:
        value = None if contact is None else masked_contact(contact)
        return "" if value is None else f'<p class="aside">{escape(value)}</p>'

    def _choose(self) -> str:
        address = f"{self.choosing}?lang={self.wording.language}"
        return f'<p><a href="{escape(address)}">{self._said("choose")}</a></p>'

    def _page(self, title: str, body: Sequence[str]) -> str:
        return page(self.wording.language, said(title, self.wording), [*body, *self._languages()])

    def _languages(self) -> Iterator[str]:
        for code, name in LANGUAGES.items():
            if code != self.wording.language:
                yield f'<p><a href="?lang={code}" lang="{code}" hreflang="{code}">{name}</a></p>'

    def _said(self, name: str) -> str:
        return escape(said(name, self.wording))


def masked_contact(contact: Contact) -> str | None:
    """An address as its owner knows it again, and nobody else learns it."""
    value = contact.value
    if contact.kind == "push" or value is None:
        return None
    local, at, domain = value.rpartition("@")
    if contact.kind != "email" or not at:
        return masked(value)
    return f"{local[:1] if len(local) >= _LONG_NAME else ''}•••@{domain}"


def changes_of(inputs: Inputs) -> Mapping[tuple[str, Channel], bool]:
    """What was changed on the page: what was not touched is as it was, whatever stands by now."""
    ticked, was = _subjects(inputs.get(TICKED, ())), _subjects(inputs.get(WAS, ()))
    given = dict.fromkeys((each for each in ticked if each not in was), True)
    return given | dict.fromkeys((each for each in was if each not in ticked), False)


def preferred_of(inputs: Inputs) -> Channel | None:
    """The channel that is liked best, as the page has it; None where none was chosen."""
    return cast("Channel | None", next(iter(inputs.get(RATHER, ())), None) or None)


def _subjects(values: Sequence[str]) -> list[tuple[str, Channel]]:
    """Topics and channels; what is none is on no page, and nobody looks at it."""
    found: list[tuple[str, Channel]] = []
    for value in values:
        topic, _, channel = value.partition(_BETWEEN)
        # Which channels there are is asked of the rows of the page.
        found.append((topic, channel))  # type: ignore[arg-type]  # any text, compared with a row
    return found
