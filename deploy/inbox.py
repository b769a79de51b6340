"""`regulars inbox …`: what could not be taken from the topic that tills write to."""

import sys
from collections.abc import Awaitable, Callable
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from deploy.client import Chain

SERVICE = "interaction"
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
Ask = Callable[[Chain], Awaitable[None]]
people = Console(stderr=True)


def commands(asking: Callable[[Ask], None]) -> typer.Typer:
    """The commands; `asking` runs a question to the services to its end."""
    inbox = typer.Typer(no_args_is_help=True, help="What tills write to the inbox topic.")

    @inbox.command()
    def dead(*, as_json: AsJson = False) -> None:
        """Records that could not be taken: where they are, and why."""
        asking(lambda chain: _dead(chain, as_json=as_json))

    @inbox.command()
    def replay(*, as_json: AsJson = False) -> None:
        """Send the dead letters to the inbox again, once what was wrong is repaired."""
        asking(lambda chain: _replay(chain, as_json=as_json))

    return inbox


async def _dead(chain: Chain, *, as_json: bool) -> None:
    items = await chain.all(SERVICE, "/v1/inbox/dead")
    waiting = (await chain.get(SERVICE, "/v1/inbox/waiting"))["waiting"]
    if as_json:
        _print_json({"items": items, "waiting": waiting})
        return
    people.print(f"{waiting:,} facts wait for a customer or receipt that may still come.")
    if not items:
        people.print("There are no dead letters.")
        return
    table = Table("Place", "Topic", "Partition", "Offset", "Reason", "Fields")
    for each in items:
        numbers = [str(each[name]) for name in ("partition", "offset")]
        fields = ", ".join(f"{error['field']}: {error['message']}" for error in each["errors"])
        table.add_row(str(each["place"]), each["topic"], *numbers, each["title"], fields)
    people.print(table)


async def _replay(chain: Chain, *, as_json: bool) -> None:
    answer = await chain.post(SERVICE, "/v1/inbox/dead/replay", None)
    if as_json:
        _print_json(answer)
    else:
        people.print(f"{answer['replayed']:,} records were sent to the inbox again.")


def _print_json(value: object) -> None:
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(value)).decode() + "\n")
