"""The two charts of a trend, as SVG: over the checkpoints, and against capability."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Final

from heldout.cli.screens import figures
from heldout.cli.screens.page import shorten
from heldout.cli.screens.svg import LEFT, WIDTH, figure, label, text
from heldout.findings.intervals import Estimate, clamp
from heldout.findings.model import release_label
from heldout.findings.trend import Trend, TrendPoint

HEIGHT: Final = 300
TOP: Final = 22
BOTTOM: Final = 26
FOOT: Final = HEIGHT - BOTTOM
RIGHT: Final = WIDTH - 60
STEP: Final = 0.1
COARSE_FROM: Final = 0.5
"""Grid lines stand 20 points apart, not 10, on a scale longer than this."""

MOST_LABELS: Final = 9
LABEL_COLUMNS: Final = 14
SERIES: Final = (("one", "attack success"), ("two", "over-refusal"))


def checkpoints_chart(trend: Trend) -> str:
    """Draw attack success and over-refusal over the checkpoints; where the line is broken, so is the drawing."""
    points = trend.points
    scale = _scale(estimate for point in points for estimate in (point.overall, point.over_refusal))
    slot = (RIGHT - LEFT) / len(points)
    places = [LEFT + (index + 0.5) * slot for index in range(len(points))]
    marks = [*_grid(scale), *_names(trend, places)]
    marks += [
        f'<path class="axis" stroke-dasharray="4 4" d="M{place - slot / 2:.1f} {TOP}V{FOOT}">'
        f"<title>{text(point.broken)}: not comparable</title></path>"
        for place, point in zip(places, points, strict=True)
        if point.broken
    ]
    for kind, name in SERIES:
        shift = -3 if kind == "one" else 3
        drawn = [
            (place + shift, point, estimate)
            for place, point in zip(places, points, strict=True)
            if (estimate := point.overall if kind == "one" else point.over_refusal) is not None
        ]
        marks += _line([(x, point, estimate.rate) for x, point, estimate in drawn], kind, scale)
        for x, point, estimate in drawn:
            marks += _point(x, point, estimate, kind=kind, said=f"{_name(trend, point)}: {name}", scale=scale)
        marks.append(label(LEFT + (8 if kind == "one" else 118), TOP - 8, name, css=kind))
    return figure("Per cent, by checkpoint; bars are 95 % intervals for prompts like these", marks, height=HEIGHT)


def capability_chart(trend: Trend, benchmark: str, *, title: str) -> str:
    """Draw attack success against a capability score, in the order of the checkpoints.

    Args:
        trend: the line.
        benchmark: whose scores.
        title: what to call it.

    Returns:
        The drawing, or nothing where fewer than two checkpoints have such a score.
    """
    points = [point for point in trend.points if point.overall is not None and benchmark in point.capability]
    if len(points) < 2:  # noqa: PLR2004 - one point is no relation
        return ""
    scale = _scale(point.overall for point in points)
    scores = [point.capability[benchmark] for point in points]
    low, high = min(scores), max(scores)
    margin = (high - low or 1.0) * 0.08
    wide = (RIGHT - LEFT) / (high - low + 2 * margin)
    places = [LEFT + (score - low + margin) * wide for score in scores]
    marks = [*_grid(scale), label(places[scores.index(low)], HEIGHT - 8, f"{low:.1f}", anchor="middle")]
    if high > low:
        marks.append(label(places[scores.index(high)], HEIGHT - 8, f"{high:.1f}", anchor="middle"))
    rates = [point.overall.rate for point in points if point.overall is not None]
    marks += _line(list(zip(places, points, rates, strict=True)), "one", scale)
    for x, point in zip(places, points, strict=True):
        if point.overall is not None:
            name = _name(trend, point)
            said = f"{name}: {point.capability[benchmark]:.1f} {title}, attack success"
            marks += _point(x, point, point.overall, kind="one", said=said, scale=scale)
            marks.append(label(x + 7, _y(point.overall.rate, scale) - 7, shorten(name, LABEL_COLUMNS)))
    return figure(f"Attack success, per cent, against {title}, points", marks, height=HEIGHT)


def _scale(estimates: Iterator[Estimate | None]) -> float:
    highest = max((one.prompts_like_these.clamped().high for one in estimates if one is not None), default=0.0)
    return min(1.0, max(STEP, math.ceil(highest / STEP - 1e-9) * STEP))


def _y(rate: float, scale: float) -> float:
    return FOOT - (FOOT - TOP) * clamp(rate) / scale


def _grid(scale: float) -> Iterator[str]:
    step = STEP if scale <= COARSE_FROM else 2 * STEP
    for line in range(round(scale / step) + 1):
        y = _y(line * step, scale)
        yield f'<path class="axis" d="M{LEFT} {y:.1f}H{RIGHT}"/>'
        yield label(LEFT - 6, y + 4, f"{line * step:.0%}", anchor="end")


def _names(trend: Trend, places: Sequence[float]) -> Iterator[str]:
    every = math.ceil(len(places) / MOST_LABELS)
    for index, (place, point) in enumerate(zip(places, trend.points, strict=True)):
        if (len(places) - 1 - index) % every == 0:  # the newest is always named
            yield label(place, HEIGHT - 8, shorten(_name(trend, point), LABEL_COLUMNS), anchor="middle")


def _name(trend: Trend, point: TrendPoint) -> str:
    return release_label(point.release, [one.release for one in trend.points])


def _line(points: Sequence[tuple[float, TrendPoint, float]], kind: str, scale: float) -> list[str]:
    """Return the line through points, broken where they cannot be compared."""
    steps = [
        f"{'M' if not index or point.broken else 'L'}{x:.1f} {_y(rate, scale):.1f}"
        for index, (x, point, rate) in enumerate(points)
    ]
    return [f'<path class="{kind}" fill="none" stroke-width="1.5" d="{"".join(steps)}"/>'] if steps else []


def _point(x: float, point: TrendPoint, estimate: Estimate, *, kind: str, said: str, scale: float) -> list[str]:
    """Return a point with its interval. Of a silent release it is hollow, and the bar goes up to what is possible."""
    ends = estimate.prompts_like_these.clamped()
    silent = point.silence is not None
    high = 1.0 if silent else ends.high
    rate = figures.rate(estimate.rate, lower_bound=silent)
    whole = f"{said} {rate} %" + ("" if silent else f" {figures.interval(estimate.prompts_like_these)}")
    top = max(TOP, _y(high, scale))
    bar = f'<path class="{kind} spread" d="M{x:.1f} {_y(ends.low, scale):.1f}V{top:.1f}"/>'
    css = f"{kind} hollow" if silent else kind
    dot = f'<circle class="{css}" cx="{x:.1f}" cy="{_y(estimate.rate, scale):.1f}" r="4">'
    return [bar, f"{dot}<title>{text(whole)}</title></circle>"]
