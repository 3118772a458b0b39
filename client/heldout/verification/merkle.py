"""Merkle trees of RFC 6962, from the side of whoever checks them. Pure.

Proof checks follow RFC 9162 sections 2.1.3.2 and 2.1.4.2, which verify the trees of RFC 6962.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import Final

from heldout.errors import VerificationError

HASH_BYTES: Final = 32
EMPTY_ROOT: Final = sha256(b"").digest()
"""The root of the tree without leaves (RFC 6962 section 2.1)."""


def leaf_hash(entry: bytes) -> bytes:
    """Hash a leaf (RFC 6962 section 2.1)."""
    return sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash an inner node (RFC 6962 section 2.1)."""
    return sha256(b"\x01" + left + right).digest()


class TreeHasher:
    """Follow a tree leaf by leaf and know its root at each size, in memory O(log n).

    Attributes:
        size: leaves so far.
        peaks: hashes of the complete subtrees that the tree falls into, largest first: one for each 1 bit of ``size``.
    """

    def __init__(self, size: int = 0, peaks: Sequence[bytes] = ()) -> None:
        self.size = size
        self.peaks = list(peaks)

    def append(self, leaf: bytes) -> None:
        """Append the hash of one leaf."""
        node, behind = leaf, self.size
        while behind & 1:
            node = node_hash(self.peaks.pop(), node)
            behind >>= 1
        self.peaks.append(node)
        self.size += 1

    def root(self) -> bytes:
        """Return the root of the tree as it stands."""
        return root_of_peaks(self.peaks)


def root_of_peaks(peaks: Sequence[bytes]) -> bytes:
    """Return the root of the tree that falls into these complete subtrees, largest first."""
    if not peaks:
        return EMPTY_ROOT
    root = peaks[-1]
    for peak in reversed(peaks[:-1]):
        root = node_hash(peak, root)
    return root


def peaks_of(leaf_hashes: Iterable[bytes]) -> tuple[bytes, ...]:
    """Return the complete subtrees that the tree over these leaf hashes falls into, largest first."""
    level, peaks = list(leaf_hashes), []
    while level:
        if len(level) & 1:
            peaks.append(level.pop())
        level = [sha256(b"\x01" + left + right).digest() for left, right in zip(level[::2], level[1::2], strict=True)]
    return tuple(reversed(peaks))


def root_of(leaf_hashes: Iterable[bytes]) -> bytes:
    """Return the root of the tree over these leaf hashes, in order."""
    return root_of_peaks(peaks_of(leaf_hashes))


def verify_inclusion(*, index: int, size: int, leaf: bytes, proof: Sequence[bytes], root: bytes) -> None:
    """Check that a leaf is in a tree (RFC 9162 section 2.1.3.2).

    Args:
        index: 0-based place of the leaf.
        size: leaves in the tree.
        leaf: the hash of the leaf.
        proof: hashes of 32 bytes from the leaf's sibling up.
        root: the root of the tree.

    Raises:
        VerificationError: it is not, or this proof does not show it.
    """
    if not 0 <= index < size:
        raise VerificationError(f"a tree of {size} leaves has no leaf {index}")
    _check_hashes((leaf, root, *proof))
    hashed = leaf
    for sibling, left in zip(proof, _sides(index, size - 1, length=len(proof)), strict=True):
        hashed = node_hash(sibling, hashed) if left else node_hash(hashed, sibling)
    if hashed != root:
        raise VerificationError(f"the inclusion proof of leaf {index} does not lead to the root")


def peaks_before(*, index: int, size: int, proof: Sequence[bytes]) -> tuple[bytes, ...]:
    """Return the complete subtrees that the leaves before ``index`` fall into, largest first, from its inclusion proof.

    Whatever stands on the left of a leaf's path covers these leaves and no other. The proof must have been verified.
    """
    sides = _sides(index, size - 1, length=len(proof))
    return tuple(sibling for sibling, left in zip(reversed(proof), reversed(sides), strict=True) if left)


def verify_consistency(*, old: int, new: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]) -> None:
    """Check that a tree continues an older one (RFC 9162 section 2.1.4.2).

    Args:
        old: leaves of the older tree, at least 1: every tree continues the empty one, and no proof shows it.
        new: leaves of the newer tree.
        old_root: root of the older tree.
        new_root: root of the newer tree.
        proof: hashes of 32 bytes; none where both trees are one.

    Raises:
        VerificationError: it does not, or this proof does not show it.
    """
    if not 1 <= old <= new:
        raise VerificationError(f"a tree of {new} leaves does not continue one of {old}")
    if old == new:
        if proof or old_root != new_root:
            raise VerificationError(f"two trees of {new} leaves differ")
        return
    _check_hashes((old_root, new_root, *proof))
    # (1) Start from the last complete subtree of the old tree. Where that is all of it, its root is known and not sent.
    node, last = old - 1, new - 1
    while node & 1:
        node, last = node >> 1, last >> 1
    path = proof if node else (old_root, *proof)
    if not path:
        raise VerificationError("the consistency proof is too short")
    # (2) Climb to both roots at once: what stands on the left is in both trees.
    old_hash = new_hash = path[0]
    for sibling, left in zip(path[1:], _sides(node, last, length=len(path) - 1), strict=True):
        if left:
            old_hash, new_hash = node_hash(sibling, old_hash), node_hash(sibling, new_hash)
        else:
            new_hash = node_hash(new_hash, sibling)
    if old_hash != old_root or new_hash != new_root:
        raise VerificationError(f"the tree of {new} leaves does not continue that of {old}")


def _sides(node: int, last: int, *, length: int) -> list[bool]:
    """Say of each hash on the path from a node up whether it is joined on the left.

    Args:
        node: 0-based place of the node in its level.
        last: place of the last node in that level.
        length: hashes that the path has.
    """
    sides = []
    while last:
        sides.append(bool(node & 1) or node == last)
        if node == last:  # without a sibling it moves up as it is
            while not node & 1:
                node, last = node >> 1, last >> 1
        node, last = node >> 1, last >> 1
    if len(sides) != length:
        raise VerificationError(f"a proof has {length} hashes, and the tree asks for {len(sides)}")
    return sides


def _check_hashes(hashes: Iterable[bytes]) -> None:
    if any(len(each) != HASH_BYTES for each in hashes):
        raise VerificationError(f"a hash of a proof has not {HASH_BYTES} bytes")
