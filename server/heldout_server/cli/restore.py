"""``heldout-server restore``: what was put back, and whether that is accepted."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from heldout_server.cli.offline import read_config
from heldout_server.cli.options import AsJson, ConfigPath, Shares

if TYPE_CHECKING:
    from heldout_server.app.restoring import Survey

EXIT_FOUND = 1


def restore(
    config: ConfigPath = Path("config.toml"),
    accept: Annotated[
        str, typer.Option(metavar="WORD", help="Accept what is found; the word stands in the logs, such as disk-lost.")
    ] = "",
    share: Shares = None,
    as_json: AsJson = False,
) -> None:
    """Say which databases are old copies or of a backup, and accept them.

    Stop the appliance first. Without --accept nothing is changed. What is accepted stands in both logs for good, and
    refunds nothing: of an old ledger, every prompt counts as having spent what any had, and its epochs are closed.
    Of a backup nobody knows what came after it: there every prompt counts as having spent its whole budget.
    Exit codes: 0 nothing found, or accepted; 1 something was found; 2 it cannot be accepted.
    """
    from heldout_server.app import restoring

    settings = read_config(config)
    if accept:
        found = asyncio.run(restoring.accept(settings, reason=accept, shares=share or ()))
    else:
        found = asyncio.run(restoring.survey(settings, shares=share or ()))
    if as_json:
        typer.echo(json.dumps(_data(found, accepted=bool(accept))))
    else:
        _show(found, accepted=bool(accept))
    if not accept and (found.acceptable or found.damaged):
        raise typer.Exit(EXIT_FOUND)


def _data(found: Survey, *, accepted: bool) -> dict[str, Any]:
    return {
        "damaged": list(found.damaged),
        "restored": [
            {
                "database": one.database,
                "cause": one.cause.value,
                "generation": one.position.generation,
                "logged_generation": one.anchored.generation if one.anchored else None,
            }
            for one in found.restored
        ],
        "backup": [{"database": one.database, "made": one.made} for one in found.marked],
        "accepted": accepted and found.acceptable,
    }


def _show(found: Survey, *, accepted: bool) -> None:
    for line in found.damaged:
        typer.echo(f"damaged   {line}")
    for one in found.restored:
        seen = f"{one.anchored.generation:,}" if one.anchored else "none"
        typer.echo(
            f"{one.database:<13} {one.cause.value:<9} at change {one.position.generation:,}, the log knows {seen}"
        )
    for copy in found.marked:
        typer.echo(f"{copy.database:<13} backup    made {copy.made}")
    if accepted:
        typer.echo("accepted and recorded in both logs" if found.acceptable else "nothing to accept")
        if found.log_is_old:
            typer.echo("  every prompt counts as spent: retire all that are in the bank, import others, open an epoch")
        elif found.ledger_is_old:
            typer.echo("  nothing is refunded, and the epochs are closed: retire or import, and open a new one")
    elif found.acceptable and not found.damaged:
        typer.echo("nothing was changed: accept it with --accept WORD")
    elif not found.damaged:
        typer.echo("every database and log is the newest that the logs know")
