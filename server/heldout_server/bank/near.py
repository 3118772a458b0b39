"""Near duplicates: which prompts say nearly the same, by their sketches. Runs on the database's thread.

The search goes band by band (locality-sensitive hashing), so that what is held in memory is one band of an import, or
of the bank, and not all ten.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from heldout_server.bank.sketch import BANDS, NEAR, SKETCH_BYTES, band_of, similarity
from heldout_server.database import Connection
from heldout_server.ports.bank import MAX_NEAR, NearPair, NearPairs, NearRow

MAX_BUCKET: Final = 32
"""Prompts that share a band, up to which each is compared with each: past it, with the first of them only."""


def find_near(
    connection: Connection, sketches: Sequence[bytes], *, first_prompt: int, lines: Sequence[int]
) -> tuple[tuple[NearRow, ...], int]:
    """Return the rows of an import that are near to a live prompt, at most :data:`MAX_NEAR`, and how many there are.

    Args:
        connection: the bank's, the import being visible in it.
        sketches: of the prompts of the import, which are numbered from ``first_prompt`` on.
        first_prompt: the number of the first.
        lines: where they stood in their file.
    """
    best: dict[int, tuple[float, int]] = {}  # how alike, and which prompt, by place in the import

    def offer(place: int, other_number: int, other: bytes) -> None:
        alike = similarity(sketches[place], other)
        if alike >= NEAR and alike > best.get(place, (0.0, 0))[0]:
            best[place] = (alike, other_number)

    for band in range(BANDS):
        buckets: dict[bytes, list[int]] = {}
        for earlier, place in _pairs(enumerate(sketches), band, buckets):
            offer(place, first_prompt + earlier, sketches[earlier])
        for number, sketched in _stored(connection, before=first_prompt):
            for place in buckets.get(band_of(sketched, band), ()):
                offer(place, number, sketched)
    handles = _live(connection, [number for _, number in best.values()])
    rows = [
        NearRow(line=lines[place], handle=handles[number], similarity=alike)
        for place, (alike, number) in best.items()
        if number in handles
    ]
    rows.sort(key=lambda row: row.line)
    return tuple(rows[:MAX_NEAR]), len(rows)


def find_pairs(connection: Connection) -> NearPairs:
    """Find pairs of live prompts that say nearly the same, most alike first."""
    live = {number for (number,) in connection.execute("SELECT number FROM entry WHERE NOT retired")}
    sketches = {number: sketched for number, sketched in _stored(connection) if number in live}
    alike: dict[tuple[int, int], float] = {}
    for band in range(BANDS):
        for pair in _pairs(sketches.items(), band, {}):
            if pair not in alike:
                value = similarity(sketches[pair[0]], sketches[pair[1]])
                if value >= NEAR:
                    alike[pair] = value
    named = sorted(alike, key=lambda pair: (-alike[pair], pair))[:MAX_NEAR]
    handles = _live(connection, [number for pair in named for number in pair])
    pairs = (NearPair(first=handles[pair[0]], second=handles[pair[1]], similarity=alike[pair]) for pair in named)
    return NearPairs(pairs=tuple(pairs), total=len(alike))


def _pairs(
    sketches: Iterable[tuple[int, bytes]], band: int, buckets: dict[bytes, list[int]]
) -> Iterator[tuple[int, int]]:
    """Fill the buckets of a band, and yield each two that share one, the earlier first."""
    for name, sketched in sketches:
        bucket = buckets.setdefault(band_of(sketched, band), [])
        for earlier in bucket if len(bucket) < MAX_BUCKET else bucket[:1]:
            yield earlier, name
        if len(bucket) < MAX_BUCKET:
            bucket.append(name)


def _stored(connection: Connection, *, before: int | None = None) -> Iterator[tuple[int, bytes]]:
    """Yield the number and sketch of each stored prompt; those of the time before sketches have none."""
    rows = connection.execute("SELECT first_prompt, sketches FROM shard WHERE sketches <> x'' ORDER BY number")
    for first_prompt, sketches in rows:
        if before is None or first_prompt < before:
            for place in range(len(sketches) // SKETCH_BYTES):
                yield first_prompt + place, sketches[place * SKETCH_BYTES : (place + 1) * SKETCH_BYTES]


def _live(connection: Connection, numbers: Sequence[int]) -> Mapping[int, str]:
    rows = connection.execute(
        "SELECT prompt.number, prompt.handle FROM prompt JOIN entry ON entry.handle = prompt.handle"
        " WHERE prompt.number IN (SELECT value FROM json_each(?)) AND NOT entry.retired",
        (json.dumps(sorted(set(numbers))),),
    )
    return dict(rows.fetchall())
