"""Intervals for published rates.

Two intervals, named for what they are about, both at 95 %:

*   **this bank**: the rate over exactly these units. Noise and grid alone: p̃ ± z·sqrt(v), v = (sigma² + g²/12)/n².
    For changes between checkpoints tried on the same units.
*   **prompts like these**: the rate over prompts of which these units are a sample. The set of p with

        (max(0, |p̃ - p| - 0.5/n))² ≤ z²·[p(1 - p)/n + v]

    A mean in [0, 1] over a unit has variance at most p(1 - p), so clusters of prompts need no allowance. Outside
    [0, 1], where a noised figure can lie, sampling has no variance and p(1 - p) counts as 0: the set is never empty,
    its ends move with p̃ without a jump, and clamping is left to display.

The published rate is used as it is. Clamp only to show it: :meth:`Interval.clamped`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from heldout.findings.model import Row, Table

Z95: Final = 1.959963984540054
"""The 97.5 % point of the standard normal distribution."""


@dataclass(frozen=True, slots=True)
class Interval:
    """Hold the two ends of an interval of rates; not clamped."""

    low: float
    high: float

    def clamped(self) -> Interval:
        """Return it as it is shown: what of it lies in [0, 1], and never less than half its width.

        Noise alone puts a figure outside [0, 1]. An interval around such a figure is laid around 0 or 1 before it is
        cut off, which only widens it: cut off as it stands, it could shrink to one point and look like certainty.
        """
        middle = (self.low + self.high) / 2
        shift = clamp(middle) - middle
        return Interval(clamp(min(self.low, self.low + shift)), clamp(max(self.high, self.high + shift)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """Hold a published rate with both of its intervals.

    Attributes:
        rate: as published, noise included, not clamped.
        units: units it is about.
        this_bank: noise and grid alone.
        prompts_like_these: noise, grid and sampling.
    """

    rate: float
    units: int
    this_bank: Interval
    prompts_like_these: Interval


def clamp(rate: float) -> float:
    """Return the nearest rate in [0, 1], for display alone."""
    return min(1.0, max(0.0, rate))


def noise_interval(rate: float, *, variance: float, z: float = Z95) -> Interval:
    """Return the interval for this bank.

    Args:
        rate: the published rate.
        variance: v, of the rate, from noise and grid.
        z: normal quantile, at least 0.
    """
    half_width = z * math.sqrt(variance)
    return Interval(rate - half_width, rate + half_width)


def sampling_interval(rate: float, *, units: int, variance: float, z: float = Z95) -> Interval:
    """Return the interval for prompts like these.

    Args:
        rate: the published rate.
        units: n, at least 1.
        variance: v, of the rate, from noise and grid.
        z: normal quantile, at least 0.
    """
    half_unit = 0.5 / units
    low = _lower_end(rate - half_unit, units=units, variance=variance, z=z)
    # The set for 1 - p̃ is this one turned round.
    high = 1.0 - _lower_end(1.0 - rate - half_unit, units=units, variance=variance, z=z)
    return Interval(low, high)


def estimate_row(table: Table, row: Row) -> Estimate:
    """Return a row's rate with its intervals. The row must not be withheld."""
    return _estimate(table.published(row), units=row.units, variance=table.noise_variance(row.units))


def estimate_overall(table: Table, *, keys: Iterable[str] | None = None) -> Estimate | None:
    """Return the overall rate: the mean over the rows of a table that are not withheld, ``plain`` among them.

    The noise of T rows is independent, so that of their mean has variance (sum of v)/T². A unit's mean over the cells
    is itself a mean in [0, 1], so sampling counts once, over the units of the smallest row.

    Args:
        table: the technique table of a release.
        keys: only these rows, for a comparison; None for all.

    Returns:
        The estimate, or None if no row is left.
    """
    wanted = None if keys is None else frozenset(keys)
    rows = [row for row in table.visible() if wanted is None or row.key in wanted]
    if not rows:
        return None
    return _estimate(
        math.fsum(table.published(row) for row in rows) / len(rows),
        units=min(row.units for row in rows),
        variance=math.fsum(table.noise_variance(row.units) for row in rows) / len(rows) ** 2,
    )


def _estimate(rate: float, *, units: int, variance: float) -> Estimate:
    return Estimate(
        rate=rate,
        units=units,
        this_bank=noise_interval(rate, variance=variance),
        prompts_like_these=sampling_interval(rate, units=units, variance=variance),
    )


def _lower_end(centre: float, *, units: int, variance: float, z: float) -> float:
    """Return the least p with (centre - p)² ≤ z²·[max(0, p(1 - p))/n + v], for p up to the centre.

    The set reaches below 0 exactly if the noise alone does. Otherwise its lower end in (0, 1) is the lesser root of
    (1 + c)·p² - (2·centre + c)·p + centre² - z²·v with c = z²/n; the product of the roots gives it without
    cancellation, because the greater root adds two positive numbers.
    """
    noise_end = centre - z * math.sqrt(variance)
    if noise_end <= 0.0:
        return noise_end
    c = z * z / units
    square, linear, constant = 1.0 + c, 2.0 * centre + c, noise_end * (centre + z * math.sqrt(variance))
    discriminant = linear * linear - 4.0 * square * constant
    if discriminant < 0.0:
        return noise_end
    lesser = 2.0 * constant / (linear + math.sqrt(discriminant))
    # Both roots past 1 are roots of a variance that is no longer there.
    return lesser if lesser <= 1.0 else noise_end
