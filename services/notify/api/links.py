"""Links of messages over HTTP: `/m/{token}`, without a key and without a script.

Looking changes nothing: a page is shown by GET, and what is decided comes by POST, from its button
or from a mail program (RFC 8058, `List-Unsubscribe=One-Click`). Whatever such a POST carries, it
means the same: nobody else has the token, and no program that looks for bad links posts. HEAD, and
a browser that only reads ahead, leave no trace. What is wrong is shown as a page, since people read
it; status codes tell the same to machines.
"""

import base64
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from limits import RateLimitItemPerMinute
from starlette.background import BackgroundTask

from services.notify.api.link_pages import ALL, LinkPages, changes_of, preferred_of
from services.notify.content import Link, LinkKind
from services.notify.content.links import PATH
from services.notify.handlers.returns.links import Links
from shared import telemetry
from shared.decider import Refused
from shared.eventstore import StoreUnavailable
from shared.floods import Floods
from shared.http.public_pages import HEADERS, address_of, answer, body_of, inputs_of
from shared.wording import SOURCE_LANGUAGE, Languages, Wording

PER_ADDRESS = RateLimitItemPerMinute(600)
"""Mail programs ask for many readers from a few addresses."""
PER_LINK = RateLimitItemPerMinute(30)
RETRY_AFTER_SECONDS = 5
LONGEST_HEADER = 1_000
PIXEL = base64.b64decode("R0lGODlhAQABAIAAAP///wAAACH5BAEAAAAALAAAAAABAAEAAAICRAEAOw==")
"""A GIF of one transparent pixel."""
_ONE_CLICK = b"One-Click"

Lang = Annotated[str | None, Query(max_length=10)]
Doing = Callable[[LinkPages], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class LinkApi:
    """The pages, on what they need."""

    links: Links
    languages: Languages
    floods: Floods

    def router(self) -> APIRouter:
        """The routes below `/m`; they stand outside of the API and of its description."""
        router = APIRouter(include_in_schema=False)
        add = router.add_api_route
        add(PATH + "{token}", self.look, methods=["GET", "HEAD"], response_class=HTMLResponse)
        add(PATH + "{token}", self.decide, methods=["POST"], response_class=HTMLResponse)
        return router

    async def look(self, token: str, request: Request, lang: Lang = None) -> Response:
        """Where the link leads, or the page behind it."""

        async def shown(pages: LinkPages) -> Response:
            link = self.links.read(token)
            match link.kind:
                case LinkKind.CLICK:
                    return await self._follow(link, token, request)
                case LinkKind.OPEN:
                    return await self._pixel(link, token, request)
                case LinkKind.UNSUBSCRIBE | LinkKind.PREFERENCES:
                    pass
            await self.floods.pass_one(token, address_of(request))
            found = await self.links.shown(link)
            pages = self._in_language(pages, link, found.language, request, lang)
            if link.kind is LinkKind.UNSUBSCRIBE:
                return answer(pages.leaving(found))
            return answer(pages.choice(found))

        return await self._calmly(shown, request, lang)

    async def decide(self, token: str, request: Request, lang: Lang = None) -> Response:
        """Take what the reader wants: it counts once this is answered."""

        async def decided(pages: LinkPages) -> Response:
            link = self.links.read(token)
            await self.floods.pass_one(token, address_of(request))
            if link.kind is LinkKind.UNSUBSCRIBE:
                one_click = _ONE_CLICK in await body_of(request)
                found = await self.links.withdraw(
                    link, "one-click" if one_click else "message-link"
                )
                return answer(
                    self._in_language(pages, link, found.language, request, lang).left(found)
                )
            if link.kind is not LinkKind.PREFERENCES:
                raise Refused("failed", HTTPStatus.METHOD_NOT_ALLOWED, "It takes nothing.")
            inputs = await inputs_of(request)
            if inputs.get(ALL):
                found = await self.links.withdraw_all(link)
            else:
                found = await self.links.choose(link, changes_of(inputs), preferred_of(inputs))
            pages = self._in_language(pages, link, found.language, request, lang)
            return answer(pages.choice(found, "saved"))

        return await self._calmly(decided, request, lang)

    async def _follow(self, link: Link, token: str, request: Request) -> Response:
        target = await self.links.target(link)
        traced = await self._is_traced("click", token, request)
        task = BackgroundTask(self.links.followed, link, target) if traced else None
        headers = {name: HEADERS[name] for name in ("Referrer-Policy", "Cache-Control")}
        return RedirectResponse(target, HTTPStatus.FOUND, headers, task)

    async def _pixel(self, link: Link, token: str, request: Request) -> Response:
        traced = await self._is_traced("open", token, request)
        task = BackgroundTask(self.links.opened, link) if traced else None
        return Response(PIXEL, HTTPStatus.OK, dict(HEADERS), "image/gif", task)

    async def _is_traced(self, kind: str, token: str, request: Request) -> bool:
        """Whether it is a person who reads; who comes too often is led on all the same."""
        ahead = any(
            "prefetch" in request.headers.get(name, "")
            for name in ("sec-purpose", "purpose", "x-moz")
        )
        if request.method == "HEAD" or ahead:
            return False
        try:
            await self.floods.pass_one(token, address_of(request))
        except Refused:
            telemetry.MESSAGE_LINKS.labels(kind, "passed_over").inc()
            return False
        return True

    async def _calmly(self, doing: Doing, request: Request, lang: Lang) -> Response:
        """What is wrong, as a page."""
        pages = LinkPages(self._wording(None, request, lang))
        try:
            return await doing(pages)
        except Refused as refusal:
            return answer(pages.refused(refusal.type), refusal.status)
        except StoreUnavailable:
            response = answer(pages.refused("unavailable"), HTTPStatus.SERVICE_UNAVAILABLE)
            response.headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
            return response

    def _in_language(
        self, pages: LinkPages, link: Link, language: str | None, request: Request, lang: Lang
    ) -> LinkPages:
        choosing = self.links.token(replace(link, kind=LinkKind.PREFERENCES, number=0))
        return replace(pages, wording=self._wording(language, request, lang), choosing=choosing)

    def _wording(self, language: str | None, request: Request, lang: Lang) -> Wording:
        """The language that is asked for, else the reader's own, else what the browser accepts."""
        known = self.languages.catalogues.keys() | {SOURCE_LANGUAGE}
        own = (language or "").replace("_", "-").partition("-")[0].lower()
        for wish in (lang, own):
            if wish in known:
                return self.languages.wording(wish)
        accepted = request.headers.get("accept-language", "")[:LONGEST_HEADER]
        return self.languages.wording(self.languages.accepted(accepted))
