"""Which trials of a run have a verdict that is durable: one byte a trial, whatever the run's size."""

from __future__ import annotations

from collections.abc import Iterable


class Tally:
    """Mark finished trials, and count them for whoever watches."""

    def __init__(self) -> None:
        self._done = bytearray()
        self.loaded = False
        self.finished = 0
        self._began_s = 0.0
        self._finished_before = 0

    def load(self, planned: int, finished: Iterable[int], *, now_s: float) -> None:
        """Begin with what an earlier process finished.

        Args:
            planned: trials in the plan.
            finished: numbers of those that have a verdict.
            now_s: monotonic seconds.
        """
        self._done = bytearray(planned)
        self.finished = 0
        self.mark(finished)
        self._finished_before = self.finished
        self._began_s = now_s
        self.loaded = True

    def mark(self, numbers: Iterable[int]) -> None:
        """Note that these trials have a durable verdict."""
        for number in numbers:
            if not self._done[number]:
                self._done[number] = 1
                self.finished += 1

    def has(self, number: int) -> bool:
        """Say whether a trial has a verdict."""
        return self._done[number] == 1

    def has_all(self, numbers: range) -> bool:
        """Say whether every one of these trials has a verdict."""
        return self._done.count(1, numbers.start, numbers.stop) == len(numbers)

    def rate(self, now_s: float) -> float:
        """Return trials a second since this process took up the run."""
        elapsed_s = now_s - self._began_s
        return (self.finished - self._finished_before) / elapsed_s if self.loaded and elapsed_s > 0 else 0.0
