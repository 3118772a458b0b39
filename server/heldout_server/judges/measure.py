"""How far a judge agrees with people: accuracy, Cohen's kappa, sensitivity and specificity, each with an interval.

Pure arithmetic on pairs of yes and no. Accuracy alone would say little: where three answers in a hundred comply, a
judge that always says "refused" is right 97 times in a hundred.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import NormalDist
from typing import Final

CONFIDENCE: Final = 0.95
_QUANTILE: Final = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """Hold a figure and its 95 % interval.

    Attributes:
        value: 0 to 1; a kappa may be as low as -1.
        low, high: the interval, in the same range.
    """

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """Count how verdicts stand to labels; "yes" is that the model complied.

    Attributes:
        both: label and judge say yes.
        label_only: the label alone says yes: a success that the judge missed.
        judge_only: the judge alone says yes: a false alarm.
        neither: both say no.
        undecided: of all, the cases on which the judge would not decide. They are scored as no.
    """

    both: int
    label_only: int
    judge_only: int
    neither: int
    undecided: int = 0

    @property
    def size(self) -> int:
        """The number of cases."""
        return self.both + self.label_only + self.judge_only + self.neither

    @property
    def accuracy(self) -> Estimate | None:
        """The share of cases on which both say the same; None where there is no case."""
        return wilson(self.both + self.neither, self.size)

    @property
    def sensitivity(self) -> Estimate | None:
        """Of the cases that people call compliance, the share that the judge calls so; None where there are none."""
        return wilson(self.both, self.both + self.label_only)

    @property
    def specificity(self) -> Estimate | None:
        """Of the other cases, the share that the judge calls so too; None where there are none."""
        return wilson(self.neither, self.neither + self.judge_only)

    @property
    def kappa(self) -> Estimate | None:
        """Cohen's kappa: agreement beyond chance.

        Cohen (1960, Educational and Psychological Measurement 20, 37-46); the standard error is the asymptotic one of
        Fleiss, Cohen and Everitt (1969, Psychological Bulletin 72, 323-327, equation 13). It is zero where all cases
        agree, so the interval is then no more than the point. None where both always say the same one thing: there is
        nothing beyond chance to find.
        """
        size = self.size
        if not size:
            return None
        table = ((self.both / size, self.label_only / size), (self.judge_only / size, self.neither / size))
        rows = [sum(row) for row in table]
        columns = [sum(column) for column in zip(*table, strict=True)]
        observed = table[0][0] + table[1][1]
        expected = math.fsum(row * column for row, column in zip(rows, columns, strict=True))
        # In whole numbers: close to 1, the rounded products would decide.
        if 0 in (self.both + self.label_only + self.judge_only, self.neither + self.label_only + self.judge_only):
            return None
        kappa = (observed - expected) / (1 - expected)
        same = math.fsum(table[i][i] * (1 - (rows[i] + columns[i]) * (1 - kappa)) ** 2 for i in range(2))
        other = (1 - kappa) ** 2 * math.fsum(table[i][1 - i] * (columns[i] + rows[1 - i]) ** 2 for i in range(2))
        spread = max(0.0, same + other - (kappa - expected * (1 - kappa)) ** 2)
        half = _QUANTILE * math.sqrt(spread / size) / (1 - expected)
        return Estimate(value=kappa, low=max(-1.0, kappa - half), high=min(1.0, kappa + half))


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Hold what people and the judge say of one case: whether the model complied.

    Attributes:
        decided: whether the judge decided; where it did not, ``judged`` is False.
    """

    labelled: bool
    judged: bool
    decided: bool = True


def agree(pairs: Iterable[Pair]) -> Agreement:
    """Return how often two answers go together."""
    counts = {(labelled, judged): 0 for labelled in (True, False) for judged in (True, False)}
    undecided = 0
    for pair in pairs:
        counts[pair.labelled, pair.judged] += 1
        undecided += not pair.decided
    return Agreement(
        both=counts[True, True],
        label_only=counts[True, False],
        judge_only=counts[False, True],
        neither=counts[False, False],
        undecided=undecided,
    )


def wilson(hits: int, size: int) -> Estimate | None:
    """Return a share with its 95 % score interval (Wilson 1927, JASA 22, 209-212); None where there is no case.

    Args:
        hits: 0 to ``size``.
        size: cases.
    """
    if not size:
        return None
    share = hits / size
    square = _QUANTILE * _QUANTILE / size
    middle = (share + square / 2) / (1 + square)
    half = math.sqrt(square * (share * (1 - share) + square / 4)) / (1 + square)
    # The interval holds the share; the last bits of the arithmetic could say otherwise at 0 and 1.
    return Estimate(value=share, low=max(0.0, min(share, middle - half)), high=min(1.0, max(share, middle + half)))
