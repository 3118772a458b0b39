"""Segments of an exported log, checked by several processes at once.

The others are this module, started anew: they are given segments on their standard input and answer on their standard
output, in pickles that nobody else can write. Nothing of the program that asked is imported into them.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Final

from heldout.verification.segment import SEGMENT_LEAVES, Segment, check_segment

MOST_PROCESSES: Final = 8
LEAST_SEGMENTS: Final = 4
"""Below this many for each process, starting another takes longer than it saves."""

_Task = tuple[str, int, int, frozenset[int]]


def check_segments(folder: Path, *, size: int, sizes: frozenset[int], processes: int | None = None) -> list[Segment]:
    """Check a log segment by segment, and return them in order, up to the first with a fault.

    Args:
        folder: of the exported log.
        size: its leaves.
        sizes: of trees whose roots are to be known.
        processes: how many share the work, this one included; as many as there are processors if None.
    """
    tasks = [(str(folder), start, min(start + SEGMENT_LEAVES, size), sizes) for start in range(0, size, SEGMENT_LEAVES)]
    if processes is None:
        processes = min(len(os.sched_getaffinity(0)), MOST_PROCESSES, 1 + len(tasks) // LEAST_SEGMENTS)
    work = _Work(tasks)
    with contextlib.ExitStack() as stack:
        for _ in range(processes - 1):
            helper = threading.Thread(target=_help, args=(work,), daemon=True)
            helper.start()
            stack.callback(helper.join)
            stack.callback(work.stop)  # before the join: whatever ends us early ends them too
        for number, task in work.take():
            work.done(number, _check(task))
    found: list[Segment] = []
    for number, task in enumerate(tasks):
        found.append(work.results.get(number) or _check(task))  # what a process that died has left over is done here
        if found[-1].fault:
            break
    return found


class _Work:
    """Hand out tasks in order until one fails, and keep what came of them."""

    def __init__(self, tasks: list[_Task]) -> None:
        self.results: dict[int, Segment] = {}
        self._tasks = iter(enumerate(tasks))
        self._lock = threading.Lock()
        self._stopped = False

    def take(self) -> Iterator[tuple[int, _Task]]:
        """Yield tasks that nobody else was given."""
        while True:
            with self._lock:
                task = None if self._stopped else next(self._tasks, None)
            if task is None:
                return
            yield task

    def done(self, number: int, segment: Segment) -> None:
        """Keep a result. What comes behind a fault need not be looked at."""
        self.results[number] = segment
        if segment.fault:
            self.stop()

    def stop(self) -> None:
        """Hand out no more."""
        self._stopped = True


def _check(task: _Task) -> Segment:
    folder, start, stop, sizes = task
    return check_segment(Path(folder), start=start, stop=stop, sizes=sizes)


def _help(work: _Work) -> None:
    """Have another process do a share of the work; where there can be none, leave all of it to this one."""
    command = [sys.executable, "-P", "-m", __name__]
    try:
        child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)  # noqa: S603 - this very module
    except OSError:
        return
    with contextlib.suppress(OSError, EOFError, pickle.UnpicklingError), child:  # it died: see check_segments
        requests, answers = child.stdin, child.stdout
        if requests is None or answers is None:
            return
        for number, task in work.take():
            pickle.dump(task, requests)
            requests.flush()
            work.done(number, pickle.load(answers))  # noqa: S301 - written by this very module


def _serve(requests: IO[bytes], answers: IO[Any]) -> None:
    with contextlib.suppress(EOFError, KeyboardInterrupt):
        while True:
            pickle.dump(_check(pickle.load(requests)), answers)  # noqa: S301 - written by this very module
            answers.flush()


if __name__ == "__main__":
    _serve(sys.stdin.buffer, sys.stdout.buffer)
