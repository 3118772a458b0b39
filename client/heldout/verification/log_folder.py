"""The folder of an exported log, in tlog-tiles layout (c2sp.org/tlog-tiles): written whole, read file by file.

It holds ``checkpoint``, ``tile/<level>/…`` and ``tile/entries/…``. What is read here is not checked; see ``export``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

from heldout.errors import HeldoutClientError, VerificationError
from heldout.verification.merkle import HASH_BYTES, node_hash, root_of
from heldout.verification.note import parse_checkpoint
from heldout.verification.tiles import ENTRIES, TILE_HEIGHT, TILE_WIDTH, Tile, TileCutter, cut_bundle, tile_path

CHECKPOINT: Final = "checkpoint"


class LogExport:
    """Write a log into a new folder as its entries come; the checkpoint last, so that half a log has none.

    ::

        export = LogExport(folder)
        async for page in pages:
            export.add(page)
        export.finish(checkpoint)
    """

    def __init__(self, folder: Path) -> None:
        """Make the folder.

        Raises:
            HeldoutClientError: something is in it already.
        """
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise HeldoutClientError(f"{folder} is not empty")
        self._folder = folder
        self._cutter = TileCutter()

    def add(self, entries: Iterable[bytes], *, damaged: Mapping[int, bytes] = MappingProxyType({})) -> None:
        """Take the next leaves, in the order of the log.

        Args:
            entries: the leaves; a damaged one is empty.
            damaged: by index, the hashes of those whose bytes are lost.

        Raises:
            VerificationError: one is longer than a leaf can be.
        """
        for entry in entries:
            self._write(*self._cutter.add(entry, hashed=damaged.get(self._cutter.size)))

    def finish(self, checkpoint: str) -> None:
        """Write what is left, and the signed checkpoint over exactly these entries.

        Its signature and root are not checked here but by :func:`heldout.verification.export.verify_export`.
        """
        self._write(*self._cutter.rest(), Tile(CHECKPOINT, checkpoint.encode()))

    def _write(self, *tiles: Tile) -> None:
        for tile in tiles:
            file = self._folder / tile.path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(tile.content)


def read_checkpoint(folder: Path) -> str:
    """Return the signed checkpoint of an exported log.

    Raises:
        VerificationError: there is none, or it is not UTF-8.
    """
    try:
        return _read(folder, CHECKPOINT).decode()
    except UnicodeDecodeError:
        raise VerificationError("the checkpoint is not valid UTF-8") from None


def read_entries(folder: Path, *, size: int, start: int = 0) -> Iterator[bytes]:
    """Yield the leaves of an exported log from ``start`` up to ``size``.

    Raises:
        VerificationError: a bundle is missing or malformed.
    """
    for first in range(start - start % TILE_WIDTH, size, TILE_WIDTH):
        leaves = read_bundle(folder, number=first // TILE_WIDTH, width=min(TILE_WIDTH, size - first))
        yield from leaves[max(0, start - first) :]


def read_bundle(folder: Path, *, number: int, width: int) -> list[bytes]:
    """Return the first ``width`` leaves of an entry bundle.

    Raises:
        VerificationError: the bundle is missing or malformed, or holds more than a bundle of that width does.
    """
    path = tile_path(ENTRIES, number, width)
    data, alone = _read_or_full(folder, path)
    leaves, end = cut_bundle(data, width=width)
    if alone and end != len(data):
        raise VerificationError(f"{path} is not of these entries")
    return leaves


def prove_exported(folder: Path, index: int) -> tuple[bytes, tuple[bytes, ...], str, int]:
    """Look up an entry of an exported log and its inclusion proof, out of the tiles.

    Returns:
        The leaf, the proof (RFC 6962 section 2.1.1), the signed checkpoint and its size, nothing of it checked; no leaf
        and no proof if the log is shorter.

    Raises:
        VerificationError: the checkpoint or a tile is missing or malformed.
    """
    note = read_checkpoint(folder)
    size = parse_checkpoint(note.rpartition("\n\n")[0] + "\n").size
    if index >= size:
        return b"", (), note, size
    number = index // TILE_WIDTH
    leaf = read_bundle(folder, number=number, width=min(TILE_WIDTH, size - number * TILE_WIDTH))[index % TILE_WIDTH]
    path: list[bytes] = []
    first, last = 0, size
    while last - first > 1:
        half = first + (1 << (last - first - 1).bit_length() - 1)
        if index < half:
            path.append(_root(folder, half, last, size=size))
            last = half
        else:
            path.append(_root(folder, first, half, size=size))
            first = half
    return leaf, tuple(reversed(path)), note, size


def _root(folder: Path, first: int, last: int, *, size: int) -> bytes:
    """Return the root over the leaves from ``first`` up to ``last``, out of the largest tiles that hold it."""
    leaves = last - first
    if leaves & (leaves - 1):  # not complete: fold it
        half = first + (1 << (leaves - 1).bit_length() - 1)
        return node_hash(_root(folder, first, half, size=size), _root(folder, half, last, size=size))
    level = (leaves.bit_length() - 1) // TILE_HEIGHT
    span = 1 << TILE_HEIGHT * level  # leaves below one hash of that level
    number, place = divmod(first // span, TILE_WIDTH)
    width = min(TILE_WIDTH, size // span - number * TILE_WIDTH)
    path = tile_path(level, number, width)
    tile = read_tile(folder, path, size_bytes=width * HASH_BYTES)
    if len(tile) != width * HASH_BYTES:
        raise VerificationError(f"{path} is of another size than its tree asks for")
    hashes = [tile[start : start + HASH_BYTES] for start in range(0, len(tile), HASH_BYTES)]
    return root_of(hashes[place : place + leaves // span])


def read_tile(folder: Path, path: str, *, size_bytes: int) -> bytes:
    """Return a tile; where a partial one is gone, as much of the full one that took its place.

    Raises:
        VerificationError: it is missing, or cannot be read.
    """
    data, alone = _read_or_full(folder, path)
    return data if alone else data[:size_bytes]


def _read_or_full(folder: Path, path: str) -> tuple[bytes, bool]:
    """Return a file, and whether it is of itself: a partial tile may have given way to the full one."""
    full, partial, _ = path.partition(".p/")
    if partial and not (folder / path).exists():
        return _read(folder, full), False
    return _read(folder, path), True


def _read(folder: Path, path: str) -> bytes:
    try:
        return (folder / path).read_bytes()
    except OSError:
        raise VerificationError(f"{path} is missing from the log, or cannot be read") from None
