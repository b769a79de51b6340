"""`regulars`: run the whole on this machine, and ask it.

Exit codes: 0 done, 1 it could not be done (the reason is on standard error), 2 wrong arguments.
Answers go to standard output, as one JSON object with `--json`; progress and words of advice go to
standard error.
"""

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Annotated, Any, NoReturn, TypeVar

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from deploy import importing, inbox
from deploy.client import CallError, Chain, connect
from deploy.embedded.errors import EmbeddedError
from deploy.importing import Wanted
from deploy.installation import (
    SERVICES,
    ChainSettings,
    Installation,
    remembered,
    running,
)
from deploy.keys import add_key, all_keys, hmac_secret, read_owner_key, revoke_key
from shared.access import Role

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="The customer base of retail chains, on this machine.",
    pretty_exceptions_enable=False,
)
segment = typer.Typer(no_args_is_help=True, help="Ask segments.")
app.add_typer(segment, name="segment")

app.add_typer(inbox.commands(lambda ask: _run(_asking(ask))), name="inbox")

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
ResultT = TypeVar("ResultT")
people = Console(stderr=True)


def home_folder() -> Path:
    """REGULARS_HOME, or `.regulars` here."""
    return Path(os.environ.get("REGULARS_HOME") or ".regulars").absolute()


@app.command()
def demo(
    households: Annotated[
        str, typer.Option(help="How many households of the data to live with, or `all`.")
    ] = "300",
    *,
    as_json: AsJson = False,
) -> None:
    """Live a year of a grocery chain, and show what became of it."""
    count = _households(households)
    _run(_demo(count, as_json=as_json))


@app.command()
def up() -> None:
    """Run everything in the foreground until Ctrl-C, and print the addresses."""
    _run(_up())


