"""A witness signs what continues what it signed before, and nothing else, however it ends."""

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from client_fakes import FakeLog

from heldout.errors import HeldoutClientError, VerificationError
from heldout.verification.cosignature import WitnessKey, WitnessSigner, cosigned_at
from heldout.verification.note import VerifierKey, open_checkpoint
from heldout.witness import HeadStore, Witness, read_signer, write_signer

NOW_S = 1_795_600_000.5


@pytest.fixture
def log():
    log = FakeLog("lab/vault", b"v")
    for number in range(9):
        log.add("event", "start", number=number)
    return log


@pytest.fixture
def signer(tmp_path):
    return write_signer(tmp_path / "witness.key", name="witness.example/one")


@pytest.fixture
def witness(log, signer, tmp_path):
    return Witness(signer, HeadStore(tmp_path / "state", vkey=log.vkey), vkey=log.vkey, begin=True)


def cosign(witness, log, size=None):
    return witness.cosign(log.checkpoint(size), prove=log.proof, now_s=NOW_S)


def fork(log):
    log.leaves[0] = log.leaves[0].replace(b"1795572840", b"1795572900")


def evidence(tmp_path):
    return list((tmp_path / "state").glob("*.fork-*.note"))


def test_a_log_that_grows_is_cosigned(witness, log, signer):
    for size in (0, 1, 4, 4, 9):
        note = cosign(witness, log, size)
        assert open_checkpoint(note, VerifierKey.parse(log.vkey)).size == size
        assert cosigned_at(note, WitnessKey.parse(signer.key.vkey)) == int(NOW_S)


def test_a_fork_is_never_cosigned(witness, log, tmp_path):
    cosign(witness, log, 4)
    fork(log)
    for size in (4, 5, 9):
        with pytest.raises(VerificationError, match="Not cosigned; kept as evidence"):
            cosign(witness, log, size)
    assert len(evidence(tmp_path)) == 3
    assert open_checkpoint(evidence(tmp_path)[0].read_text(), VerifierKey.parse(log.vkey)).size in {4, 5, 9}


def test_a_fork_with_an_honest_proof_of_the_other_history_is_not_cosigned(witness, log):
    cosign(witness, log, 4)
    honest = log.proof(4, 9)
    fork(log)
    with pytest.raises(VerificationError):
        witness.cosign(log.checkpoint(), prove=lambda old, new: honest, now_s=NOW_S)


def test_a_log_that_shrank_is_not_cosigned(witness, log):
    cosign(witness, log, 9)
    with pytest.raises(VerificationError, match="shrunk: 8 entries, and 9"):
        cosign(witness, log, 8)


def test_another_key_s_head_is_not_cosigned(witness):
    with pytest.raises(VerificationError):
        cosign(witness, FakeLog("lab/vault", b"x"))


def test_an_empty_log_with_a_made_up_root_is_not_cosigned(witness, log, monkeypatch):
    monkeypatch.setattr("client_fakes.root_of", lambda leaves: b"r" * 32)
    with pytest.raises(VerificationError):
        cosign(witness, log, 0)


def test_a_witness_that_lost_its_head_does_not_begin_anew_by_itself(witness, log, signer, tmp_path):
    cosign(witness, log)
    store = HeadStore(tmp_path / "state", vkey=log.vkey)
    again = Witness(signer, store, vkey=log.vkey)
    assert "\n9\n" in store.read()
    for file in (tmp_path / "state").glob("*.note"):
        file.unlink()
    assert store.read() is None
    with pytest.raises(HeldoutClientError, match="--begin"):
        cosign(again, log)
    with pytest.raises(HeldoutClientError, match="--begin"):
        cosign(witness, log)  # --begin is for the first head alone


def test_a_damaged_head_is_not_begun_anew(witness, log, tmp_path):
    cosign(witness, log)
    (file,) = (tmp_path / "state").glob("*.note")
    file.write_text(file.read_text().replace("9", "8", 1))
    with pytest.raises(HeldoutClientError, match="damaged"):
        cosign(witness, log)


