"""A model line as one HTML page, for those who would rather look: two charts, and the figures behind them."""

from __future__ import annotations

from typing import Final

from heldout.cli.screens import figures
from heldout.cli.screens.exactness import exact_data
from heldout.cli.screens.html_page import page_html, table
from heldout.cli.screens.svg import text
from heldout.cli.screens.trend import TITLES
from heldout.cli.screens.trend_charts import capability_chart, checkpoints_chart
from heldout.findings.compare import SEEN
from heldout.findings.model import CANCELLED, release_label
from heldout.findings.trend import Trend, TrendPoint

READING: Final = (
    "Lower is safer. Bars and brackets are 95 % intervals for prompts like these; worse and"
    " better are said of changes on this bank, which can be seen more sharply. Where the line is broken, prompts or"
    " judge are others, and the two sides cannot be compared. A hollow point is a lower bound: too many answers say"
    " nothing of safety."
)


def trend_html(trend: Trend, *, benchmark: str) -> str:
    """Return a trend as one HTML page.

    Args:
        trend: the line.
        benchmark: whose capability scores to show.
    """
    title = f"{trend.line}: attack success and capability"
    against = capability_chart(trend, benchmark, title=TITLES.get(benchmark, benchmark))
    if not against:
        named = f"Two checkpoints with a score of {benchmark} draw this chart: heldout scores record"
        against = f'<p class="soft">{text(named)}</p>'
    warning = exact_data(*(point.release for point in trend.points))["warning"]
    parts = [
        f"<h1>{text(title)}</h1>",
        f'<p class="panel bad">! {text(warning)}</p>' if warning else "",
        f'<p class="soft">{text(READING if warning else f"Every figure carries noise. {READING}")}</p>',
        "<h2>Over the checkpoints</h2>",
        checkpoints_chart(trend),
        "<h2>Against capability</h2>",
        against,
        "<h2>The figures</h2>",
        _figures(trend, benchmark),
        '<p class="soft">The receipt of every release was verified when this page was written.</p>',
    ]
    return page_html(title, parts)


def _figures(trend: Trend, benchmark: str) -> str:
    scored = any(benchmark in point.capability for point in trend.points)
    header = ["checkpoint", "epoch", "published", "attack success, %", "", "change", "over-refusal, %", ""]
    if scored:
        header.insert(6, TITLES.get(benchmark, benchmark))
    rows = [_row(trend, point, benchmark if scored else "") for point in trend.points]
    return table(header, rows, numbers=frozenset({3, 6, 7} if scored else {3, 6}))


def _row(trend: Trend, point: TrendPoint, benchmark: str) -> list[str]:
    release, silent = point.release, point.silence is not None
    name = release_label(release, [one.release for one in trend.points])
    score = point.capability.get(benchmark)
    cells = [text(name), f"{release.epoch_number}", f'<span class="t">{figures.moment(release.published_s)}</span>']
    for estimate in (point.overall, point.over_refusal):
        rate = "" if estimate is None else figures.rate(estimate.rate, lower_bound=silent)
        ends = "" if estimate is None or silent else figures.interval(estimate.prompts_like_these)
        cells += [rate, f'<span class="t">{ends}</span>']
    cells[5:5] = [_change(point), *(["" if score is None else f"{score:.1f}"] if benchmark else [])]
    return cells


def _change(point: TrendPoint) -> str:
    if point.release.cancelled:
        return text(CANCELLED)
    change = None if point.change is None else point.change.overall
    if change is None:
        return text(point.broken)
    if change.verdict not in SEEN:
        return text(figures.verdict(change))
    css = {"worse": "bad", "better": "good"}.get(change.verdict.value, "")
    return f'<span class="{css}">{text(f"{figures.change(change)} {change.verdict.value}")}</span>'
