"""Look for words in what an attacker got, in every spelling that a careless program gives them."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

LEAST_LETTERS: Final = 12
"""A shorter word could stand somewhere by chance, in one of its spellings."""


class Spelling(NamedTuple):
    """Hold one way of writing a word, and whether its letters may be large or small."""

    name: str
    pattern: bytes
    any_case: bool


def spellings(word: str) -> Iterator[Spelling]:
    """Yield a word plain, reversed, in hex, percent-encoded, in UTF-16, and in base64 wherever it begins.

    Args:
        word: lower-case letters and digits, at least :data:`LEAST_LETTERS` of them.
    """
    raw = word.encode()
    yield Spelling("plain", raw, any_case=True)
    yield Spelling("reversed", raw[::-1], any_case=True)
    yield Spelling("hex", raw.hex().encode(), any_case=True)
    yield Spelling("percent", "".join(f"%{byte:02x}" for byte in raw).encode(), any_case=True)
    yield Spelling("utf-16-le", word.encode("utf-16-le"), any_case=True)
    yield Spelling("utf-16-be", word.encode("utf-16-be"), any_case=True)
    for shift in range(3):
        # What base64 makes of a word depends on where it stands among three bytes, and at its ends on its neighbours.
        inside = base64.b64encode(bytes(shift) + raw)[4 if shift else 0 :].rstrip(b"=")
        yield Spelling(f"base64 shifted by {shift}", inside[: len(inside) // 4 * 4 - 4], any_case=False)


def find_words(words: Iterable[str], contents: Iterable[bytes]) -> tuple[str, ...]:
    """Return which words stand somewhere in the contents, each with the name of its spelling."""
    wanted = [(word, spelling) for word in words for spelling in spellings(word)]
    found: set[str] = set()
    for content in contents:
        lower = content.lower()
        found |= {
            f"{word} ({spelling.name})"
            for word, spelling in wanted
            if spelling.pattern in (lower if spelling.any_case else content)
        }
    return tuple(sorted(found))
