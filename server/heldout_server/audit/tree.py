"""The Merkle tree of RFC 6962 section 2.1, built leaf by leaf. Pure: no I/O.

A node is named by its level (0 for leaves) and its index in the level. Only complete subtrees are ever stored: leaf
``n`` completes one subtree on each level 0, 1, … as often as ``n + 1`` divides by two, and their hashes, joined from
level 0 up, are the *row* of leaf ``n``. Any root and any proof is then made of O(log n) stored hashes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from hashlib import sha256
from typing import Final, TypeAlias

HASH_BYTES: Final = 32
EMPTY_ROOT: Final = sha256(b"").digest()

NodeReader: TypeAlias = Callable[[int, int], bytes]
"""From a level and an index in it to the hash of that complete subtree."""


def leaf_hash(entry: bytes) -> bytes:
    """Hash a leaf (RFC 6962 section 2.1)."""
    return sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash an inner node (RFC 6962 section 2.1)."""
    return sha256(b"\x01" + left + right).digest()


def completing_leaf(level: int, index: int) -> int:
    """Return the 0-based leaf whose row holds the hash of node ``index`` on ``level``."""
    return ((index + 1) << level) - 1


def node_in_row(row: bytes, level: int) -> bytes:
    """Return the hash of the subtree on ``level`` from the row of the leaf that completed it."""
    return row[level * HASH_BYTES : (level + 1) * HASH_BYTES]


@dataclass(frozen=True, slots=True)
class Frontier:
    """Hold all that is needed to grow a tree and to know its root.

    Attributes:
        size: leaves in the tree.
        peaks: hashes of the complete subtrees that the tree falls into, largest first: one for each 1 bit of ``size``.
    """

    size: int = 0
    peaks: tuple[bytes, ...] = ()

    @classmethod
    def load(cls, size: int, read: NodeReader) -> Frontier:
        """Read the frontier of a stored tree."""
        return cls(size, tuple(read(level, (size >> level) - 1) for level in peak_levels(size)))

    def root(self) -> bytes:
        """Return the root of the tree; the empty tree's is SHA-256 of nothing."""
        if not self.peaks:
            return EMPTY_ROOT
        root = self.peaks[-1]
        for peak in reversed(self.peaks[:-1]):
            root = node_hash(peak, root)
        return root

    def extend(self, leaf_hashes: Iterable[bytes]) -> Growth:
        """Append leaves and return the new frontier with the rows to store."""
        size, peaks, rows = self.size, list(self.peaks), []
        for leaf in leaf_hashes:
            node, row, behind = leaf, [leaf], size
            while behind & 1:
                node = node_hash(peaks.pop(), node)
                row.append(node)
                behind >>= 1
            peaks.append(node)
            rows.append(b"".join(row))
            size += 1
        return Growth(self, Frontier(size, tuple(peaks)), tuple(rows))


@dataclass(frozen=True, slots=True)
class Growth:
    """Hold what appending to a tree brought.

    Attributes:
        before, after: the frontier on either side.
        rows: the row of each new leaf, in order.
    """

    before: Frontier
    after: Frontier
    rows: tuple[bytes, ...]

    def inclusion_proof(self, index: int) -> tuple[bytes, ...]:
        """Prove a *new* leaf in the new tree without reading anything stored.

        What such a proof holds left of the new leaves are peaks of the old frontier, and the rest is new.
        """
        return inclusion_proof(index, self.after.size, self._read)

    def _read(self, level: int, index: int) -> bytes:
        leaf = completing_leaf(level, index)
        if leaf >= self.before.size:
            return node_in_row(self.rows[leaf - self.before.size], level)
        return self.before.peaks[(self.before.size >> (level + 1)).bit_count()]  # peaks larger than it stand before it


def root(size: int, read: NodeReader) -> bytes:
    """Return the root of the tree of the first ``size`` leaves."""
    return Frontier.load(size, read).root()


def inclusion_proof(index: int, size: int, read: NodeReader) -> tuple[bytes, ...]:
    """Return the audit path of leaf ``index`` in the tree of ``size``, from the leaf up (RFC 6962 section 2.1.1).

    Requires ``0 <= index < size``.
    """
    path = []
    start, end = 0, size
    while end - start > 1:
        split = _split(start, end)
        if index < split:
            path.append(_range_hash(split, end, read))
            end = split
        else:
            path.append(_range_hash(start, split, read))
            start = split
    return tuple(reversed(path))


def consistency_proof(old: int, new: int, read: NodeReader) -> tuple[bytes, ...]:
    """Return the proof that the tree of ``new`` leaves continues that of ``old`` (RFC 6962 section 2.1.2).

    Requires ``1 <= old <= new``.
    """
    path = []
    start, end = 0, new
    while old != end:
        split = _split(start, end)
        if old <= split:
            path.append(_range_hash(split, end, read))
            end = split
        else:
            path.append(_range_hash(start, split, read))
            start = split
    if start:  # else the old tree is a subtree that the verifier knows: its root
        path.append(_range_hash(start, end, read))
    return tuple(reversed(path))


def _split(start: int, end: int) -> int:
    """Return where RFC 6962 cuts a range: after the largest power of two smaller than its length."""
    return start + (1 << ((end - start - 1).bit_length() - 1))


def _range_hash(start: int, end: int, read: NodeReader) -> bytes:
    """Return MTH(D[start:end]) of a range that RFC 6962's cuts lead to: ``start`` divides by its largest subtree."""
    size = end - start
    if not size & (size - 1):  # a complete subtree, as most are
        level = size.bit_length() - 1
        return read(level, start >> level)
    levels = peak_levels(size)
    peaks = tuple(read(level, (start >> level) + (size >> level) - 1) for level in levels)
    return Frontier(size, peaks).root()


def peak_levels(size: int) -> list[int]:
    """Return the levels of the complete subtrees that a tree falls into, largest first."""
    return [level for level in reversed(range(size.bit_length())) if size >> level & 1]
