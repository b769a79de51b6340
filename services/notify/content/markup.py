"""MJML with Liquid in it, looked at before anything is made of it: where may what stand.

Every piece of Liquid is taken out and leaves a mark behind. A tag (`{% if … %}`) stands between
elements or in their text, an output (`{{ … }}`) in text or in the quoted value of one of few
attributes, so whatever is written there, on whatever way through the template, stays text: the
state of the markup at each piece is the same for all ways. Elements and attributes are a closed
list; what is not on it is refused with its line, not taken away in silence.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from services.notify.content.templates import NOT_IN_MARKUP

_HEAD = ("mj-title", "mj-preview", "mj-style", "mj-attributes", "mj-breakpoint")
_SAID = ("mj-text", "mj-button", "mj-image", "mj-divider", "mj-spacer", "mj-table")
CHILDREN: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "": frozenset(["mjml"]),
        "mjml": frozenset(["mj-head", "mj-body"]),
        "mj-head": frozenset(_HEAD),
        "mj-body": frozenset(["mj-section", "mj-wrapper", "mj-hero"]),
        "mj-wrapper": frozenset(["mj-section"]),
        "mj-section": frozenset(["mj-column", "mj-group"]),
        "mj-group": frozenset(["mj-column"]),
        "mj-column": frozenset(_SAID),
        "mj-hero": frozenset(_SAID),
    }
)
"""What may stand in an element that lays out; everything else holds text.

Without `mj-include`, which reads files, and those that are made of scripts and forms, of ids drawn
anew each time, or of pictures that others serve.
"""
_IN_DEFAULTS = frozenset(["mj-all", "mj-class"]).union(*CHILDREN.values()) - {"mjml"}
MJML = frozenset(["mj-all", "mj-class"]).union(*CHILDREN.values())
_TEXTS = frozenset(["mj-text", "mj-button", "mj-table", "mj-title", "mj-preview"])
_WITHOUT_MARKUP = frozenset(["mj-title", "mj-preview", "mj-style", "mj-divider", "mj-spacer"])
HTML = frozenset(
    [
        *("a", "b", "blockquote", "br", "caption", "center", "code", "div", "em", "h1", "h2", "h3"),
        *("h4", "h5", "h6", "hr", "i", "img", "li", "ol", "p", "pre", "s", "small", "span"),
        *("strong", "sub", "sup", "table", "tbody", "td", "tfoot", "th", "thead", "tr", "u", "ul"),
    ]
)
VOID = frozenset(["br", "hr", "img"])
ADDRESSES = frozenset(["href", "src"])
SAYING = ADDRESSES | {"alt", "title"}
"""Attributes that may hold what a customer's values say."""
HTML_ATTRIBUTES = frozenset(
    [
        *("align", "bgcolor", "border", "cellpadding", "cellspacing", "class", "colspan", "dir"),
        *("height", "lang", "role", "rowspan", "style", "valign", "width"),
    ]
)
_LIQUID = re.compile(r"\{\{.*?\}\}|\{%.*?%\}", re.DOTALL)
_MARK = "0qz{}zq0"
_MARKED = re.compile(r"0qz(\d+)zq0")
_TOKEN = re.compile(
    r"<!--(?P<comment>.*?)-->"
    r"|</(?P<end>[a-zA-Z][a-zA-Z0-9-]*)\s*>"
    r"|<(?P<start>[a-zA-Z][a-zA-Z0-9-]*)"
    r"(?P<attributes>(?:\s+[a-zA-Z][a-zA-Z0-9:-]*\s*=\s*(?:\"[^\"<]*\"|'[^'<]*'))*)\s*(?P<alone>/?)>",
    re.DOTALL,
)
_ATTRIBUTE = re.compile(r"([a-zA-Z][a-zA-Z0-9:-]*)\s*=\s*(\"[^\"]*\"|'[^']*')")
_OWN_LINK = re.compile(r"\{\{-?\s*links\.[a-z]+\s*-?\}\}")
_SITE = re.compile(r"https?://[a-zA-Z0-9.-]+(?::\d+)?(?:[/?#]|$)")
_OTHER = re.compile(r"(?:mailto|tel):")
_ENCODED = re.compile(r"\|\s*url_encode\s*-?\}\}$")
_NOT_READ = re.compile(rf"\{{%-?\s*({'|'.join(NOT_IN_MARKUP)})\b|\{{%-?\s*#")
_END = re.compile(r"\s*(-?\}\})$")


