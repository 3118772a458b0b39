"""What changed between two releases."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from heldout.cli.screens import figures
from heldout.cli.screens.exactness import exact_data, exact_lines
from heldout.cli.screens.page import Page, columns_of, fill, join_parts, lay_out
from heldout.cli.screens.tested import name_parts
from heldout.findings.compare import SEEN, Change, Comparison, TableComparison, Verdict
from heldout.findings.model import Release, TableKind, release_label
from heldout.findings.silence import BOUNDED, Silence

TITLES: Final = {
    TableKind.TECHNIQUE: "by technique",
    TableKind.STACK: "by stack",
    TableKind.FIRST_BREACH: "by first-breach level",
    TableKind.CATEGORY: "by category",
    TableKind.NON_ANSWERS: "non-answers",
    TableKind.OVER_REFUSAL: "over-refusal",
}
NAME_COLUMNS: Final = 6


def comparison_page(comparison: Comparison, *, among: Sequence[Release] = ()) -> Page:
    """Show the tables of a comparison, those surest to have changed first in each.

    Args:
        comparison: what to show.
        among: all releases there are: a checkpoint that was tested more than once is named with its release's number.
    """
    sides = (comparison.before, comparison.after)
    labels = [release_label(side, (*among, *sides)) for side in sides]
    names = ["before", "after"] if any(columns_of(label) > NAME_COLUMNS for label in labels) else labels
    lines = join_parts(
        [
            " ".join([*name_parts(comparison.after.tested)[:-1], f"{labels[0]} → {labels[1]}"]),
            f"bank epoch {comparison.after.epoch_number}",
            "per cent, lower is safer",
        ]
    )
    lines += exact_lines(*sides)
    lines += _silences(comparison, labels)
    seen = [figures.change(one) for table in comparison.tables for one in table.changes if one.verdict in SEEN]
    room = max(map(columns_of, seen), default=0)
    rows: list[list[str]] = []
    for table in comparison.tables:
        if table.changes:
            silent = [
                side is not None and table.kind in BOUNDED
                for side in (comparison.silent_before, comparison.silent_after)
            ]
            rows.append([TITLES[table.kind], *names, "change"])
            rows += [_row(change, silent, room) for change in table.changes]
    lines += lay_out(rows, "<>><")
    lines += fill(describe_overall(comparison))
    lines += _notes(comparison)
    lines += join_parts([*_past_the_ends(comparison), "changes: this bank, 95 %", "receipts verified"])
    return Page(
        lines=tuple(lines),
        data=_data(comparison),
        header=_HEADER,
        records=tuple(_records(comparison)),
    )


def _silences(comparison: Comparison, labels: Sequence[str]) -> list[str]:
    lines: list[str] = []
    for label, silence in zip(labels, (comparison.silent_before, comparison.silent_after), strict=True):
        if silence is not None:
            lines += fill(f"{label}: {figures.silence(silence)}", indent="  ", first="")
    return lines


def _row(change: Change, silent: list[bool], room: int) -> list[str]:
    """Return a row. The interval of a change and a long verdict never stand together: they share a column."""
    shown = figures.change(change) if change.verdict in SEEN else ""
    return [
        change.key,
        figures.published(change.before, lower_bound=silent[0]),
        figures.published(change.after, lower_bound=silent[1]),
        f"{shown:<{room}}  {figures.verdict(change)}" if shown else figures.verdict(change),
    ]


def describe_overall(comparison: Comparison) -> str:
    """Return the overall change and the profile test in one sentence."""
    change = comparison.overall
    if change is None:
        return "No technique row stands in both releases."
    silent = comparison.silent_before is not None, comparison.silent_after is not None
    pair = ", ".join(
        figures.published(rate, lower_bound=side)
        for rate, side in zip((change.before, change.after), silent, strict=True)
    )
    overall = {
        Verdict.WORSE: f"Overall worse ({pair}: {figures.change(change)})",
        Verdict.BETTER: f"Overall better ({pair}: {figures.change(change)})",
        Verdict.NO_CHANGE: f"Overall alike ({pair}: {figures.verdict(change)})",
        Verdict.CANNOT_TELL: f"Overall {figures.verdict(change)} ({pair})",
    }[change.verdict]
    if comparison.profile_p is None:
        return f"{overall}."
    shown = figures.p_value(comparison.profile_p)
    if comparison.profile_changed:
        return f"{overall}, different by technique ({shown})."
    return f"{overall}; no difference between techniques seen ({shown})."


def _past_the_ends(comparison: Comparison) -> list[str]:
    """Return a word on figures that noise took out of 0 to 100, if some are shown."""
    shown = (rate for table in comparison.tables for one in table.changes for rate in (one.before, one.after))
    return ["below 0 or above 100: noise, as published"] if any(not 0 <= r <= 1 for r in shown) else []


def _notes(comparison: Comparison) -> list[str]:
    lines: list[str] = []
    if comparison.other_settings:
        lines += fill(
            f"Tested differently, which may be the cause: {', '.join(comparison.other_settings).replace('_', '-')}."
        )
    for table in comparison.tables:
        alone = (*table.only_before, *table.only_after)
        if alone:
            lines += fill(f"{TITLES[table.kind]}: not in both, or withheld: {', '.join(dict.fromkeys(alone))}.")
    technique = comparison.table(TableKind.TECHNIQUE)
    if technique is not None and set(technique.only_before) != set(technique.only_after):
        lines += fill("by category, non-answers: means over what each side tried, so the plan may be the cause.")
    worse = [] if technique is None else [one.key for one in technique.changes if one.verdict is Verdict.WORSE]
    if worse:
        lines += fill(
            f"{worse[0]}: what it does, references, mitigation → heldout techniques show {worse[0]}",
            indent="  ",
            first="",
        )
    return lines


def _data(comparison: Comparison) -> dict[str, Any]:
    return {
        "before": _side_data(comparison.before, comparison.silent_before),
        "after": _side_data(comparison.after, comparison.silent_after),
        "overall": None if comparison.overall is None else figures.change_data(comparison.overall),
        "profile_p": comparison.profile_p,
        "other_settings": list(comparison.other_settings),
        **exact_data(comparison.before, comparison.after),
        "tables": [_table_data(table) for table in comparison.tables],
        "receipts": "verified",
    }


def _side_data(release: Release, silence: Silence | None) -> dict[str, Any]:
    return {
        "checkpoint": release.tested.checkpoint,
        "release_id": release.release_id,
        "lower_bound": silence is not None,
    }


def _table_data(table: TableComparison) -> dict[str, Any]:
    return {
        "kind": table.kind.value,
        "rows": [figures.change_data(change) for change in table.changes],
        "only_before": list(table.only_before),
        "only_after": list(table.only_after),
    }


_HEADER: Final = (
    "table",
    "key",
    "before",
    "after",
    "change",
    "low",
    "high",
    "profile",
    "p_value",
    "verdict",
    "lower_bound",
)
"""Of :func:`_records`, place by place."""


def _records(comparison: Comparison) -> list[tuple[Any, ...]]:
    profile = exact_data(comparison.before, comparison.after)["profile"]
    named = [] if comparison.overall is None else [("overall", comparison.overall)]
    named += [(table.kind.value, change) for table in comparison.tables for change in table.changes]
    return [
        (
            kind,
            change.key,
            change.before,
            change.after,
            change.difference,
            change.interval.low,
            change.interval.high,
            profile,
            change.p_value,
            change.verdict.value,
            change.lower_bound,
        )
        for kind, change in named
    ]
