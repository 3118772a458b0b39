"""Tests on published numbers: two-sided normal, Benjamini-Hochberg, chi-square. Closed forms, no tables."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

FALSE_DISCOVERY: Final = 0.05
"""The share of false findings that Benjamini-Hochberg holds a table to."""


def two_sided_p(z: float) -> float:
    """Return the probability that a standard normal variable lies at least as far from 0 as ``z``."""
    return math.erfc(abs(z) / math.sqrt(2.0))


def select_discoveries(p_values: Sequence[float], *, rate: float = FALSE_DISCOVERY) -> tuple[bool, ...]:
    """Say which hypotheses to reject so that at most a share ``rate`` of the rejections is false on average.

    Benjamini and Hochberg 1995, "Controlling the False Discovery Rate", section 3.1: reject the k smallest p, k being
    the greatest rank with p ≤ rate·k/m.
    """
    ranked = sorted(p_values)
    size = len(ranked)
    bound = max((p for rank, p in enumerate(ranked, start=1) if p <= rate * rank / size), default=-1.0)
    return tuple(p <= bound for p in p_values)


def chi_square_survival(value: float, *, degrees: int) -> float:
    """Return the probability that a chi-square variable exceeds ``value``.

    For whole degrees of freedom k the regularized gamma function Q(k/2, x/2) is a finite sum (Abramowitz and Stegun,
    26.4.4 and 26.4.5).

    Args:
        value: at least 0.
        degrees: at least 1.
    """
    half = value / 2.0
    if half <= 0.0:
        return 1.0
    log_half = math.log(half)
    # Terms in logs: exp(-half) alone is 0 for great values, while its product with a power is not.
    if degrees % 2 == 0:
        start, first = 0.0, 0.0
        terms = degrees // 2
    else:
        start, first = math.erfc(math.sqrt(half)), 0.5
        terms = (degrees - 1) // 2
    powers = (first + step for step in range(terms))
    total = math.fsum(math.exp(power * log_half - half - math.lgamma(power + 1.0)) for power in powers)
    return min(1.0, start + total)


def homogeneity_p(changes: Sequence[float], variances: Sequence[float]) -> float | None:
    """Return how likely changes that differ this much are if all true changes are alike.

    The sum of (d - mean d)²/variance against chi-square with T - 1 degrees (Cochran 1954, "The combination of estimates
    from different experiments"); where both sides carry the same noise the variance of a change is 2·sigma², in units.
    The mean is weighted by 1/variance, which are all alike where all rows have the same units.

    Returns:
        The probability, or None for fewer than two changes.
    """
    if len(changes) < 2:  # noqa: PLR2004 - a profile needs two rows
        return None
    weights = [1.0 / variance for variance in variances]
    mean = math.fsum(w * d for w, d in zip(weights, changes, strict=True)) / math.fsum(weights)
    statistic = math.fsum(w * (d - mean) ** 2 for w, d in zip(weights, changes, strict=True))
    return chi_square_survival(statistic, degrees=len(changes) - 1)
