"""The files of a log in tlog-tiles layout (c2sp.org/tlog-tiles), cut out of a stream of entries. No I/O.

A hash tile holds up to 256 node hashes of one level, an entry bundle the up to 256 entries below a tile of level 0,
each after its length as a big-endian uint16. What does not fill a tile is a partial one, ``.p/<width>``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from heldout.errors import VerificationError
from heldout.verification.merkle import TreeHasher, leaf_hash, root_of, root_of_peaks

TILE_HEIGHT: Final = 8
TILE_WIDTH: Final = 1 << TILE_HEIGHT
LENGTH_BYTES: Final = 2
MAX_ENTRY_BYTES: Final = 2 ** (8 * LENGTH_BYTES) - 1
ENTRIES: Final = "entries"


@dataclass(frozen=True, slots=True)
class Tile:
    """Hold one file of a log: its path below the log's folder, and its content."""

    path: str
    content: bytes


def tile_path(level: int | str, number: int, width: int = TILE_WIDTH) -> str:
    """Return the path of a tile below the log's folder.

    Args:
        level: of the tile, or :data:`ENTRIES` for a bundle.
        number: 0-based place of the tile in its level.
        width: hashes or entries in it, 1 to 256.
    """
    parts = [f"{number % 1000:03d}"]
    while number := number // 1000:
        parts.insert(0, f"x{number % 1000:03d}")
    partial = "" if width == TILE_WIDTH else f".p/{width}"
    return f"tile/{level}/{'/'.join(parts)}{partial}"


def parse_bundle(data: bytes, *, width: int) -> list[bytes]:
    """Cut an entry bundle into its first ``width`` entries.

    Raises:
        VerificationError: it is malformed, or holds fewer.
    """
    entries: list[bytes] = []
    place = 0
    while place < len(data) and len(entries) < width:
        start = place + LENGTH_BYTES
        end = start + int.from_bytes(data[place:start], "big")
        if end > len(data):
            raise VerificationError("an entry bundle ends within an entry")
        entries.append(data[start:end])
        place = end
    if len(entries) < width:
        raise VerificationError(f"an entry bundle holds {len(entries)} entries, not {width}")
    return entries


class TileCutter:
    """Cut entries into tiles as they come, and know the root of the tree at each size.

    Attributes:
        size: entries so far.
    """

    def __init__(self) -> None:
        self.size = 0
        self._bundle: list[bytes] = []
        self._levels: list[list[bytes]] = [[]]  # node hashes not yet in a full tile, by level
        self._full = TreeHasher()  # of the full tiles of level 0

    def add(self, entry: bytes) -> tuple[Tile, ...]:
        """Take one entry and return the tiles that it fills.

        Raises:
            VerificationError: it is longer than 65,535 bytes.
        """
        if len(entry) > MAX_ENTRY_BYTES:
            raise VerificationError(f"entry {self.size} is longer than {MAX_ENTRY_BYTES} bytes")
        self._bundle.append(len(entry).to_bytes(LENGTH_BYTES, "big") + entry)
        self._levels[0].append(leaf_hash(entry))
        self.size += 1
        return () if self.size % TILE_WIDTH else tuple(self._cut_full())

    def rest(self) -> tuple[Tile, ...]:
        """Return the partial tiles of the tree as it stands."""
        tiles = [
            Tile(tile_path(level, self._number(level), len(hashes)), b"".join(hashes))
            for level, hashes in enumerate(self._levels)
            if hashes
        ]
        if self._bundle:
            tiles.append(Tile(tile_path(ENTRIES, self._number(0), len(self._bundle)), b"".join(self._bundle)))
        return tuple(tiles)

    def root(self) -> bytes:
        """Return the root of the tree as it stands."""
        rest = TreeHasher()
        for leaf in self._levels[0]:
            rest.append(leaf)
        return root_of_peaks([*self._full.peaks, *rest.peaks])

    def _cut_full(self) -> Iterator[Tile]:
        yield Tile(tile_path(ENTRIES, self._number(0) - 1), b"".join(self._bundle))
        self._bundle = []
        self._full.append(root_of(self._levels[0]))
        level = 0
        while len(self._levels[level]) == TILE_WIDTH:
            hashes, self._levels[level] = self._levels[level], []
            yield Tile(tile_path(level, self._number(level) - 1), b"".join(hashes))
            level += 1
            if level == len(self._levels):
                self._levels.append([])
            self._levels[level].append(root_of(hashes))

    def _number(self, level: int) -> int:
        """Return how many full tiles stand on a level."""
        return self.size >> TILE_HEIGHT * (level + 1)