@segment.command()
def members(
    name: str,
    at: Annotated[str | None, typer.Option(help="A moment (ISO 8601); now when left out.")] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Who is in a segment, now or at a moment of the past."""
    _run(_asking(lambda chain: _members(chain, name, at, as_json=as_json)))


@app.command()
def imports(*, as_json: AsJson = False) -> None:
    """Which imports were begun, and which of them have ended."""
    _run(_asking(lambda chain: _imports(chain, as_json=as_json)))


@app.command("import")
def import_file(
    what_and_file: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[WHAT] FILE",
            help="CSV, XLSX or Parquet, of `customers` (if left out), `receipts`, `visits`, …",
        ),
    ] = None,
    mapping: Annotated[
        Path | None, typer.Option(help="What the columns are, as JSON.", exists=True)
    ] = None,
    revert: Annotated[str | None, typer.Option(help="Take an import back, by its id.")] = None,
    resume: Annotated[
        str | None, typer.Option(help="Go on with an import that rests, or follow it, by its id.")
    ] = None,
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Record nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Import customers or facts from a file, or take an import back."""
    try:
        wanted = importing.wanted(
            what_and_file or [], mapping, revert=revert, resume=resume, dry_run=dry_run
        )
    except ValueError as wrong:
        _fail(str(wrong), 2)
    _run(_asking(lambda chain: _import(chain, wanted, as_json=as_json)))


@app.command()
def parked(
    *,
    replay: Annotated[
        bool, typer.Option("--replay", help="Have them all applied again, in order.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Events that could not be applied: where they are, and why."""
    _run(_asking(lambda chain: _parked(chain, replay=replay, as_json=as_json)))


@app.command()
def audit(*, as_json: AsJson = False) -> None:
    """Compare every commit of every service with Kafka, and publish what is missing."""
    _run(_asking(lambda chain: _audit(chain, as_json=as_json)))


@app.command()
def key(
    role: Annotated[Role, typer.Argument(help="What its holder is in the chain.")],
    title: Annotated[str, typer.Option(help="Whose key it is.")],
    branch: Annotated[
        list[str] | None, typer.Option(help="A branch it is for; repeat for more. All if left out.")
    ] = None,
) -> None:
    """Make an API key, and show it: it cannot be shown again."""
    _run(_key(role, title, branch))


@app.command()
def keys(*, as_json: AsJson = False) -> None:
    """Which API keys there are: whose, for what, and which of them are revoked."""
    _run(_list_keys(as_json=as_json))


@app.command()
def revoke(
    prefix: Annotated[str, typer.Argument(help="The twelve digits behind `rg_`.")],
) -> None:
    """Let an API key open nothing any more, within half a minute and for ever."""
    _run(_revoke(prefix))


def _households(text: str) -> int | None:
    if text == "all":
        return None
    if not text.isdecimal() or int(text) == 0:
        _fail(f"--households: {text!r} is neither a number from 1 on nor `all`", 2)
    return int(text)


async def _demo(count: int | None, *, as_json: bool) -> None:
    # Reading parquet and drawing bars are for this command alone.
    from deploy.demo.bars import PhaseBars
    from deploy.demo.definitions import AS_OF
    from deploy.demo.report import print_report
    from deploy.demo.steps import Demo

    wanted = ChainSettings(clock_frozen_at=AS_OF, households="all" if count is None else str(count))
    with PhaseBars() as bars:
        bars.begin("Starting Kafka, MongoDB, services", None)
        async with Installation(home_folder(), wanted) as installation:
            async with connect(installation.urls, installation.owner_key) as chain:
                run = Demo(chain, count, installation.home / "mail", bars)
                report = await _unless_failed(installation, run.run())
            bars.begin("Stopping", None)
    if as_json:
        _print_json(report)
    else:
        print_report(report, Console())
        people.print("Look around: [bold]regulars up[/] prints the addresses.", style="dim")


async def _up() -> None:
    people.print("Starting Kafka, MongoDB, mail and the four services …", style="dim")
    async with Installation(home_folder()) as installation:
        table = Table(box=None, show_header=False)
        for name, url in installation.urls.items():
            table.add_row(name, f"{url}/docs")
        for name, url in installation.urls.items():
            table.add_row(f"{name} events", f"{url}/asyncapi")
        table.add_row("caught mail", installation.stack.mail_page_url)
        table.add_row("Kafka", installation.stack.kafka_url)
        table.add_row(
            "MongoDB", f"{installation.stack.mongo_url} ({installation.stack.mongo_server})"
        )
        if installation.first_start:
            table.add_row("owner's key", f"{installation.owner_key} (shown once)")
        table.add_row("key file", str(installation.home / "owner.key"))
        people.print(table)
        people.print("Ctrl-C stops it.", style="dim")
        raise await installation.stack.supervisor.failed()


async def _unless_failed(installation: Installation, work: Coroutine[Any, Any, ResultT]) -> ResultT:
    """The result of the work, or the reason why a child was given up meanwhile."""
    task = asyncio.create_task(work)
    failed = asyncio.create_task(installation.stack.supervisor.failed())
    try:
        await asyncio.wait({task, failed}, return_when=asyncio.FIRST_COMPLETED)
        if failed.done():
            raise failed.result()
        return task.result()
    finally:
        task.cancel()
        failed.cancel()


async def _asking(ask: Callable[[Chain], Awaitable[None]]) -> None:
    """Ask the running services of the home; where none run, start them for the question."""
    home = home_folder()
    found = running(home)
    if found is not None:
        async with connect(found.urls, read_owner_key(home)) as chain:
            await ask(chain)
        return
    if remembered(home) is None:
        raise EmbeddedError(f"{home} holds nothing yet: start with `regulars demo`.")
    people.print("Nothing runs here: starting it for this question …", style="dim")
    async with (
        Installation(home) as installation,
        connect(installation.urls, installation.owner_key) as chain,
    ):
        await ask(chain)


async def _members(chain: Chain, name: str, at: str | None, *, as_json: bool) -> None:
    path = f"/v1/segments/{name}/members"
    page = await chain.get("segment", path, at=at, limit=1000)
    found = list(page["items"])
    while page["next_cursor"] is not None:
        page = await chain.get("segment", path, at=at, limit=1000, cursor=page["next_cursor"])
        found += page["items"]
    ids = [each["customer"] for each in found]
    moment = page["at"]
    if as_json:
        _print_json({"segment": name, "at": moment, "count": len(ids), "members": ids})
        return
    people.print(f"{name} at {moment}: [bold]{len(ids):,}[/] members")
    for each in ids:
        sys.stdout.write(f"{each}\n")


async def _imports(chain: Chain, *, as_json: bool) -> None:
    items = await chain.all("interaction", "/v1/imports")
    if as_json:
        _print_json({"items": items})
        return
    table = Table("Import", "Title", "State", "Facts")
    for each in items:
        state = "begun, not ended: run it again to go on" if each["open"] else "ended"
        table.add_row(each["id"], each["title"], state, str(each.get("facts") or ""))
    people.print(table)


def _mongo_url() -> str:
    found = running(home_folder())
    mongo_url = os.environ.get("REGULARS_MONGO_URL") or (found and found.mongo_url)
    if not mongo_url:
        raise EmbeddedError(
            "Nothing runs here: start `regulars up`, or name a database by REGULARS_MONGO_URL."
        )
    return mongo_url


async def _import(chain: Chain, wanted: Wanted, *, as_json: bool) -> None:
    job = await importing.carry_out(chain, wanted, people)
    if as_json:
        _print_json(job)
    else:
        importing.show(job, people)


async def _key(role: Role, title: str, branches: list[str] | None) -> None:
    mongo_url, secret = _mongo_url(), hmac_secret(home_folder())
    text = await add_key(mongo_url, secret, title=title, role=role, branches=branches)
    sys.stdout.write(f"{text}\n")


async def _list_keys(*, as_json: bool) -> None:
    found = await all_keys(_mongo_url())
    if as_json:
        shown = ("prefix", "title", "roles", "branches", "revoked")
        items = [{name: getattr(each, name) for name in shown} for each in found]
        _print_json({"items": items})
        return
    table = Table("Prefix", "Title", "Roles", "Branches", "")
    for each in found:
        branches = "all" if each.branches is None else ", ".join(each.branches)
        state = "revoked" if each.revoked else ""
        table.add_row(each.prefix, each.title, ", ".join(each.roles), branches, state)
    people.print(table)


async def _revoke(prefix: str) -> None:
    if not await revoke_key(_mongo_url(), prefix.removeprefix("rg_").partition("_")[0]):
        raise EmbeddedError("There is no key of this prefix that still opens anything.")


async def _parked(chain: Chain, *, replay: bool, as_json: bool) -> None:
    found: list[dict[str, Any]] = []
    for service in SERVICES:
        found += [{"service": service, **each} for each in await chain.all(service, "/v1/parked")]
    if replay:
        for service, projection in sorted({(e["service"], e["projection"]) for e in found}):
            await chain.post(service, "/v1/parked/replay", {"projection": projection})
    if as_json:
        _print_json({"items": found})
        return
    if not found:
        people.print("Nothing is parked.")
        return
    table = Table("Service", "Read model", "Topic", "Partition", "Offset", "Key", "Reason")
    for each in found:
        place = [str(each[name]) for name in ("partition", "offset", "key", "reason")]
        table.add_row(each["service"], each["projection"], each["topic"], *place)
    people.print(table)


async def _audit(chain: Chain, *, as_json: bool) -> None:
    missing = {}
    for service in SERVICES:
        answer = await chain.post(service, "/v1/audit", None)
        missing[service] = answer["missing"]
    if as_json:
        _print_json({"missing": missing})
        return
    for service, count in missing.items():
        people.print(f"{service}: {count:,} records were missing in Kafka and are published now")


def _print_json(value: object) -> None:
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(value)).decode() + "\n")


def _fail(message: str, code: int = 1) -> NoReturn:
    people.print(message, style="red", highlight=False, markup=False)
    raise typer.Exit(code)


def _run(work: Coroutine[Any, Any, None]) -> None:
    """Run to the end; a request to stop ends everything in order, and is no error of `up`."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    try:
        asyncio.run(_interruptible(work))
    except asyncio.CancelledError:
        raise typer.Exit(130) from None
    except (EmbeddedError, CallError) as failure:
        _fail(str(failure))
    except BaseExceptionGroup as group:
        known, rest = group.split((EmbeddedError, CallError))
        if known is None or rest is not None:
            raise
        _fail(str(_first(known)))


async def _interruptible(work: Coroutine[Any, Any, None]) -> None:
    task = asyncio.current_task()
    if task is None:
        raise AssertionError
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, task.cancel)
    await work


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    inner = group.exceptions[0]
    return _first(inner) if isinstance(inner, BaseExceptionGroup) else inner
