"""Cosignatures of witnesses: which are believed, that they are kept, and what is proved with them."""

from __future__ import annotations

import base64
from functools import partial

import pytest
from audit_log_lab import FixedClock, event, open_log, opened

from heldout.verification.note import VerifierKey, open_checkpoint
from heldout.verification.receipt import verify_logged
from heldout_policy.witness import Witnessing
from heldout_server.audit.cosignature import read_cosigned
from heldout_server.errors import InvalidRequest, StorageError
from witness_lab import TestWitness

ALICE, BOB, MALLORY = (TestWitness(name.encode() * 16, f"{name}.example") for name in ("al", "bo", "ma"))
WITNESSING = Witnessing(keys=(ALICE.key, BOB.key), maximum_age_s=100)
NOW_S = 1_000


@pytest.fixture
def clock():
    return FixedClock(float(NOW_S))


@pytest.fixture
def watched(tmp_path, clock):
    """Return what opens a log that trusts two witnesses."""
    return partial(opened, tmp_path, witnessing=WITNESSING, clock=clock)


def lines_of(note):
    return note.partition("\n\n")[2].splitlines()


async def test_a_cosignature_is_handed_out_with_its_head_and_again_after_a_restart(watched):
    async with watched() as log:
        for _ in range(3):
            await log.append(event())
        assert log.cosigned_checkpoint() == ""
        head = log.checkpoint()
        assert await log.add_cosignatures(ALICE.cosign(head, NOW_S)) == 3
        assert await log.add_cosignatures(BOB.cosign(head, NOW_S)) == 3
        for note in (log.checkpoint(), log.cosigned_checkpoint()):
            assert note == head + ALICE.line(head, NOW_S) + BOB.line(head, NOW_S)
            assert open_checkpoint(note, VerifierKey.parse(log.verifier_key)).size == 3
        await log.append(event())
        assert len(lines_of(log.checkpoint())) == 1
        kept = log.cosigned_checkpoint()
    async with watched() as log:
        assert log.cosigned_checkpoint() == kept


async def test_an_older_head_may_be_cosigned_and_the_newest_of_each_witness_is_kept(watched):
    async with watched() as log:
        await log.append(event())
        old = log.checkpoint()
        await log.append(event())
        new = log.checkpoint()
        assert await log.add_cosignatures(ALICE.cosign(new, NOW_S)) == 2
        assert await log.add_cosignatures(BOB.cosign(old, NOW_S)) == 1
        assert await log.add_cosignatures(ALICE.cosign(old, NOW_S + 5)) == 1  # of a smaller tree: nothing new
        assert log.cosigned_checkpoint() == ALICE.cosign(new, NOW_S)
        assert await log.add_cosignatures(ALICE.cosign(new, NOW_S + 5)) == 2
        assert log.cosigned_checkpoint() == ALICE.cosign(new, NOW_S + 5)


async def test_a_proof_under_a_cosigned_head_verifies_and_carries_the_lines(watched, clock):
    async with watched() as log:
        logged = [await log.append(event(f"event-{number}")) for number in range(5)]
        head = log.checkpoint()
        assert await log.cosigned_proof(2) is None
        await log.add_cosignatures(ALICE.cosign(head, NOW_S))
        await log.append(event())
        for each in logged:
            proof = await log.cosigned_proof(each.index)
            entry, covering = verify_logged(each.entry, proof, log.verifier_key)
            assert (entry.index, covering.size) == (each.index, 5)
            assert proof.endswith(ALICE.line(head, NOW_S))
        assert await log.cosigned_proof(5) is None  # came later than that head
        clock.seconds = NOW_S + 100.0
        assert await log.cosigned_proof(2) is not None
        clock.seconds = NOW_S + 101.0
        assert await log.cosigned_proof(2) is None
        await log.add_cosignatures(BOB.cosign(head, NOW_S + 101))
        assert await log.cosigned_proof(2) is not None


