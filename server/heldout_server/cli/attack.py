"""``heldout-server attack``: play the adversary against an appliance, and say what held."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Annotated

import typer

EXIT_BROKEN = 1


def attack(
    only: Annotated[list[str] | None, typer.Option("--only", help="Run this attack alone; may be repeated.")] = None,
    profiles: Annotated[
        Path | None,
        typer.Option(help="Client profiles of a staging appliance, one a role, instead of starting one."),
    ] = None,
    list_them: Annotated[bool, typer.Option("--list", help="Name every attack in one line, and run none.")] = False,
    quick: Annotated[bool, typer.Option("--quick", help="Leave out what takes long.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Attack an appliance as a training team would, and say what held. Exits with 1 if anything broke.

    Each attack starts an appliance of its own, in a temporary folder, and removes it. With --profiles those run that
    need nothing but calls: they change nothing and start no run.
    """
    from heldout_server.attack.attack import pick
    from heldout_server.attack.running import Result, as_object, result_lines, run_attacks

    picked = [one for one in pick(tuple(only or ())) if not (quick and one.slow)]
    if list_them:
        named = [{"attack": one.name, "explains": one.explains, "needs": one.needs, "slow": one.slow} for one in picked]
        if as_json:
            typer.echo(json.dumps(named))
            return
        for one in picked:
            typer.echo(f"{one.name}\n    {one.explains}{' (slow)' if one.slow else ''}")
        return

    def show(result: Result) -> None:
        if not as_json:
            typer.echo("\n".join(result_lines(result)))

    results = asyncio.run(run_attacks(picked, profiles=profiles, report=show))
    broken = [result for result in results if not result.finding.held]
    if as_json:
        typer.echo(json.dumps({"held": not broken, "attacks": [as_object(result) for result in results]}))
    else:
        typer.echo(
            f"\n{len(results) - len(broken)} of {len(results)} attacks held"
            + (f"; broken: {', '.join(result.attack.name for result in broken)}" if broken else "")
        )
    if broken or not results:
        raise typer.Exit(EXIT_BROKEN)
