"""Tables of wordings, and how a passage is searched for them.

Most phrases stand in no passage, and most of the time goes into seeing that. What
:mod:`~heldout_server.judges.shortcuts` reads from an expression saves trying it; what is found is the same.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from operator import methodcaller
from typing import Final

from heldout_server.judges.shortcuts import Needs, read_beginnings, read_needs, word_starts


@dataclass(frozen=True, slots=True)
class Phrase:
    """Look for one family of wordings.

    Attributes:
        pattern: the regular expression.
        needs: what stands in every match of it: where that is missing, it is not tried.
        beginnings: how every match begins: it is tried there alone. None of them: it is tried everywhere.
    """

    pattern: re.Pattern[str]
    needs: Needs
    beginnings: tuple[str, ...]

    def search(self, text: str) -> re.Match[str] | None:
        """Return the earliest match in a normalised text, or None."""
        if not self.beginnings:
            return self.pattern.search(text)
        earliest = None
        for beginning in self.beginnings:
            at = text.find(beginning)
            while at >= 0:
                match = self.pattern.match(text, at)
                if match is not None:
                    if earliest is None or at < earliest.start():
                        earliest = match
                    break
                at = text.find(beginning, at + 1)
        return earliest


@dataclass(frozen=True, slots=True)
class Table:
    """Hold phrases that are signs of the same thing.

    Attributes:
        phrases: in the order in which they are tried.
        words: whatever any of them needs.
    """

    phrases: tuple[Phrase, ...]
    words: frozenset[str]


@dataclass(frozen=True, slots=True)
class Passage:
    """Hold normalised text and the beginnings of its words, or of those of a text that it is a part of."""

    text: str
    words: frozenset[str]


_BEGINNING: Final[Callable[[re.Match[str]], int]] = methodcaller("start")


def table(*patterns: str) -> Table:
    """Return a table of regular expressions.

    Raises:
        ValueError: :func:`~heldout_server.judges.shortcuts.read_needs` does not understand one.
    """
    phrases = tuple(Phrase(re.compile(pattern), read_needs(pattern), read_beginnings(pattern)) for pattern in patterns)
    return Table(phrases, frozenset[str]().union(*(need for one in phrases for need in one.needs)))


def passage(text: str) -> Passage:
    """Return a normalised text as it is searched."""
    return Passage(text, word_starts(text))


def first(table: Table, passage: Passage) -> re.Match[str] | None:
    """Return the match of a table that begins earliest in a passage, or None."""
    found = _search_all(table, passage)
    return min(found, key=_BEGINNING) if found else None


def count(table: Table, passage: Passage) -> int:
    """Return how many phrases of a table stand in a passage."""
    return len(_search_all(table, passage))


def _search_all(table: Table, passage: Passage) -> list[re.Match[str]]:
    """Return the first match of each phrase that stands in a passage."""
    words = table.words & passage.words
    found = []
    for phrase in table.phrases:
        for need in phrase.needs:
            if need.isdisjoint(words):
                break
        else:
            match = phrase.search(passage.text)
            if match is not None:
                found.append(match)
    return found
