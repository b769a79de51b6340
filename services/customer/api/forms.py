"""Public forms over HTTP: `/forms/{name}`, without a key and without a script.

What is wrong is shown in the page and not as a problem: people read it. Status codes tell the same
to machines.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated
from urllib.parse import parse_qsl

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse

from services.customer.api.form_pages import (
    HEADERS,
    FormPage,
    code_page,
    done_page,
    refused_page,
)
from services.customer.api.form_words import WORDS, FormLanguage, language_of
from services.customer.handlers.forms import Forms, Letter
from shared.decider import Refused

MAX_BODY_BYTES = 32 * 1024
MAX_INPUTS = 200
MEDIA_TYPE = "application/x-www-form-urlencoded"
_FRESH_TOKEN = frozenset({"token-expired", "mail-away", "sent-already"})
"""Refusals after which the form cannot be sent again with the token that it has."""
_OPEN_AGAIN = frozenset(
    {"not-found", "too-many-requests", "token-invalid", "unreadable", "body-too-large"}
)

Raw = Mapping[str, Sequence[str]]
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
            return _answer(await self._form(name, language))
        except Refused as refusal:
            return _refused(language, refusal)

    async def send(self, name: str, request: Request, lang: Lang = None) -> HTMLResponse:
        """Take a filled form; the page that asks for the code, or the end."""
        language = _language(request, lang)
        raw: Raw = {}
        try:
            raw = await _inputs(request)
            sent = await self.forms.send(name, raw, _address(request), _letter(language))
            definition = await self.forms.get(name)
        except Refused as refusal:
            if refusal.type in _OPEN_AGAIN:
                return _refused(language, refusal)
            return _answer(await self._form(name, language, raw, refusal), refusal.status)
        if sent.confirm is not None:
            return _answer(code_page(name, language, sent.confirm))
        return _answer(done_page(definition, language, None, confirmed=False))

    async def confirm(self, name: str, request: Request, lang: Lang = None) -> HTMLResponse:
        """Take the code."""
        language = _language(request, lang)
        raw: Raw = {}
        try:
            raw = await _inputs(request)
            coupon = await self.forms.confirm(name, raw, _address(request))
            definition = await self.forms.get(name)
        except Refused as refusal:
            if refusal.type != "code-wrong":
                return _refused(language, refusal)
            token = next(iter(raw.get("token", ())), "")
            return _answer(code_page(name, language, token, refusal.type), refusal.status)
        return _answer(done_page(definition, language, coupon, confirmed=True))

    async def _form(
        self,
        name: str,
        language: FormLanguage,
        raw: Raw | None = None,
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


async def _inputs(request: Request) -> Raw:
    """What was sent, by the name of the input. Raises `Refused` for what no browser sends."""
    if request.headers.get("content-type", "").partition(";")[0].strip() != MEDIA_TYPE:
        raise Refused("unreadable", HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "No form was sent.")
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise Refused("body-too-large", HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "Too much.")
    try:
        pairs = parse_qsl(
            body.decode(), keep_blank_values=True, max_num_fields=MAX_INPUTS, errors="strict"
        )
    except ValueError:
        raise Refused("unreadable", HTTPStatus.BAD_REQUEST, "No form was sent.") from None
    raw: dict[str, list[str]] = {}
    for name, value in pairs:
        raw.setdefault(name, []).append(value)
    return raw


def _letter(language: FormLanguage) -> Letter:
    words = WORDS[language]

    def letter(code: str) -> tuple[str, str]:
        return words["mail-subject"].format(code=code), words["mail-text"].format(code=code)

    return letter


def _language(request: Request, asked: str | None) -> FormLanguage:
    return language_of(asked, request.headers.get("accept-language", ""))


def _address(request: Request) -> str:
    return "" if request.client is None else request.client.host


def _answer(page: str, status: int = HTTPStatus.OK) -> HTMLResponse:
    return HTMLResponse(page, status, headers=dict(HEADERS))


def _refused(language: FormLanguage, refusal: Refused) -> HTMLResponse:
    return _answer(refused_page(language, refusal.type), refusal.status)
