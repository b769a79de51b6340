"""Work that takes longer than a request: it survives its worker, can be followed and stopped.

A service registers its kinds with a `JobRunner`, begins jobs through `Jobs`, and shows them by
`JobApi`. A kind does its rows by commands with the id `row_command(job, row)`, so that a row done
twice, by a killed runner and by its successor, is done once.
"""

from shared.jobs.api import JobApi, JobView
from shared.jobs.asking import Jobs
from shared.jobs.job import Flaw, Job, RowResult, State
from shared.jobs.ports import JobStore
from shared.jobs.runner import (
    AnyKind,
    Checkpoint,
    Halted,
    JobKind,
    JobRunner,
    RevertibleKind,
    Superseded,
    kinds_by_name,
    row_command,
)

__all__ = [
    "AnyKind",
    "Checkpoint",
    "Flaw",
    "Halted",
    "Job",
    "JobApi",
    "JobKind",
    "JobRunner",
    "JobStore",
    "JobView",
    "Jobs",
    "RevertibleKind",
    "RowResult",
    "State",
    "Superseded",
    "kinds_by_name",
    "row_command",
]
