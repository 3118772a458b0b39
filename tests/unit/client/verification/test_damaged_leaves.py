"""A leaf whose bytes are lost is accepted for exactly what the log itself says of it, and for nothing else."""

from __future__ import annotations

import pytest

from heldout.errors import VerificationError
from heldout.verification.export import verify_export
from heldout.verification.log_folder import LogExport
from heldout.verification.merkle import leaf_hash

OTHER = "spiffe://heldout.example/trainer"


def damage(log, index):
    """Have the log name a leaf as damaged, and return its hash by index."""
    hashed = leaf_hash(log.leaves[index])
    log.add(name="repair", damage="entry", leaf=index, leaf_hash=hashed.hex())
    return {index: hashed}


def check(log, folder, damaged):
    writer = LogExport(folder)
    leaves = [b"" if index in damaged else leaf for index, leaf in enumerate(log.leaves)]
    writer.add(leaves, damaged=damaged)
    writer.finish(log.checkpoint())
    return verify_export(folder, log.vkey)


def test_a_repaired_event_is_accepted(log, tmp_path):
    log.add()
    log.add(name="epoch")
    report = check(log, tmp_path / "log", damage(log, 1))
    assert (report.damaged, report.events) == ((1,), 2)


def test_a_repaired_intent_leaves_a_gap_and_its_outcome(log, tmp_path):
    log.outcome(log.intent(1))
    log.outcome(log.intent(2))
    log.outcome(log.intent(3))
    report = check(log, tmp_path / "log", damage(log, 2))
    assert (report.damaged, report.outcomes, report.open_intents) == ((2,), 3, ())
    assert report.counters == {"spiffe://heldout.example/bank-tester": 3}


def test_an_empty_leaf_that_nobody_names_is_a_forgery(log, tmp_path):
    log.add()
    damaged = {0: leaf_hash(log.leaves[0])}
    with pytest.raises(VerificationError, match="no repair"):
        check(log, tmp_path / "log", damaged)


def test_a_repair_that_names_another_hash_or_comes_before_explains_nothing(log, tmp_path):
    log.add(name="repair", damage="entry", leaf=1, leaf_hash="0" * 64)
    log.add()
    log.add(name="repair", damage="entry", leaf=1, leaf_hash="0" * 64)
    with pytest.raises(VerificationError, match="entry 1 is empty"):
        check(log, tmp_path / "log", {1: leaf_hash(log.leaves[1])})


def test_a_repair_before_the_leaf_explains_nothing(log, tmp_path):
    log.add()
    victim = leaf_hash(log.leaves[0])
    log.leaves.insert(0, b"")
    log.leaves.pop()
    log.add(name="repair", damage="entry", leaf=1, leaf_hash=victim.hex())
    log.leaves[0], log.leaves[1] = log.leaves[1], log.leaves[0]
    log.leaves[1] = log.leaves[0].replace(b"repair", b"start")
    with pytest.raises(VerificationError, match="entry 1 is empty"):
        check(log, tmp_path / "log", {1: leaf_hash(log.leaves[1])})


def test_one_damaged_leaf_explains_one_missing_number(log, tmp_path):
    log.intent(1)
    log.intent(2)
    log.intent(4)  # 3 is missing, and no leaf is damaged for it
    with pytest.raises(VerificationError, match="entry 2 is intent 4"):
        check(log, tmp_path / "log", damage(log, 1))


def test_a_damaged_leaf_elsewhere_explains_no_gap(log, tmp_path):
    log.add()
    log.intent(1)
    log.intent(3)
    with pytest.raises(VerificationError, match="entry 2 is intent 3"):
        check(log, tmp_path / "log", damage(log, 0))


def test_two_outcomes_do_not_end_one_damaged_intent(log, tmp_path):
    log.intent(1)
    log.outcome(0)
    log.outcome(0)
    with pytest.raises(VerificationError, match="names no open intent"):
        check(log, tmp_path / "log", damage(log, 0))


def test_the_hash_of_a_damaged_leaf_is_proved_by_the_root(log, tmp_path):
    log.add()
    log.add()
    forged = {0: leaf_hash(b"another")}
    log.add(name="repair", damage="entry", leaf=0, leaf_hash=forged[0].hex())
    with pytest.raises(VerificationError, match="do not hash to the root"):
        check(log, tmp_path / "log", forged)
