"""How figures are written: per cent, one decimal, a true minus sign. Clamped to 0 and 100 here, and only here.

A figure alone is clamped, with an interval laid around the end; one that stands beside a change is not, so that the two
agree.
"""

from __future__ import annotations

import datetime as dt
import math
from typing import Any, Final

from heldout.findings.compare import Change, Verdict
from heldout.findings.intervals import Estimate, Interval, clamp
from heldout.findings.silence import Silence

POINTS: Final = 100
MINUS: Final = "\N{MINUS SIGN}"
AT_LEAST: Final = "≥"
WHOLE_POINTS_FROM: Final = 6.0
"""Intervals at least this wide, in points, are written in whole points."""
SHORT_DIGEST: Final = 12
_MINUTE_S: Final = 60
_HOUR_S: Final = 3600


def short_name(identity: str) -> str:
    """Return the last part of an identity: ``anna`` of ``spiffe://heldout.example/anna``."""
    return identity.rpartition("/")[2] or identity


def rate(value: float, *, lower_bound: bool = False) -> str:
    """Return a rate as per cent, clamped for display: ``38.0``, or ``≥38.0`` if it is a lower bound."""
    return f"{AT_LEAST if lower_bound else ''}{clamp(value) * POINTS:.1f}"


def published(value: float, *, lower_bound: bool = False) -> str:
    """Return a rate that stands beside a change, as per cent and as published: noise may put it below 0 or above 100.

    Cut off, it would contradict the change. A lower bound has no change beside it, and is clamped as elsewhere.
    """
    if lower_bound:
        return rate(value, lower_bound=True)
    text = f"{abs(value) * POINTS:.1f}"
    return f"{MINUS}{text}" if value < 0 and float(text) else text


def interval(value: Interval) -> str:
    """Return an interval of rates as per cent, clamped for display."""
    shown = value.clamped()
    digits = _digits(value)
    return f"[{shown.low * POINTS:.{digits}f}, {shown.high * POINTS:.{digits}f}]"


def lower_end(value: Interval) -> str:
    """Return the lower end of an interval of rates, for a figure that is a lower bound: ``≥34``."""
    return f"{AT_LEAST}{value.clamped().low * POINTS:.{_digits(value)}f}"


def silence(value: Silence) -> str:
    """Return what a silent release means: its attack success is a lower bound."""
    return f"{clamp(value.share) * POINTS:.0f} % of answers say nothing of safety: attack success is a lower bound"


def points(value: float) -> str:
    """Return an unsigned number of points."""
    return f"{value * POINTS:.1f}"


def signed(value: float, *, digits: int = 1) -> str:
    """Return a change in points with its sign."""
    text = f"{abs(value) * POINTS:.{digits}f}"
    return ("+" if value >= 0 else MINUS) + text


def change(value: Change) -> str:
    """Return a change with its interval: ``+12.2 [+5, +19]``."""
    ends = value.interval
    digits = _digits(ends)
    if any(round(end * POINTS, digits) == 0 for end in (ends.low, ends.high)):
        digits = 1  # an end near zero must not look like zero
    return f"{signed(value.difference)} [{signed(ends.low, digits=digits)}, {signed(ends.high, digits=digits)}]"


def verdict(value: Change) -> str:
    """Return the words for a change."""
    if value.lower_bound:
        return value.verdict.value
    if value.verdict is Verdict.NO_CHANGE:
        return f"no change beyond {points(value.half_width)}"
    if value.verdict is Verdict.CANNOT_TELL:
        return f"cannot tell under {points(value.half_width)}"
    return value.verdict.value


def p_value(value: float) -> str:
    """Return a p value: ``p = 0.002``, ``p < 0.001``."""
    return "p < 0.001" if value < 0.001 else f"p = {value:.3f}" if value < 0.1 else f"p = {value:.2f}"  # noqa: PLR2004 - digits that a reader can use


def moment(unix_s: int) -> str:
    """Return a time as ``2026-11-25 14:00 UTC``."""
    return dt.datetime.fromtimestamp(unix_s, tz=dt.UTC).strftime("%Y-%m-%d %H:%M UTC")


def duration(seconds: float) -> str:
    """Return a time in its two largest units, rounded up: 11 h 40 min, 4 min 30 s, 0.5 s."""
    if seconds < 1:
        return f"{seconds:g} s"
    whole = math.ceil(seconds)
    if whole >= _HOUR_S:
        whole = math.ceil(seconds / _MINUTE_S) * _MINUTE_S
    units = ((whole // _HOUR_S, "h"), (whole % _HOUR_S // _MINUTE_S, "min"), (whole % _MINUTE_S, "s"))
    return " ".join(f"{count} {unit}" for count, unit in units if count)


def short(digest: str) -> str:
    """Return the beginning of a digest."""
    return digest[:SHORT_DIGEST] + ("…" if len(digest) > SHORT_DIGEST else "")


def estimate_data(value: Estimate) -> dict[str, Any]:
    """Return an estimate for JSON: rates, not clamped."""
    return {
        "rate": value.rate,
        "units": value.units,
        "this_bank": [value.this_bank.low, value.this_bank.high],
        "prompts_like_these": [value.prompts_like_these.low, value.prompts_like_these.high],
    }


def change_data(value: Change) -> dict[str, Any]:
    """Return a change for JSON: rates, not clamped."""
    return {
        "key": value.key,
        "before": value.before,
        "after": value.after,
        "change": value.difference,
        "interval": [value.interval.low, value.interval.high],
        "half_width": value.half_width,
        "p_value": value.p_value,
        "verdict": value.verdict.value,
        "lower_bound": value.lower_bound,
    }


def _digits(value: Interval) -> int:
    return 0 if (value.high - value.low) * POINTS >= WHOLE_POINTS_FROM else 1
