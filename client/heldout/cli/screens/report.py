"""The auditor's report on a terminal, as JSON and as CSV."""

from __future__ import annotations

import datetime as dt
import math
from pathlib import Path
from typing import Any, Final

from heldout.cli.report import Debit, Report, Use
from heldout.cli.screens import figures
from heldout.cli.screens.audit import EVENT_DETAILS, replay_data, replay_line, told
from heldout.cli.screens.exactness import exact_data, exact_lines
from heldout.cli.screens.page import Page, fill, join_parts, lay_out, page_written
from heldout.findings.model import Profile
from heldout.verification import Entry

NANO: Final = 1e9
PAIRS: Final = "bits are those of a unit of one side; a look-alike pair pays both"
MOST_EVENTS: Final = 40
HEADER: Final = (
    "log",
    "what",
    "first_utc",
    "last_utc",
    "identity",
    "role",
    "subject",
    "decision",
    "count",
    "entry",
    "failed",
)


def bits(nano_rho: int) -> float:
    """Return a spend of the ledger in bits of the bound that holds for any mechanism, rho / ln 2."""
    return nano_rho / NANO / math.log(2)


def report_page(report: Report, *, written: Path | None = None) -> Page:
    """Show a report.

    Args:
        report: what is told.
        written: the HTML page that was written too.
    """
    lines: list[str] = []
    first_s, last_s = report.span_s
    if last_s:
        lines += join_parts([f"{figures.moment(first_s)} to {figures.moment(last_s)}"])
    for log in report.logs:
        found = log.report
        lines += join_parts(
            [f"log {found.origin}", f"{found.size:,} entries verified", f"root {figures.short(found.root)}"]
        )
        replay = report.replays.get(found.origin)
        if replay is not None:
            lines += fill(replay_line(replay), indent="   ", first=" ")
    lines += exact_lines(*(debit.release for debit in report.debits))
    lines += ["", *_who(report), "", *_released(report)]
    if report.denials:
        lines += ["", *_counted(report)]
    lines += ["", *_life(report)]
    if written is not None:
        lines += ["", *page_written(written)]
    return Page(lines=tuple(lines), data=_data(report), header=HEADER, records=tuple(_records(report)))


def so_far(debit: Debit) -> str:
    """Say how many bits an epoch had debited a unit of one side once a release was out; at most, where no noise is."""
    noised = bits(max(debit.harmful_total, debit.benign_total))
    return f"up to {debit.exact_rows_total + math.ceil(noised)}" if debit.exact_rows_total else f"{noised:.2f}"


def pair_bits(debit: Debit) -> float:
    """Return what a unit on both sides was debited, in bits; 0 where nothing bounds it, or only one side paid."""
    both = debit.harmful_total and debit.benign_total and not debit.exact_rows_total
    return bits(debit.harmful_total + debit.benign_total) if both else 0.0


def about(entry: Entry) -> str:
    """Say in a few words what an event is about."""
    keys = EVENT_DETAILS.get(entry.name, ())
    return " ".join(told(entry.details[key]) for key in keys if entry.details.get(key) not in {None, ""})


def _who(report: Report) -> list[str]:
    rows = [["who asked", "for what", "calls", "refused", "failed", "when"]]
    merged: dict[tuple[str, str], list[Use]] = {}
    for use in report.uses:
        merged.setdefault((use.identity, use.method), []).append(use)
    for (identity, method), uses in sorted(merged.items()):
        refused = sum(use.calls for use in uses if not use.allowed)
        failed = sum(sum(use.failed.values()) for use in uses)
        rows.append(
            [
                figures.short_name(identity),
                method,
                f"{sum(use.calls for use in uses):,}",
                f"{refused:,}" if refused else "—",
                f"{failed:,}" if failed else "—",
                _span(min(use.first_s for use in uses), max(use.last_s for use in uses)),
            ]
        )
    return lay_out(rows, "<<>>><", flexible=0)


def _released(report: Report) -> list[str]:
    if not report.debits and not report.unread:
        return ["nothing was released"]
    budget = bits(report.budget_nano_rho)
    rows = [["released", "no.", "checkpoint", "bits", "so far", "published"]]
    for debit in report.debits:
        release = debit.release
        exact = release.profile is Profile.EXACT
        rows.append(
            [
                release.release_id,
                f"{release.number}",
                release.tested.checkpoint + (" (cancelled)" if release.cancelled else ""),
                f"up to {debit.exact_rows}" if exact else f"{bits(max(debit.harmful, debit.benign)):.3f}",
                so_far(debit) + (f" of {budget:.0f}" if budget and not debit.exact_rows_total else ""),
                _day(release.published_s),
            ]
        )
    lines = lay_out(rows, "<><>><", flexible=2)
    if report.debits and (pair := pair_bits(report.debits[-1])):
        lines += fill(f"{PAIRS}: {pair:.2f} so far, if there is one", indent="  ", first="")
    if report.unread:
        lines += fill(
            f"{len(report.unread)} more in the log, whose documents are not in this export", indent="  ", first=""
        )
    return lines


