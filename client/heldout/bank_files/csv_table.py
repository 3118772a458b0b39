"""CSV and TSV (RFC 4180): a first line of names, then rows, quoted where needed."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from typing import Final

from heldout.bank_files.content import MAX_LINE_BYTES, Content, decode_lines
from heldout.bank_files.fields import Record
from heldout.bank_model import BadRow
from heldout.errors import BankFileError

_LIST_COLUMNS: Final = frozenset({"tags"})
_DELIMITERS: Final = (",", ";", "\t")


class _Lines:
    """Give lines to the parser, and stop one that reads on and on because a quote was never closed."""

    def __init__(self, content: Content) -> None:
        self._lines = decode_lines(content.file, content.name)
        self._name = content.name
        self._row_characters = 0
        self.line = 0
        self.first = 1

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        self.line, line = next(self._lines)
        self._row_characters += len(line)
        if self._row_characters > MAX_LINE_BYTES:
            raise BankFileError(f"{self._name} line {self.first}: a quote is not closed, or the row is too long")
        return line

    def next_row(self) -> None:
        """Begin a row after those lines that were read."""
        self._row_characters = 0
        self.first = self.line + 1


def open_csv(content: Content) -> tuple[tuple[str, ...], Iterator[Record | BadRow]]:
    """Return the names of the columns, and the rows.

    Raises:
        BankFileError: it is empty, a name stands twice, or a quote is out of place.
    """
    lines = _Lines(content)
    head = next(lines, "")
    while head and not head.strip():
        head = next(lines, "")
    if not head:
        raise BankFileError(f"{content.name}: is empty: there is no row in it")
    delimiter = max(_DELIMITERS, key=head.count)
    names = tuple(name.strip() for name in _parse([head], delimiter, content.name, lines))
    twice = next((place for place, name in enumerate(names, 1) if name in names[: place - 1]), 0)
    if twice:
        raise BankFileError(f"{content.name}: column {twice} has the name of another column: rename one of them")
    lines.next_row()
    return tuple(name for name in names if name), _rows(content.name, lines, names, delimiter)


def _parse(rows: list[str], delimiter: str, name: str, lines: _Lines) -> list[str]:
    try:
        return next(csv.reader(rows, delimiter=delimiter, strict=True))
    except csv.Error:
        raise _broken(name, lines) from None


def _rows(name: str, lines: _Lines, names: tuple[str, ...], delimiter: str) -> Iterator[Record | BadRow]:
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    while True:
        try:
            cells = next(reader, None)
        except csv.Error:
            raise _broken(name, lines) from None
        if cells is None:
            return
        number = lines.first
        lines.next_row()
        if not cells:
            continue
        if len(cells) != len(names):
            yield BadRow(number, "ragged_row")
            continue
        # An empty cell says nothing. A column without a name is an index that a data frame wrote.
        pairs = zip(names, cells, strict=True)
        yield Record(number, {key: _value(key, cell) for key, cell in pairs if key and cell})


def _value(column: str, cell: str) -> object:
    return [tag.strip() for tag in cell.split(",")] if column in _LIST_COLUMNS else cell


def _broken(name: str, lines: _Lines) -> BankFileError:
    return BankFileError(f"{name} line {lines.first}: a quote is out of place or not closed, or a field is too long")
