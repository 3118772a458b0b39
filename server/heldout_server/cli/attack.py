"""``heldout-server attack``: play the adversary against an appliance, and say what held."""

from __future__ import annotations

import asyncio
import json
import sys
import textwrap
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from heldout_server.attack.attack import Attack
    from heldout_server.attack.running import Result

WIDTH = 80
EXIT_BROKEN = 1


def attack(
    only: Annotated[
        list[str] | None, typer.Option("--only", metavar="ATTACK", help="Run this attack alone; may be repeated.")
    ] = None,
    profiles: Annotated[
        Path | None,
        typer.Option(help="Client profiles of a staging appliance, one a role, instead of starting one."),
    ] = None,
    list_them: Annotated[bool, typer.Option("--list", help="Name every attack in one line, and run none.")] = False,
    quick: Annotated[bool, typer.Option("--quick", help="Leave out what takes long.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Attack an appliance as a training team would, and say what held. Exits with 1 if anything broke.

    Appliances are started in temporary folders, and removed. With --profiles only those attacks run that need nothing
    but calls: they change nothing and start no run.
    """
    from heldout_server.attack.attack import Needs, pick
    from heldout_server.attack.running import as_object, run_attacks
    from heldout_server.errors import ConfigError

    picked = [
        one
        for one in pick(tuple(only or ()))
        if not (quick and one.slow) and not (profiles and one.needs is not Needs.CALLS)
    ]
    if not picked:
        raise ConfigError("nothing to run: --quick leaves out what is slow, --profiles what needs more than calls")
    if list_them:
        _list(picked, as_json=as_json)
        return

    screen = _Screen(quiet=as_json)
    results = asyncio.run(run_attacks(picked, profiles=profiles, begin=screen.begin, report=screen.show))
    broken = [result for result in results if not result.finding.held]
    if as_json:
        typer.echo(json.dumps({"held": not broken, "attacks": [as_object(result) for result in results]}))
    else:
        screen.sum_up(results, broken)
    if broken:
        raise typer.Exit(EXIT_BROKEN)


class _Screen:
    """Show each attack as it is done, below whom it plays."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._plays = ""

    def begin(self, attack: Attack) -> None:
        if self._quiet:
            return
        if attack.plays.value != self._plays:
            typer.echo(_heading(attack.plays.value, first=not self._plays))
            self._plays = attack.plays.value
        if sys.stdout.isatty():
            typer.echo(f"{attack.name} …\r", nl=False)

    def show(self, result: Result) -> None:
        from heldout_server.attack.running import result_lines

        if not self._quiet:
            typer.echo("\n".join(result_lines(result)))

    @staticmethod
    def sum_up(results: Sequence[Result], broken: Sequence[Result]) -> None:
        seconds = sum(result.seconds for result in results)
        typer.echo(f"\n{len(results) - len(broken)} of {len(results)} attacks held, in {seconds:.0f} s")
        for result in broken:
            text = f"broken: {result.attack.name}: {result.attack.explains}"
            typer.echo(textwrap.fill(text, WIDTH, initial_indent="  ", subsequent_indent="    "))


def _heading(plays: str, *, first: bool) -> str:
    return f"{'' if first else chr(10)}Playing {plays}\n"


def _list(picked: Iterable[Attack], *, as_json: bool) -> None:
    if as_json:
        keys = ("name", "plays", "explains", "needs", "slow")
        typer.echo(json.dumps([{key: getattr(one, key) for key in keys} for one in picked]))
        return
    plays = ""
    for one in picked:
        if one.plays.value != plays:
            typer.echo(_heading(one.plays.value, first=not plays))
            plays = one.plays.value
        marks = ", ".join(["slow"] * one.slow + ["with --profiles too"] * (one.needs.value == "calls"))
        typer.echo(f"{one.name}  ({marks})" if marks else one.name)
        typer.echo(textwrap.fill(one.explains, WIDTH, initial_indent="    ", subsequent_indent="    "))
