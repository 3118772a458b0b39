"""``heldout-server audit``: what the operator does to the logs while the appliance does not run."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from heldout_server.cli.offline import read_config
from heldout_server.cli.options import ConfigPath, Shares, examples

if TYPE_CHECKING:
    from heldout_server.audit import RepairReport

app = typer.Typer(help="Mend the audit logs, offline.", no_args_is_help=True)

HALVES: Final = ("vault", "window")
SHOWN: Final = 20
"""How many damaged entries are listed one by one."""


@app.command("repair", epilog=examples("audit repair --config ./appliance/config.toml"))
def repair(
    config: ConfigPath = Path("config.toml"),
    share: Shares = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a log.")] = False,
) -> None:
    """Make damaged logs, or a log device that is gone, whole again. What is lost is named in the log.

    The appliance must not run. Entries are taken from whichever device still has them. Nothing is taken for whole that
    does not lead to the signed head, and the old files stay beside the new ones.
    """
    from heldout_server.app.repairs import repair_logs

    for report in asyncio.run(repair_logs(read_config(config), HALVES, shares=share or ())):
        if as_json:
            typer.echo(json.dumps(dataclasses.asdict(report)))
        else:
            for line in _lines(report):
                typer.echo(line)


def _lines(report: RepairReport) -> list[str]:
    if not report.rewritten:
        return [f"{report.origin}: {report.size:,} entries, whole. Nothing was done."]
    lines = [f"{report.origin}: {report.size:,} entries; written anew: {', '.join(report.rewritten)}"]
    if report.damaged:
        named = ", ".join(map(str, report.damaged[:SHOWN])) + (", …" if len(report.damaged) > SHOWN else "")
        lines += [f"  damaged for good: {len(report.damaged):,} ({named})", "  an event names each of them"]
    if report.unreadable:
        lines.append(f"  nothing could be read of: {', '.join(report.unreadable)}")
    if report.head_lost or report.unreadable:
        lines.append("  that these are all entries, no signature says here: compare with a head that an auditor kept")
    return lines