def _counted(report: Report) -> list[str]:
    rows = [["refused and only counted", "reason", "calls", "entry"]]
    for _half, entry in report.denials:
        caller = figures.short_name(str(entry.details.get("caller", "")))
        rows.append(
            [caller, str(entry.details.get("reason", "")), f"{entry.details.get('count', '')}", f"{entry.index}"]
        )
    return lay_out(rows, "<<>>", flexible=0)


def _life(report: Report) -> list[str]:
    rows = [["what happened", "log", "entry", "when", "about"]]
    shown = report.events[-MOST_EVENTS:]
    for half, event in shown:
        rows.append([event.name, half, f"{event.index}", figures.moment(event.time_s)[:16], about(event)])
    for (half, database), (number, last) in report.anchors.items():
        when = figures.moment(last.time_s)[:16]
        rows.append(["anchor", half, f"{last.index}", when, f"{database}, the last of {number:,}"])
    lines = lay_out(rows, "<<><<", flexible=4)
    if len(report.events) > len(shown):
        lines.append(f"… {len(report.events) - len(shown):,} earlier events: --json, or --html")
    return lines


def _day(unix_s: int) -> str:
    return dt.datetime.fromtimestamp(unix_s, tz=dt.UTC).strftime("%m-%d %H:%M")


def _span(first_s: int, last_s: int) -> str:
    """Say from when to when, in as few words as tell it."""
    first, last = _day(first_s), _day(last_s)
    if first == last:
        return first
    day, _, minute = last.partition(" ")
    return f"{first} to {minute}" if first.startswith(day) else f"{first.partition(' ')[0]} to {day}"


def _iso(unix_s: int) -> str:
    return dt.datetime.fromtimestamp(unix_s, tz=dt.UTC).strftime("%Y-%m-%dT%H:%MZ")


def _records(report: Report) -> list[tuple[Any, ...]]:
    records: list[tuple[Any, ...]] = [
        (
            use.half,
            "calls",
            _iso(use.first_s),
            _iso(use.last_s),
            use.identity,
            use.role,
            use.method,
            "allow" if use.allowed else "deny",
            use.calls,
            use.first,
            sum(use.failed.values()),
        )
        for use in report.uses
    ]
    for debit in report.debits:
        when, subject = _iso(debit.release.published_s), f"{debit.release.tested.checkpoint} {debit.release.release_id}"
        what = "release" if debit.release.profile is Profile.PRIVATE else "release without noise"
        records.append(("vault", what, when, when, "", "", subject, "", 1, debit.entry.index, ""))
    for half, event in (*report.denials, *report.events):
        caller, number = str(event.details.get("caller", "")), event.details.get("count", 1)
        when = _iso(event.time_s)
        records.append((half, event.name, when, when, caller, "", about(event), "", number, event.index, ""))
    for (half, database), (number, last) in report.anchors.items():
        when = _iso(last.time_s)
        records.append((half, "anchor", when, when, "", "", database, "", number, last.index, ""))
    return records


def _data(report: Report) -> dict[str, Any]:
    return {
        **exact_data(*(debit.release for debit in report.debits)),
        "logs": [
            {
                "origin": log.report.origin,
                "size": log.report.size,
                "root": log.report.root,
                "open_intents": list(log.report.open_intents),
                "damaged": list(log.report.damaged),
                "replay": replay_data(replay) if (replay := report.replays.get(log.report.origin)) else None,
            }
            for log in report.logs
        ],
        "calls": [
            {
                "log": use.half,
                "identity": use.identity,
                "role": use.role,
                "method": use.method,
                "allowed": use.allowed,
                "calls": use.calls,
                "first_s": use.first_s,
                "last_s": use.last_s,
                "first_entry": use.first,
                "failed": dict(use.failed),
            }
            for use in report.uses
        ],
        "releases": [_release_data(debit) for debit in report.debits],
        "releases_without_document": [entry.details.get("release_id") for entry in report.unread],
        "budget_nano_rho": report.budget_nano_rho,
        "denials": [_event_data(half, event) for half, event in report.denials],
        "events": [_event_data(half, event) for half, event in report.events],
        "anchors": [
            {"log": half, "database": database, "anchors": number, "last": _event_data(half, last)}
            for (half, database), (number, last) in report.anchors.items()
        ],
        "hours": {str(hour): list(calls) for hour, calls in sorted(report.hours.items())},
    }


def _release_data(debit: Debit) -> dict[str, Any]:
    release = debit.release
    return {
        "release_id": release.release_id,
        "entry": debit.entry.index,
        "number": release.number,
        "epoch_id": release.epoch_id,
        "epoch_number": release.epoch_number,
        "checkpoint": release.tested.checkpoint,
        "line": release.tested.line,
        "judge": release.judge,
        "policy_digest": release.policy_digest,
        "manifest_digest": release.manifest_digest,
        "published_s": release.published_s,
        "cancelled": release.cancelled,
        "profile": release.profile.value,
        "exact_rows": debit.exact_rows,
        "harmful_nano_rho": debit.harmful,
        "benign_nano_rho": debit.benign,
        "harmful_total_nano_rho": debit.harmful_total,
        "benign_total_nano_rho": debit.benign_total,
    }


def _event_data(half: str, event: Entry) -> dict[str, Any]:
    details = {key: list(value) if isinstance(value, tuple) else value for key, value in event.details.items()}
    return {"log": half, "entry": event.index, "name": event.name, "time_s": event.time_s, "details": details}
