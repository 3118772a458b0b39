"""Whose turn it is: checkpoints in the order of their markers, but none may hold up the others by failing.

Where the source does not give a file out, or a checkpoint does not fit on the disk now, nobody can say whether that
will pass: so it is not refused. It is passed over, and its next turn comes after all that have not failed; the more
often it failed, the more looks it sits out.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from heldout_server.checkpoints.sources import Ready

MAX_SAT_OUT: Final = 63
"""How many looks are sat out at most; it is 0 after the first failure, then 1, 3, 7 and so on."""


@dataclass(slots=True)
class _Failure:
    """Hold how long a checkpoint sits out after its next failure, and how many looks are left of its last one."""

    then: int = 0
    left: int = 0


class Turns:
    """Remember which checkpoints were passed over, until this process ends."""

    def __init__(self) -> None:
        self._failures: dict[str, _Failure] = {}

    def begin(self, ready: Iterable[Ready]) -> tuple[Ready, ...]:
        """Begin a look: return whose turn it is, in order, and forget those that are gone."""
        found = tuple(ready)
        self._failures = {one.folder: self._failures[one.folder] for one in found if one.folder in self._failures}
        waiting = {folder for folder, failure in self._failures.items() if failure.left > 0}
        for folder in waiting:
            self._failures[folder].left -= 1
        return tuple(sorted((one for one in found if one.folder not in waiting), key=self._key))

    def pass_over(self, one: Ready) -> None:
        """Remember that it failed."""
        failure = self._failures.setdefault(one.folder, _Failure())
        failure.left = failure.then
        failure.then = min(2 * failure.then + 1, MAX_SAT_OUT)

    def _key(self, one: Ready) -> tuple[bool, Ready]:
        return one.folder in self._failures, one
