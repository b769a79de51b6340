"""Hold the demo's JSON against the plain recomputation: assert_demo.py HOUSEHOLDS REPORT...

Several reports are of runs on the same home: beside being right, they must be equal in all
figures but times. Differences go to standard error, one a line; exit code 1 when there are any.
"""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.e2e.recomputed import differences, expected

TIMES = ("seconds", "per_second")


def main(households: int, paths: list[Path]) -> int:
    """Return the exit code."""
    right = expected(households)
    found = []
    figures = []
    for path in paths:
        report = json.loads(path.read_text())
        found += [f"{path.name}: {difference}" for difference in differences(report, right)]
        figures.append({key: value for key, value in report.items() if key not in TIMES})
    if any(other != figures[0] for other in figures):
        found.append("the reports differ from each other: a repeated demo must add nothing")
    sys.stderr.writelines(f"{line}\n" for line in found)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), [Path(name) for name in sys.argv[2:]]))
