"""The auditor's report as one HTML page: no script, nothing from elsewhere, light and dark, and fit to be printed.

Everything that comes from a log or a release goes through :func:`_text`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from itertools import groupby
from typing import Final

from heldout.cli.report import Debit, Report, Use
from heldout.cli.screens import figures
from heldout.cli.screens.audit import replay_line
from heldout.cli.screens.exactness import exact_data
from heldout.cli.screens.page import clean
from heldout.cli.screens.report import PAIRS, about, bits, pair_bits
from heldout.cli.screens.report_charts import calls_chart, ledger_chart
from heldout.findings.model import Profile
from heldout.verification.replay import ReplayReport

STYLE: Final = """
:root{color-scheme:light dark;--ink:#1b1f24;--soft:#59636e;--line:#d8dee4;--page:#fff;--panel:#f6f8fa;
--one:#2f6f9f;--two:#b5651d;--bad:#b3261e;--good:#1f7a3d}
@media (prefers-color-scheme:dark){:root{--ink:#e6e9ec;--soft:#9aa4ae;--line:#343b43;--page:#14181c;--panel:#1c2227;
--one:#6fb1de;--two:#e0a25f;--bad:#ff8a80;--good:#6fcf8f}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:62rem;padding:2.5rem 1.5rem 4rem;background:var(--page);color:var(--ink);
font:15px/1.55 system-ui,sans-serif}
h1{font-size:1.7rem;line-height:1.2;margin:0 0 .3rem}h2{font-size:1.15rem;margin:2.6rem 0 .6rem}
h3{font-size:.95rem;margin:1.4rem 0 .2rem}h3 code{font-weight:400;color:var(--soft)}.t{white-space:nowrap}
figure{margin:0}figcaption{color:var(--soft);font-size:.86rem}
p{margin:.4rem 0 .9rem;max-width:46rem}.soft{color:var(--soft)}
table{border-collapse:collapse;width:100%;font-size:.9rem}
th,td{text-align:left;padding:.38rem .9rem .38rem 0;border-bottom:1px solid var(--line);vertical-align:top}
th{font-weight:600;color:var(--soft)}td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}
code{font:.86em ui-monospace,monospace;overflow-wrap:anywhere}
.wide{overflow-x:auto}.panel{background:var(--panel);border:1px solid var(--line);border-radius:8px;padding:1rem 1.2rem}
.panel+.panel{margin-top:.8rem}.panel ul{margin:.4rem 0 0;padding:0;list-style:none}
.bad{color:var(--bad)}.good{color:var(--good)}
.facts{display:grid;grid-template-columns:repeat(auto-fit,minmax(9rem,1fr));gap:.8rem;margin:1.4rem 0}
.facts b{display:block;font-size:1.5rem;line-height:1.2}.facts span{color:var(--soft);font-size:.86rem}
svg{width:100%;height:auto;display:block}svg text{fill:var(--soft);stroke:none;font:11px system-ui,sans-serif}
svg .axis{stroke:var(--line)}svg .one{stroke:var(--one)}svg .two{stroke:var(--two)}svg .top{stroke:var(--bad)}
svg rect.one{fill:var(--one);stroke:none}svg rect.bad{fill:var(--bad);stroke:none}
svg text.one{fill:var(--one);stroke:none}svg text.two{fill:var(--two);stroke:none}
svg text.top{fill:var(--bad);stroke:none}
@media print{body{max-width:none;padding:0;font-size:11px}h2,h3{break-after:avoid}tr,svg,.panel{break-inside:avoid}
thead{display:table-header-group}.wide{overflow:visible}}
""".strip().replace("\n", "")

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
        f"<h1>{_text(title)}</h1>",
        f'<p class="soft">{_text(span)}. Every entry counted here hashes to a head that the log signed.</p>',
        _warning(report),
        _facts(report),
        _logs(report),
        _uses(report),
        _releases(report),
        _denials(report),
        _events(report),
        f'<h2>What no log shows</h2><p class="soft">{_text(LIMITS)}</p>',
    ]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        f"<title>{_text(title)}</title><style>{STYLE}</style></head><body>\n" + "\n".join(parts) + "\n</body></html>\n"
    )


def _text(value: object) -> str:
    return escape(clean(str(value)), quote=True)


def _code(value: object) -> str:
    return f"<code>{_text(value)}</code>"


def _time(unix_s: int) -> str:
    return f'<span class="t">{_text(figures.moment(unix_s))}</span>'


def _table(header: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: frozenset[int] = frozenset()) -> str:
    """Return a table of cells that are HTML already; the header is text."""

    def line(cells: Sequence[str], tag: str) -> str:
        marked = (f'<{tag} class="n">' if place in numbers else f"<{tag}>" for place in range(len(cells)))
        return "<tr>" + "".join(f"{mark}{cell}</{tag}>" for mark, cell in zip(marked, cells, strict=True)) + "</tr>"

    head = line([_text(cell) for cell in header], "th")
    body = "".join(line(row, "td") for row in rows)
    return f'<div class="wide"><table><thead>{head}</thead><tbody>{body}</tbody></table></div>'


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
    shown = "".join(f"<div><b>{_text(number)}</b><span>{_text(what)}</span></div>" for number, what in facts)
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
        items = "".join(f"<li{_mark(check)}>{_text(check)}</li>" for check in checks)
        panels.append(
            f'<div class="panel"><b>{_text(found.origin)}</b> · {found.size:,} entries ·'
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
                _text(use.method),
                _text(use.half),
                f"{use.calls:,}",
                _ended(use),
                _time(use.first_s),
                _time(use.last_s),
            ]
            for use in uses
        ]
        header = ("asked for", "log", "calls", "", "first", "last")
        said = f" as {_text(role)}" if role else ""
        parts.append(f"<h3>{_text(figures.short_name(identity))}{said} {_code(identity)}</h3>")
        parts.append(_table(header, rows, numbers=frozenset({2})))
    return "<h2>Who asked for what</h2>" + calls_chart(report.hours) + "".join(parts)


def _ended(use: Use) -> str:
    """Say how calls were decided, and of those that were allowed how many did not end well, and how."""
    if not use.allowed:
        return '<span class="bad">refused</span>'
    failed = [
        f'<span class="bad">{number:,} ended with {_text(status)}</span>' for status, number in use.failed.items()
    ]
    return "<br>".join(["allowed", *failed])


def _releases(report: Report) -> str:
    if not report.debits and not report.unread:
        return "<h2>What was released</h2><p>Nothing was.</p>"
    rows = [
        [
            f"{debit.release.epoch_number}",
            f"{debit.release.number}",
            _text(debit.release.tested.checkpoint) + (" (cancelled)" if debit.release.cancelled else ""),
            _text(debit.release.judge),
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
    table = _table(header, rows, numbers=frozenset({0, 1, 5, 6, 7})) if rows else ""
    return "<h2>What was released, and the ledger</h2>" + said + chart + table + more


def _warning(report: Report) -> str:
    """Return the warning of the exact profile, where anything was released without noise."""
    said = exact_data(*(debit.release for debit in report.debits))["warning"]
    return f'<p class="panel bad">! {_text(said)}</p>' if said else ""


def _cost(debit: Debit) -> tuple[str, str]:
    """Return what a release cost a unit of each side; without noise there is only a bound, by its rows."""
    if debit.release.profile is Profile.EXACT:
        return f'<span class="bad">no noise: up to {debit.exact_rows:,}</span>', '<span class="bad">no noise</span>'
    return f"{bits(debit.harmful):.3f}", f"{bits(debit.benign):.3f}"


def _pairs(noised: Sequence[Debit]) -> str:
    pair = pair_bits(noised[-1]) if noised else 0.0
    return _text(f"The {PAIRS}: {pair:.2f} so far, if there is one.") if pair else ""


def _denials(report: Report) -> str:
    if not report.denials:
        return ""
    rows = [
        [
            _code(event.details.get("caller", "")),
            _text(event.details.get("reason", "")),
            _text(event.details.get("count", "")),
            _text(half),
            f"{event.index:,}",
            _time(event.time_s),
        ]
        for half, event in report.denials
    ]
    header = ("who", "reason", "calls", "log", "entry", "counted until")
    return "<h2>Refused, and only counted</h2>" + _table(header, rows, numbers=frozenset({2, 4}))


def _events(report: Report) -> str:
    rows = [
        [_text(event.name), _text(half), f"{event.index:,}", _time(event.time_s), _code(about(event))]
        for half, event in report.events
    ]
    rows += [
        [
            "anchor",
            _text(half),
            f"{last.index:,}",
            _time(last.time_s),
            f"{_code(database)}, the last of {number:,}",
        ]
        for (half, database), (number, last) in report.anchors.items()
    ]
    header = ("what", "log", "entry", "when", "about")
    return "<h2>What happened to the appliance</h2>" + _table(header, rows, numbers=frozenset({2}))
