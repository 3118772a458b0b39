"""Whether a line reads as English: how an answer in a cipher of letters is told from a plain one.

Base64 or hexadecimal show by their alphabet. A rotated or reversed answer shows only by its words, so this looks for
the most common ones. An answer in another language stays as it came.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

COMMON_WORDS: Final = frozenset(
    {
        *("a", "i", "the", "and", "that", "this", "with", "for", "you", "your", "not", "are", "is", "was", "have"),
        *("can", "can't", "cannot", "will", "but", "from", "they", "it", "to", "of", "in", "on", "as", "by", "an"),
        *("help", "sorry", "here", "then", "there", "their", "when", "what", "how", "one", "all", "if", "do", "my"),
    }
)
"""Words that most lines of English hold."""

_WITHOUT_WHITE_SPACE = dict.fromkeys(map(ord, "\n\r\t"))
_WORD = re.compile(r"[a-z']+")
_FEWEST_WORDS = 3
_FEWEST_COMMON = 2
_TIMES_MORE = 2
"""How many times as many common words an undone line must hold as it holds as it stands."""


def undo_where_plain(response: str, undo: Callable[[str], str]) -> str:
    """Return a response with each line undone that only then reads as English.

    A line too short to tell follows the lines around it that can be told, where those agree.

    Args:
        response: what the model answered.
        undo: takes the cipher off one line; it holds no line end.
    """
    lines = response.split("\n")
    decided = [_decide(line, undo(line)) for line in lines]
    before = _carry(decided)
    after = _carry(decided[::-1])[::-1]
    return "\n".join(
        undo(line) if own or (own is None and {earlier, later} - {None} == {True}) else line
        for line, own, earlier, later in zip(lines, decided, before, after, strict=True)
    )


def _decide(line: str, undone: str) -> bool | None:
    """Say whether a line reads as English only when undone; None where it is too short to tell."""
    words = _WORD.findall(undone.lower())
    common, plainly = _common(undone), _common(line)
    if len(words) >= _FEWEST_WORDS and common >= _FEWEST_COMMON and common > _TIMES_MORE * plainly:
        return True
    return False if plainly >= _FEWEST_COMMON else None


def _common(line: str) -> int:
    return sum(word in COMMON_WORDS for word in _WORD.findall(line.lower()))


def _carry(decided: list[bool | None]) -> list[bool | None]:
    """Return for each line what was decided last before it."""
    carried: list[bool | None] = []
    last: bool | None = None
    for one in decided:
        carried.append(last)
        last = last if one is None else one
    return carried


def is_readable(text: str) -> bool:
    """Say whether a decoded text is one that a person could read: printable, with the usual white space."""
    return text.translate(_WITHOUT_WHITE_SPACE).isprintable()
