"""How help pages look: every summary whole, and each example on a line of its own, ready to be copied."""

from __future__ import annotations

from typing import Any, Final

from typer.core import TyperGroup

WHOLE: Final = 500
"""Columns of a command's summary, more than any has: it is wrapped, and never cut off."""

COMMANDS: Final = "Commands"
TRAINERS: Final = "For trainers, and everybody who reads findings"
TESTERS: Final = "For testers"
AUDITORS: Final = "For auditors and witnesses"
KEEPERS: Final = "For operators and key holders"


class Group(TyperGroup):
    """List commands with their whole summaries, by audience where they have one."""

    # Typer brings a copy of Click or needs Click itself, by its version: hence no types of either here.
    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the list of commands."""
        sections: dict[str, list[tuple[str, str]]] = {}
        names = self.list_commands(ctx)
        for name in names:
            command = self.get_command(ctx, name)
            if command is not None and not command.hidden:
                audience = getattr(command, "rich_help_panel", None)
                row = (name.ljust(max(map(len, names))), command.get_short_help_str(WHOLE))
                sections.setdefault(audience if isinstance(audience, str) else COMMANDS, []).append(row)
        for title, rows in sections.items():
            with formatter.section(title):
                formatter.write_dl(rows)


def examples(*lines: str, note: str = "") -> str:
    """Return the end of a help page.

    Args:
        lines: what to type, without ``heldout`` in front; after two spaces and ``#``, what for.
        note: a paragraph below them.
    """
    head = "Example:" if len(lines) == 1 else "Examples:"
    shown = "\n".join(f"  heldout {line}" for line in lines)
    return f"\b\n{head}\n{shown}" + (f"\n\n{note}" if note else "")
