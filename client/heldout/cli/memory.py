"""``heldout memory``: what this client remembers of the appliance, and a restore that is accepted."""

from __future__ import annotations

from typing import Annotated

import typer

from heldout.cli.help import AUDITORS, examples
from heldout.cli.session import Json, session_of
from heldout.errors import HeldoutClientError


def register(app: typer.Typer) -> None:
    """Add the command to the root."""
    app.command(
        "memory", rich_help_panel=AUDITORS, epilog=examples("memory", "memory --accept-restore  # once you know why")
    )(show_memory)


def show_memory(
    context: typer.Context,
    *,
    accept_restore: Annotated[
        bool,
        typer.Option("--accept-restore", help="Begin anew, though the appliance went back; keep the evidence beside."),
    ] = False,
    as_json: Json = False,
) -> None:
    """Show what this client remembers, without a call. Exits with 1 if the appliance went back.

    An appliance that shows an older state than before, such as a copy that was put back, is asked nothing more: what
    was spent since may be spent twice. If its operator restored it, the log says so: have the auditor look, then
    accept it.
    """
    from heldout.cli.screens.memory import accepted_page, memory_page  # noqa: PLC0415 - help must be fast
    from heldout.memory import ClientMemory  # noqa: PLC0415 - likewise

    session = session_of(context)
    memory = ClientMemory.of(session.profile())
    if memory.failure:
        raise HeldoutClientError(f"nothing can be remembered: {memory.failure}")
    setback = memory.setback
    if not accept_restore:
        session.show(memory_page(memory), as_json=as_json)
        if setback is not None:
            raise typer.Exit(1)
        return
    if setback is None:
        raise HeldoutClientError("nothing to accept: this client has not seen the appliance go back")
    session.show(accepted_page(setback, kept=memory.accept_restore()), as_json=as_json)
