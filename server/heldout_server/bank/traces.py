"""Traces of a text by which the cards gate knows it again: keyed hashes of its pieces, from which no text comes back.

Five kinds, each a set of 64-bit numbers:

1. ``RUNS``: four neighbouring words, and four of five that leave the middle one out;
2. ``CHARACTERS``: sixteen neighbouring letters, blanks and signs taken out, by winnowing (Schleimer, Wilkerson and
   Aiken 2003): any 23 letters in common have a trace in common;
3. ``PAIRS``: two neighbouring words;
4. ``WORDS``: words;
5. ``TOKENS``: what is hardly in two texts by chance: long words, and words with digits in them.

The hash is BLAKE2b under the bank's key (RFC 7693): nobody can test a guess without it.
"""

from __future__ import annotations

import hashlib
import itertools
import re
import zlib
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from enum import IntEnum
from itertools import accumulate, compress, count, repeat
from operator import sub
from typing import Final, NamedTuple

from heldout_server.bank.folding import fold_letters, split_words

TRACE_BYTES: Final = 8
RUN_WORDS: Final = 4
GRAM: Final = 16
WINDOW: Final = 8
_PERSON: Final = b"heldout/cards/1"
_TOKEN: Final = re.compile(r"[^\W_]{5,}")
_LONG_TOKEN: Final = 16


class Kind(IntEnum):
    """Kinds of traces, in the order in which they are stored. The numbers are fixed for good."""

    RUNS = 0
    CHARACTERS = 1
    PAIRS = 2
    WORDS = 3
    TOKENS = 4


KINDS: Final = len(Kind)

Traces = tuple[frozenset[int], ...]
"""The traces of one text, by :class:`Kind`."""


class Found(NamedTuple):
    """Hold those traces of a kind, of all that a prompt has, which were looked for."""

    prompt: int
    kind: int
    size: int
    numbers: list[int]


class Tracer:
    """Take traces under one key of 32 bytes."""

    def __init__(self, key: bytes) -> None:
        self._hash = hashlib.blake2b(key=key, person=_PERSON, digest_size=TRACE_BYTES)

    def trace(self, text: str) -> Traces:
        """Return the traces of a text as it stands."""
        letters = fold_letters(text)
        words = split_words(letters)
        return (
            self._numbers(Kind.RUNS, _runs(words)),
            self._numbers(Kind.CHARACTERS, _grams("".join(words))),
            self._numbers(Kind.PAIRS, {f"{one} {other}" for one, other in itertools.pairwise(words)}),
            self._numbers(Kind.WORDS, set(words)),
            self._numbers(Kind.TOKENS, _tokens(letters)),
        )

    def _numbers(self, kind: Kind, pieces: Iterable[str]) -> frozenset[int]:
        base = self._hash.copy()
        base.update(bytes((kind,)))
        numbers = []
        for piece in pieces:
            hashed = base.copy()
            hashed.update(piece.encode(errors="replace"))
            numbers.append(int.from_bytes(hashed.digest(), "little"))
        return frozenset(numbers)


def join(many: Iterable[Traces]) -> Traces:
    """Return the traces of several texts taken together."""
    return tuple(frozenset().union(*kinds) for kinds in zip(*many, strict=True))


class TraceBlock:
    """Hold the traces of consecutive prompts, as the bank stores them with a shard."""

    def __init__(self, first_prompt: int, sizes: bytes, numbers: bytes) -> None:
        self.first_prompt = first_prompt
        self._sizes = array("I", sizes)
        self._numbers = array("Q", numbers)
        self._ends = list(accumulate(self._sizes))

    def __len__(self) -> int:
        return len(self._sizes) // KINDS

    def find(self, wanted: frozenset[int], *, enough: Callable[[int, int, int], bool]) -> tuple[list[int], list[Found]]:
        """Return all traces that are wanted, each as often as prompts have it, and where there are enough of a kind.

        Every loop over all traces is one of the interpreter's own: a bank of 10,000 prompts has 1,400,000.

        Args:
            wanted: traces to look for.
            enough: is asked of a prompt's traces of one kind: the kind, how many there are, how many are wanted.
        """
        places = list(compress(range(len(self._numbers)), map(wanted.__contains__, self._numbers)))
        numbers = [self._numbers[place] for place in places]
        bounds = [0, *map(bisect_left, repeat(places), self._ends)]
        found = []
        for cell in compress(count(), map(sub, bounds[1:], bounds)):
            prompt, kind = divmod(cell, KINDS)
            start, stop = bounds[cell], bounds[cell + 1]
            if enough(kind, self._sizes[cell], stop - start):
                found.append(Found(self.first_prompt + prompt, kind, self._sizes[cell], numbers[start:stop]))
        return numbers, found


def pack(traces: Iterable[Traces]) -> tuple[bytes, bytes]:
    """Return how many traces each prompt has, and the traces, as :class:`TraceBlock` takes them."""
    sizes, numbers = array("I"), array("Q")
    for one in traces:
        sizes.extend(map(len, one))
        for kind in one:
            numbers.extend(kind)
    return sizes.tobytes(), numbers.tobytes()


def _runs(words: Sequence[str]) -> set[str]:
    whole = {" ".join(words[start : start + RUN_WORDS]) for start in range(len(words) - RUN_WORDS + 1)}
    skipping = {
        " ".join((*words[start : start + 2], "", *words[start + 3 : start + 5])) for start in range(len(words) - 4)
    }
    return whole | skipping


def _grams(letters: str) -> set[str]:
    """Return the letters' sixteens that winnowing picks: of every eight neighbours the one with the least checksum."""
    grams = [letters[start : start + GRAM] for start in range(len(letters) - GRAM + 1)]
    order = [zlib.crc32(gram.encode(errors="replace")) for gram in grams]
    by_checksum = dict(zip(order, grams, strict=True))
    picked = {min(order[start : start + WINDOW]) for start in range(max(1, len(order) - WINDOW + 1))} if order else ()
    return {by_checksum[checksum] for checksum in picked}


_SHORT_NUMBER: Final = 6
"""Digits from which on a number is rare enough to be a trace."""


def _tokens(letters: str) -> set[str]:
    return {
        token
        for token in _TOKEN.findall(letters)
        if len(token) >= _LONG_TOKEN or not (token.isalpha() or (token.isdecimal() and len(token) < _SHORT_NUMBER))
    }
