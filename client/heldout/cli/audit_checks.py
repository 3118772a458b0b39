"""Commands for auditors that check and tell: verify, replay and report, live or on an export."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from heldout.cli.evidence import Vkeys, evidence, pinned_vkeys, policy_folders, read_logs
from heldout.cli.help import examples
from heldout.cli.session import Csv, Json, UsageProblem, session_of

ExportFolder = Annotated[Path | None, typer.Argument(help="What audit export wrote; else the live appliance.")]
Policies = Annotated[
    list[Path] | None,
    typer.Option("--policy", metavar="FOLDER", help="A folder of further policy documents, such as an older export's."),
]


def register(audit: typer.Typer) -> None:
    """Add the commands to the others of ``audit``."""
    audit.command(
        "verify",
        epilog=examples(
            "audit verify",
            "audit verify export/  # offline, on what audit export wrote",
            "audit verify export/ --against older/",
        ),
    )(verify_logs)
    audit.command("check-atoms", epilog=examples("audit check-atoms"))(check_atoms)
    audit.command("replay", epilog=examples("audit replay export/"))(replay_decisions)
    audit.command("report", epilog=examples("audit report export/ --html report.html"))(report)


def check_atoms(context: typer.Context, as_json: Json = False) -> None:
    """Check that no small group of prompts can be reached by subtracting released sums. Nothing is taken on trust.

    Every release lists the sets that were ever summed over, and the groups that these tell apart, by size. What this
    cannot see is which prompts are in a set.
    """
    from heldout.cli.screens.atoms import atoms_page  # noqa: PLC0415 - help must be fast
    from heldout.verification.atoms import minimum_of, verify_atoms  # noqa: PLC0415 - likewise

    session = session_of(context)
    with session.client() as client:
        policy = client.audit.policy()
        releases = client.findings.releases()
    minimum = minimum_of(policy.release_toml)
    newest = verify_atoms(releases, minimums={policy.policy_digest: minimum})
    session.show(atoms_page(releases, newest, minimum=minimum), as_json=as_json)


def verify_logs(
    context: typer.Context,
    *,
    folder: ExportFolder = None,
    head: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE", help="A file with a signed head that somebody else was given: log_head of budget --json."
        ),
    ] = None,
    against: Annotated[Path | None, typer.Option(help="Another export: one history, or where they fork?")] = None,
    counters: Annotated[
        list[Path] | None, typer.Option(metavar="FILE", help="A client's memory file: does the log hold its calls?")
    ] = None,
    vkey: Vkeys = None,
    as_json: Json = False,
) -> None:
    """Check every entry of both logs against their signed heads, live or offline."""
    from heldout.cli.counters import check_counters, read_record  # noqa: PLC0415 - help must be fast
    from heldout.cli.screens.audit import verified_page  # noqa: PLC0415 - likewise
    from heldout.cli.verifying import Verification, compare, read_heads  # noqa: PLC0415 - likewise

    session = session_of(context)
    vkeys = pinned_vkeys(session, vkey)
    records = [read_record(file) for file in counters or []]
    told = read_heads(head or [], vkeys)
    for record in records:
        for origin, note in record.heads.items():
            if origin in vkeys:
                told.setdefault(vkeys[origin], []).append(note)
    verification = Verification(vkeys=vkeys, told=told)
    if folder is None and (against or counters):
        raise UsageProblem("--against and --counters need an export")
    logs = verification.live(session) if folder is None else verification.offline(folder)
    extra = [] if against is None or folder is None else compare(folder, against, vkeys)
    for record in records:
        extra += check_counters(record, [log.report for log in logs])
    session.show(verified_page(logs, notes=verification.notes, extra=extra), as_json=as_json)
    if any(log.replay and log.replay.differences for log in logs):
        raise typer.Exit(1)


def replay_decisions(
    context: typer.Context,
    *,
    folder: ExportFolder = None,
    policy: Policies = None,
    vkey: Vkeys = None,
    as_json: Json = False,
) -> None:
    """Make every recorded decision again, from the log and the policy documents; exit with 1 if one differs."""
    from heldout.cli.screens.replay import replay_page  # noqa: PLC0415 - help must be fast
    from heldout.verification.archive import read_documents  # noqa: PLC0415 - likewise
    from heldout.verification.replay import replay  # noqa: PLC0415 - likewise

    session = session_of(context)
    with evidence(session, folder) as place:
        logs = read_logs(place, pinned_vkeys(session, vkey))
        documents = read_documents(policy_folders(place, policy))
        reports = {log.report.origin: replay(log.report.history, documents) for log in logs}
    session.show(replay_page(reports), as_json=as_json)
    if any(report.differences or not report.complete for report in reports.values()):
        raise typer.Exit(1)


def report(
    context: typer.Context,
    *,
    folder: ExportFolder = None,
    html: Annotated[Path | None, typer.Option(help="Write one self-contained HTML page.")] = None,
    policy: Policies = None,
    vkey: Vkeys = None,
    as_json: Json = False,
    as_csv: Csv = False,
) -> None:
    """Tell who asked for what and when, what was released, and what it cost; only of logs that verify."""
    from heldout.cli.report import read_report  # noqa: PLC0415 - help must be fast
    from heldout.cli.screens.report import report_page  # noqa: PLC0415 - likewise

    session = session_of(context)
    with evidence(session, folder) as place:
        told = read_report(place, read_logs(place, pinned_vkeys(session, vkey)), policy or [])
    if html is not None:
        from heldout.cli.screens.report_html import report_html  # noqa: PLC0415 - help must be fast

        html.write_text(report_html(told), encoding="utf-8")
    session.show(report_page(told, written=html), as_json=as_json, as_csv=as_csv)