async def test_as_many_different_witnesses_as_the_policy_needs_must_have_cosigned(watched, clock):
    again = TestWitness(b"ao" * 16, ALICE.name)  # another key of the same witness
    needing = Witnessing(keys=(ALICE.key, again.key, BOB.key), maximum_age_s=100, needed=2)
    async with watched(witnessing=needing) as log:
        logged = await log.append(event())
        first = log.checkpoint()
        await log.add_cosignatures(BOB.cosign(first, NOW_S - 101))  # too old to count
        later = await log.append(event())
        head = log.checkpoint()
        await log.add_cosignatures(ALICE.cosign(head, NOW_S))
        await log.add_cosignatures(again.cosign(head, NOW_S))
        assert await log.cosigned_proof(logged.index) is None  # one witness, with two keys
        await log.add_cosignatures(BOB.cosign(first, NOW_S))  # of the older head, which holds the first leaf alone
        proof = await log.cosigned_proof(logged.index)
        assert verify_logged(logged.entry, proof, log.verifier_key)[1].size == 2
        assert await log.cosigned_proof(later.index) is None
        clock.seconds = NOW_S + 101.0
        assert await log.cosigned_proof(logged.index) is None


async def test_lines_of_unknown_keys_are_passed_over_and_sixteen_signatures_are_read(watched):
    async with watched() as log:
        await log.append(event())
        head = log.checkpoint()
        strangers = "".join(TestWitness(bytes([n]) * 32, f"w{n}.example").line(head, NOW_S) for n in range(20))
        assert await log.add_cosignatures(head + strangers + ALICE.line(head, NOW_S)) == 1
        assert log.cosigned_checkpoint() == ALICE.cosign(head, NOW_S)
        for note in (head, head + strangers, MALLORY.cosign(head, NOW_S)):
            with pytest.raises(InvalidRequest) as refused:
                await log.add_cosignatures(note)
            assert refused.value.reason == "COSIGNATURE_UNKNOWN"


async def test_a_trusted_key_with_a_bad_signature_is_fatal_even_beside_a_good_one(watched):
    async with watched() as log:
        await log.append(event())
        head = log.checkpoint()
        await log.append(event())
        other = BOB.line(log.checkpoint(), NOW_S)
        with pytest.raises(InvalidRequest) as refused:
            await log.add_cosignatures(ALICE.cosign(head, NOW_S) + other)
        assert refused.value.reason == "COSIGNATURE_BAD"
        assert log.cosigned_checkpoint() == ""


