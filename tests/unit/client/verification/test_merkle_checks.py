from __future__ import annotations

from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heldout.errors import VerificationError
from heldout.verification.merkle import (
    EMPTY_ROOT,
    TreeHasher,
    leaf_hash,
    node_hash,
    root_of,
    verify_consistency,
    verify_inclusion,
)

A, B, C = (leaf_hash(text) for text in (b"a", b"b", b"c"))
AB = node_hash(A, B)
ABC = node_hash(AB, C)


def test_hashes_are_those_of_rfc_6962():
    assert leaf_hash(b"a") == sha256(b"\x00a").digest()
    assert node_hash(A, B) == sha256(b"\x01" + A + B).digest()
    assert root_of([]) == EMPTY_ROOT == sha256(b"").digest()


@pytest.mark.parametrize(("leaves", "root"), [([A], A), ([A, B], AB), ([A, B, C], ABC)])
def test_the_root_of_small_trees(leaves, root):
    assert root_of(leaves) == root


@settings(deadline=None)
@given(st.lists(st.binary(max_size=4), max_size=40))
def test_the_root_follows_the_recursive_definition(entries):
    def recursive(leaves):
        if len(leaves) < 2:
            return leaves[0] if leaves else EMPTY_ROOT
        k = 1 << ((len(leaves) - 1).bit_length() - 1)
        return node_hash(recursive(leaves[:k]), recursive(leaves[k:]))

    tree = TreeHasher()
    for size, entry in enumerate(entries, start=1):
        tree.append(leaf_hash(entry))
        assert tree.size == size
        assert tree.root() == recursive([leaf_hash(each) for each in entries[:size]])


def test_a_leaf_of_three_is_proved():
    verify_inclusion(index=0, size=3, leaf=A, proof=[B, C], root=ABC)
    verify_inclusion(index=2, size=3, leaf=C, proof=[AB], root=ABC)
    verify_inclusion(index=0, size=1, leaf=A, proof=[], root=A)


@pytest.mark.parametrize(
    "wrong",
    [
        {"index": 1},
        {"index": 3},
        {"index": -1},
        {"size": 5},
        {"size": 2},
        {"size": 0},
        {"leaf": B},
        {"root": AB},
        {"proof": [C, B]},
        {"proof": [B]},
        {"proof": []},
        {"proof": [B, C, C]},
        {"proof": [B, C[:31]]},
        {"proof": [B + b"\x00", C]},
        {"root": b""},
    ],
)
def test_a_wrong_inclusion_is_refused(wrong):
    right = {"index": 0, "size": 3, "leaf": A, "proof": [B, C], "root": ABC}
    with pytest.raises(VerificationError):
        verify_inclusion(**(right | wrong))


def test_a_longer_tree_continues_a_shorter_one():
    verify_consistency(old=2, new=3, old_root=AB, new_root=ABC, proof=[C])
    verify_consistency(old=1, new=3, old_root=A, new_root=ABC, proof=[B, C])
    verify_consistency(old=3, new=3, old_root=ABC, new_root=ABC, proof=[])
    verify_consistency(old=3, new=4, old_root=ABC, new_root=root_of([A, B, C, A]), proof=[C, A, AB])


@pytest.mark.parametrize(
    "wrong",
    [
        {"old": 0},
        {"old": 4},
        {"old": 1},
        {"new": 5},
        {"old_root": A},
        {"new_root": AB},
        {"old_root": ABC, "new_root": AB},
        {"proof": []},
        {"proof": [C, C]},
        {"proof": [B]},
        {"proof": [C[:31]]},
        {"old": 3},
        {"old": 3, "old_root": ABC},
        {"old": 3, "proof": []},
        {"new": 2, "proof": []},
    ],
)
def test_a_wrong_continuation_is_refused(wrong):
    right = {"old": 2, "new": 3, "old_root": AB, "new_root": ABC, "proof": [C]}
    with pytest.raises(VerificationError):
        verify_consistency(**(right | wrong))


def test_an_old_tree_that_is_no_complete_subtree_needs_a_proof():
    with pytest.raises(VerificationError, match="too short"):
        verify_consistency(old=3, new=4, old_root=ABC, new_root=root_of([A, B, C, A]), proof=[])


def prove(old, leaves, *, whole=True):
    """Return the consistency proof of RFC 6962 section 2.1.2 from the first ``old`` leaves to all."""
    if old == len(leaves):
        return [] if whole else [root_of(leaves)]
    k = 1 << ((len(leaves) - 1).bit_length() - 1)
    if old <= k:
        return [*prove(old, leaves[:k], whole=whole), root_of(leaves[k:])]
    return [*prove(old - k, leaves[k:], whole=False), root_of(leaves[:k])]


@pytest.mark.parametrize("old", range(1, 17))
def test_a_tree_that_rewrites_any_leaf_of_the_older_one_does_not_continue_it_whatever_it_proves_of_itself(old):
    leaves = [leaf_hash(bytes([place])) for place in range(20)]
    new = {"old": old, "new": len(leaves), "old_root": root_of(leaves[:old])}
    verify_consistency(**new, new_root=root_of(leaves), proof=prove(old, leaves))
    for place in range(old):
        fork = [*leaves[:place], A, *leaves[place + 1 :]]
        with pytest.raises(VerificationError):
            verify_consistency(**new, new_root=root_of(fork), proof=prove(old, fork))
