"""A page: the same answer as lines to read, as JSON and as CSV."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

WIDTH: Final = 80
GAP: Final = 2
ELLIPSIS: Final = "…"
_BREAKS: Final = re.compile(r"(?<! [<=])\s+(?![<=] )")
LEAST_FLEXIBLE: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Hold an answer.

    Attributes:
        lines: at most 80 columns each.
        data: for ``--json``.
        header, records: for ``--csv``.
    """

    lines: tuple[str, ...]
    data: Any
    header: tuple[str, ...] = ()
    records: tuple[tuple[Any, ...], ...] = field(default=())


def clean(text: str) -> str:
    """Return text with whatever could steer a terminal made visible; lines stay lines."""
    return "".join(
        character if character.isprintable() or character == "\n" else f"\\u{ord(character):04x}" for character in text
    )


def columns_of(text: str) -> int:
    """Return how many columns a text takes on a terminal."""
    return sum(
        0 if unicodedata.combining(character) else 1 + (unicodedata.east_asian_width(character) in {"W", "F"})
        for character in text
    )


def shorten(text: str, width: int) -> str:
    """Return a text of at most ``width`` columns, its middle left out if need be: ends tell names apart."""
    if columns_of(text) <= width:
        return text
    head = (width - 1 + 1) // 2
    tail = width - 1 - head
    return text[:head] + ELLIPSIS + (text[-tail:] if tail > 0 else "")


def lay_out(
    rows: Sequence[Sequence[str]], aligns: str, *, flexible: int = 0, indent: str = "", width: int = WIDTH
) -> list[str]:
    """Lay out rows in columns, two blanks apart. Nothing is cut: people type what they read here.

    Args:
        rows: cells; the same number in each row. A row of one cell is a heading, and sets no width.
        aligns: ``<`` or ``>`` for each column.
        flexible: the column that gives way if the rows do not fit: its longest cells stand on a line of their own,
            before the rest of the row if it is the first column, else behind it.
        indent: before each row.
        width: columns of the terminal.
    """
    if not rows:
        return []
    cleaned = [[clean(cell).replace("\n", " ") for cell in row] for row in rows]
    widths = [max(columns_of(row[column]) for row in cleaned if len(row) > 1) for column in range(len(aligns))]
    excess = columns_of(indent) + sum(widths) + GAP * (len(widths) - 1) - width
    if excess > 0:
        widths[flexible] = max(LEAST_FLEXIBLE, widths[flexible] - excess)
    lines = []
    for row in cleaned:
        if len(row) == 1:
            lines += fill(row[0], indent=indent, first=indent + _margin(row[0]), width=width)
            continue
        alone: list[str] = []
        if columns_of(row[flexible]) > widths[flexible]:
            room = indent if flexible == 0 else indent + " " * GAP
            alone = fill(row[flexible], indent=room, first=room if flexible else indent + _margin(row[0]), width=width)
            row[flexible] = ""
        cells = []
        for cell, align, size in zip(row, aligns, widths, strict=True):
            blanks = " " * (size - columns_of(cell))
            cells.append(cell + blanks if align == "<" else blanks + cell)
        line = (indent + (" " * GAP).join(cells)).rstrip()
        lines += [*alone, line] if flexible == 0 else [line, *alone]
    return lines


def _margin(text: str) -> str:
    return text[: len(text) - len(text.lstrip())]


def fill(text: str, *, indent: str = "", first: str | None = None, width: int = WIDTH) -> list[str]:
    """Return a paragraph broken at blanks, though not at a sign: ``p < 0.001`` stays whole. A long word is cut.

    Args:
        text: the paragraph.
        indent: before each line.
        first: before the first line instead.
        width: columns of the terminal.
    """
    lines: list[str] = []
    current, empty = (indent if first is None else first), True
    for word in _BREAKS.split(clean(text).strip()):
        rest = word
        while rest:
            room = width - columns_of(current) - (0 if empty else 1)
            if columns_of(rest) <= room:
                current += ("" if empty else " ") + rest
                empty, rest = False, ""
            elif empty:
                taken = _prefix(rest, room)
                lines.append(current + taken)
                current, rest = indent, rest[len(taken) :]
            else:
                lines.append(current)
                current, empty = indent, True
    if not empty:
        lines.append(current)
    return lines


def join_parts(parts: Sequence[str], *, width: int = WIDTH) -> list[str]:
    """Join short statements by a middle dot, on as many lines as they need."""
    lines: list[str] = []
    for part in (clean(part) for part in parts if part):
        if lines and columns_of(lines[-1]) + 3 + columns_of(part) <= width:
            lines[-1] += f" · {part}"
        else:
            lines.append(part if columns_of(part) <= width else shorten(part, width))
    return lines


def page_written(path: Path) -> list[str]:
    """Return where an HTML page was written."""
    return fill(f"written: {path}, one page that needs no network", indent="  ", first="")


def _prefix(text: str, room: int) -> str:
    taken, used = 0, 0
    for character in text:
        used += columns_of(character)
        if used > room and taken:
            break
        taken += 1
    return text[:taken]
