"""What only a job or a file needs is not loaded when a service starts: each worker would hold it.

Asked of fresh interpreters, since this one has loaded everything for other tests.
"""

import subprocess
import sys

import pytest

from shared.testing.servers import ROOT

HEAVY = {"pyarrow", "scipy", "pandas"}
"""50 MB for Parquet files, 44 MB for who fits models; the last is nowhere needed."""
NUMBERS = {"numpy"}
"""15 MB, in services that count over all customers."""
ASK = "import sys, services.{0}.main as _; print(*({1!r} & sys.modules.keys()))"


@pytest.mark.parametrize(
    ("service", "heavy"),
    [
        ("customer", HEAVY | NUMBERS),
        ("interaction", HEAVY),
        ("segment", HEAVY),
        ("notify", HEAVY | NUMBERS),
    ],
)
def test_a_service_starts_without_what_only_a_job_or_a_file_needs(
    service: str, heavy: set[str]
) -> None:
    told = subprocess.run(
        [sys.executable, "-c", ASK.format(service, heavy)],
        cwd=ROOT, capture_output=True, check=True, text=True,
    )  # fmt: skip
    assert told.stdout.split() == []
