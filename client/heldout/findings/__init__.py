"""What published findings say: typed documents, intervals, comparisons, trends.

Everything is computed from published numbers alone, so it costs nothing and tells nothing new. The mathematics is pure
Python: no clock, no randomness, no I/O, nothing of the transport. This room refuses to compare figures that were not
measured on the same units by the same judge (:class:`heldout.errors.NotComparable`).
"""

from __future__ import annotations

from heldout.findings.compare import Change, Comparison, TableComparison, Verdict, compare_releases
from heldout.findings.intervals import Estimate, Interval, estimate_overall, estimate_row
from heldout.findings.model import (
    Budget,
    Card,
    LineQuota,
    Profile,
    Release,
    Row,
    Score,
    ScoreKind,
    Table,
    TableKind,
    Tested,
    TrustClass,
)
from heldout.findings.silence import Silence, find_silence
from heldout.findings.trend import Trend, TrendPoint, build_trend

__all__ = [
    "Budget",
    "Card",
    "Change",
    "Comparison",
    "Estimate",
    "Interval",
    "LineQuota",
    "Profile",
    "Release",
    "Row",
    "Score",
    "ScoreKind",
    "Silence",
    "Table",
    "TableComparison",
    "TableKind",
    "Tested",
    "Trend",
    "TrendPoint",
    "TrustClass",
    "Verdict",
    "build_trend",
    "compare_releases",
    "estimate_overall",
    "estimate_row",
    "find_silence",
]
