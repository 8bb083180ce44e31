"""Progress of long work: a bar on a terminal, plain lines in a log."""

import sys
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bar


class Progress:
    """Counts steps towards a total, and says after each what was done and how much time is left."""

    def __init__(self, label: str, total: int):
        self.console = Console(file=sys.stderr)
        self.bar = Bar(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=self.console,
            disable=not self.console.is_terminal,
        )
        self.label, self.total = label, total
        self.task = self.bar.add_task(label, total=total)

    def __enter__(self) -> Self:
        self.bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.bar.stop()

    def expect(self, total: int) -> None:
        """Another number of steps than was thought at first."""
        self.total = total
        self.bar.update(self.task, total=total)

    def advance(self, text: str, steps: int = 1) -> None:
        """A step, or several, are done; `text` describes it."""
        self.bar.advance(self.task, steps)
        self.bar.update(self.task, description=f"{self.label}: {text}")
        if self.bar.disable:
            state = self.bar.tasks[0]
            left = "" if state.time_remaining is None else f", {state.time_remaining:.0f} s left"
            print(f"{self.label} {int(state.completed)}/{self.total}: {text}{left}", file=sys.stderr, flush=True)
