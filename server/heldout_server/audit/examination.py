"""Whether stored leaves and hashes belong together, leaf by leaf, and which one is damaged. Pure.

Each stored hash is checked against the hashes right below it, as they are stored, and each leaf against its own. So a
damaged hash is named where it stands, and makes no other leaf look damaged than the one that its parent belongs to.
Whether all of it leads to the signed head is for whoever holds the head.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from heldout_server.audit.tree import HASH_BYTES, leaf_hash, node_hash, node_in_row


class Damage(StrEnum):
    """Say what is damaged: an entry's bytes, the hashes that its leaf completed, or the head and what is beside it."""

    ENTRY = "entry"
    HASHES = "hashes"
    HEAD = "head"


@dataclass(frozen=True, slots=True)
class Finding:
    """Name what is damaged; for a head, ``leaf`` is the size of its tree."""

    leaf: int
    damage: Damage


@dataclass(frozen=True, slots=True)
class StoredLeaf:
    """Hold what is stored of a leaf.

    Attributes:
        leaf: 0-based index.
        entry: its bytes; None if they are missing or cannot be read.
        row: hashes of the subtrees that it completes, joined from level 0 up; None likewise.
        repair: leaf of the event that names this one as damaged; its entry is then empty. None for a whole one.
    """

    leaf: int
    entry: bytes | None
    row: bytes | None
    repair: int | None = None


Peaks: TypeAlias = list[bytes | None]
"""Hashes of the complete subtrees that a tree falls into, largest first; None where one is missing."""


def completed_levels(leaf: int) -> int:
    """Return how many subtrees a leaf completes: as often as ``leaf + 1`` divides by two, and the leaf itself."""
    return ((leaf + 1) & -(leaf + 1)).bit_length()


def examine(leaves: Iterable[StoredLeaf], *, peaks: Peaks) -> Iterator[Finding]:
    """Yield what is damaged among leaves that follow each other.

    Args:
        leaves: without a gap; a missing one has neither entry nor row.
        peaks: of the tree before the first of them, as stored; moved on to the tree after the last.
    """
    for leaf in leaves:
        levels = completed_levels(leaf.leaf)
        row = leaf.row if leaf.row is not None and len(leaf.row) == levels * HASH_BYTES else None
        own = None if row is None else node_in_row(row, 0)
        if not _is_entry_whole(leaf, own):
            yield Finding(leaf.leaf, Damage.ENTRY)
        if not _completes(row, levels, peaks):
            yield Finding(leaf.leaf, Damage.HASHES)


def _is_entry_whole(leaf: StoredLeaf, own: bytes | None) -> bool:
    if leaf.entry is None or (leaf.repair is not None) != (not leaf.entry):
        return False
    return leaf.repair is not None or own is None or leaf_hash(leaf.entry) == own


def _completes(row: bytes | None, levels: int, peaks: Peaks) -> bool:
    """Say whether a row is there and right, and move the peaks on to what is stored."""
    whole = row is not None
    node = None if row is None else node_in_row(row, 0)
    for level in range(1, levels):
        left = peaks.pop()
        stored = None if row is None else node_in_row(row, level)
        if left is not None and node is not None and node_hash(left, node) != stored:
            whole = False
        node = stored
    peaks.append(node)
    return whole
