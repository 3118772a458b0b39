"""The two charts of the report, as SVG: calls over time, and the ledger release by release."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Final

from heldout.cli.report import Debit
from heldout.cli.screens.report import bits
from heldout.cli.screens.svg import LEFT, WIDTH, figure, label

HEIGHT: Final = 190
BOTTOM: Final = 24
TOP: Final = 14
HOUR_S: Final = 3600
HOURS_A_DAY: Final = 24
MOST_BARS: Final = 72


def calls_chart(hours: Mapping[int, tuple[int, int]]) -> str:
    """Draw calls over time: by hour, or by as many hours as make at most :data:`MOST_BARS` bars.

    Args:
        hours: calls that ended well and that did not, by Unix hour.
    """
    if not hours:
        return ""
    first, last = min(hours), max(hours)
    step = next(step for step in _steps() if (last - first) // step < MOST_BARS)
    bars: dict[int, list[int]] = {}
    for hour, (well, otherwise) in hours.items():
        bar = bars.setdefault((hour - first) // step, [0, 0])
        bar[0] += well
        bar[1] += otherwise
    count = (last - first) // step + 1
    highest = max(sum(bar) for bar in bars.values())
    slot = (WIDTH - LEFT) / count
    wide = min(slot * 0.8, 40)
    marks = []
    for place, (well, otherwise) in sorted(bars.items()):
        left = LEFT + place * slot + (slot - wide) / 2
        down = _y(0, highest)
        for number, kind in ((well, "one"), (otherwise, "bad")):
            high = _y(0, highest) - _y(number, highest)
            if number:
                down -= high
                marks.append(
                    f'<rect class="{kind}" x="{left:.1f}" y="{down:.1f}" width="{wide:.1f}" height="{high:.1f}"/>'
                )
    unit = "hour" if step == 1 else "day" if step == HOURS_A_DAY else f"{step} hours" if step < HOURS_A_DAY else (
        f"{step // HOURS_A_DAY} days"
    )  # fmt: skip
    labels = label(LEFT, HEIGHT - 6, _day(first)) + (
        label(WIDTH, HEIGHT - 6, _day(last), anchor="end") if count > 1 else ""
    )
    return figure(
        f"Calls by {unit}, at most {highest:,}; in red, on top, those that were refused or failed",
        [*_axis(highest, f"{highest:,}"), *marks, labels],
        height=HEIGHT,
    )


def ledger_chart(debits: Sequence[Debit], budget_nano_rho: int) -> str:
    """Draw what the ledger had debited a unit of each side after each release; it begins anew with each epoch."""
    if not debits:
        return ""
    budget = bits(budget_nano_rho)
    reached = max(bits(max(debit.harmful_total, debit.benign_total)) for debit in debits)
    highest = max(budget, reached) or 1.0
    slot = (WIDTH - LEFT) / len(debits)
    marks = list(_axis(highest, f"{highest:.1f}"))
    for kind in ("harmful", "benign"):
        css = "one" if kind == "harmful" else "two"
        marks += [
            f'<path class="{css}" fill="none" stroke-width="2" d="{path}"/>'
            for path in _stairs(debits, kind, slot, highest)
        ]
    if budget:
        y = _y(budget, highest)
        marks.append(f'<path class="top" stroke-dasharray="5 4" d="M{LEFT} {y:.1f}H{WIDTH}"/>')
        marks.append(label(WIDTH, y + 12, f"budget of a unit, {budget:g} bits", anchor="end", css="top"))
    marks.append(label(LEFT + 6, TOP + 22, "harmful units", css="one"))
    marks.append(label(LEFT + 96, TOP + 22, "harmless units", css="two"))
    marks.append(label(LEFT, HEIGHT - 6, "first release"))
    marks.append(label(WIDTH, HEIGHT - 6, f"release {len(debits)}", anchor="end"))
    return figure("Bits that an epoch had debited each of its units, after each release", marks, height=HEIGHT)


def _stairs(debits: Sequence[Debit], kind: str, slot: float, highest: float) -> list[str]:
    paths: list[str] = []
    epoch = None
    for place, debit in enumerate(debits):
        left, right = LEFT + place * slot, LEFT + (place + 1) * slot
        y = _y(bits(debit.harmful_total if kind == "harmful" else debit.benign_total), highest)
        if debit.release.epoch_id != epoch:
            paths.append(f"M{left:.1f} {_y(0, highest):.1f}")
            epoch = debit.release.epoch_id
        paths[-1] += f"V{y:.1f}H{right:.1f}"
    return paths


def _steps() -> list[int]:
    days = [HOURS_A_DAY * 2**power for power in range(40)]
    return [1, 2, 3, 6, 12, *days]


def _y(value: float, highest: float) -> float:
    return HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP) * value / highest


def _axis(highest: float, top_words: str) -> list[str]:
    bottom, top = _y(0, highest), _y(highest, highest)
    lines = f'<path class="axis" d="M{LEFT} {bottom:.1f}H{WIDTH}M{LEFT} {top:.1f}H{WIDTH}"/>'
    return [lines, label(LEFT - 6, top + 4, top_words, anchor="end"), label(LEFT - 6, bottom + 4, "0", anchor="end")]


def _day(hour: int) -> str:
    return dt.datetime.fromtimestamp(hour * HOUR_S, tz=dt.UTC).strftime("%Y-%m-%d %H:00 UTC")
