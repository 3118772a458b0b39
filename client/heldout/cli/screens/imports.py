"""Near duplicates, and sealed packs, for bank testers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from heldout.bank_model import BadRow, ImportReport, NearPairs
from heldout.cli.screens.page import Page, clean, fill, join_parts, lay_out

NEAR_SHOWN: Final = 5


def near_lines(report: ImportReport) -> list[str]:
    """Return the first near duplicates of an import, by line and handle."""
    if not report.near_total:
        return []
    noun = "near duplicate" if report.near_total == 1 else "near duplicates"
    lines = fill(f"{report.near_total:,} {noun} of prompts in the bank: heldout bank duplicates")
    for row in report.near[:NEAR_SHOWN]:
        other = f"line {row.other_line}, {row.handle}" if row.other_line else row.handle
        lines += fill(f"line {row.line}: about {row.similarity_percent} % like {other}", indent="  ")
    more = report.near_total - NEAR_SHOWN
    return [*lines, f"  and {more:,} more"] if more > 0 else lines


def duplicates_page(found: NearPairs) -> Page:
    """List pairs of prompts that say nearly the same."""
    lines = [f"near duplicates among live prompts: {found.total:,}"]
    if found.pairs:
        rows = [["about", "prompt", "is like"]]
        rows += [[f"{pair.similarity_percent} %", clean(pair.first), clean(pair.second)] for pair in found.pairs]
        lines += lay_out(rows, "><<", flexible=1)
    if found.total > len(found.pairs):
        lines.append(f"and {found.total - len(found.pairs):,} more")
    lines.append("receipt verified")
    return Page(
        lines=tuple(lines),
        data={
            "total": found.total,
            "pairs": [
                {"first": pair.first, "second": pair.second, "similarity_percent": pair.similarity_percent}
                for pair in found.pairs
            ],
        },
    )


def sealed_page(*, pack: str, rows: int, bad: Sequence[BadRow], recognised: Sequence[str], fingerprint: str) -> Page:
    """Show a pack that was written."""
    noun = "prompt" if rows == 1 else "prompts"
    parts = [f"{pack}: {rows:,} {noun} sealed", f"{len(bad):,} left out" if bad else "", f"key {fingerprint}"]
    lines = [*recognised, *join_parts(parts)]
    lines.append("only the appliance can open it: heldout bank import sends it as it is")
    return Page(
        lines=tuple(lines),
        data={
            "pack": pack,
            "rows": rows,
            "bad": [{"line": row.line, "reason": row.reason} for row in bad],
            "key": fingerprint,
        },
    )


def pack_key_page(*, key: str, fingerprint: str, pinned: bool) -> Page:
    """Show the key to which packs are sealed."""
    said = "the key that your profile pins" if pinned else "your profile pins none: compare it with the installation's"
    return Page(
        lines=(key, *join_parts([f"fingerprint {fingerprint}", said, "receipt verified"])),
        data={"key": key, "fingerprint": fingerprint, "pinned": pinned},
    )
