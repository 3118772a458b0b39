"""The bank, for bank testers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from heldout.bank_model import BadRow, BankStats, Epoch, ImportReport, StoredPrompt
from heldout.cli.screens import figures
from heldout.cli.screens.imports import near_lines
from heldout.cli.screens.page import Page, clean, columns_of, fill, join_parts, lay_out
from heldout.cli.screens.shortage import shortage_data, shortage_lines
from heldout.services.bank import TOO_CLOSE

BAD_ROWS_SHOWN: Final = 20
DUPLICATES_SHOWN: Final = 5
PLAIN: Final = "plain"
HINTS: Final = {
    "intent_missing": "rows without an intent: pass --intent harmful or --intent benign",
    "category_missing": "rows without a category: pass --category NAME",
    "unknown_key": "rows with a column that is not known: --ignore-column NAME leaves it out",
}


def import_page(report: ImportReport, *, skipped: Sequence[BadRow] = (), name: str, columns: str = PLAIN) -> Page:
    """Show what an import did.

    Args:
        report: what the appliance said.
        skipped: rows that were not even sent.
        name: of the file.
        columns: whose columns the file has, such as ``HarmBench``.
    """
    bad = sorted({*skipped, *report.bad}, key=lambda row: (row.line, row.reason))
    nothing = not report.imported and bool(report.bad)
    parts = [f"{name}: nothing imported" if nothing else f"{report.imported:,} imported"]
    if bad:
        parts.append(f"{len(bad):,} bad" if nothing else f"{len(bad):,} left out")
    if report.duplicates:
        parts.append(f"{len(report.duplicates):,} already in the bank")
    lines = recognised_lines(name, columns) + join_parts(parts) + bad_row_lines(bad)
    if report.duplicates:
        handles = ", ".join(report.duplicates[:DUPLICATES_SHOWN])
        more = len(report.duplicates) - DUPLICATES_SHOWN
        lines += fill(f"already there: {handles}" + (f" and {more:,} more" if more > 0 else ""), indent="  ")
    lines += near_lines(report)
    if report.spent_before:
        lines += fill(
            f"{report.spent_before:,} of them {'was' if report.spent_before == 1 else 'were'} in an epoch before:"
            " what they have spent of their budget stays spent"
        )
    lines += shortage_lines(report.shortage)
    if report.gaps:
        lines += fill(f"no epoch can be opened yet, {TOO_CLOSE}: {'; '.join(report.gaps)}")
    elif report.shortage is not None and report.shortage.shows_nothing:
        lines.append("next: import more: an epoch of these would show nothing")
    elif report.imported:
        lines.append("next: heldout bank epoch open (releases are about frozen epochs)")
    lines.append("receipt verified")
    return Page(
        lines=tuple(lines),
        data={
            "columns": columns,
            "imported": report.imported,
            "bad": [{"line": row.line, "reason": row.reason} for row in bad],
            "duplicates": list(report.duplicates),
            "near": [
                {
                    "line": row.line,
                    "handle": row.handle,
                    "similarity_percent": row.similarity_percent,
                    "other_line": row.other_line or None,
                }
                for row in report.near
            ],
            "near_total": report.near_total,
            "spent_before": report.spent_before,
            "gaps": list(report.gaps),
            "shortage": shortage_data(report.shortage),
            "receipt": "verified",
        },
    )


def not_sent_page(bad: Sequence[BadRow], *, name: str, columns: str = PLAIN, done: str = "imported") -> Page:
    """Show why a file was not even sent, or not sealed."""
    lines = [
        *recognised_lines(name, columns),
        *join_parts([f"{name}: nothing {done}, nothing sent", f"{len(bad):,} bad"]),
        *bad_row_lines(bad),
    ]
    reasons = {row.reason for row in bad}
    lines += [hint for reason, hint in HINTS.items() if reason in reasons]
    return Page(
        lines=tuple(lines),
        data={
            "columns": columns,
            "imported": 0,
            "bad": [{"line": row.line, "reason": row.reason} for row in bad],
            "duplicates": [],
        },
    )


def recognised_lines(name: str, columns: str) -> list[str]:
    """Return whose columns were recognised, unless they are our own."""
    return [] if columns == PLAIN else join_parts([name, f"{columns} columns recognised"])


def bad_row_lines(bad: Sequence[BadRow]) -> list[str]:
    """Return the first bad rows, by line and reason code."""
    lines = join_parts([f"line {row.line}: {row.reason}" for row in bad[:BAD_ROWS_SHOWN]])
    more = len(bad) - BAD_ROWS_SHOWN
    return [*lines, f"and {more:,} more"] if more > 0 else lines


def stats_page(stats: BankStats) -> Page:
    """Show what is in the bank."""
    parts = [f"{stats.live:,} live", f"{stats.waiting:,} in no epoch yet", f"{stats.retired:,} retired"]
    if stats.burnt:
        parts.append(f"{stats.burnt:,} burnt: an exposed runtime saw them")
    lines = join_parts(parts)
    if stats.epoch is not None:
        lines += epoch_lines(stats.epoch)
    if stats.counts:
        rows = [["intent", "category", "prompts", "units"]]
        rows += [[one.intent.value, one.category, f"{one.prompts:,}", f"{one.units:,}"] for one in stats.counts]
        lines += lay_out(rows, "<<>>", flexible=1)
        lines += shortage_lines(stats.shortage)
    lines.append("receipt verified")
    data = {
        "live": stats.live,
        "waiting": stats.waiting,
        "retired": stats.retired,
        "burnt": stats.burnt,
        "epoch": None if stats.epoch is None else _epoch_data(stats.epoch),
        "counts": [
            {"intent": one.intent.value, "category": one.category, "prompts": one.prompts, "units": one.units}
            for one in stats.counts
        ],
        "shortage": shortage_data(stats.shortage),
    }
    return Page(lines=tuple(lines), data=data)


def epoch_lines(epoch: Epoch) -> list[str]:
    """Return an epoch in a line or two."""
    return join_parts(
        [
            f"epoch {epoch.number} ({epoch.epoch_id}) is open with {epoch.prompts:,} prompts in {epoch.units:,} units",
            f"commitment {figures.short(epoch.commitment)}",
        ]
    )


def epoch_page(epoch: Epoch) -> Page:
    """Show an epoch that was opened."""
    lines = (*epoch_lines(epoch), *shortage_lines(epoch.shortage, opened=True), "receipt verified")
    return Page(lines=lines, data={**_epoch_data(epoch), "shortage": shortage_data(epoch.shortage)})


def _epoch_data(epoch: Epoch) -> dict[str, Any]:
    return {
        "epoch_id": epoch.epoch_id,
        "number": epoch.number,
        "commitment": epoch.commitment,
        "prompts": epoch.prompts,
        "units": epoch.units,
    }


def prompt_page(stored: StoredPrompt) -> Page:
    """Show a prompt, text included; its text is broken into lines, so that it fits."""
    prompt = stored.prompt
    lines = join_parts(
        [
            stored.handle,
            prompt.intent.value,
            prompt.category,
            prompt.language,
            f"family {prompt.family}" if prompt.family else "",
            f"tags {', '.join(prompt.tags)}" if prompt.tags else "",
            "retired" if stored.retired else "",
            "burnt" if stored.burnt else "",
        ]
    )
    lines.append("")
    for line in clean(prompt.text).split("\n"):
        fits = columns_of(line) <= 78  # noqa: PLR2004 - the width of a page less the indent
        lines += [f"  {line}".rstrip()] if fits else fill(line, indent="  ")
    lines += ["", "receipt verified"]
    return Page(
        lines=tuple(lines),
        data={
            "handle": stored.handle,
            "text": prompt.text,
            "intent": prompt.intent.value,
            "category": prompt.category,
            "language": prompt.language,
            "tags": list(prompt.tags),
            "family": prompt.family,
            "retired": stored.retired,
            "burnt": stored.burnt,
        },
    )


def handles_page(handles: Sequence[str]) -> Page:
    """List handles, one a line, to be cut and piped."""
    return Page(lines=tuple(clean(handle) for handle in handles), data=list(handles))


def retired_page(retired: int, asked: int) -> Page:
    """Show how many prompts were retired."""
    already = f"{asked - retired:,} were retired before" if asked > retired else ""
    return Page(
        lines=tuple(join_parts([f"{retired:,} retired: in no later epoch", already, "receipt verified"])),
        data={"retired": retired},
    )
