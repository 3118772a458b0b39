"""Near duplicates: which prompts say nearly the same, by their sketches. Pure: sketches in, numbers of prompts out.

The search goes band by band (locality-sensitive hashing), so that what is held in memory beside the sketches is one
band of them and not all ten.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from heldout_server.bank.sketch import BANDS, NEAR, SKETCH_BYTES, band_of, similarity

MAX_BUCKET: Final = 32
"""Prompts that share a band, up to which each is compared with each: past it, with the first of them only."""

Sketches = Mapping[int, bytes]
"""Sketches by the number of their prompt, in the order of the numbers."""

Families = Mapping[int, str]
"""Families by the number of their prompts; a prompt that stands alone has none."""


class Likeness(NamedTuple):
    """Say how alike a prompt is to another, an earlier one where both are new. A tuple, since there may be very many.

    ``similarity`` is 0 to 1, estimated.
    """

    number: int
    other: int
    similarity: float


def split(first_prompt: int, sketches: bytes) -> Sketches:
    """Return the sketches of one shard, which are stored end to end, by the number of their prompt."""
    places = range(len(sketches) // SKETCH_BYTES)
    return {first_prompt + n: sketches[n * SKETCH_BYTES : (n + 1) * SKETCH_BYTES] for n in places}


def find_nearest(new: Sketches, old: Sketches, families: Families) -> list[Likeness]:
    """Return, of each new prompt that is near to another, new or old, the one that it is most like.

    Prompts of one family are one unit and count once, so they are not compared with each other.
    """
    numbers = {name: int.from_bytes(sketched) for name, sketched in new.items()}
    best: dict[int, tuple[float, int]] = {}

    def offer(name: int, other: int, other_sketch: int) -> None:
        if name in families and families[name] == families.get(other):
            return
        alike = similarity(numbers[name], other_sketch)
        if alike >= NEAR and alike > best.get(name, (0.0, 0))[0]:
            best[name] = (alike, other)

    for band in range(BANDS):
        buckets: dict[bytes, list[int]] = {}
        for name, sketched in new.items():
            for earlier in _join(buckets, band_of(sketched, band), name):
                offer(name, earlier, numbers[earlier])
        for name, sketched in old.items():
            for place in buckets.get(band_of(sketched, band), ()):
                offer(place, name, int.from_bytes(sketched))
    return [Likeness(name, other, alike) for name, (alike, other) in sorted(best.items())]


def find_pairs(sketches: Sketches, families: Families) -> list[Likeness]:
    """Return each two that are near and not of one family, most alike first."""
    numbers = {name: int.from_bytes(sketched) for name, sketched in sketches.items()}
    alike: dict[tuple[int, int], float] = {}
    for band in range(BANDS):
        buckets: dict[bytes, list[int]] = {}
        for name, sketched in sketches.items():
            for earlier in _join(buckets, band_of(sketched, band), name):
                if (earlier, name) not in alike and not (name in families and families[name] == families.get(earlier)):
                    value = similarity(numbers[earlier], numbers[name])
                    if value >= NEAR:
                        alike[earlier, name] = value
    return sorted(
        (Likeness(earlier, name, value) for (earlier, name), value in alike.items()),
        key=lambda found: (-found.similarity, found.number, found.other),
    )


def _join(buckets: dict[bytes, list[int]], name_of_bucket: bytes, name: int) -> Sequence[int]:
    """Put a prompt into its bucket, and return those of the bucket that it is to be compared with."""
    bucket = buckets.setdefault(name_of_bucket, [])
    if len(bucket) >= MAX_BUCKET:
        return bucket[:1]
    bucket.append(name)
    return bucket[:-1]
