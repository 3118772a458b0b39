"""The auditor's report as one HTML page.

Everything that comes from a log or a release goes through :func:`heldout.cli.screens.svg.text`.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Final

from heldout.cli.report import Debit, Report, Use
from heldout.cli.screens import figures
from heldout.cli.screens.audit import replay_line
from heldout.cli.screens.exactness import exact_data
from heldout.cli.screens.html_page import page_html, table
from heldout.cli.screens.report import PAIRS, about, bits, pair_bits
from heldout.cli.screens.report_charts import calls_chart, ledger_chart
from heldout.cli.screens.svg import text
from heldout.findings.model import Profile
from heldout.verification.replay import ReplayReport

LIMITS: Final = (
    "This page tells what the logs hold, and that they hold together. It does not tell what somebody with root on the"
    " appliance read without a call, who a person behind a certificate is, or whether noise and judge are good."
)


def report_html(report: Report) -> str:
    """Return a report as one HTML page."""
    names = sorted({log.report.origin.rpartition("/")[0] or log.report.origin for log in report.logs})
    title = f"Audit report: {', '.join(names)}"
    first_s, last_s = report.span_s
    span = f"{figures.moment(first_s)} to {figures.moment(last_s)}" if last_s else "nothing happened"
    parts = [
        f"<h1>{text(title)}</h1>",
        f'<p class="soft">{text(span)}. Every entry counted here hashes to a head that the log signed.</p>',
        _warning(report),
        _facts(report),
        _logs(report),
        _uses(report),
        _releases(report),
        _denials(report),
        _events(report),
        f'<h2>What no log shows</h2><p class="soft">{text(LIMITS)}</p>',
    ]
    return page_html(title, parts)


def _code(value: object) -> str:
    return f"<code>{text(value)}</code>"


def _time(unix_s: int) -> str:
    return f'<span class="t">{text(figures.moment(unix_s))}</span>'


def _facts(report: Report) -> str:
    calls = sum(use.calls for use in report.uses)
    refused = sum(use.calls for use in report.uses if not use.allowed)
    refused += sum(count for _, event in report.denials if isinstance(count := event.details.get("count"), int))
    facts = (
        (f"{sum(log.report.size for log in report.logs):,}", "entries verified"),
        (f"{calls:,}", "calls"),
        (f"{refused:,}", "refused"),
        (f"{len(report.debits) + len(report.unread):,}", "releases"),
        (f"{len({use.identity for use in report.uses}):,}", "identities"),
    )
    shown = "".join(f"<div><b>{text(number)}</b><span>{text(what)}</span></div>" for number, what in facts)
    return f'<div class="facts">{shown}</div>'


def _logs(report: Report) -> str:
    panels = []
    for log in report.logs:
        found = log.report
        checks = [
            "✓ every entry hashes to the signed head",
            f"✓ counters of {len(found.counters):,} identities have no gap",
            f"✓ each of {found.outcomes:,} outcomes follows its own call",
        ]
        if found.open_intents:
            checks.append(f"· calls without an outcome, under way or cut off: {len(found.open_intents):,}")
        if found.damaged:
            checks.append(f"! damaged entries, each named by a repair: {len(found.damaged):,}")
        checks.append(_replayed(report.replays.get(found.origin)))
        items = "".join(f"<li{_mark(check)}>{text(check)}</li>" for check in checks)
        panels.append(
            f'<div class="panel"><b>{text(found.origin)}</b> · {found.size:,} entries ·'
            f" root {_code(found.root)}<ul>{items}</ul></div>"
        )
    return "<h2>The logs</h2>" + "".join(panels)


def _replayed(replay: ReplayReport | None) -> str:
    return "· decisions were not replayed" if replay is None else replay_line(replay)


def _mark(check: str) -> str:
    return {"✓": ' class="good"', "!": ' class="bad"'}.get(check[:1], "")


def _uses(report: Report) -> str:
    if not report.uses:
        return "<h2>Who asked for what</h2><p>Nobody asked for anything.</p>"
    parts = []
    for (identity, role), uses in groupby(report.uses, key=lambda use: (use.identity, use.role)):
        rows = [
            [
                text(use.method),
                text(use.half),
                f"{use.calls:,}",
                _ended(use),
                _time(use.first_s),
                _time(use.last_s),
            ]
            for use in uses
        ]
        header = ("asked for", "log", "calls", "", "first", "last")
        said = f" as {text(role)}" if role else ""
        parts.append(f"<h3>{text(figures.short_name(identity))}{said} {_code(identity)}</h3>")
        parts.append(table(header, rows, numbers=frozenset({2})))
    return "<h2>Who asked for what</h2>" + calls_chart(report.hours) + "".join(parts)


def _ended(use: Use) -> str:
    """Say how calls were decided, and of those that were allowed how many did not end well, and how."""
    if not use.allowed:
        return '<span class="bad">refused</span>'
    failed = [f'<span class="bad">{number:,} ended with {text(status)}</span>' for status, number in use.failed.items()]
    return "<br>".join(["allowed", *failed])


def _releases(report: Report) -> str:
    if not report.debits and not report.unread:
        return "<h2>What was released</h2><p>Nothing was.</p>"
    rows = [
        [
            f"{debit.release.epoch_number}",
            f"{debit.release.number}",
            text(debit.release.tested.checkpoint) + (" (cancelled)" if debit.release.cancelled else ""),
            text(debit.release.judge),
            _time(debit.release.published_s),
            *_cost(debit),
            f"{debit.entry.index:,}",
            f"{_code(debit.release.release_id)}<br>{_code(debit.entry.details.get('document_sha256', ''))}",
        ]
        for debit in report.debits
    ]
    header = ("epoch", "no.", "checkpoint", "judge", "published", "harmful, bits", "harmless, bits", "entry",
              "release and its SHA-256")  # fmt: skip
    missing = [_code(entry.details.get("release_id", "")) for entry in report.unread]
    more = f"<p>In the log, without a document in this export: {', '.join(missing)}.</p>" if missing else ""
    noised = [debit for debit in report.debits if debit.release.profile is Profile.PRIVATE]
    chart = ledger_chart(noised, report.budget_nano_rho)
    said = (
        '<p class="soft">What each release debited every unit of its epoch, and what an epoch adds up to. Bits by the'
        f" bound that holds for any mechanism, rho / ln 2. {_pairs(noised)}</p>"
    )
    listed = table(header, rows, numbers=frozenset({0, 1, 5, 6, 7})) if rows else ""
    return "<h2>What was released, and the ledger</h2>" + said + chart + listed + more


def _warning(report: Report) -> str:
    """Return the warning of the exact profile, where anything was released without noise."""
    said = exact_data(*(debit.release for debit in report.debits))["warning"]
    return f'<p class="panel bad">! {text(said)}</p>' if said else ""


def _cost(debit: Debit) -> tuple[str, str]:
    """Return what a release cost a unit of each side; without noise there is only a bound, by its rows."""
    if debit.release.profile is Profile.EXACT:
        return f'<span class="bad">no noise: up to {debit.exact_rows:,}</span>', '<span class="bad">no noise</span>'
    return f"{bits(debit.harmful):.3f}", f"{bits(debit.benign):.3f}"


def _pairs(noised: Sequence[Debit]) -> str:
    pair = pair_bits(noised[-1]) if noised else 0.0
    return text(f"The {PAIRS}: {pair:.2f} so far, if there is one.") if pair else ""


def _denials(report: Report) -> str:
    if not report.denials:
        return ""
    rows = [
        [
            _code(event.details.get("caller", "")),
            text(event.details.get("reason", "")),
            text(event.details.get("count", "")),
            text(half),
            f"{event.index:,}",
            _time(event.time_s),
        ]
        for half, event in report.denials
    ]
    header = ("who", "reason", "calls", "log", "entry", "counted until")
    return "<h2>Refused, and only counted</h2>" + table(header, rows, numbers=frozenset({2, 4}))


def _events(report: Report) -> str:
    rows = [
        [text(event.name), text(half), f"{event.index:,}", _time(event.time_s), _code(about(event))]
        for half, event in report.events
    ]
    rows += [
        [
            "anchor",
            text(half),
            f"{last.index:,}",
            _time(last.time_s),
            f"{_code(database)}, the last of {number:,}",
        ]
        for (half, database), (number, last) in report.anchors.items()
    ]
    header = ("what", "log", "entry", "when", "about")
    return "<h2>What happened to the appliance</h2>" + table(header, rows, numbers=frozenset({2}))
