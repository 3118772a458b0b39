"""The pages of ``heldout memory``."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from heldout.cli.screens.page import Page, fill, lay_out
from heldout.memory import ClientMemory
from heldout.setback import Setback

HALVES = ("vault", "window")


def memory_page(memory: ClientMemory) -> Page:
    """Show what is remembered of each log."""
    setback = memory.setback
    rows = [("log", "entries seen", "our last call")]
    rows += [(half, _count(memory.size(half)), _count(memory.number(half))) for half in HALVES]
    lines = [*lay_out(rows, "<>>"), *_where("kept in", memory.file)]
    if setback is not None:
        lines += fill(f"! {setback}", indent="  ", first="")
    logs = {half: {"entries": memory.size(half), "number": memory.number(half)} for half in HALVES}
    data = {
        "file": None if memory.file is None else str(memory.file),
        "logs": logs,
        "setback": None if setback is None else asdict(setback),
    }
    return Page(lines=tuple(lines), data=data)


def accepted_page(setback: Setback, *, kept: Path | None) -> Page:
    """Say what was accepted, and where the evidence is.

    Args:
        setback: what was accepted.
        kept: all that was remembered before.
    """
    lines = [*fill(f"accepted: {setback.told}, in the {setback.half}'s log"), *_where("evidence", kept)]
    lines.append("Give that file to the auditor. The next call begins a new memory.")
    return Page(lines=tuple(lines), data={"accepted": asdict(setback), "kept": None if kept is None else str(kept)})


def _count(number: int) -> str:
    return f"{number:,}" if number else "none"


def _where(what: str, file: Path | None) -> list[str]:
    return [] if file is None else lay_out([(what, str(file))], "<<", flexible=1)
