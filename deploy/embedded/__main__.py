"""Run the embedded stack in the foreground, for other processes to use.

Prints one line of JSON with the addresses once everything is ready, and nothing else to
standard output. Ends on SIGINT, SIGTERM or SIGHUP, with `--until-stdin-closes` also when the
other end of its standard input goes away, however that process died. Exit codes: 0 stopped as
asked, 1 the stack could not be started or kept running (the reason is on standard error).
"""

import argparse
import asyncio
import contextlib
import json
import logging
import os
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from deploy.embedded.errors import EmbeddedError
from deploy.embedded.stack import EmbeddedStack


async def serve(home: Path, *, until_stdin_closes: bool) -> None:
    """Run the stack until asked to stop; raises EmbeddedError when it cannot.

    A request to stop cancels this task wherever it is, so a start is cut short too; a second
    one leaves at once, and the children's leash ends them.
    """
    loop = asyncio.get_running_loop()
    task = asyncio.current_task()
    if task is None:
        raise AssertionError
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, task.cancel)
    if until_stdin_closes:
        threading.Thread(target=_await_end_of_input, args=(loop, task), daemon=True).start()
    with contextlib.suppress(asyncio.CancelledError):
        async with EmbeddedStack(home) as stack:
            sys.stdout.write(json.dumps(stack.addresses()) + "\n")
            sys.stdout.flush()
            raise await stack.supervisor.failed()


def _await_end_of_input(loop: asyncio.AbstractEventLoop, task: "asyncio.Task[None]") -> None:
    while os.read(0, 4096):
        pass
    loop.call_soon_threadsafe(task.cancel)


def run(arguments: Sequence[str]) -> int:
    """Parse the command line, serve, and turn what went wrong into an exit code."""
    parser = argparse.ArgumentParser(prog="python -m deploy.embedded")
    default = Path(os.environ.get("REGULARS_HOME", ".regulars"))
    parser.add_argument("--home", type=Path, default=default, help="the home folder")
    parser.add_argument("--until-stdin-closes", action="store_true")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    try:
        asyncio.run(serve(options.home, until_stdin_closes=options.until_stdin_closes))
    except EmbeddedError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