class Misplaced(Exception):  # noqa: N818 - a finding about a template, which its author reads
    """Something stands where it must not; the text says what, and in which line."""


@dataclass(frozen=True, slots=True)
class Marked:
    """A template with marks in the place of Liquid."""

    text: str
    pieces: tuple[str, ...]

    def restored(self, text: str) -> str:
        """A text that was made of the marked one, with the Liquid that the marks stand for."""
        return _MARKED.sub(lambda mark: self.pieces[int(mark[1])], text)

    def tags(self, text: str) -> list[str]:
        """The tags among the marks of a text, in their order."""
        marks = (self.pieces[int(mark[1])] for mark in _MARKED.finditer(text))
        return [piece for piece in marks if _is_tag(piece)]


def has_marks(text: str) -> bool:
    """Whether anything in a text depends on values."""
    return _MARKED.search(text) is not None


def uncommented(text: str) -> str:
    """A text where marks of tags are bare again, as they are in texts without markup."""
    return re.sub(rf"<!--({_MARKED.pattern})-->", r"\1", text)


def marked(source: str) -> Marked:
    """MJML with marks, well-formed and with nothing in it that is not known.

    Raises `Misplaced`.
    """
    if _MARKED.search(source):
        raise Misplaced("holds a text that is kept for marks")
    pieces: list[str] = []

    def mark(piece: re.Match[str]) -> str:
        pieces.append(piece[0])
        return _MARK.format(len(pieces) - 1)

    text = _LIQUID.sub(mark, source)
    if any(_NOT_READ.match(piece) for piece in pieces):
        # What stands in them is not read as it looks, and nothing could be said of its place.
        raise Misplaced("captures, comments and raw texts are not known in mails")
    return _Reader(text, pieces).read()


