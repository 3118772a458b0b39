"""Intervals for a mean over units, each unit being a cluster of trials."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Final

PRIOR_UNITS: Final = 4
"""Units' worth of belief that all trials of a unit tell the same."""

LEAST_DEGREES: Final = 4
CONFIDENCE: Final = 0.95


@dataclass(frozen=True, slots=True)
class Interval:
    """Hold a confidence interval of a rate, 0 to 1."""

    low: float
    high: float


def student_quantile(probability: float, *, degrees: int) -> float:
    """Return a quantile of Student's t distribution.

    Abramowitz and Stegun (1964), 26.7.5, the expansion in powers of 1/degrees: right to 0.001 from 4 degrees on at the
    probabilities that 95 % intervals use.

    Args:
        probability: 0 to 1, both excluded.
        degrees: degrees of freedom, at least 4.
    """
    z = NormalDist().inv_cdf(probability)
    square = z * z
    first = z * (square + 1) / 4
    second = z * ((5 * square + 16) * square + 3) / 96
    third = z * (((3 * square + 19) * square + 17) * square - 15) / 384
    fourth = z * ((((79 * square + 776) * square + 1482) * square - 1920) * square - 945) / 92_160
    return z + (first + (second + (third + fourth / degrees) / degrees) / degrees) / degrees


def cluster_interval(shares: Sequence[float], *, trials: int) -> Interval:
    """Return the 95 % interval of the mean of units like these.

    The trials of one unit are not independent, so units are what counts (the ultimate cluster: Hansen, Hurwitz and
    Madow 1953, volume I, chapter 6). The interval is Wilson's (1927, JASA 22, 209-212) at an effective sample size with
    Student's t, after Korn and Graubard (1998, Survey Methodology 24, 193-201): as many units as there are, over the
    design effect, which is the variance between units as a part of the largest that it could be. That part is an
    estimate, and a poor one where few units differ, so it is drawn towards 1 with the weight of four units. The
    interval never has length zero, and at no success it ends at about 4/n, not at 0.

    Args:
        shares: of each unit, the share of its trials that count, 0 to 1; at least one unit.
        trials: of all units together; they never tell more than as many independent ones.
    """
    units = len(shares)
    rate = math.fsum(shares) / units
    largest = rate * (1 - rate)
    effect = 1.0
    if units > 1 and largest > 0:
        between = math.fsum((share - rate) ** 2 for share in shares) / (units - 1)
        telling = min(sum(share > 0 for share in shares), sum(share < 1 for share in shares)) - 1
        effect = (telling * min(1.0, between / largest) + PRIOR_UNITS) / (telling + PRIOR_UNITS)
    size = min(units / effect, trials)
    quantile = student_quantile((1 + CONFIDENCE) / 2, degrees=max(units - 1, LEAST_DEGREES))
    square = quantile * quantile / size
    middle = (rate + square / 2) / (1 + square)
    half = math.sqrt(square * (largest + square / 4)) / (1 + square)
    # The interval holds the rate; the last bits of the arithmetic could say otherwise at 0 and 1.
    return Interval(low=max(0.0, min(rate, middle - half)), high=min(1.0, max(rate, middle + half)))
