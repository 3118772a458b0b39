"""The server's tree against RFC 6962's recursive definitions, and its proofs against the client's checks."""

from __future__ import annotations

from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heldout.errors import VerificationError
from heldout.verification.merkle import verify_consistency, verify_inclusion
from heldout_server.audit.tree import (
    EMPTY_ROOT,
    Frontier,
    Growth,
    completing_leaf,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    node_in_row,
    root,
)

ALL = 300
LEAVES = [leaf_hash(b"entry %d" % number) for number in range(ALL)]
GROWN = Frontier().extend(LEAVES)
SIZES = [*range(1, 34), 63, 64, 65, 127, 128, 129, 255, 256, 257, ALL]


def stored(level, index):
    return node_in_row(GROWN.rows[completing_leaf(level, index)], level)


def split(count):
    return 1 << ((count - 1).bit_length() - 1)


def naive_root(leaves):
    """MTH of RFC 6962 section 2.1."""
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    k = split(len(leaves))
    return sha256(b"\x01" + naive_root(leaves[:k]) + naive_root(leaves[k:])).digest()


def naive_path(m, leaves):
    """PATH of RFC 6962 section 2.1.1."""
    if len(leaves) == 1:
        return ()
    k = split(len(leaves))
    if m < k:
        return (*naive_path(m, leaves[:k]), naive_root(leaves[k:]))
    return (*naive_path(m - k, leaves[k:]), naive_root(leaves[:k]))


def naive_proof(m, leaves, *, whole=True):
    """SUBPROOF of RFC 6962 section 2.1.2."""
    if m == len(leaves):
        return () if whole else (naive_root(leaves),)
    k = split(len(leaves))
    if m <= k:
        return (*naive_proof(m, leaves[:k], whole=whole), naive_root(leaves[k:]))
    return (*naive_proof(m - k, leaves[k:], whole=False), naive_root(leaves[:k]))


def test_leaves_and_nodes_are_hashed_under_different_prefixes():
    assert leaf_hash(b"x") == sha256(b"\x00x").digest()
    assert Frontier().extend(LEAVES[:2]).after.root() == sha256(b"\x01" + LEAVES[0] + LEAVES[1]).digest()


def test_the_empty_tree_has_the_root_of_nothing():
    assert Frontier().root() == EMPTY_ROOT == naive_root([])
    assert root(0, stored) == EMPTY_ROOT


def test_every_root_is_the_recursive_one():
    frontier = Frontier()
    for size, leaf in enumerate(LEAVES, start=1):
        frontier = frontier.extend([leaf]).after
        assert frontier.size == size
        assert frontier.root() == naive_root(LEAVES[:size])
        assert root(size, stored) == frontier.root()
        assert Frontier.load(size, stored) == frontier


def test_growing_in_groups_is_growing_leaf_by_leaf():
    first = Frontier().extend(LEAVES[:77])
    second = first.after.extend(LEAVES[77:])
    assert (first.rows + second.rows, second.after) == (GROWN.rows, GROWN.after)


