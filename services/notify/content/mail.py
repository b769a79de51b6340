"""From MJML to what a mail program shows, once per template: customers only fill it in.

The Liquid is out of the way (markup.py) while the layout is made (MJML), its styles are written
into the elements (mail programs drop style sheets), and the body is sanitised; then it comes back.
So a customer's values meet finished markup, in which they are escaped. Links that are the same for
everybody become variables `tracked[n]`, which each message fills with its own.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from html.parser import HTMLParser

import nh3
from css_inline import CSSInliner, InlineError
from mjml import mjml2html

from services.notify.content.markup import (
    ADDRESSES,
    HTML,
    HTML_ATTRIBUTES,
    SAYING,
    Misplaced,
    has_marks,
    marked,
    uncommented,
)

LONGEST_PAGE = 150_000
"""Characters of the finished markup, before values."""
CACHED = 200
PIXEL = (
    '{% if links.pixel %}<img src="{{ links.pixel }}" width="1" height="1" alt="" '
    'style="display:block">{% endif %}'
)
_BODY = re.compile(r"(<body[^>]*>)(.*)(</body>)", re.DOTALL)
_WEB = re.compile(r"https?://[^\s<>\"'{}]+")
_LIQUID_OR_WEB = re.compile(rf"(\{{\{{.*?\}}\}}|\{{%.*?%\}})|({_WEB.pattern})(\{{\{{)?", re.DOTALL)
_AT_THE_END = ".,;:!?)]"
_BLOCKS = frozenset(["p", "div", "tr", "table", "li", "ul", "ol", "blockquote", "pre", "h1", "h2"])
_BLOCKS |= frozenset(["h3", "h4", "h5", "h6", "center"])
_GAPS = re.compile(r"[ \t\n\r\f]+")
_MANY_LINES = re.compile(r"\n{3,}")
_INLINER = CSSInliner(keep_style_tags=True, keep_at_rules=True, load_remote_stylesheets=False)


@dataclass(frozen=True, slots=True)
class Page:
    """A finished mail, as markup and as text: both are Liquid."""

    html: str
    text: str


@dataclass(slots=True)
class Links:
    """Numbers the links of a template in the order in which they are found, each address once."""

    targets: list[str] = field(default_factory=list)

    def variable(self, target: str) -> str:
        """The Liquid that stands for a link."""
        if target not in self.targets:
            self.targets.append(target)
        return f"{{{{ tracked[{self.targets.index(target)}] }}}}"

    def in_text(self, source: str) -> str:
        """Liquid with its links replaced; one that goes on with a value stays as it is."""

        def replaced(found: re.Match[str]) -> str:
            if found[1] or found[3]:
                return found[0]
            target = found[2].rstrip(_AT_THE_END)
            return self.variable(target) + found[2][len(target) :]

        return _LIQUID_OR_WEB.sub(replaced, source)

    def in_markup(self, source: str) -> str:
        """Finished markup with the links of its anchors replaced."""

        def replaced(found: re.Match[str]) -> str:
            target = _unescaped(found[2])
            if _WEB.fullmatch(target) is None:
                return found[0]
            return f'{found[1]}"{self.variable(target)}"'

        return re.sub(r'(<a\b[^<>]*?\shref=)"([^"{}]*)"', replaced, source)


def _unescaped(value: str) -> str:
    return value.replace("&amp;", "&")


@lru_cache(maxsize=CACHED)
def page_of(mjml: str) -> Page:
    """The page that MJML with Liquid makes. Raises `Misplaced` that says what is wrong with it."""
    template = marked(mjml)
    try:
        made = mjml2html(template.text, fonts={})
        inlined = _INLINER.inline(made)
    except (ValueError, InlineError) as failure:
        raise Misplaced(f"cannot be laid out: {failure}") from None
    cleaned = _cleaned(inlined)
    if template.tags(cleaned) != template.tags(template.text):
        raise Misplaced("a tag of Liquid stands where the layout keeps nothing")
    if "{{" in cleaned or "{%" in cleaned:
        raise Misplaced("holds two braces that are no Liquid")
    if len(cleaned) > LONGEST_PAGE:
        raise Misplaced(f"is laid out in more than {LONGEST_PAGE} characters")
    html = template.restored(uncommented(cleaned)).replace("</body>", f"{PIXEL}</body>")
    return Page(html, template.restored(_text_of(cleaned)))


def _cleaned(page: str) -> str:
    """The page with its body sanitised."""

    def body(found: re.Match[str]) -> str:
        return f"{found[1]}{_sanitised(found[2])}{found[3]}"

    return _BODY.sub(body, page, count=1)


def _sanitised(body: str) -> str:
    return nh3.clean(
        body,
        tags=set(HTML),
        attributes={
            "*": {*(HTML_ATTRIBUTES | (SAYING - ADDRESSES)), "background", "vertical-align"}
        }
        | {"a": {"href", "target"}, "img": {"src"}},
        generic_attribute_prefixes={"aria-"},
        url_schemes={"http", "https", "mailto", "tel"},
        strip_comments=False,
        link_rel=None,
    )


def _text_of(page: str) -> str:
    """What a page says, for who reads no markup; marks of Liquid stay where they are."""
    reader = _Reading()
    reader.feed(page)
    reader.close()
    return tidied("".join(reader.said))


def tidied(text: str) -> str:
    """A text that was made of a page, without the gaps of what is not in it."""
    lines = (_GAPS.sub(" ", line).strip() for line in text.split("\n"))
    return _MANY_LINES.sub("\n\n", "\n".join(lines)).strip()


class _Reading(HTMLParser):
    """Collects what a page says."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.said: list[str] = []
        self._hidden = 0
        self._links: list[tuple[str, int]] = []

    def handle_starttag(self, tag: str, attrs: Sequence[tuple[str, str | None]]) -> None:
        """Begin a line, an item or a link."""
        values = dict(attrs)
        unseen = "display:none" in (values.get("style") or "").replace(" ", "")
        if self._hidden or tag in {"head", "style", "title"} or unseen:
            self._hidden += tag not in {"meta", "link", "img", "br", "hr"}
            return
        if tag in _BLOCKS or tag in {"br", "hr"}:
            self.said.append("\n")
        if tag == "li":
            self.said.append("- ")
        if tag == "img" and values.get("alt"):
            self.said.append(f" {values['alt']} ")
        if tag == "a":
            self._links.append((values.get("href") or "", len(self.said)))

    def handle_endtag(self, tag: str) -> None:
        """End it."""
        if self._hidden:
            self._hidden -= 1
        elif tag == "a" and self._links:
            target, begun = self._links.pop()
            label = "".join(self.said[begun:]).strip()
            if target and not target.startswith("#") and label != target:
                self.said.append(f" ({target})" if label else target)
        elif tag in {"p", "h1", "h2", "h3", "h4", "h5", "h6", "table", "ul", "ol", "blockquote"}:
            self.said.append("\n\n")

    def handle_data(self, data: str) -> None:
        """A text."""
        if not self._hidden:
            self.said.append(_GAPS.sub(" ", data))

    def handle_comment(self, data: str) -> None:
        """A mark of a tag; what is for one mail program alone says nothing here."""
        if not self._hidden and has_marks(data) and not data.startswith("["):
            self.said.append(data)
