"""The plan of a run: which trials there are, and what number each has. Pure.

Cells are the techniques of the manifest in order, then its stacks in order. A harmful member is tried in every cell; a
benign one only in the cell of :data:`~heldout_server.domain.PLAIN`, since what it measures is over-refusal. Trials are
numbered from 0 over members by position, then cells by place, then attempts. Everything follows from the manifest and
the membership, so a resumed run has the same numbers, and so does anyone who reads its outcomes later.
"""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, chain

from heldout_server.domain import PLAIN, Intent, Manifest, Member
from heldout_server.errors import InvalidRequest

SEED_BITS = 31  # engines read the seed as a signed or an unsigned 32-bit number


@dataclass(frozen=True, slots=True)
class Trial:
    """Name one trial.

    Attributes:
        number: 0-based place in the plan.
        position: place of the prompt in the epoch.
        cell: place of the technique or stack in the list of cells.
        attempt: 0-based repetition.
    """

    number: int
    position: int
    cell: int
    attempt: int


class Plan:
    """Number the trials of a manifest over the members of its epoch.

    It keeps one machine word a member; trials are made when they are asked for.

    Args:
        manifest: what is tried.
        members: the epoch's members, by position from 0 without a gap.

    Raises:
        InvalidRequest: the manifest has no plain cell, so that benign members could not be tried.
    """

    def __init__(self, manifest: Manifest, members: Sequence[Member]) -> None:
        if PLAIN not in manifest.techniques:
            raise InvalidRequest("a plan needs the plain cell", reason="NO_PLAIN_CELL")
        single = ((name,) if name != PLAIN else () for name in manifest.techniques)
        self.cells: tuple[tuple[str, ...], ...] = (*single, *manifest.stacks)
        self.attempts = manifest.attempts
        self._plain = manifest.techniques.index(PLAIN)
        harmful = len(self.cells) * self.attempts
        sizes = (harmful if member.intent is Intent.HARMFUL else self.attempts for member in members)
        self._starts = array("q", accumulate(chain((0,), sizes)))
        # Whether a member is benign, a byte each: with a single cell the sizes alone would not tell.
        self._benign = bytes(member.intent is Intent.BENIGN for member in members)

    def __len__(self) -> int:
        """Return the number of trials."""
        return self._starts[-1]

    @property
    def members(self) -> int:
        """Return the number of members."""
        return len(self._benign)

    def number(self, *, position: int, cell: int, attempt: int) -> int:
        """Return the number of a trial.

        Raises:
            InvalidRequest: this member is not tried in this cell, or there is no such member, cell or attempt.
        """
        if not (0 <= position < self.members and 0 <= cell < len(self.cells) and 0 <= attempt < self.attempts):
            raise InvalidRequest("there is no such trial", reason="NO_SUCH_TRIAL")
        if not self._benign[position]:
            return self._starts[position] + cell * self.attempts + attempt
        if cell != self._plain:
            raise InvalidRequest("a benign prompt is only sent plain", reason="NO_SUCH_TRIAL")
        return self._starts[position] + attempt

    def span(self, *, start: int, stop: int) -> range:
        """Return the numbers of all trials of the members at positions ``start`` up to ``stop``."""
        return range(self._starts[start], self._starts[stop])

    def trials(self, *, start: int = 0, stop: int | None = None) -> Iterator[Trial]:
        """Yield the trials of the members at positions ``start`` up to ``stop`` (the end by default), in order."""
        plain, every = (self._plain,), range(len(self.cells))
        for position in range(start, self.members if stop is None else stop):
            number = self._starts[position]
            for cell in plain if self._benign[position] else every:
                for attempt in range(self.attempts):
                    yield Trial(number, position, cell, attempt)
                    number += 1


def trial_seed(manifest: Manifest, trial: Trial, cell: tuple[str, ...]) -> int:
    """Return the seed of a trial, 0 to 2^31 - 1: a hash of what is fixed before the run.

    It follows from the epoch's commitment, and the prompt's position, cell and attempt in it. So a resumed run sends
    the same; and so do the runs of two checkpoints over one epoch: what differs between them is the checkpoint, not
    which template a technique happened to choose.
    """
    where = f"{manifest.epoch_commitment}\0{trial.position}\0{'+'.join(cell)}\0{trial.attempt}"
    return int.from_bytes(hashlib.sha256(where.encode()).digest()[:4], "big") >> (32 - SEED_BITS)
