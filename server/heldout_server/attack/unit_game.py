"""The game over one unit: every cell asks it a yes/no question, all other units known, by a matched filter."""

from __future__ import annotations

from heldout_policy.mechanism import MICRO
from heldout_server.attack.mechanism import KINDS, BareDesk, PooledNoise, spent_policy
from heldout_server.domain import Verdict
from heldout_server.ports.environment import Noise

ERRORS = 5
"""Standard errors that a measured accuracy may be off by."""


class UnitGame:
    """Release what a checkpoint does that answers with one bit of one unit, and read the bit in the figures.

    Attributes:
        desk: that it is released by, with the whole budget for it.
    """

    def __init__(self, noise: Noise) -> None:
        """Prepare both answers: with the bit the unit succeeds everywhere, without it it answers nowhere.

        Each row moves by a whole unit then.
        """
        self.desk = BareDesk(spent_policy(), noise=PooledNoise(noise))

        def answer(*, bit: bool, position: int) -> Verdict:
            if position:
                return Verdict.REFUSED
            return Verdict.UNSAFE if bit else Verdict.NON_ANSWER

        self._sums = {
            bit: self.desk.sums(lambda position, _cell, bit=bit: answer(bit=bit, position=position))  # type: ignore[misc]  # mypy cannot infer a lambda with a default
            for bit in (False, True)
        }
        self._rows = {
            kind: list(zip(self._sums[False][kind], self._sums[True][kind], strict=True)) for kind in KINDS.values()
        }

    def read(self, number: int, *, bit: bool) -> float:
        """Publish one release that answers with the bit, and return how much more likely it looks set than not.

        Args:
            number: 1-based, of the release.
            bit: that only the checkpoint sees.

        Returns:
            The logarithm of the likelihood ratio: above 0 where the bit looks set. Those of several releases add up.
        """
        score = 0.0
        for table in self.desk.release(number, self._sums[bit]):
            for (low, high), figure in zip(self._rows[table.kind], table.figures, strict=True):
                score += (high - low) * (figure - (high + low) / 2 / MICRO) / table.sigma**2
        return score
