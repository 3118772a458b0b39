"""What several commands take, and how their help pages end."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

Shares: TypeAlias = Annotated[
    list[Path] | None,
    typer.Option("--share", metavar="FILE", help="A key share's file; once for each share, if the root key is shared."),
]
ConfigPath: TypeAlias = Annotated[
    Path, typer.Option("--config", "-c", help="The appliance's config.toml.", envvar="HELDOUT_CONFIG")
]
AsJson: TypeAlias = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


def examples(*lines: str, note: str = "") -> str:
    """Return the end of a help page: each example on a line of its own, ready to be copied.

    Args:
        lines: what to type, without ``heldout-server`` in front; after two spaces and ``#``, what for.
        note: a paragraph below them.
    """
    head = "Example:" if len(lines) == 1 else "Examples:"
    shown = "\n".join(f"  heldout-server {line}" for line in lines)
    return f"\b\n{head}\n{shown}" + (f"\n\n{note}" if note else "")
