"""Public forms over HTTP: `/forms/{name}`, without a key and without a script.

What is wrong is shown in the page and not as a problem: people read it. Status codes tell the same
to machines.
"""

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse

from services.customer.api.form_pages import FormPage, code_page, done_page, refused_page
from services.customer.api.form_words import WORDS, FormLanguage, language_of
from services.customer.handlers.forms import Forms, Letter
from shared.decider import Refused
from shared.http.public_pages import Inputs, address_of, answer, inputs_of

_FRESH_TOKEN = frozenset({"token-expired", "mail-away", "sent-already"})
"""Refusals after which the form cannot be sent again with the token that it has."""
_OPEN_AGAIN = frozenset(
    {"not-found", "too-many-requests", "token-invalid", "unreadable", "body-too-large"}
)

Lang = Annotated[str | None, Query(alias="lang", max_length=10)]


@dataclass(frozen=True, slots=True)
class FormApi:
    """The pages."""

    forms: Forms

    def router(self) -> APIRouter:
        """The routes below `/forms`; they stand outside of the API and of its description."""
        router = APIRouter(prefix="/forms", include_in_schema=False)
        add = router.add_api_route
        add("/{name}", self.show, methods=["GET"], response_class=HTMLResponse)
        add("/{name}", self.send, methods=["POST"], response_class=HTMLResponse)
        add("/{name}/confirm", self.confirm, methods=["POST"], response_class=HTMLResponse)
        return router

    async def show(self, name: str, request: Request, lang: Lang = None) -> HTMLResponse:
        """The empty form."""
        language = _language(request, lang)
        try:
            return answer(await self._form(name, language))
        except Refused as refusal:
            return _refused(language, refusal)

    async def send(self, name: str, request: Request, lang: Lang = None) -> HTMLResponse:
        """Take a filled form; the page that asks for the code, or the end."""
        language = _language(request, lang)
        raw: Inputs = {}
        try:
            raw = await inputs_of(request)
            sent = await self.forms.send(name, raw, address_of(request), _letter(language))
            definition = await self.forms.get(name)
        except Refused as refusal:
            if refusal.type in _OPEN_AGAIN:
                return _refused(language, refusal)
            return answer(await self._form(name, language, raw, refusal), refusal.status)
        if sent.confirm is not None:
            return answer(code_page(name, language, sent.confirm))
        return answer(done_page(definition, language, None, confirmed=False))

    async def confirm(self, name: str, request: Request, lang: Lang = None) -> HTMLResponse:
        """Take the code."""
        language = _language(request, lang)
        raw: Inputs = {}
        try:
            raw = await inputs_of(request)
            coupon = await self.forms.confirm(name, raw, address_of(request))
            definition = await self.forms.get(name)
        except Refused as refusal:
            if refusal.type != "code-wrong":
                return _refused(language, refusal)
            token = next(iter(raw.get("token", ())), "")
            return answer(code_page(name, language, token, refusal.type), refusal.status)
        return answer(done_page(definition, language, coupon, confirmed=True))

    async def _form(
        self,
        name: str,
        language: FormLanguage,
        raw: Inputs | None = None,
        refusal: Refused | None = None,
    ) -> str:
        definition = await self.forms.get(name)
        token = next(iter((raw or {}).get("token", ())), "")
        if refusal is None or refusal.type in _FRESH_TOKEN:
            token = self.forms.token(name)
        wrong = () if refusal is None else tuple(error.field for error in refusal.errors)
        note = None if refusal is None else "check" if wrong else refusal.type
        fields = (await self.forms.book.fresh()).fields
        return FormPage(definition, fields, language, token, raw or {}, wrong, note).html()


def _letter(language: FormLanguage) -> Letter:
    words = WORDS[language]

    def letter(code: str) -> tuple[str, str]:
        return words["mail-subject"].format(code=code), words["mail-text"].format(code=code)

    return letter


def _language(request: Request, asked: str | None) -> FormLanguage:
    return language_of(asked, request.headers.get("accept-language", ""))


def _refused(language: FormLanguage, refusal: Refused) -> HTMLResponse:
    return answer(refused_page(language, refusal.type), refusal.status)
