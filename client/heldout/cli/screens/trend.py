"""A model line over time, as bars."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from heldout.cli.screens import figures
from heldout.cli.screens.exactness import exact_data, exact_lines
from heldout.cli.screens.page import WIDTH, Page, clean, columns_of, fill, join_parts, lay_out, page_written, shorten
from heldout.findings.compare import SEEN
from heldout.findings.intervals import clamp
from heldout.findings.model import CANCELLED, Budget, TableKind, release_label
from heldout.findings.trend import Restated, Trend, TrendPoint

EIGHTHS: Final = "▏▎▍▌▋▊▉█"
LEAST_BAR: Final = 6
MOST_BAR: Final = 33
SCALE_STEP: Final = 0.1
SWE_BENCH: Final = "swe-bench"
TITLES: Final = {SWE_BENCH: "SWE-bench"}
SILENT: Final = "silent"
"""Stands where the words stand, beside a release whose attack success is a lower bound."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    """Say what a row shows. Scores, words and names come before the bar and before the second interval.

    Attributes:
        benchmark: of the capability scores; empty where there are none.
        internal: benchmarks of the internal scores, in this order.
        title: most columns of a benchmark's name above its scores.
        intervals: whether over-refusal has its interval.
        own_line: whether a checkpoint's name stands on a line of its own.
    """

    benchmark: str
    internal: tuple[str, ...]
    title: int
    intervals: bool
    own_line: bool


def trend_page(trend: Trend, *, benchmark: str, budget: Budget | None, written: Path | None = None) -> Page:
    """Show a line: overall attack success, the words between checkpoints, scores, over-refusal.

    Args:
        trend: the line.
        benchmark: whose capability scores to show.
        budget: of the open epoch, if there is one.
        written: the HTML page that was written too.
    """
    points, releases = trend.points, tuple(point.release for point in trend.points)
    scale = _scale(points)
    scored = any(benchmark in point.capability for point in points)
    internal = tuple(sorted({name for point in points for name in point.internal}))
    plan, text, names, bar = _fit(points, benchmark if scored else "", internal)
    head = join_parts([trend.line, "attack success, overall, per cent", f"bars end at {scale:.0%}", "lower is safer"])
    lines = [*head, *exact_lines(*releases), " " * (names + bar + 2) + text[0]]
    for point, line in zip(points, text[1:], strict=True):
        lines += _breaks(point)
        name = f" {clean(release_label(point.release, releases))}"
        if point.release.cancelled:
            shown = f"{name:<{names}}{CANCELLED}"
            lines += [shown] if not plan.own_line and columns_of(shown) <= WIDTH else [name, f"   {CANCELLED}"]
            continue
        if plan.own_line:
            lines.append(name)
            name = ""
        lines.append(f"{name:<{names}}{_bar(point, scale, bar)}  {line}".rstrip())
    lines += _silences(trend)
    lines += _words(trend)
    lines += _unshown(plan, internal)
    legend = ["brackets: prompts like these, 95 %", "words: change on this bank"]
    legend += [f"{name}: internal safety" for name in plan.internal if columns_of(name) <= plan.title]
    lines += join_parts([*legend, *_closing(budget)])
    if written is not None:
        lines += page_written(written)
    return Page(
        lines=tuple(lines),
        data=_data(trend, budget),
        header=_header(benchmark, internal),
        records=tuple(_record(point, benchmark, internal) for point in points),
    )


def _fit(
    points: tuple[TrendPoint, ...], benchmark: str, internal: tuple[str, ...]
) -> tuple[_Plan, list[str], int, int]:
    """Return the fullest plan that fits, its rows (a title first), and the columns of the names and of the bar."""
    releases = [point.release for point in points]
    longest = max((columns_of(clean(release_label(release, releases))) for release in releases), default=0)
    full = _Plan(benchmark=benchmark, internal=internal, title=12, intervals=True, own_line=False)
    fewer = dataclasses.replace(full, title=9, intervals=False)
    least = dataclasses.replace(fewer, internal=internal[:1])
    for plan in (full, dataclasses.replace(full, title=9), fewer, least, dataclasses.replace(least, own_line=True)):
        rows = [_titles(plan), *(_row(point, plan) for point in points)]
        text = lay_out(rows, "><<" + ">" * (len(rows[0]) - 3), width=10 * WIDTH)
        names = 3 if plan.own_line else 1 + longest + 2
        bar = min(MOST_BAR, WIDTH - names - 2 - max(map(columns_of, text)))
        if bar >= LEAST_BAR:
            break
    return plan, text, names, max(LEAST_BAR, bar)


def _breaks(point: TrendPoint) -> list[str]:
    """Return what cannot be held against the row above, in lines before the row."""
    lines: list[str] = []
    if point.broken:
        lines += fill(f"── {point.broken}: not comparable with the above ──", indent="   ")
    if point.restated is not None:
        earlier, ends = point.restated.earlier, point.restated.interval
        shift = f"{figures.signed(point.restated.difference)} [{figures.signed(ends.low)}, {figures.signed(ends.high)}]"
        lines += fill(
            f"── the same weights as {clean(earlier.tested.checkpoint)} of bank epoch {earlier.epoch_number}, restated:"
            f" {shift} by {point.restated.cause}, not by the model ──",
            indent="   ",
        )
    moved = [
        f"{word} {', '.join(names)}"
        for word, names in (("without", point.techniques_dropped), ("with", point.techniques_added))
        if names
    ]
    if moved:
        lines += fill(f"── other techniques, so another overall: {', '.join(moved)} ──", indent="   ")
    return lines


def _bar(point: TrendPoint, scale: float, cells: int) -> str:
    """Return the bar of a point; in a silent release what nobody knows is drawn as question marks."""
    if point.overall is None:
        return " " * cells
    bar = draw_bar(point.overall.rate / scale, cells)
    if point.silence is None:
        return bar
    drawn = bar.rstrip("·")
    unknown = round(clamp(point.silence.upper(point.overall.rate) / scale) * cells)
    return drawn.ljust(unknown, "?").ljust(cells, "·")


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


def _titles(plan: _Plan) -> list[str]:
    return [
        "",
        "",
        "",
        *([TITLES.get(plan.benchmark, shorten(plan.benchmark, plan.title))] if plan.benchmark else []),
        *(shorten(name, plan.title) for name in plan.internal),
        "over-refusal",
    ]


def _row(point: TrendPoint, plan: _Plan) -> list[str]:
    if point.release.cancelled:
        return [""] * (4 + bool(plan.benchmark) + len(plan.internal))
    overall, over_refusal, silent = point.overall, point.over_refusal, point.silence is not None
    change = None if point.change is None else point.change.overall
    word = change.verdict.value if change is not None and change.verdict in SEEN else ""
    refused = "" if over_refusal is None else figures.rate(over_refusal.rate, lower_bound=silent)
    if over_refusal is not None and plan.intervals and not silent:
        refused += f"  {figures.interval(over_refusal.prompts_like_these)}"
    return [
        "withheld" if overall is None else figures.rate(overall.rate, lower_bound=silent),
        "" if overall is None or silent else figures.interval(overall.prompts_like_these),
        SILENT if silent else word,
        *([_score(point.capability.get(plan.benchmark))] if plan.benchmark else []),
        *(_score(point.internal.get(name)) for name in plan.internal),
        refused,
    ]


def _score(value: float | None) -> str:
    return "" if value is None else f"{value:.1f}"


def _silences(trend: Trend) -> list[str]:
    """Return what each silent release means."""
    lines: list[str] = []
    releases = [point.release for point in trend.points]
    for point in trend.points:
        if point.silence is not None:
            name = release_label(point.release, releases)
            lines += fill(f"{name} is silent: {figures.silence(point.silence)}", indent="  ", first="")
    return lines


def _unshown(plan: _Plan, internal: tuple[str, ...]) -> list[str]:
    """Return in full the names of scores that are shortened or left out above."""
    titled = [plan.benchmark] if plan.benchmark and plan.benchmark not in TITLES else []
    cut = [name for name in (*titled, *plan.internal) if columns_of(name) > plan.title]
    left = internal[len(plan.internal) :]
    lines = fill(f"scores: {', '.join(cut)}", indent="  ", first="") if cut else []
    return lines + (fill(f"more scores, in --json: {', '.join(left)}", indent="  ", first="") if left else [])


def _words(trend: Trend) -> list[str]:
    """Return what changed: every step with a change that was seen, the last one, and how many are left out."""
    lines: list[str] = []
    releases, left_out = [point.release for point in trend.points], 0
    newest = next((point for point in reversed(trend.points) if not point.release.cancelled), None)
    for after in trend.points:
        comparison = after.change
        if comparison is None or comparison.overall is None:
            continue
        change = comparison.overall
        if change.verdict not in SEEN and not comparison.profile_changed and after is not newest:
            left_out += 1
            continue
        names = " → ".join(release_label(side, releases) for side in (comparison.before, comparison.after))
        table = comparison.table(TableKind.TECHNIQUE)
        both = ""
        if table is not None and (after.techniques_added or after.techniques_dropped):
            both = f", over the {len(table.changes)} in both"
        if change.lower_bound:
            sentence = f"{names}: cannot tell, as one of them is silent."
        elif change.verdict in SEEN:
            sentence = f"{names}: {figures.change(change)} {change.verdict.value}{both}."
        elif comparison.profile_changed:
            sentence = (
                f"{names}: {figures.verdict(change)}{both}; the profile by technique did change "
                f"({figures.p_value(comparison.profile_p or 0.0)}): heldout compare {names.replace(' →', '')}"
            )
        else:
            sentence = f"{names}: {figures.verdict(change)}{both}."
        lines += fill(sentence, indent="  ", first="")
    if left_out:
        steps = "step" if left_out == 1 else "steps"
        lines += fill(f"{left_out} more {steps} in which no change was seen, overall or by technique.")
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
                "release_id": point.release.release_id,
                "epoch": point.release.epoch_number,
                "overall": None if point.overall is None else figures.estimate_data(point.overall),
                "over_refusal": None if point.over_refusal is None else figures.estimate_data(point.over_refusal),
                "non_answers": None if point.non_answers is None else figures.estimate_data(point.non_answers),
                "lower_bound": point.silence is not None,
                "capability": dict(point.capability),
                "internal_safety": dict(point.internal),
                "change": None
                if point.change is None or point.change.overall is None
                else figures.change_data(point.change.overall),
                "profile_p": None if point.change is None else point.change.profile_p,
                "broken": point.broken,
                "techniques_added": list(point.techniques_added),
                "techniques_dropped": list(point.techniques_dropped),
                "cancelled": point.release.cancelled,
                "anchor": point.release.anchor,
                "restated": None if point.restated is None else _restated_data(point.restated),
            }
            for point in trend.points
        ],
        "releases_used": None if budget is None else budget.releases_used,
        "releases_total": None if budget is None else budget.releases_total,
        **exact_data(*(point.release for point in trend.points)),
        "receipts": "verified",
    }


def _restated_data(restated: Restated) -> dict[str, Any]:
    return {
        "release_id": restated.earlier.release_id,
        "epoch": restated.earlier.epoch_number,
        "change": restated.difference,
        "interval": [restated.interval.low, restated.interval.high],
    }


def _header(benchmark: str, internal: tuple[str, ...]) -> tuple[str, ...]:
    """Return what the places of :func:`_record` are called."""
    return (
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
        "release_id",
        "lower_bound",
        "techniques_added",
        "techniques_dropped",
        "cancelled",
        "anchor",
        "profile",
        *(f"internal:{name}" for name in internal),
    )


def _record(point: TrendPoint, benchmark: str, internal: tuple[str, ...]) -> tuple[Any, ...]:
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
        point.release.release_id,
        point.silence is not None,
        "+".join(point.techniques_added),
        "+".join(point.techniques_dropped),
        point.release.cancelled,
        point.release.anchor,
        point.release.profile.value,
        *(point.internal.get(name, "") for name in internal),
    )
