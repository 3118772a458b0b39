"""Reconstruct secret bits from noisy sums over random halves of the units: regularised least squares.

After Dinur and Nissim 2003, "Revealing information while preserving privacy", with the bits' own variance as the
regulariser, which makes it the best linear attack.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import compress
from operator import mul
from statistics import mean
from typing import Final

BIT_VARIANCE: Final = 0.25
STEPS: Final = 80
"""Of the solver: far past where it stands still."""

STILL: Final = 1e-12


def draw_secret(draw: random.Random, *, units: int, rows: int) -> tuple[list[bool], list[int]]:
    """Return a fair bit for each unit, and for each unit the rows that count it, as the bits of a number."""
    return [draw.random() < 1 / 2 for _ in range(units)], [draw.getrandbits(rows) for _ in range(units)]


def true_counts(bits: Sequence[bool], probes: Sequence[int], *, rows: int) -> list[int]:
    """Return for each row how many of the units that it counts have their bit set."""
    counts = [0] * rows
    for probe in compress(probes, bits):
        counts = [count + one for count, one in zip(counts, _spread(probe, rows), strict=True)]
    return counts


def solve(probes: Sequence[int], figures: Sequence[float], *, variance: float) -> list[float]:
    """Return the likeliest deviation of each bit from one half.

    Conjugate gradients on (AᵀA + variance / 0.25) x = Aᵀ(y - A/2).

    Args:
        probes: for each unit the rows that count it.
        figures: what was published of each row.
        variance: of the noise in a figure.
    """
    rows, units = len(figures), len(probes)
    columns = [_spread(probe, rows) for probe in probes]
    halves = [count / 2 for count in true_counts([True] * units, probes, rows=rows)]
    rest = [figure - half for figure, half in zip(figures, halves, strict=True)]
    target = [float(sum(compress(rest, column))) for column in columns]
    matrix = [[float((one & other).bit_count()) for other in probes] for one in probes]
    for place, row in enumerate(matrix):
        row[place] += variance / BIT_VARIANCE

    found = [0.0] * units
    residual, direction = list(target), list(target)
    length = sum(map(mul, residual, residual))
    for _ in range(STEPS):
        image = [sum(map(mul, row, direction)) for row in matrix]
        step = length / sum(map(mul, direction, image))
        found = [one + step * move for one, move in zip(found, direction, strict=True)]
        residual = [one - step * move for one, move in zip(residual, image, strict=True)]
        before, length = length, sum(map(mul, residual, residual))
        if length < STILL:
            break
        direction = [one + length / before * move for one, move in zip(residual, direction, strict=True)]
    return found


def accuracy(bits: Sequence[bool], found: Sequence[float]) -> float:
    """Return the share of the bits that were found."""
    return mean((one > 0) == bit for one, bit in zip(found, bits, strict=True))


def _spread(probe: int, rows: int) -> list[bool]:
    """Return the bits of a number, the lowest first."""
    return [one == "1" for one in reversed(f"{probe:0{rows}b}")]
