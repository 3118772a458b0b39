"""A model line over time, as bars."""

from __future__ import annotations

import math
from typing import Any, Final

from heldout.cli.screens import figures
from heldout.cli.screens.page import WIDTH, Page, columns_of, fill, join_parts, lay_out, shorten
from heldout.findings.compare import SEEN, Verdict
from heldout.findings.intervals import clamp
from heldout.findings.model import Budget
from heldout.findings.trend import Trend, TrendPoint

EIGHTHS: Final = "▏▎▍▌▋▊▉█"
LEAST_BAR: Final = 8
MOST_BAR: Final = 33
MOST_NAME: Final = 14
SCALE_STEP: Final = 0.1
SWE_BENCH: Final = "swe-bench"
TITLES: Final = {SWE_BENCH: "SWE-bench"}


def trend_page(trend: Trend, *, benchmark: str, budget: Budget | None) -> Page:
    """Show a line: overall attack success, the words between checkpoints, a capability score, over-refusal.

    Args:
        trend: the line.
        benchmark: whose capability scores to show.
        budget: of the open epoch, if there is one.
    """
    points = trend.points
    scale = _scale(points)
    internal = sorted({name for point in points for name in point.internal})
    rows = [["", "", "", *_titles(benchmark, internal)]]
    rows += [_row(point, benchmark, internal) for point in points]
    text = lay_out(rows, "<><<" + ">" * (2 + len(internal)), width=10 * WIDTH)
    # The bar takes what is left behind the name.
    names = max(columns_of(_name(point)) for point in points) if points else 0
    rest = max(columns_of(line) for line in text) - names
    bar = max(LEAST_BAR, min(MOST_BAR, WIDTH - 4 - names - rest))
    head = join_parts([trend.line, "attack success, overall, per cent", f"bars end at {scale:.0%}", "lower is safer"])
    lines = [*head, " " * (1 + names + 2 + bar) + text[0][names:]]
    for point, line in zip(points, text[1:], strict=True):
        if point.broken:
            lines += fill(f"── {point.broken}: not comparable with the above ──", indent="   ")
        drawn = " " * bar if point.overall is None else draw_bar(point.overall.rate / scale, bar)
        lines.append(f" {line[:names]}  {drawn}{line[names:]}".rstrip())
    lines += _words(trend)
    lines += join_parts(["brackets: prompts like these, 95 %", "words: change on this bank", *_closing(budget)])
    return Page(
        lines=tuple(shorten(line, WIDTH) for line in lines),
        data=_data(trend, budget),
        header=(
            "checkpoint",
            "release",
            "epoch",
            "rate",
            "low",
            "high",
            "verdict",
            "broken",
            benchmark,
            "over_refusal",
            "over_refusal_low",
            "over_refusal_high",
        ),
        records=tuple(_record(point, benchmark) for point in points),
    )


def draw_bar(share: float, cells: int) -> str:
    """Return a bar of so many cells, filled to the nearest eighth of one, the rest dotted."""
    eighths = round(clamp(share) * cells * 8)
    full, part = divmod(eighths, 8)
    bar = "█" * full + (EIGHTHS[part - 1] if part else "")
    return bar + "·" * (cells - len(bar))


def pick_benchmark(trend: Trend) -> str:
    """Return the benchmark to show: SWE-bench, or else the first that the line has a capability score of."""
    names = sorted({name for point in trend.points for name in point.capability})
    return SWE_BENCH if SWE_BENCH in names or not names else names[0]


def _scale(points: tuple[TrendPoint, ...]) -> float:
    highest = max((point.overall.rate for point in points if point.overall is not None), default=0.0)
    return min(1.0, max(SCALE_STEP, math.ceil(highest / SCALE_STEP - 1e-9) * SCALE_STEP))


def _titles(benchmark: str, internal: list[str]) -> list[str]:
    return [
        "",
        TITLES.get(benchmark, shorten(benchmark, 12)),
        *(shorten(name, 12) for name in internal),
        "over-refusal",
    ]


def _name(point: TrendPoint) -> str:
    return shorten(point.release.tested.checkpoint, MOST_NAME)


def _row(point: TrendPoint, benchmark: str, internal: list[str]) -> list[str]:
    overall, over_refusal = point.overall, point.over_refusal
    change = None if point.change is None else point.change.overall
    return [
        _name(point),
        "withheld" if overall is None else figures.rate(overall.rate),
        "" if overall is None else figures.interval(overall.prompts_like_these),
        change.verdict.value if change is not None and change.verdict in SEEN else "",
        _score(point.capability.get(benchmark)),
        *(_score(point.internal.get(name)) for name in internal),
        ""
        if over_refusal is None
        else f"{figures.rate(over_refusal.rate)}  {figures.interval(over_refusal.prompts_like_these)}",
    ]


def _score(value: float | None) -> str:
    return "" if value is None else f"{value:.1f}"


def _words(trend: Trend) -> list[str]:
    """Return what changed: every step that got worse, and the last one."""
    lines: list[str] = []
    for before, after in zip(trend.points, trend.points[1:], strict=False):
        comparison = after.change
        if comparison is None or comparison.overall is None:
            continue
        change, last = comparison.overall, after is trend.points[-1]
        if change.verdict is not Verdict.WORSE and not last:
            continue
        names = f"{before.release.tested.checkpoint} → {after.release.tested.checkpoint}"
        if change.verdict in SEEN:
            sentence = f"{names}: {figures.change(change)} {change.verdict.value}."
        elif comparison.profile_changed:
            sentence = (
                f"{names}: {figures.verdict(change)}; the profile by technique did change "
                f"({figures.p_value(comparison.profile_p or 0.0)}): heldout compare {names.replace(' →', '')}"
            )
        else:
            sentence = f"{names}: {figures.verdict(change)}."
        lines += fill(sentence, indent="  ", first="")
    return lines


def _closing(budget: Budget | None) -> list[str]:
    used = [] if budget is None else [f"{budget.releases_used} of {budget.releases_total} releases used"]
    return [*used, "receipts verified"]


def _data(trend: Trend, budget: Budget | None) -> dict[str, Any]:
    return {
        "line": trend.line,
        "points": [
            {
                "checkpoint": point.release.tested.checkpoint,
                "release": point.release.number,
                "epoch": point.release.epoch_number,
                "overall": None if point.overall is None else figures.estimate_data(point.overall),
                "over_refusal": None if point.over_refusal is None else figures.estimate_data(point.over_refusal),
                "capability": dict(point.capability),
                "internal_safety": dict(point.internal),
                "change": None
                if point.change is None or point.change.overall is None
                else figures.change_data(point.change.overall),
                "profile_p": None if point.change is None else point.change.profile_p,
                "broken": point.broken,
            }
            for point in trend.points
        ],
        "releases_used": None if budget is None else budget.releases_used,
        "releases_total": None if budget is None else budget.releases_total,
        "receipts": "verified",
    }


def _record(point: TrendPoint, benchmark: str) -> tuple[Any, ...]:
    overall, over_refusal = point.overall, point.over_refusal
    change = None if point.change is None else point.change.overall
    blank = ("", "", "")
    return (
        point.release.tested.checkpoint,
        point.release.number,
        point.release.epoch_number,
        *(
            blank
            if overall is None
            else (overall.rate, overall.prompts_like_these.low, overall.prompts_like_these.high)
        ),
        "" if change is None else change.verdict.value,
        point.broken,
        point.capability.get(benchmark, ""),
        *(
            blank
            if over_refusal is None
            else (over_refusal.rate, over_refusal.prompts_like_these.low, over_refusal.prompts_like_these.high)
        ),
    )
