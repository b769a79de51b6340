"""Progress bars on standard error: one per phase, calm when nobody watches."""

from collections.abc import Callable
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)


class PhaseBars:
    """`with PhaseBars() as bars:`; each phase finishes the one before."""

    def __init__(self) -> None:
        """Prepare; nothing is shown before the context is entered."""
        self._progress = Progress(
            SpinnerColumn(finished_text="✓"),
            TextColumn("{task.description:<34}"),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=Console(stderr=True),
        )
        self._open: int | None = None

    def __enter__(self) -> Self:
        """Show."""
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Leave the last state on the screen."""
        if kind is None:
            self.finish()
        self._progress.stop()

    def begin(self, title: str, total: int | None) -> Callable[[int], None]:
        """A new bar; the one before is done."""
        self.finish()
        task = self._progress.add_task(title, total=total)
        self._open = task
        return lambda steps: self._progress.advance(task, steps)

    def finish(self) -> None:
        """The open bar is done."""
        if self._open is None:
            return
        task = next(each for each in self._progress.tasks if each.id == self._open)
        total = task.total if task.total is not None else 1
        self._progress.update(task.id, total=total, completed=total)
        self._open = None
