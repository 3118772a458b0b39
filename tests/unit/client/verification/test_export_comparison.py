"""Two exports of one log: one history, or a fork and where it begins. And proofs out of an export alone."""

from __future__ import annotations

import copy

import pytest

from heldout.errors import VerificationError
from heldout.verification.comparison import ForkError, compare_exports
from heldout.verification.log_folder import LogExport, prove_exported
from heldout.verification.receipt import LogProof, parse_proof, verify_logged


def export(log, folder, size=None):
    writer = LogExport(folder)
    writer.add(log.leaves[:size])
    writer.finish(log.checkpoint(size))
    return folder


@pytest.fixture
def grown(log):
    for number in range(700):
        log.add(number=number)
    return log


@pytest.mark.parametrize(("one", "other"), [(700, 700), (256, 700), (700, 300), (0, 5), (255, 257)])
def test_one_history(grown, tmp_path, one, other):
    folders = export(grown, tmp_path / "one", one), export(grown, tmp_path / "other", other)
    assert compare_exports(*folders, grown.vkey) == (one, other)


@pytest.mark.parametrize("index", [0, 255, 256, 511, 599])
def test_the_first_entry_of_a_fork_is_named(grown, tmp_path, index):
    one = export(grown, tmp_path / "one", 600)
    for place in range(index, 700):
        grown.leaves[place] = grown.leaves[place].replace(b'"time_s":60', b'"time_s":120')
    with pytest.raises(ForkError, match=f"entry {index} is one in .*one and another in .*other") as caught:
        compare_exports(one, export(grown, tmp_path / "other"), grown.vkey)
    assert caught.value.index == index


@pytest.mark.parametrize("size", [1, 2, 3, 255, 256, 257, 511, 513, 700])
def test_every_kind_of_leaf_is_proved_out_of_the_tiles(grown, tmp_path, size):
    folder = export(grown, tmp_path / "log", size)
    for index in {0, size // 3, size // 2, size - 2, size - 1} & set(range(size)):
        leaf, path, note, told = prove_exported(folder, index)
        assert (leaf, told) == (grown.leaves[index], size)
        text = LogProof(index, path, note, leaf).text()
        entry, head = verify_logged(parse_proof(text).extra, text, grown.vkey)
        assert (entry.index, head.size) == (index, size)


def test_proofs_reach_over_tiles_of_higher_levels(tmp_path, log):
    log.leaves = [b"%d" % number for number in range(65_536 + 600)]
    folder = export(log, tmp_path / "log")
    for index in (0, 65_535, 65_536, 66_135):
        leaf, path, note, _ = prove_exported(folder, index)
        with pytest.raises(VerificationError, match=r"has other fields|is not an object"):  # included, and no entry
            verify_logged(leaf, LogProof(index, path, note).text(), log.vkey)


def test_there_is_no_leaf_behind_the_end(grown, tmp_path):
    assert prove_exported(export(grown, tmp_path / "log", 5), 5)[0] == b""


def test_a_tile_that_was_cut_is_noticed(grown, tmp_path):
    folder = export(grown, tmp_path / "log")
    tile = folder / "tile" / "0" / "001"
    tile.write_bytes(tile.read_bytes()[:-32])
    with pytest.raises(VerificationError, match="tile/0/001"):
        prove_exported(folder, 300)


def test_a_proof_of_a_changed_leaf_does_not_hold(grown, tmp_path):
    leaf, path, note, _ = prove_exported(export(grown, tmp_path / "log"), 300)
    forged = copy.copy(leaf).replace(b"300", b"301")
    text = LogProof(300, path, note, forged).text()
    with pytest.raises(VerificationError):
        verify_logged(forged, text, grown.vkey)
