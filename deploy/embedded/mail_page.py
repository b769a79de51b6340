"""The read-only page of caught mail: a list, and one mail.

Mail is untrusted text. Nothing of it is rendered: everything is escaped, HTML parts are shown
as source, and the page forbids scripts, frames, images and connections to the browser.
"""

import re
from email import policy
from email.errors import MessageError
from email.header import decode_header, make_header
from email.message import Message
from email.parser import BytesHeaderParser, BytesParser
from html import escape
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs, urlsplit

from deploy.embedded.ports import LOOPBACK

PAGE_SIZE: Final = 100
DIGITS: Final = 6  # of a page number that is taken seriously
NAME = re.compile(r"^/mail/([0-9a-f]{64})(/raw)?$")
STYLE = """
:root { color-scheme: light dark; --line: #d9d6cf; --soft: #6f6a60; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 3rem auto; padding: 0 1rem }
h1 { font-size: 1.25rem; font-weight: 600; overflow-wrap: anywhere }
a { color: inherit; text-decoration-color: var(--line) }
table { border-collapse: collapse; width: 100% }
td, th { text-align: left; padding: .45rem .75rem .45rem 0; border-bottom: 1px solid var(--line);
         vertical-align: top; overflow-wrap: anywhere }
th, .soft { color: var(--soft); font-weight: 400 }
pre { white-space: pre-wrap; overflow-wrap: anywhere; border-left: 3px solid var(--line);
      padding-left: 1rem; margin: 1.5rem 0 }
"""
POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"


def page_server(folder: Path, port: int) -> ThreadingHTTPServer:
    """A server of the page that listens on the loopback address; the caller runs it."""

    class Page(_Page):
        """The page of this folder."""

        mails = folder

    return ThreadingHTTPServer((LOOPBACK, port), Page)


class _Page(BaseHTTPRequestHandler):
    mails: Path

    def do_GET(self) -> None:
        """Answer the list, one mail, or one mail as it came."""
        address = urlsplit(self.path)
        match = NAME.match(address.path)
        if address.path == "/":
            asked = parse_qs(address.query).get("page", ["1"])[0]
            number = int(asked) if asked.isdecimal() and len(asked) <= DIGITS else 1
            self._answer(list_page(self.mails, max(number, 1)).encode())
        elif match and (path := self.mails / f"{match[1]}.eml").exists():
            content = path.read_bytes()
            if match[2]:
                self._answer(content, kind="text/plain")
            else:
                self._answer(mail_page(match[1], content).encode())
        else:
            self._answer(_frame("Not here", "<p>No such mail.</p>").encode(), HTTPStatus.NOT_FOUND)

    def log_message(self, *_: object) -> None:
        """Say nothing: a page view is no event."""

    def _answer(
        self, body: bytes, status: HTTPStatus = HTTPStatus.OK, kind: str = "text/html"
    ) -> None:
        self.send_response(status)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Security-Policy", POLICY)
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(body)


def list_page(folder: Path, number: int) -> str:
    """The newest mails first, page `number` counted from 1."""
    paths = sorted(folder.glob("*.eml"), key=lambda p: (p.stat().st_mtime_ns, p.name), reverse=True)
    shown = paths[(number - 1) * PAGE_SIZE : number * PAGE_SIZE]
    rows = "".join(_row(path) for path in shown)
    links = []
    if number > 1:
        links.append(f'<a href="/?page={number - 1}">newer</a>')
    if number * PAGE_SIZE < len(paths):
        links.append(f'<a href="/?page={number + 1}">older</a>')
    table = f"<table><tr><th>caught</th><th>to</th><th>subject</th></tr>{rows}</table>"
    nothing = '<p class="soft">Nothing was caught yet.</p>'
    count = f'<p class="soft">{len(paths):,} caught. No mail leaves this machine.</p>'
    return _frame(
        "Caught mail", count + (table if shown else nothing) + f"<p>{' '.join(links)}</p>"
    )


def _row(path: Path) -> str:
    with path.open("rb") as file:
        headers = BytesHeaderParser(policy=policy.compat32).parse(file)
    cells = (_readable(headers["X-Caught-At"]), _readable(headers["To"]))
    soft = "".join(f"<td>{escape(cell)}</td>" for cell in cells)
    subject = escape(_readable(headers["Subject"])) or "(no subject)"
    return f'<tr>{soft}<td><a href="/mail/{path.stem}">{subject}</a></td></tr>'


def mail_page(name: str, content: bytes) -> str:
    """One mail: its headers and the text of each part, HTML as source."""
    mail = BytesParser(policy=policy.compat32).parsebytes(content)
    rows = "".join(
        f"<tr><th>{escape(key)}</th><td>{escape(_readable(value))}</td></tr>"
        for key, value in mail.items()
    )
    parts = "".join(_part(part) for part in mail.walk() if not part.is_multipart())
    links = f'<p><a href="/">all mail</a> · <a href="/mail/{name}/raw">as it came</a></p>'
    title = _readable(mail["Subject"]) or "(no subject)"
    return _frame(title, f"{links}<table>{rows}</table>{parts}")


def _readable(value: object) -> str:
    """A header as a person reads it; as it is, when it is encoded in no way that is known."""
    text = str(value) if value is not None else ""
    try:
        return str(make_header(decode_header(text)))
    except (ValueError, LookupError, MessageError):
        return text


def _part(part: Message) -> str:
    kind = escape(part.get_content_type())
    if part.get_content_maintype() != "text":
        return f'<p class="soft">{kind}, not shown</p>'
    raw = part.get_payload(decode=True)
    content = raw if isinstance(raw, bytes) else b""
    try:
        text = content.decode(part.get_content_charset("utf-8"), "replace")
    except LookupError:
        text = content.decode("utf-8", "replace")
    lines = "\n".join(text.splitlines())
    return f'<p class="soft">{kind}</p><pre>{escape(lines)}</pre>'


def _frame(title: str, body: str) -> str:
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style>"
        f"<h1>{escape(title)}</h1>{body}</html>"
    )
