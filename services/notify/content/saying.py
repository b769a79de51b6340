"""What a message says to one customer: the words chosen, every value there, every link signed.

A template is prepared once (layout, links) and filled in for each customer. The same template with
the same values says the same everywhere. What is missing is an error, never a hole.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from services.notify.content.fields import FIELDS, NOT_DECLARED, Person, known, tree
from services.notify.content.links import MOST_LINKS, Signed
from services.notify.content.mail import Links, page_of, tidied
from services.notify.content.markup import Misplaced
from services.notify.content.templates import TemplateError, Unreadable, asked, rendered
from services.notify.content.versions import chosen, is_language, wording
from shared.decider import FieldError, Refused
from shared.events.campaign import ApprovedForm, Template
from shared.wording import Wording

LONGEST_SUBJECT = 500
LONGEST_TEXT = 50_000
LONGEST_MJML = 100_000
LONGEST_DEFAULT = 200
MOST_VERSIONS = 50
PREPARED = 200
SAMPLE = Person(FIELDS)


@dataclass(frozen=True, slots=True)
class Said:
    """What goes out; `language` and `channel` are those of the words that were taken.

    `form` is the approved form of a messenger, its blanks filled in.
    """

    subject: str = field(repr=False)
    text: str = field(repr=False)
    html: str | None = field(default=None, repr=False)
    language: str | None = None
    channel: str | None = None
    form: ApprovedForm | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Words:
    """One version of a template, ready to be filled in; all three are Liquid.

    `is_made` says that the text was made of the mail; `form` is what a messenger has approved.
    """

    path: str
    subject: str
    text: str
    html: str | None
    language: str | None
    channel: str | None
    asks: frozenset[str]
    is_made: bool = False
    form: ApprovedForm | None = None


@dataclass(frozen=True, slots=True)
class Script:
    """A template that is ready: its versions, the fallback first, and its links by number."""

    versions: tuple[Words, ...]
    links: tuple[str, ...]
    defaults: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class _Draft:
    """One version as its author wrote it; `path` is its place in the definition."""

    path: str
    subject: str
    text: str
    mjml: str | None
    language: str | None
    channel: str | None
    form: ApprovedForm | None = None


@lru_cache(maxsize=PREPARED)
def script_of(template: Template) -> Script:
    """The template made ready. Raises `Misplaced` or `Unreadable` for one that was not checked."""
    links = Links()
    versions = tuple(_words(draft, links) for draft in _drafts(template))
    defaults = {each.field: each.text for each in template.defaults or ()}
    return Script(versions, tuple(links.targets), defaults)


def say(
    template: Template,
    channel: str,
    person: Person,
    *,
    links: Signed | None = None,
    currency: str | None = None,
) -> Said:
    """The message for a customer; a subject is one line, without `links` they are as written.

    Raises `TemplateError`.
    """
    words = words_for(template, channel, person)
    return _filled(script_of(template), words, person, links, currency)


def words_for(template: Template, channel: str, person: Person) -> Words:
    """The version of a template that a customer gets by a channel."""
    return chosen(script_of(template).versions, person.language, channel)


def _filled(
    script: Script, words: Words, person: Person, links: Signed | None, currency: str | None
) -> Said:
    own = {} if links is None else {f"links.{name}": each for name, each in links.own().items()}
    values: dict[str, object] = {**tree({**known(person, script.defaults), **own})}
    values["tracked"] = [
        target if links is None else links.tracked(number)
        for number, target in enumerate(script.links)
    ]
    style = wording(words.language, person.language, currency)
    subject = " ".join(rendered(words.subject, values, style).split())
    text = rendered(words.text, values, style)
    text = tidied(text) if words.is_made else text
    if not subject or not text.strip():
        message = "the subject is empty" if not subject else "the text is empty"
        raise TemplateError(message)
    page = None if words.html is None else rendered(words.html, values, style, markup=True)
    form = None if words.form is None else _filled_form(words.form, values, style)
    return Said(subject, text, page, words.language, words.channel, form)


def _filled_form(form: ApprovedForm, values: Mapping[str, object], style: Wording) -> ApprovedForm:
    """The form with its blanks filled in, each on one line: messengers take no other."""
    blanks = (" ".join(rendered(each, values, style).split()) for each in form.parameters)
    return form.model_copy(update={"parameters": tuple(blanks)})


def missing(template: Template, channel: str, person: Person) -> tuple[str, ...]:
    """The variables that the words for a customer ask for, and that have no value."""
    values = known(person, script_of(template).defaults)
    return tuple(sorted(words_for(template, channel, person).asks - values.keys()))


def samples(template: Template, channel: str) -> Iterator[tuple[str, Said]]:
    """What each version that the channel can use says to somebody of whom everything is known.

    With the place of the version in the definition.
    """
    script = script_of(template)
    for words in script.versions:
        if words.channel in {None, channel}:
            yield words.path, _filled(script, words, SAMPLE, None, None)


def check(template: Template, path: str = "template") -> None:
    """Raise `Refused` that names what is wrong in a template, which stands at a path.

    Besides its form: it asks only for what there is, and each version can be rendered for somebody
    of whom everything is known.
    """
    errors = [error for draft in _drafts(template) for error in _wrong(draft)]
    errors += _wrong_terms(template)
    if not errors:
        errors += _unusable(template)
    if errors:
        found = tuple(
            FieldError(f"{path}{each.field.removeprefix('template')}", each.message)
            for each in errors
        )
        raise Refused("invalid", 422, "The input is not valid.", errors=found)


def _drafts(template: Template) -> Sequence[_Draft]:
    first = _Draft(
        "template", template.subject, template.text, template.mjml, template.language, None
    )
    return [
        first,
        *(
            _Draft(
                f"template.versions.{number}",
                each.subject or template.subject,
                each.text or "",
                each.mjml,
                each.language or template.language,
                each.channel,
                each.approved,
            )
            for number, each in enumerate(template.versions or ())
        ),
    ]


def _words(draft: _Draft, links: Links) -> Words:
    page = None if draft.mjml is None else page_of(draft.mjml)
    text = draft.text or (page.text if page else "")
    asks = asked(draft.subject) | asked(text)
    if page is not None:
        asks |= asked(draft.mjml or "", markup=True)
    for blank in draft.form.parameters if draft.form else ():
        asks |= asked(blank)
    return Words(
        path=draft.path,
        subject=draft.subject,
        text=links.in_text(text),
        html=None if page is None else links.in_markup(page.html),
        language=draft.language,
        channel=draft.channel,
        asks=asks,
        is_made=not draft.text,
        form=draft.form,
    )


def _wrong(draft: _Draft) -> Iterator[FieldError]:
    """What is wrong with one version."""
    yield from _wrong_source(f"{draft.path}.subject", draft.subject, LONGEST_SUBJECT)
    if draft.text or draft.mjml is None:
        yield from _wrong_source(f"{draft.path}.text", draft.text, LONGEST_TEXT)
    if draft.mjml is not None:
        path = f"{draft.path}.mjml"
        errors = list(_wrong_source(path, draft.mjml, LONGEST_MJML, markup=True))
        yield from errors
        if not errors:
            try:
                page_of(draft.mjml)
            except Misplaced as found:
                yield FieldError(path, str(found))
    if draft.form is not None:
        path = f"{draft.path}.approved"
        if draft.channel != "messenger":
            yield FieldError(path, "is of words for the channel messenger")
        for number, blank in enumerate(draft.form.parameters):
            yield from _wrong_source(f"{path}.parameters.{number}", blank, LONGEST_SUBJECT)


def _wrong_source(
    path: str, source: str, longest: int, *, markup: bool = False
) -> Iterator[FieldError]:
    if not 0 < len(source) <= longest:
        yield FieldError(path, f"has 1 to {longest} characters")
        return
    try:
        unknown = asked(source, markup=markup) - FIELDS.keys()
    except Unreadable as found:
        yield FieldError(path, str(found))
        return
    if unknown:
        yield FieldError(path, f"these variables exist: {', '.join(FIELDS)}")


def _wrong_terms(template: Template) -> Iterator[FieldError]:
    """What is wrong with versions and defaults as a whole."""
    if len(template.versions or ()) > MOST_VERSIONS:
        yield FieldError("template.versions", f"at most {MOST_VERSIONS}")
    if template.language is not None and not is_language(template.language):
        yield FieldError("template.language", "is a language that is known, such as en or pt-BR")
    seen: set[tuple[str | None, str | None]] = set()
    for number, each in enumerate(template.versions or ()):
        path = f"template.versions.{number}"
        if each.language is not None and not is_language(each.language):
            yield FieldError(f"{path}.language", "is a language that is known, such as en or pt-BR")
        about = (each.language or template.language, each.channel)
        if about in {*seen, (template.language, None)}:
            yield FieldError(path, "another one has this language and channel")
        seen.add(about)
    for default in template.defaults or ():
        path = f"template.defaults.{default.field}"
        if default.field not in FIELDS or default.field.partition(".")[0] in NOT_DECLARED:
            yield FieldError(path, "nothing can stand in the place of it")
        elif not known(Person({}), {default.field: default.text}):
            yield FieldError(path, "is empty, or no ISO 8601 date where one is due")
        elif len(default.text) > LONGEST_DEFAULT:
            yield FieldError(path, f"has 1 to {LONGEST_DEFAULT} characters")


def _unusable(template: Template) -> Iterator[FieldError]:
    """What cannot be rendered although everything is known."""
    script = script_of(template)
    if len(script.links) > MOST_LINKS:
        yield FieldError("template", f"has more than {MOST_LINKS} links")
    for words in script.versions:
        try:
            _filled(script, words, SAMPLE, None, None)
        except TemplateError as error:
            yield FieldError(words.path, f"cannot be rendered: {error}")
