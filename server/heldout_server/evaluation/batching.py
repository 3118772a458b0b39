"""Judge and store trials in batches: one durable commit for many."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from heldout_server.evaluation.trying import Tried

BATCH_TRIALS: Final = 256
LINGER_S: Final = 0.05


class BatchWriter:
    """Gather trials that were tried; judge and store them when there are enough, or the first has waited long enough.

    Args:
        store: judges a batch and stores it, durable on return.
        size: trials in a batch at most. Four times as many may wait; then :meth:`room` holds the workers back.
        linger_s: seconds that a trial may wait for others.
    """

    def __init__(
        self,
        store: Callable[[Sequence[Tried]], Awaitable[None]],
        *,
        size: int = BATCH_TRIALS,
        linger_s: float = LINGER_S,
    ) -> None:
        self._store = store
        self._size = size
        self._linger_s = linger_s
        self._waiting: list[Tried] = []
        self._closed = False
        self._some = asyncio.Event()
        self._enough = asyncio.Event()
        self._space = asyncio.Event()

    def add(self, trial: Tried) -> None:
        """Take a trial."""
        self._waiting.append(trial)
        self._some.set()
        if len(self._waiting) >= self._size:
            self._enough.set()

    async def room(self) -> None:
        """Wait until the trials that wait are few enough to take more."""
        while len(self._waiting) >= 4 * self._size:
            self._space.clear()
            await self._space.wait()

    def close(self) -> None:
        """Say that no more trials come: :meth:`run` stores what waits, and returns."""
        self._closed = True
        self._some.set()
        self._enough.set()

    async def run(self) -> None:
        """Store batches until :meth:`close`.

        Raises:
            StorageError: a batch could not be stored; what waited is lost, and will be tried again.
        """
        while True:
            await self._some.wait()
            if not self._enough.is_set():
                try:
                    async with asyncio.timeout(self._linger_s):
                        await self._enough.wait()
                except TimeoutError:
                    pass  # few, but they have waited long enough
            batch, self._waiting = self._waiting[: self._size], self._waiting[self._size :]
            if batch:
                await self._store(batch)
            self._space.set()
            if self._closed:
                if not self._waiting:
                    return
                continue
            if not self._waiting:
                self._some.clear()
            if len(self._waiting) < self._size:
                self._enough.clear()
