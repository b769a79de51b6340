"""Pages for people without an API key: plain HTML without a script, and what their forms send.

Nothing is loaded from anywhere: one style in the page, known to the content policy by its hash. Who
makes a page escapes every text.
"""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from html import escape
from http import HTTPStatus
from urllib.parse import parse_qsl

from fastapi import Request
from fastapi.responses import HTMLResponse

from shared.decider import Refused

MAX_BODY_BYTES = 32 * 1024
MAX_INPUTS = 200
MEDIA_TYPE = "application/x-www-form-urlencoded"
STYLE = (
    "body{font:1rem/1.5 system-ui,sans-serif;max-width:32rem;margin:0 auto;padding:1rem;"
    "color:#1a1a1a;background:#fff;overflow-wrap:break-word}"
    "label,legend{display:block;font-weight:600;margin:1rem 0 .25rem}"
    "input,select,button{font:inherit;padding:.5rem;width:100%;box-sizing:border-box;"
    "border:1px solid #767676;border-radius:.25rem}input[type=checkbox]{width:auto}"
    "button{background:#0b57d0;color:#fff;border:0;margin-top:1.5rem}"
    "button.plain{background:#fff;color:#0b57d0;border:1px solid #0b57d0}"
    ".wrong{color:#b3261e}.note{border-left:.25rem solid #b3261e;padding-left:.75rem}"
    ".good{border-color:#146c2e}.aside{color:#5f5f5f}a{color:#0b57d0}"
    ".trap{position:absolute;left:-100rem}.coupon{font-size:1.5rem;font-weight:700}"
    "fieldset{border:0;padding:0;margin:0}fieldset+fieldset{margin-top:1rem}.tick{font-weight:400}"
    ".row{display:flex;align-items:center;gap:.75rem;min-height:2.75rem;margin:0}"
    ".row input{width:1.25rem;height:1.25rem;margin:0;flex:none}"
    ".row label{margin:0;padding:.5rem 0;flex:1}"
)
_HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": (
        f"default-src 'none'; style-src 'sha256-{_HASH}'; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}

Inputs = Mapping[str, Sequence[str]]
"""What a form sent, by the name of the input."""


def page(language: str, title: str, body: Sequence[str]) -> str:
    """A whole page; `title` is plain text, the body is markup."""
    head = (
        f'<!DOCTYPE html><html lang="{escape(language)}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head>"
    )
    return f"{head}<body><main>{''.join(body)}</main></body></html>"


def answer(html: str, status: int = HTTPStatus.OK) -> HTMLResponse:
    """A page as it is sent."""
    return HTMLResponse(html, status, headers=dict(HEADERS))


async def inputs_of(request: Request) -> Inputs:
    """What was sent. Raises `Refused` for what no browser sends."""
    if request.headers.get("content-type", "").partition(";")[0].strip() != MEDIA_TYPE:
        raise Refused("unreadable", HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "No form was sent.")
    try:
        pairs = parse_qsl(
            (await body_of(request)).decode(),
            keep_blank_values=True,
            max_num_fields=MAX_INPUTS,
            errors="strict",
        )
    except ValueError:
        raise Refused("unreadable", HTTPStatus.BAD_REQUEST, "No form was sent.") from None
    inputs: dict[str, list[str]] = {}
    for name, value in pairs:
        inputs.setdefault(name, []).append(value)
    return inputs


async def body_of(request: Request) -> bytes:
    """A small body. Raises `Refused` for a larger one."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise Refused("body-too-large", HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "Too much.")
    return body


def address_of(request: Request) -> str:
    """Where a request comes from, as far as the server knows."""
    return "" if request.client is None else request.client.host