def test_two_processes_of_a_witness_keep_out_of_each_other_s_way(witness, log, tmp_path):
    with (
        HeadStore(tmp_path / "state", vkey=log.vkey).locked(),
        pytest.raises(HeldoutClientError, match="another witness"),
    ):
        cosign(witness, log)


def test_logs_have_heads_of_their_own(signer, tmp_path, log):
    other = FakeLog("lab/window", b"w")
    for each in (log, other):
        cosign(Witness(signer, HeadStore(tmp_path / "s", vkey=each.vkey), vkey=each.vkey, begin=True), each)
    assert len(list((tmp_path / "s").glob("*.note"))) == 2


# The key


def test_the_key_file_is_its_owners_alone_and_never_overwritten(signer, tmp_path):
    file = tmp_path / "witness.key"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert read_signer(file).key == signer.key
    with pytest.raises(HeldoutClientError, match="exists"):
        write_signer(file, name="witness.example/one")
    file.chmod(0o640)
    with pytest.raises(HeldoutClientError, match="chmod 600"):
        read_signer(file)


@pytest.mark.parametrize("name", ["", "two words", "a+b", "line\nbreak"])
def test_a_name_that_cannot_stand_in_a_note_is_refused(tmp_path, name):
    with pytest.raises(VerificationError):
        write_signer(tmp_path / "witness.key", name=name)


@pytest.mark.parametrize("change", [str.lower, lambda line: line[:-4], lambda line: "", lambda line: line + "+x"])
def test_what_is_no_key_is_refused_and_not_quoted(signer, tmp_path, change):
    file = tmp_path / "witness.key"
    file.write_text(change(signer.export()))
    with pytest.raises(VerificationError) as caught:
        read_signer(file)
    assert signer.export().split("+", 4)[4][:-4] not in str(caught.value)


def test_a_public_key_of_another_type_or_id_is_refused(signer, log):
    with pytest.raises(VerificationError, match="type 0x04"):
        WitnessKey.parse(log.vkey)
    name, hex_id, key = signer.key.vkey.split("+", 2)
    with pytest.raises(VerificationError, match="another id"):
        WitnessKey.parse(f"{name}+{'0' * len(hex_id)}+{key}")


def test_a_cosignature_of_another_text_or_time_does_not_verify(signer, log):
    note = signer.cosign(log.checkpoint(4), time_s=1)
    other = note.replace("lab/vault\n4\n", "lab/vault\n5\n")
    with pytest.raises(VerificationError, match="does not verify"):
        cosigned_at(other, signer.key)
    with pytest.raises(VerificationError, match="has not cosigned"):
        cosigned_at(log.checkpoint(4), signer.key)
    late = signer.cosign(note, time_s=2)
    assert cosigned_at(late, signer.key) == 2
    assert late.count(signer.key.name) == 1


# Killed at any point

CHILD = Path(__file__).with_name("mortal_witness.py")


def run_child(tmp_path, *words):
    folder = Path(__file__).parents[1]
    return subprocess.run(
        [sys.executable, CHILD, tmp_path, *map(str, words)],
        env={**os.environ, "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_killed_at_any_step_it_never_signs_two_histories(tmp_path, signer, log):
    """Each round dies at the n-th file operation of an honest head, and comes back to a fork."""
    steps = range(1, 8)
    done = [run_child(tmp_path, "honest", 2, 0)]
    for step in steps:
        done.append(run_child(tmp_path, "honest", 2 + step // 2, step))
        done.append(run_child(tmp_path, "forked", 9, 0))
    done.append(run_child(tmp_path, "honest", 9, 0))
    codes = [each.returncode for each in done]
    assert codes[0] == codes[-1] == 0, done[-1].stderr
    assert codes[1:-1] == [-signal.SIGKILL, 1] * len(steps), [each.stderr for each in done]
    key = VerifierKey.parse(log.vkey)
    honest = {f"{size} {open_checkpoint(log.checkpoint(size), key).root.hex()}" for size in range(10)}
    assert {line for each in done for line in each.stdout.splitlines()} <= honest


def test_the_signer_reads_what_it_wrote():
    line = "PRIVATE+KEY+witness.example/one+"
    with pytest.raises(VerificationError):
        WitnessSigner.parse(line)
