"""A family of wordings, and how tables of them are searched."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from operator import methodcaller
from typing import Final, TypeAlias


@dataclass(frozen=True, slots=True)
class Phrase:
    """Look for one family of wordings.

    Attributes:
        hints: pieces of which every match holds at least one: where none stands, the expression is not tried.
        pattern: the regular expression.
    """

    hints: tuple[str, ...]
    pattern: re.Pattern[str]


Table: TypeAlias = tuple[Phrase, ...]
"""Phrases that are signs of the same thing, in order."""


_START: Final[Callable[[re.Match[str]], int]] = methodcaller("start")


def phrase(hints: str, pattern: str) -> Phrase:
    """Return a phrase from its hints, parted by ``|``, and its regular expression."""
    return Phrase(tuple(hints.split("|")), re.compile(pattern))


def first(table: Table, text: str) -> re.Match[str] | None:
    """Return the match of a table that begins earliest in a normalised text, or None."""
    found = _search_all(table, text)
    return min(found, key=_START) if found else None


def count(table: Table, text: str) -> int:
    """Return how many phrases of a table stand in a normalised text."""
    return len(_search_all(table, text))


def _search_all(table: Table, text: str) -> list[re.Match[str]]:
    """Return the first match of each phrase that stands in a text. Most stand in none: their hints say so at once."""
    found = []
    for one in table:
        for hint in one.hints:
            if hint in text:
                match = one.pattern.search(text)
                if match is not None:
                    found.append(match)
                break
    return found
