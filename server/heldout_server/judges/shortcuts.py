r"""What makes an expression quick, read from the expression itself.

Trying sixty expressions on every text is what a judge's time goes into, and nearly all of them match nothing. So a text
is taken apart once, into the beginnings of its words, and an expression whose words are not there is not tried
(:func:`read_needs`). One that is tried is tried where a match can begin, not everywhere (:func:`read_beginnings`).

An expression is read in the part of the syntax that the tables use: letters, classes, ``.``, groups and lookarounds
without names, alternatives, repetitions, ``^`` and ``\b``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, TypeAlias

LETTERS: Final = 4
"""Letters of the beginning of a word: shorter words are too frequent to tell anything."""

Needs: TypeAlias = tuple[frozenset[str], ...]
"""Beginnings of words: of each set, at least one stands in every text that matches."""

_SHORTEST_BEGINNING: Final = 3

_START = re.compile(f"[a-z]{{{LETTERS}}}")
_REPEATED = re.compile(r"(?:[?*+]|\{(?P<least>\d+)(?:,(?P<most>\d*))?\})\??")
_LITERAL = re.compile(r"[\w ',]")
_CLASS = re.compile(r"\[(?:\\.|[^\]\\])+\]")
_NON_WORD_CLASS = re.compile(r"\[[ .,:;!?'\"-]+\]")
_GROUP = re.compile(r"\(\?(?::|<?[=!])")
_TOKEN = re.compile(rf"\\.|{_CLASS.pattern}|{_GROUP.pattern}|.")


def word_starts(text: str) -> frozenset[str]:
    """Return the first letters of every word of a text in lower case, and some more that stand inside of words.

    Runs of letters are cut every :data:`LETTERS`: quicker than to look for boundaries, and each begins with a cut.
    """
    return frozenset(_START.findall(text))


def read_needs(pattern: str) -> Needs:
    """Return what every match of an expression holds; nothing where that cannot be told.

    Raises:
        ValueError: the expression is written in more than the part of the syntax that is read here.
    """
    reader = _Reader(pattern)
    part = reader.read_alternatives(None)
    if not reader.is_at_end:
        raise ValueError(f"an expression of a table has a bracket too many: {pattern[:40]}")
    return part.needs


def read_beginnings(pattern: str) -> tuple[str, ...]:
    """Return pieces of text with one of which every match begins; none where one would be too short to look for."""
    starts, _ = _find_alternatives(pattern, 0)
    found = set[str]().union(*(_read_beginnings(pattern, start, "") for start in starts))
    return tuple(sorted(found)) if min(map(len, found)) >= _SHORTEST_BEGINNING else ()


def _read_beginnings(pattern: str, at: int, so_far: str) -> set[str]:
    """Return how a match goes on after a piece of text, up to where that is no longer certain."""
    if not so_far and pattern.startswith(r"\b", at):
        at += 2
    while _LITERAL.match(pattern, at) and not _REPEATED.match(pattern, at + 1):
        so_far += pattern[at]
        at += 1
    if pattern.startswith("(?:", at) and len(so_far) < LETTERS:
        starts, end = _find_alternatives(pattern, at + len("(?:"))
        if not _REPEATED.match(pattern, end + 1):
            return set[str]().union(*(_read_beginnings(pattern, start, so_far) for start in starts))
    return {so_far}


def _find_alternatives(pattern: str, at: int) -> tuple[list[int], int]:
    """Return where the alternatives from a place on begin, and where the group that they are in closes."""
    starts, depth = [at], 0
    for token in _TOKEN.finditer(pattern, at):
        if _GROUP.fullmatch(token[0]):
            depth += 1
        elif token[0] == ")":
            if not depth:
                return starts, token.start()
            depth -= 1
        elif token[0] == "|" and not depth:
            starts.append(token.end())
    return starts, len(pattern)


@dataclass(frozen=True, slots=True)
class _Part:
    """Hold what is known of a text once a part of an expression has matched.

    Attributes:
        needs: what it holds.
        word: the letters since its last word began, none of them where one may begin; None where that is not known.
    """

    needs: Needs
    word: str | None


class _Reader:
    """Read an expression from left to right."""

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self._at = 0

    @property
    def is_at_end(self) -> bool:
        """Whether all of it was read."""
        return self._at == len(self._pattern)

    def read_alternatives(self, word: str | None) -> _Part:
        """Return what holds after any of the alternatives that begin here."""
        parts = [self._read_sequence(word)]
        while self._take("|"):
            parts.append(self._read_sequence(word))
        if len(parts) == 1:
            return parts[0]
        needs: Needs = ()
        if all(part.needs for part in parts):
            needs = (frozenset[str]().union(*(min(part.needs, key=len) for part in parts)),)
        return _Part(needs, _common({part.word for part in parts}))

    def _read_sequence(self, word: str | None) -> _Part:
        needs: list[frozenset[str]] = []
        while not self.is_at_end and self._pattern[self._at] not in "|)":
            part = self._read_one(word)
            repeated = _REPEATED.match(self._pattern, self._at)
            if repeated is not None:
                self._at = repeated.end()
                part = _repeat(part, repeated, word)
            needs += part.needs
            word = part.word
        return _Part(tuple(needs), word)

    def _read_one(self, word: str | None) -> _Part:
        group = self._match(_GROUP)
        if group is not None:
            part = self.read_alternatives(word if group == "(?:" else None)
            if not self._take(")"):
                raise ValueError(f"an expression of a table has an open bracket: {self._pattern[:40]}")
            # A lookaround takes up nothing.
            return part if group == "(?:" else _Part((), word)
        a_class = self._match(_CLASS)
        if a_class is not None:
            return _Part((), "" if _NON_WORD_CLASS.fullmatch(a_class) else None)
        character = self._pattern[self._at]
        if character in "()[]{}*+?$":
            raise ValueError(f"an expression of a table is not understood at: {self._pattern[self._at :][:40]}")
        self._at += 1
        if character == "^":
            return _Part((), "")
        if character == ".":
            return _Part((), None)
        if character == "\\":
            return self._read_escaped()
        return _after(character, word)

    def _read_escaped(self) -> _Part:
        character = self._pattern[self._at]
        self._at += 1
        # Behind a boundary either a word begins, or none goes on.
        if character == "b":
            return _Part((), "")
        return _Part((), None) if character.isalnum() else _after(character, None)

    def _take(self, character: str) -> bool:
        taken = self._pattern.startswith(character, self._at)
        self._at += taken
        return taken

    def _match(self, form: re.Pattern[str]) -> str | None:
        found = form.match(self._pattern, self._at)
        if found is None:
            return None
        self._at = found.end()
        return found.group()


def _after(character: str, word: str | None) -> _Part:
    """Return what holds after one more character."""
    if not (character.isalnum() or character == "_"):
        return _Part((), "")
    if word is None or not "a" <= character <= "z":
        return _Part((), None)
    word += character
    return _Part((frozenset({word}),) if len(word) == LETTERS else (), word)


def _repeat(part: _Part, repeated: re.Match[str], before: str | None) -> _Part:
    """Return what holds after a part that may be there several times or, often, not at all."""
    sign = repeated[0][0]
    least = int(repeated["least"]) if sign == "{" else int(sign == "+")
    once = sign == "?" or (sign == "{" and repeated["most"] in {None, "1"} and least <= 1)
    # What ends between two words does so each time; letters go on differently.
    after = part.word if once or part.word == "" else None
    return _Part(part.needs if least else (), after if least else _common({before, after}))


def _common(words: set[str | None]) -> str | None:
    """Return the one word of all paths, or None where they differ."""
    return words.pop() if len(words) == 1 else None
