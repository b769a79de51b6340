"""What messages say: texts by language and channel, and what becomes of them for one customer."""

from services.notify.content.fields import FIELDS, Person, Value
from services.notify.content.links import MOST_LINKS, Link, LinkKind, LinkTokens, Signed
from services.notify.content.saying import Said, check, missing, samples, say, script_of, words_for
from services.notify.content.templates import TemplateError

__all__ = [
    "FIELDS",
    "MOST_LINKS",
    "Link",
    "LinkKind",
    "LinkTokens",
    "Person",
    "Said",
    "Signed",
    "TemplateError",
    "Value",
    "check",
    "missing",
    "samples",
    "say",
    "script_of",
    "words_for",
]