def test_every_flipped_bit_of_a_cosignature_is_refused():
    text = "lab/vault\n3\n" + base64.b64encode(bytes(32)).decode() + "\n\n"
    blob = base64.b64decode(ALICE.line(text, NOW_S).split()[2])
    for bit in range(8 * len(blob)):
        changed = bytearray(blob)
        changed[bit // 8] ^= 1 << bit % 8
        line = f"\N{EM DASH} {ALICE.name} {base64.b64encode(changed).decode()}\n"
        with pytest.raises(InvalidRequest):
            read_cosigned(text + line, keys=WITNESSING.keys, now_s=NOW_S)


async def test_a_cosignature_of_the_future_is_refused(watched):
    async with watched() as log:
        await log.append(event())
        assert await log.add_cosignatures(ALICE.cosign(log.checkpoint(), NOW_S + 300)) == 1
        with pytest.raises(InvalidRequest) as refused:
            await log.add_cosignatures(ALICE.cosign(log.checkpoint(), NOW_S + 301))
        assert refused.value.reason == "COSIGNATURE_TIME"


async def test_heads_that_are_not_of_this_log_are_refused(watched, tmp_path):
    (tmp_path / "other").mkdir()
    async with opened(tmp_path / "other") as other:
        for name in ("another", "more", "most"):
            await other.append(event(name))
        foreign = other.checkpoint()
    async with watched() as log:
        for _ in range(3):
            await log.append(event())
        head = log.checkpoint()
        renamed = head.replace("lab/vault", "lab/window", 1)
        larger = head.replace("\n3\n", "\n4\n", 1)
        for note in (foreign, renamed, larger):
            with pytest.raises(InvalidRequest) as refused:
                await log.add_cosignatures(ALICE.cosign(note, NOW_S))
            assert refused.value.reason == "COSIGNATURE_OF_ANOTHER"
        assert log.cosigned_checkpoint() == ""


MALFORMED = {
    "no signatures": "lab/vault\n0\nAA==\n",
    "nothing": "",
    "no last newline": "lab/vault\n0\nAA==\n\n\N{EM DASH} a.example AAAAAAA=",
    "a hyphen for a dash": "lab/vault\n0\nAA==\n\n- a.example AAAAAAA=\n",
    "a name with a plus": "lab/vault\n0\nAA==\n\n\N{EM DASH} a+b AAAAAAA=\n",
    "no name": "lab/vault\n0\nAA==\n\n\N{EM DASH}  AAAAAAA=\n",
    "no base64": "lab/vault\n0\nAA==\n\n\N{EM DASH} a.example !!!\n",
    "base64 in another form": "lab/vault\n0\nAA==\n\n\N{EM DASH} a.example AAAAAAB=\n",
    "too short": "lab/vault\n0\nAA==\n\n\N{EM DASH} a.example AAAAAA==\n",
    "a control character": "lab/vault\n0\nAA==\n\n\N{EM DASH} a.example\x01 AAAAAAA=\n",
    "a line too many": "lab/vault\n0\nAA==\nmore\n\n\N{EM DASH} a.example AAAAAAA=\n",
    "a size with a zero before it": "lab/vault\n01\nAA==\n\n\N{EM DASH} a.example AAAAAAA=\n",
    "too many signatures": "lab/vault\n0\nAA==\n\n" + "\N{EM DASH} a.example AAAAAAA=\n" * 101,
    "too long": "l" * 70_000 + "\n0\nAA==\n\n\N{EM DASH} a.example AAAAAAA=\n",
}


@pytest.mark.parametrize("note", MALFORMED.values(), ids=MALFORMED.keys())
def test_what_is_no_signed_checkpoint_is_refused(note):
    with pytest.raises(InvalidRequest) as refused:
        read_cosigned(note, keys=WITNESSING.keys, now_s=NOW_S)
    assert refused.value.reason == "NOTE_MALFORMED"


def test_a_cosignature_of_another_length_is_refused():
    blob = base64.b64encode(ALICE.key.key_id + bytes(71)).decode()
    with pytest.raises(InvalidRequest) as refused:
        read_cosigned(f"lab/vault\n0\nAA==\n\n\N{EM DASH} {ALICE.name} {blob}\n", keys=(ALICE.key,), now_s=NOW_S)
    assert refused.value.reason == "COSIGNATURE_BAD"


async def test_a_log_that_trusts_nobody_keeps_nothing_and_forgets_a_key_that_is_not_trusted_any_more(watched, tmp_path):
    async with watched() as log:
        await log.append(event())
        await log.add_cosignatures(ALICE.cosign(log.checkpoint(), NOW_S))
        note = log.cosigned_checkpoint()
    async with opened(tmp_path) as log:
        assert log.cosigned_checkpoint() == ""
        with pytest.raises(InvalidRequest):
            await log.add_cosignatures(note)
        assert await log.cosigned_proof(0) is None


async def test_a_cosignature_that_cannot_be_stored_poisons_the_log(tmp_path):
    failures = []
    log = await open_log(tmp_path, witnessing=WITNESSING, on_failure=lambda: failures.append(1))
    await log.append(event())
    note = ALICE.cosign(log.checkpoint(), 90)
    (tmp_path / "audit.db-wal").unlink()
    with pytest.raises(StorageError):
        await log.add_cosignatures(note)
    assert (failures, log.failed, log.cosigned_checkpoint()) == ([1], True, "")
    await log.close()
