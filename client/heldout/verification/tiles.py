"""The files of a log in tlog-tiles layout (c2sp.org/tlog-tiles), cut out of a stream of entries. No I/O.

A hash tile holds up to 256 node hashes of one level, an entry bundle the up to 256 entries below a tile of level 0,
each after its length as a big-endian uint16. What does not fill a tile is a partial one, ``.p/<width>``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from heldout.errors import VerificationError
from heldout.verification.merkle import TreeHasher, leaf_hash, peaks_of, root_of, root_of_peaks

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


def cut_bundle(data: bytes, *, width: int) -> tuple[list[bytes], int]:
    """Cut the first ``width`` entries out of a bundle, and say where they end in it.

    Raises:
        VerificationError: it is malformed, or holds fewer.
    """
    entries: list[bytes] = []
    place, size_bytes = 0, len(data)
    while place < size_bytes and len(entries) < width:
        start = place + LENGTH_BYTES
        end = start + int.from_bytes(data[place:start], "big")
        if end > size_bytes:
            raise VerificationError("an entry bundle ends within an entry")
        entries.append(data[start:end])
        place = end
    if len(entries) < width:
        raise VerificationError(f"an entry bundle holds {len(entries)} entries, not {width}")
    return entries, place


class UpperTiles:
    """Cut the tiles above level 0 out of the roots of its full tiles, and know the root of the tree.

    Attributes:
        count: full tiles of level 0 so far.
    """

    def __init__(self) -> None:
        self.count = 0
        self._levels: list[list[bytes]] = []  # hashes not yet in a full tile, by level above 0
        self._full = TreeHasher()

    def add(self, tile_root: bytes) -> Iterator[Tile]:
        """Take the root of the next full tile of level 0 and yield the tiles that it fills."""
        self._full.append(tile_root)
        self.count += 1
        level, node = 0, tile_root
        while True:
            if level == len(self._levels):
                self._levels.append([])
            self._levels[level].append(node)
            if len(self._levels[level]) < TILE_WIDTH:
                return
            hashes, self._levels[level] = self._levels[level], []
            yield Tile(tile_path(level + 1, self._number(level) - 1), b"".join(hashes))
            level, node = level + 1, root_of(hashes)

    def rest(self) -> Iterator[Tile]:
        """Yield the partial tiles of the tree as it stands."""
        for level, hashes in enumerate(self._levels):
            if hashes:
                yield Tile(tile_path(level + 1, self._number(level), len(hashes)), b"".join(hashes))

    def root(self, rest: Sequence[bytes]) -> bytes:
        """Return the root of the tree, given the peaks of the leaves behind the last full tile."""
        return root_of_peaks([*self._full.peaks, *rest])

    def _number(self, level: int) -> int:
        """Return how many full tiles stand on a level above 0."""
        return self.count >> TILE_HEIGHT * (level + 1)


class TileCutter:
    """Cut entries into tiles as they come, and know the root of the tree at each size.

    Attributes:
        size: entries so far.
    """

    def __init__(self) -> None:
        self.size = 0
        self._bundle: list[bytes] = []
        self._hashes: list[bytes] = []  # of the entries in it
        self._upper = UpperTiles()

    def add(self, entry: bytes, *, hashed: bytes | None = None) -> tuple[Tile, ...]:
        """Take one entry and return the tiles that it fills.

        Args:
            entry: its bytes; none where they are lost.
            hashed: its hash where its bytes are lost.

        Raises:
            VerificationError: it is longer than 65,535 bytes.
        """
        if len(entry) > MAX_ENTRY_BYTES:
            raise VerificationError(f"entry {self.size} is longer than {MAX_ENTRY_BYTES} bytes")
        self._bundle.append(len(entry).to_bytes(LENGTH_BYTES, "big") + entry)
        self._hashes.append(leaf_hash(entry) if hashed is None else hashed)
        self.size += 1
        if self.size % TILE_WIDTH:
            return ()
        bundle, hashes = self._bundle, self._hashes
        self._bundle, self._hashes = [], []
        number = self._upper.count
        return (
            Tile(tile_path(ENTRIES, number), b"".join(bundle)),
            Tile(tile_path(0, number), b"".join(hashes)),
            *self._upper.add(root_of(hashes)),
        )

    def rest(self) -> tuple[Tile, ...]:
        """Return the partial tiles of the tree as it stands."""
        upper = tuple(self._upper.rest())
        if not self._bundle:
            return upper
        number, width = self._upper.count, len(self._bundle)
        return (
            Tile(tile_path(0, number, width), b"".join(self._hashes)),
            *upper,
            Tile(tile_path(ENTRIES, number, width), b"".join(self._bundle)),
        )

    def root(self) -> bytes:
        """Return the root of the tree as it stands."""
        return self._upper.root(peaks_of(self._hashes))