def test_every_size_up_to_two_thousand_has_the_recursive_root_and_proofs():
    leaves = [leaf_hash(b"%d" % number) for number in range(2_000)]
    grown = Frontier().extend(leaves)
    known = {}

    def naive(start, end):
        """MTH(D[start:end]), each range computed once."""
        if (start, end) not in known:
            middle = start + split(end - start) if end - start > 1 else end
            known[start, end] = (
                leaves[start] if middle == end else sha256(b"\x01" + naive(start, middle) + naive(middle, end)).digest()
            )
        return known[start, end]

    def read(level, index):
        return node_in_row(grown.rows[completing_leaf(level, index)], level)

    assert root(0, read) == EMPTY_ROOT
    for size in range(1, len(leaves) + 1):
        assert root(size, read) == naive(0, size)
        for place in {0, size // 3, size - 1}:
            path = inclusion_proof(place, size, read)
            verify_inclusion(index=place, size=size, leaf=leaves[place], proof=path, root=naive(0, size))
            old = place + 1
            path = consistency_proof(old, size, read)
            verify_consistency(old=old, new=size, old_root=naive(0, old), new_root=naive(0, size), proof=path)


@pytest.mark.parametrize("size", SIZES)
def test_inclusion_proofs_are_the_recursive_ones_and_verify(size):
    indices = range(size) if size <= 33 else (0, 1, size // 2, size - 2, size - 1)
    for index in indices:
        proof = inclusion_proof(index, size, stored)
        assert proof == naive_path(index, LEAVES[:size])
        verify_inclusion(index=index, size=size, leaf=LEAVES[index], proof=proof, root=root(size, stored))


@pytest.mark.parametrize("new", SIZES)
def test_consistency_proofs_are_the_recursive_ones_and_verify(new):
    olds = range(1, new + 1) if new <= 33 else (1, 2, new // 2, new - 1, new)
    for old in olds:
        proof = consistency_proof(old, new, stored)
        assert proof == naive_proof(old, LEAVES[:new])
        verify_consistency(old=old, new=new, old_root=root(old, stored), new_root=root(new, stored), proof=proof)


@settings(deadline=None)
@given(before=st.integers(0, 150), added=st.integers(1, 60), data=st.data())
def test_new_leaves_are_proved_from_memory_alone(before, added, data):
    old = Frontier.load(before, stored)
    growth = old.extend(LEAVES[before : before + added])
    index = data.draw(st.integers(before, before + added - 1))
    assert isinstance(growth, Growth)
    assert growth.inclusion_proof(index) == inclusion_proof(index, before + added, stored)


@settings(deadline=None)
@given(size=st.integers(1, ALL), data=st.data())
def test_a_flipped_bit_in_an_inclusion_proof_is_noticed(size, data):
    index = data.draw(st.integers(0, size - 1))
    parts = [LEAVES[index], root(size, stored), *inclusion_proof(index, size, stored)]
    leaf, tree_root, *proof = flip(parts, data)
    with pytest.raises(VerificationError):
        verify_inclusion(index=index, size=size, leaf=leaf, proof=proof, root=tree_root)


@settings(deadline=None)
@given(new=st.integers(1, ALL), data=st.data())
def test_a_flipped_bit_in_a_consistency_proof_is_noticed(new, data):
    old = data.draw(st.integers(1, new))
    parts = [root(old, stored), root(new, stored), *consistency_proof(old, new, stored)]
    old_root, new_root, *proof = flip(parts, data)
    with pytest.raises(VerificationError):
        verify_consistency(old=old, new=new, old_root=old_root, new_root=new_root, proof=proof)


@settings(deadline=None)
@given(size=st.integers(2, ALL), data=st.data())
def test_a_proof_holds_for_no_other_index(size, data):
    index = data.draw(st.integers(0, size - 1))
    other = data.draw(st.integers(0, size - 1).filter(lambda number: number != index))
    proof = inclusion_proof(index, size, stored)
    with pytest.raises(VerificationError):
        verify_inclusion(index=other, size=size, leaf=LEAVES[index], proof=proof, root=root(size, stored))


@settings(deadline=None)
@given(size=st.integers(2, ALL), data=st.data())
def test_a_proof_with_a_hash_too_many_or_too_few_is_refused(size, data):
    index = data.draw(st.integers(0, size - 1))
    proof = inclusion_proof(index, size, stored)
    for wrong in ((*proof, LEAVES[0]), (LEAVES[0], *proof), proof[:-1], proof[1:]):
        with pytest.raises(VerificationError):
            verify_inclusion(index=index, size=size, leaf=LEAVES[index], proof=wrong, root=root(size, stored))


def flip(parts, data):
    part = data.draw(st.integers(0, len(parts) - 1))
    bit = data.draw(st.integers(0, 255))
    number = int.from_bytes(parts[part], "big") ^ (1 << bit)
    return [*parts[:part], number.to_bytes(32, "big"), *parts[part + 1 :]]