@dataclass(slots=True)
class _Reader:
    """Reads a marked template once from its beginning to its end."""

    text: str
    pieces: list[str]
    _out: list[str] = field(default_factory=list)
    _open: list[tuple[str, int]] = field(default_factory=list)
    _rooted: bool = False

    def read(self) -> Marked:
        """The template as it is written out again."""
        place = 0
        while (found := self.text.find("<", place)) >= 0:
            self._content(place, found)
            token = _TOKEN.match(self.text, found)
            if token is None:
                raise self._wrong(found, "this `<` begins nothing known; a sign is written &lt;")
            self._token(token)
            place = token.end()
        self._content(place, len(self.text))
        if not self._rooted:
            raise self._wrong(0, "there is no <mjml>")
        if self._open:
            name, at = self._open[-1]
            raise self._wrong(at, f"<{name}> is not closed")
        return Marked("".join(self._out), tuple(self.pieces))

    def _token(self, token: re.Match[str]) -> None:
        if token["comment"] is not None:
            if has_marks(token["comment"]):
                raise self._wrong(token.start(), "there is Liquid in a comment")
        elif token["end"] is not None:
            self._close(token["end"].lower(), token.start())
        else:
            self._begin(token)

    def _begin(self, token: re.Match[str]) -> None:
        name, at = token["start"].lower(), token.start()
        in_defaults = any(each == "mj-attributes" for each, _ in self._open)
        if name not in MJML | HTML:
            raise self._wrong(at, f"<{name}> is not known here")
        if not self._fits(name):
            raise self._wrong(at, f"<{name}> cannot stand in <{self._inside or 'nothing'}>")
        self._rooted = True
        attributes = [
            self._attribute(name, found, at, in_defaults)
            for found in _ATTRIBUTE.finditer(token["attributes"])
        ]
        alone = bool(token["alone"])
        written = " ".join([name, *attributes])
        if name in VOID or (alone and name in MJML):
            self._out.append(f"<{written} />")
        elif alone:
            self._out.append(f"<{written}></{name}>")
        else:
            self._out.append(f"<{written}>")
            self._open.append((name, at))

    @property
    def _inside(self) -> str:
        return self._open[-1][0] if self._open else ""

    def _fits(self, name: str) -> bool:
        """Whether an element may begin here."""
        inside = self._inside
        if inside in CHILDREN:
            return name in CHILDREN[inside] and (inside != "" or not self._rooted)
        if inside == "mj-attributes":
            return name in _IN_DEFAULTS
        return name in HTML and (inside in HTML or inside in _TEXTS - _WITHOUT_MARKUP)

    def _attribute(self, element: str, found: re.Match[str], at: int, in_defaults: bool) -> str:  # noqa: FBT001 - one yes or no
        name, value = found[1].lower(), found[2][1:-1]
        known = name in HTML_ATTRIBUTES | SAYING or name.startswith("aria-")
        if name.startswith("on") or (element in HTML and not known):
            raise self._wrong(at, f"the attribute {name} of <{element}> is not known here")
        for mark in _MARKED.finditer(value):
            if self._is_tag(mark):
                raise self._wrong(at, "a tag of Liquid stands in an attribute")
            if name not in SAYING or in_defaults:
                raise self._wrong(at, f"the attribute {name} cannot hold a value of Liquid")
        if name in ADDRESSES or name.endswith("-url"):
            value = self._address(value, at)
        quoted = value.replace('"', "&quot;")
        return f'{name}="{quoted}"'

    def _address(self, value: str, at: int) -> str:
        """An address whose site is written out; what values add to it is encoded."""
        value = value.strip()
        whole = _MARKED.fullmatch(value)
        if whole is not None and _OWN_LINK.fullmatch(self.pieces[int(whole[1])]):
            return value
        if not value or value.startswith("#"):
            return value
        first = _MARKED.search(value)
        literal = value if first is None else value[: first.start()]
        site = _SITE.match(literal)
        if _OTHER.match(literal) is None and (
            site is None or (first is not None and site.end() == len(literal) and _bare(literal))
        ):
            raise self._wrong(at, "an address begins with https:// and its site, written out")
        for mark in _MARKED.finditer(value):
            number = int(mark[1])
            self.pieces[number] = _encoded(self.pieces[number])
        return value

    def _close(self, name: str, at: int) -> None:
        if name in VOID:
            return
        if not self._open or self._open[-1][0] != name:
            expected = f"</{self._open[-1][0]}> is due" if self._open else "nothing is open"
            raise self._wrong(at, f"</{name}> closes nothing: {expected}")
        self._open.pop()
        self._out.append(f"</{name}>")

    def _content(self, begin: int, end: int) -> None:
        """Text between elements: marks of tags become comments, which stay where they are."""
        text, inside = self.text[begin:end], self._inside
        if inside not in HTML | _TEXTS:
            # A tag may stand where the elements stand that are said or left out by it.
            around = inside in CHILDREN and inside not in {"", "mjml", "mj-head"}
            bare = _MARKED.sub(lambda mark: "" if self._is_tag(mark) else "x", text)
            if inside != "mj-style" and (bare.strip() or (has_marks(text) and not around)):
                first = len(text) - len(text.lstrip())
                raise self._wrong(begin + first, "a text stands where none is shown")
        if inside == "mj-style" and has_marks(text):
            raise self._wrong(begin, "Liquid stands in a style")

        def kept(mark: re.Match[str]) -> str:
            return f"<!--{mark[0]}-->" if self._is_tag(mark) else mark[0]

        self._out.append(_MARKED.sub(kept, text))

    def _is_tag(self, mark: re.Match[str]) -> bool:
        return _is_tag(self.pieces[int(mark[1])])

    def _wrong(self, at: int, what: str) -> Misplaced:
        """A finding with its line in the template as it was written."""
        before = self.text[:at]
        inside = sum(self.pieces[int(mark[1])].count("\n") for mark in _MARKED.finditer(before))
        return Misplaced(f"{what}, line {before.count(chr(10)) + inside + 1}")


def _is_tag(piece: str) -> bool:
    return piece.startswith("{%")


def _bare(literal: str) -> bool:
    """Whether an address ends with its site, so that what follows would be part of it."""
    return literal[-1:] not in {"/", "?", "#"}


def _encoded(piece: str) -> str:
    """An output whose value can be part of an address."""
    return piece if _ENCODED.search(piece) else _END.sub(r" | url_encode \1", piece)
