"""The pages of public forms (`shared/http/public_pages.py`), in which every text is escaped."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape

from services.customer.api.form_words import WORDS, FormLanguage, text_of
from services.customer.domain.configuration.fields import CUSTOM, Fields
from services.customer.domain.filling import YES, Raw, consent_input
from services.customer.handlers.forms import TRAP
from shared.events.forms import FormDefined, FormField
from shared.http.public_pages import page

_INPUTS = {"email": "email", "phone": "tel", "birth_date": "date"}
_AUTOCOMPLETE = {
    "email": "email",
    "phone": "tel",
    "name": "given-name",
    "surname": "family-name",
    "patronymic": "additional-name",
    "birth_date": "bday",
    "city": "address-level2",
}
CODE_INPUT = (
    '<input id="code" name="code" inputmode="numeric" autocomplete="one-time-code" '
    'maxlength="12" required>'
)


@dataclass(frozen=True, slots=True)
class FormPage:
    """A form as it is shown: empty, or with what was typed and what is wrong with it."""

    definition: FormDefined
    fields: Fields
    language: FormLanguage
    token: str
    raw: Raw = field(default_factory=dict)
    wrong: Sequence[str] = ()
    note: str | None = None

    def html(self) -> str:
        """The whole page."""
        title = text_of(self.definition.titles, self.language)
        name = escape(self.definition.form)
        body = [
            f"<h1>{escape(title)}</h1>",
            _note(self.language, self.note),
            f'<form method="post" action="/forms/{name}?lang={self.language}">',
            _hidden("token", self.token),
            self._trap(),
            *(self._question(each) for each in self.definition.fields),
            *self._consents(),
            f"<button>{_word(self.language, 'send')}</button></form>",
        ]
        return page(self.language, title, body)

    def _trap(self) -> str:
        label = _word(self.language, "leave-empty")
        return (
            f'<p class="trap" aria-hidden="true"><label for="{TRAP}">{label}</label>'
            f'<input id="{TRAP}" name="{TRAP}" tabindex="-1" autocomplete="off"></p>'
        )

    def _question(self, asked: FormField) -> str:
        name = escape(asked.attribute)
        label = escape(text_of(asked.titles, self.language))
        if asked.required:
            label += f" ({_word(self.language, 'required')})"
        wrong = asked.attribute in self.wrong
        told = f'<p class="wrong" id="{name}-wrong">{_word(self.language, "wrong")}</p>'
        about = f' aria-invalid="true" aria-describedby="{name}-wrong"' if wrong else ""
        about += " required" if asked.required else ""
        return (
            f'<label for="{name}">{label}</label>{told if wrong else ""}'
            f"{self._input(asked.attribute, name, about)}"
        )

    def _input(self, attribute: str, name: str, about: str) -> str:
        sent = list(self.raw.get(attribute, ()))
        value = escape(sent[0] if sent else "")
        if attribute == "gender":
            choices = {each: _word(self.language, each) for each in ("female", "male")}
            return _select(name, about, choices, sent)
        if attribute.startswith(CUSTOM):
            known = self.fields.get(attribute.removeprefix(CUSTOM))
            choices = {
                each.name: escape(text_of(each.titles, self.language))
                for each in (() if known is None else known.choices)
            }
            match None if known is None else known.kind:
                case "list":
                    return _select(name, about, choices, sent)
                case "multi_list":
                    return _select(name, f"{about} multiple", choices, sent)
                case "yes_no":
                    return _select(name, about, {YES: _word(self.language, "yes")}, sent)
                case "date":
                    return f'<input id="{name}" name="{name}" type="date" value="{value}"{about}>'
                case _:
                    pass
        kind = _INPUTS.get(attribute, "text")
        complete = _AUTOCOMPLETE.get(attribute, "off")
        return (
            f'<input id="{name}" name="{name}" type="{kind}" value="{value}" maxlength="200" '
            f'autocomplete="{complete}"{about}>'
        )

    def _consents(self) -> Iterator[str]:
        for each in self.definition.consents:
            name = escape(consent_input(each))
            ticked = " checked" if self.raw.get(name) == [YES] else ""
            about = " required" if each.required else ""
            wrong = ' class="wrong"' if name in self.wrong else ""
            text = escape(text_of(each.texts, self.language))
            yield (
                f'<p{wrong}><input type="checkbox" id="{name}" name="{name}" value="{YES}"'
                f'{ticked}{about}> <label class="tick" for="{name}">{text}</label></p>'
            )


def code_page(form: str, language: FormLanguage, token: str, note: str | None = None) -> str:
    """Where the code of the mail is entered; the same whether anybody is known or not."""
    body = [
        f"<h1>{_word(language, 'code-title')}</h1>",
        _note(language, note),
        f"<p>{_word(language, 'code-text')}</p>",
        f'<form method="post" action="/forms/{escape(form)}/confirm?lang={language}">',
        _hidden("token", token),
        f'<label for="code">{_word(language, "code")}</label>',
        CODE_INPUT,
        f"<button>{_word(language, 'confirm')}</button></form>",
    ]
    return page(language, WORDS[language]["code-title"], body)


def done_page(
    definition: FormDefined, language: FormLanguage, coupon: str | None, *, confirmed: bool
) -> str:
    """The end; with the coupon for whoever gets it now."""
    body = [
        f"<h1>{_word(language, 'done-title')}</h1>",
        f"<p>{_word(language, 'done-text')}</p>",
    ]
    promise = definition.promise
    if promise is not None and coupon is not None:
        body.append(f"<p>{escape(text_of(promise.titles, language))}</p>")
        body.append(
            f'<p>{_word(language, "coupon")}: <span class="coupon">{escape(coupon)}</span></p>'
        )
    elif promise is not None and confirmed:
        body.append(f"<p>{_word(language, 'given-before')}</p>")
    return page(language, WORDS[language]["done-title"], body)


def refused_page(language: FormLanguage, note: str) -> str:
    """What cannot be shown in a form."""
    text = WORDS[language].get(note, WORDS[language]["failed"])
    return page(language, text, [f"<p>{escape(text)}</p>"])


def _note(language: FormLanguage, note: str | None) -> str:
    if note is None:
        return ""
    text = WORDS[language].get(note, WORDS[language]["failed"])
    return f'<p class="note" role="alert">{escape(text)}</p>'


def _select(name: str, about: str, choices: Mapping[str, str], sent: Sequence[str]) -> str:
    options = "".join(
        f'<option value="{escape(each)}"{" selected" if each in sent else ""}>{title}</option>'
        for each, title in choices.items()
    )
    return f'<select id="{name}" name="{name}"{about}><option value=""></option>{options}</select>'


def _hidden(name: str, value: str) -> str:
    return f'<input type="hidden" name="{name}" value="{escape(value)}">'


def _word(language: FormLanguage, name: str) -> str:
    return escape(WORDS[language][name])
