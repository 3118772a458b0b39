"""The numbers that the appliance gives the calls of an identity, without a gap: which of them were ours?"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from heldout.setback import Setback

MOST_RANGES: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class CounterGap:
    """Name calls that stand in a log under our identity and that nobody who shares this memory has made.

    They were made elsewhere with this certificate, or by a process that kept no memory; or the appliance leaves calls
    out of what it tells.

    Attributes:
        half: whose log, ``vault`` or ``window``.
        calls: how many.
        first, last: the numbers between which they are.
    """

    half: str
    calls: int
    first: int
    last: int

    def __str__(self) -> str:
        """Say it in one line."""
        what = f"{self.calls} call" + ("" if self.calls == 1 else "s")
        between = f"number {self.first}" if self.first == self.last else f"among numbers {self.first} to {self.last}"
        return f"{what} in the {self.half}'s log ({between}) not made from here: another user of this certificate?"


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """Hold what was known of a log when a call of ours began.

    Whatever the log says of that call is newer: its outcome stands behind ``size`` entries, its number is above
    ``number``. An honest appliance cannot do otherwise, however many calls are under way, in whichever order they end.

    Attributes:
        half: whose log.
        size: leaves of the newest signed head.
        number: the highest number of our own calls.
        unanswered: calls of ours that had ended without a receipt.
    """

    half: str
    size: int
    number: int
    unanswered: int


@dataclass(slots=True)
class LogMemory:
    """Hold what is remembered of one log.

    Attributes:
        head: the newest verified signed note; empty before any.
        number: the highest number of our own calls; 0 before any.
        missing: ranges of numbers below it that no answer had, both ends included.
        told: how many of those were reported.
        unanswered: calls of ours that ever ended without a receipt: they may have numbers, or none.
        settled: how many of those explain no number any more: a call that began after them was answered.
        setback: how the log went back, once that was seen.
    """

    head: str = ""
    number: int = 0
    missing: list[list[int]] = field(default_factory=list)
    told: int = 0
    unanswered: int = 0
    settled: int = 0
    setback: Setback | None = None

    def count(self, number: int) -> None:
        """Take the number of a call that was answered."""
        if not self.number:
            self.number = number  # what was before the first answer is nobody's gap
        elif number > self.number:
            if number > self.number + 1:
                self.missing.append([self.number + 1, number - 1])
            self.number = number
        else:
            self.missing = [part for one in self.missing for part in _without(number, one)]
        del self.missing[:-MOST_RANGES]

    def find_gap(self, half: str, *, under_way: int, settled: int) -> CounterGap | None:
        """Return the gap that our own calls do not explain, if there is one that was not returned before.

        Args:
            half: whose log.
            under_way: calls of ours that may have a number already and no answer yet.
            settled: how many of our unanswered calls had ended when the newest answered call began: their numbers, if
                they have any, are below its own.
        """
        gap = None
        lacking = sum(last - first + 1 for first, last in self.missing)
        if (calls := lacking - (self.unanswered - self.settled) - under_way - self.told) > 0:
            gap = CounterGap(half=half, calls=calls, first=self.missing[0][0], last=self.missing[-1][1])
            self.told += calls
        if not under_way:  # every number below has found its call, or was reported
            self.missing, self.told = [], 0
            self.settled = max(self.settled, settled)
        return gap


def _without(number: int, one: list[int]) -> list[list[int]]:
    first, last = one
    if not first <= number <= last:
        return [one]
    return [part for part in ([first, number - 1], [number + 1, last]) if part[0] <= part[1]]
