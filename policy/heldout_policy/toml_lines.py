"""Find the line of a key in a TOML document, which the parser of the standard library does not tell.

Good enough for documents as people write them: ``[table]`` and ``[[table]]`` headers and ``key = value`` at the start
of a line. What stands elsewhere (inline tables, dotted keys, quoted keys) has no line, and then the message has none.
"""

from __future__ import annotations

import re
import tomllib
from typing import Final

_HEADER: Final = re.compile(r"\s*\[\[?\s*([A-Za-z0-9_.-]+)\s*\]\]?\s*(?:#.*)?")
_KEY: Final = re.compile(r"\s*([A-Za-z0-9_-]+)\s*=")
_PARSER_PLACE: Final = re.compile(r"\(at line (\d+), column \d+\)")


def find_line(text: str, *, table: str = "", key: str = "", occurrence: int = 1) -> int | None:
    """Return the 1-based line of a key, else of its table's header, else None.

    Args:
        text: the document.
        table: name of the table; empty for keys before the first header.
        key: name of the key; empty asks for the header itself.
        occurrence: which of several ``[[table]]``, counted from 1.
    """
    header: int | None = None
    seen = 0
    inside = not table
    for number, line in enumerate(text.splitlines(), start=1):
        if (match := _HEADER.fullmatch(line)) is not None:
            seen += match[1] == table
            inside = match[1] == table and seen == occurrence
            if inside:
                header = number
                if not key:
                    return header
        elif inside and key and (match := _KEY.match(line)) is not None and match[1] == key:
            return number
    return header


def syntax_error_place(error: tomllib.TOMLDecodeError) -> tuple[int | None, str]:
    """Return the line of a syntax error, if the parser names one, and its message without the place."""
    message = str(error)
    match = _PARSER_PLACE.search(message)
    return (int(match[1]) if match else None), _PARSER_PLACE.sub("", message).strip().lower()
