"""Deadlines of many requests on one timer.

:func:`asyncio.timeout` sets and cancels a timer for each request; hundreds are in flight here, and nearly all are
answered long before. So one timer is set for the earliest deadline there was when it was set, and looks at the others
when it comes.
"""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Self


class Deadlines:
    """Hold the deadlines that are running in one event loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._running: set[Deadline] = set()
        self._timer: asyncio.TimerHandle | None = None

    def within(self, timeout_s: float) -> Deadline:
        """Return a deadline to enter: what is inside for longer is cancelled, and ``TimeoutError`` raised instead."""
        return Deadline(self, timeout_s)

    def close(self) -> None:
        """Let go of the timer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def now_s(self) -> float:
        """Return the event loop's time in seconds."""
        return self._loop.time()

    def add(self, deadline: Deadline) -> None:
        """Watch a deadline."""
        self._running.add(deadline)
        if self._timer is None or deadline.when_s < self._timer.when():
            self._set(deadline.when_s)

    def drop(self, deadline: Deadline) -> None:
        """Watch a deadline no more."""
        self._running.discard(deadline)

    def _set(self, when_s: float) -> None:
        self.close()
        self._timer = self._loop.call_at(when_s, self._look)

    def _look(self) -> None:
        self._timer = None
        now_s = self._loop.time()
        for deadline in [one for one in self._running if one.when_s <= now_s]:
            self._running.discard(deadline)
            deadline.expire()
        if self._running:
            self._set(min(one.when_s for one in self._running))


class Deadline:
    """Bound what the current task does inside a ``with``, as :class:`asyncio.Timeout` does."""

    __slots__ = ("_cancelling", "_deadlines", "_expired", "_task", "_timeout_s", "when_s")

    def __init__(self, deadlines: Deadlines, timeout_s: float) -> None:
        self._deadlines = deadlines
        self._timeout_s = timeout_s
        self._expired = False

    def __enter__(self) -> Self:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a deadline bounds a task")
        self._task = task
        self._cancelling = task.cancelling()
        self.when_s = self._deadlines.now_s() + self._timeout_s
        self._deadlines.add(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._deadlines.drop(self)
        # Somebody else may have cancelled the task as well: that goes on.
        if self._expired and self._task.uncancel() <= self._cancelling and kind is asyncio.CancelledError:
            raise TimeoutError from error

    def expire(self) -> None:
        """End what is inside."""
        self._expired = True
        self._task.cancel()

    def left_s(self) -> float:
        """Return the seconds that are left."""
        return self.when_s - self._deadlines.now_s()
