"""A small public tlog-tiles log against the client's readers and the server's tree.

Read from ``HELDOUT_VECTORS`` or from ``../shared/vectors`` beside the checkout (transparency-dev/tessera, Apache-2.0).
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from heldout.verification.log_folder import read_checkpoint, read_entries
from heldout.verification.merkle import leaf_hash, root_of, verify_consistency, verify_inclusion
from heldout.verification.note import VerifierKey, open_checkpoint
from heldout.verification.tiles import TileCutter
from heldout_server.audit.tree import (
    Frontier,
    completing_leaf,
    consistency_proof,
    inclusion_proof,
    node_in_row,
)

VECTORS = Path(os.environ.get("HELDOUT_VECTORS") or Path(__file__).parents[2].parent / "shared" / "vectors") / "tlog"
LOG = VECTORS / "log"
VKEY = "example.com/log/testdata+33d7b496+AeHTu4Q3hEIMHNqc6fASMsq3rKNx280NI+oO5xCFkkSx"
SIZES = range(16)

pytestmark = pytest.mark.skipif(
    not VECTORS.is_dir(), reason="no public vectors: set HELDOUT_VECTORS or put them in ../shared/vectors"
)


def head(size):
    return open_checkpoint((LOG / f"checkpoint.{size}").read_text(), VerifierKey.parse(VKEY))


def leaves(size):
    return [leaf_hash(entry) for entry in read_entries(LOG, size=size)]


def rows():
    grown = Frontier().extend(leaves(15))
    return lambda level, index: node_in_row(grown.rows[completing_leaf(level, index)], level)


@pytest.mark.parametrize("size", SIZES)
def test_signed_checkpoints_verify(size):
    checkpoint = head(size)
    assert (checkpoint.origin, checkpoint.size) == ("example.com/log/testdata", size)


def test_the_newest_checkpoint_is_one_of_them():
    newest = open_checkpoint(read_checkpoint(LOG), VerifierKey.parse(VKEY))
    assert newest == head(newest.size)


@pytest.mark.parametrize("size", SIZES)
def test_entry_bundles_hash_to_the_signed_root_on_both_sides(size):
    assert root_of(leaves(size)) == head(size).root
    assert Frontier().extend(leaves(size)).after.root() == head(size).root


@pytest.mark.parametrize("size", SIZES)
def test_the_tiles_that_we_would_cut_are_the_tiles_of_the_log(size):
    cutter = TileCutter()
    for entry in read_entries(LOG, size=size):
        assert cutter.add(entry) == ()
    for tile in cutter.rest():
        assert (LOG / tile.path).read_bytes() == tile.content
    assert len(cutter.rest()) == (2 if size else 0)
    assert cutter.root() == head(size).root


@pytest.mark.parametrize("size", SIZES[1:])
def test_the_proofs_of_the_server_lead_to_the_signed_roots(size):
    read, known = rows(), leaves(size)
    for index in range(size):
        proof = inclusion_proof(index, size, read)
        verify_inclusion(index=index, size=size, leaf=known[index], proof=proof, root=head(size).root)
    for old in range(1, size + 1):
        proof = consistency_proof(old, size, read)
        verify_consistency(old=old, new=size, old_root=head(old).root, new_root=head(size).root, proof=proof)
