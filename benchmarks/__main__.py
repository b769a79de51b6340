"""`python -m benchmarks [--only row …]`: measure, and print one JSON object.

Every group of rows is measured in a process of its own, so that none pays for what another left in
memory, and within a time limit, so that none can hold up the rest. What people want to see on the
way goes to standard error. Exit codes: 0 measured, whether goals were met or not; 1 a row could not
be measured (it is printed with null, and the reason is on standard error); 2 there is no such row.
"""

import argparse
import asyncio
import json
import sys
from collections.abc import Sequence

from benchmarks.running import GROUPS, ROWS, Group, measured, measured_here


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=ROWS, metavar="row", help=", ".join(ROWS))
    parser.add_argument("--inside", nargs=2, help=argparse.SUPPRESS)
    return parser.parse_args(given)


def chosen(only: Sequence[str] | None) -> list[Group]:
    """The groups that give the rows; all of them when none is named."""
    return [group for group in GROUPS if only is None or not set(only).isdisjoint(group.rows)]


def main() -> int:
    """Run."""
    options = arguments()
    if options.inside is not None:
        print(json.dumps(measured_here(*options.inside)))
        return 0
    rows, complete = asyncio.run(measured(chosen(options.only)))
    wanted = [name for name in ROWS if name in rows and name in (options.only or ROWS)]
    print(json.dumps({name: rows[name] for name in wanted}, ensure_ascii=False, indent=2))
    return 0 if complete else 1


if __name__ == "__main__":
    sys.exit(main())
