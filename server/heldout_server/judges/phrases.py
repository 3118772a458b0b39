"""A family of wordings, and how tables of them are searched."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Phrase:
    """Look for one family of wordings.

    Attributes:
        hints: pieces of which every match holds at least one: where none stands, the expression is not tried.
        pattern: the regular expression.
    """

    hints: tuple[str, ...]
    pattern: re.Pattern[str]

    def search(self, text: str) -> re.Match[str] | None:
        """Return the first match in a normalised text, or None."""
        for hint in self.hints:
            if hint in text:
                return self.pattern.search(text)
        return None


Table: TypeAlias = tuple[Phrase, ...]
"""Phrases that are signs of the same thing, in order."""


def phrase(hints: str, pattern: str) -> Phrase:
    """Return a phrase from its hints, parted by ``|``, and its regular expression."""
    return Phrase(tuple(hints.split("|")), re.compile(pattern))


def first(table: Table, text: str) -> re.Match[str] | None:
    """Return the match of a table that begins earliest in a normalised text, or None."""
    found = [match for phrase in table if (match := phrase.search(text))]
    return min(found, key=lambda match: match.start(), default=None)


def count(table: Table, text: str) -> int:
    """Return how many phrases of a table stand in a normalised text."""
    return sum(1 for phrase in table if phrase.search(text))
