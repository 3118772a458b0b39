"""What a spend of the budget lets out about one unit, in three figures (``SECURITY.md``, "The bound, exactly")."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

NANO: Final = 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """Hold the three figures, given every other unit. Mutual information is an average.

    Attributes:
        tight_bits: by the bound for Gaussian noise on shares, rho/(4 ln 2).
        general_bits: by the bound for any mechanism, rho/ln 2.
        one_question_accuracy: best accuracy on one yes/no question about the unit, Phi(sqrt(rho/2)), 0.5 to 1.
    """

    tight_bits: float
    general_bits: float
    one_question_accuracy: float


def state_claims(nano_rho: int) -> Claims:
    """Return the three figures for a spend in billionths of zCDP rho, at least 0."""
    rho = nano_rho / NANO
    return Claims(
        tight_bits=rho / (4 * math.log(2)),
        general_bits=rho / math.log(2),
        one_question_accuracy=math.erfc(-math.sqrt(rho) / 2) / 2,
    )
