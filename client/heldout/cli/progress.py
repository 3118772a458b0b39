"""A progress bar on stderr, where stderr is a terminal; elsewhere nothing."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator

Report = Callable[[int], None]
"""Told how much is done in all."""


@contextlib.contextmanager
def progress_bar(label: str, total: int, *, unit: str = "") -> Iterator[Report]:
    """Show a bar while the block runs, and yield what moves it.

    Args:
        label: stands before it.
        total: what is to be done.
        unit: of the speed, such as ``trials``.
    """
    if not sys.stderr.isatty():
        yield lambda _done: None
        return
    from rich.console import Console  # noqa: PLC0415 - only a terminal needs it
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn  # noqa: PLC0415 - likewise

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=26),
        MofNCompleteColumn(),
        TextColumn("{task.fields[speed]}", markup=False),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(label, total=total, speed="")

        def report(done: int) -> None:
            speed = bar.tasks[0].speed
            bar.update(task, completed=done, speed="" if speed is None else f"{speed:,.0f} {unit}/s".replace(" /", "/"))

        yield report
