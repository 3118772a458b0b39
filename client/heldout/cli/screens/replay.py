"""Every decision made again: what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from heldout.cli.screens import figures
from heldout.cli.screens.audit import replay_data, replay_line
from heldout.cli.screens.page import Page, fill, join_parts
from heldout.verification.replay import ReplayReport

MOST_SHOWN: Final = 50


def replay_page(reports: Mapping[str, ReplayReport]) -> Page:
    """Show the decisions of each log, by its origin."""
    lines: list[str] = []
    for origin, report in reports.items():
        lines += join_parts([f"log {origin}", f"{report.decided:,} decisions made again"])
        lines += fill(replay_line(report), indent="   ", first=" ")
        if report.undecided:
            lines.append(f" · {report.undecided:,} calls of methods that do not exist: nothing to decide")
        if report.unnamed:
            lines.append(f" ! {report.unnamed:,} decisions under a start that names no documents")
        for digest, number in report.missing.items():
            lines += fill(
                f"{number:,} decisions by a document that is not here: SHA-256 {figures.short(digest)}."
                " An earlier export may hold it: --policy FOLDER",
                indent="   ",
                first=" ! ",
            )
        for one in report.differences[:MOST_SHOWN]:
            calls = one.calls
            lines += fill(
                f"entry {calls.first}{f' and {calls.calls - 1:,} more' if calls.calls > 1 else ''}:"
                f" {calls.identity} {calls.name.rpartition('/')[2]}",
                indent="     ",
                first="   ",
            )
            lines += fill(f"recorded: {one.recorded} · by the documents: {one.replayed}", indent="     ")
        if len(report.differences) > MOST_SHOWN:
            lines.append(f"   … {len(report.differences) - MOST_SHOWN:,} more: --json")
    return Page(lines=tuple(lines), data={origin: replay_data(report) for origin, report in reports.items()})
