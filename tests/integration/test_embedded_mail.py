"""The mail catcher as a process: what it acknowledged is on disk, once, and can be looked at."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email.message import EmailMessage
from pathlib import Path

import aiosmtplib
import httpx2

from deploy.embedded.ports import LOOPBACK, Ports
from deploy.embedded.probes import answers_http, greets_smtp

MODULE = ("-m", "deploy.embedded.mail")


def caught(folder: Path) -> list[Path]:
    return list(folder.glob("*.eml"))


def mail(identity: str, subject: str = "We miss you") -> EmailMessage:
    message = EmailMessage()
    message["Message-ID"] = identity
    message["Subject"] = subject
    message["From"] = "shop@example.com"
    message["To"] = "household-1@example.com"
    message.set_content("Come back.\n.\nA line of one dot is no end.")
    return message


@asynccontextmanager
async def catcher(folder: Path, smtp: int, page: int) -> AsyncIterator[asyncio.subprocess.Process]:
    options = ("--folder", str(folder), "--smtp-port", str(smtp), "--page-port", str(page))
    process = await asyncio.create_subprocess_exec(sys.executable, *MODULE, *options)
    try:
        async with asyncio.timeout(20):
            while not (await greets_smtp(smtp)() and await answers_http(page)()):
                await asyncio.sleep(0.05)
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def test_acknowledged_mail_survives_kill_9_and_is_stored_once(tmp_path: Path) -> None:
    ports = Ports(tmp_path)
    smtp, page = ports.claim("smtp", movable=True), ports.claim("page", movable=True)
    folder = tmp_path / "caught mail"

    async def send(identity: str) -> str:
        _, answer = await aiosmtplib.send(mail(identity), hostname=LOOPBACK, port=smtp)
        return answer

    async with catcher(folder, smtp, page) as process:
        answers = await asyncio.gather(*(send(f"<{n % 10}@regulars>") for n in range(30)))
        process.kill()
    # 30 sendings of 10 identities: 10 are new, 20 repeat one that is there
    assert sum(answer.startswith("stored") for answer in answers) == 10
    assert len(caught(folder)) == 10
    async with catcher(folder, smtp, page):
        assert "known already" in await send("<3@regulars>")
    assert len(caught(folder)) == 10


async def test_caught_mail_can_be_looked_at_but_runs_nothing(tmp_path: Path) -> None:
    ports = Ports(tmp_path)
    smtp, page = ports.claim("smtp", movable=True), ports.claim("page", movable=True)
    async with (
        catcher(tmp_path / "mail", smtp, page),
        httpx2.AsyncClient(base_url=f"http://{LOOPBACK}:{page}") as browser,
    ):
        message = mail("<1@regulars>", subject="<b>Hi</b>")
        await aiosmtplib.send(message, hostname=LOOPBACK, port=smtp)
        (path,) = caught(tmp_path / "mail")
        listed = await browser.get("/")
        shown = await browser.get(f"/mail/{path.stem}")
        raw = await browser.get(f"/mail/{path.stem}/raw")
        missing = await browser.get("/mail/../../etc/passwd")
        posted = await browser.post("/")
    assert "&lt;b&gt;Hi&lt;/b&gt;" in listed.text
    assert f"/mail/{path.stem}" in listed.text
    assert "default-src 'none'" in listed.headers["content-security-policy"]
    assert "\n.\n" in shown.text
    assert raw.content == path.read_bytes()
    assert missing.status_code == 404
    assert posted.status_code == 501
