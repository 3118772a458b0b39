from __future__ import annotations

from hashlib import sha256

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from heldout.errors import VerificationError
from heldout.verification.receipt import parse_proof, verify_call_receipt, verify_release_receipt
from heldout_proto.v1.findings_pb2 import Receipt

ANSWER = b"exact response bytes"
DOCUMENT = b"serialized release"
SALT = bytes(range(16))


def call_receipt(log, *, salt=SALT, answer=ANSWER):
    for counter in range(1, 6):
        log.intent(counter)
    index = log.outcome(2, response_sha256=sha256(salt + answer).hexdigest())
    log.intent(6)
    return Receipt(entry=log.leaves[index], proof=log.proof(index), salt=salt)


def release_receipt(log, *, kind="event", name="release"):
    log.add()
    index = log.add(kind, name, release_id="rel-1", document_sha256=sha256(DOCUMENT).hexdigest())
    return Receipt(entry=log.leaves[index], proof=log.proof(index))


def test_the_receipt_of_a_call_returns_its_outcome(log):
    entry, _ = verify_call_receipt(ANSWER, call_receipt(log), log.vkey)
    assert (entry.index, entry.kind, entry.details["intent"]) == (5, "outcome", 2)


def test_the_receipt_of_a_release_returns_its_publication(log):
    entry, _ = verify_release_receipt(DOCUMENT, release_receipt(log), log.vkey)
    assert (entry.index, entry.name, entry.details["release_id"]) == (1, "release", "rel-1")


def test_a_receipt_is_of_its_bytes_alone(log):
    receipt = call_receipt(log)
    with pytest.raises(VerificationError, match="response_sha256"):
        verify_call_receipt(ANSWER + b"\x00", receipt, log.vkey)
    with pytest.raises(VerificationError, match="document_sha256"):
        verify_release_receipt(DOCUMENT[1:], release_receipt(log), log.vkey)


def test_no_byte_moves_between_salt_and_answer(log):
    receipt = call_receipt(log)
    receipt.salt += ANSWER[:1]
    with pytest.raises(VerificationError, match="salt"):
        verify_call_receipt(ANSWER[1:], receipt, log.vkey)


def test_a_receipt_of_another_log_is_refused(log):
    receipt = call_receipt(log)
    log.origin = "lab/window"
    with pytest.raises(VerificationError):
        verify_call_receipt(ANSWER, receipt, log.vkey)


def test_a_receipt_of_another_leaf_is_refused(log):
    receipt = call_receipt(log)
    receipt.proof = log.proof(4)
    with pytest.raises(VerificationError, match="leaf 4"):
        verify_call_receipt(ANSWER, receipt, log.vkey)


def test_one_kind_of_receipt_is_not_the_other(log):
    digest = sha256(SALT + ANSWER).hexdigest()
    index = log.add(name="start", response_sha256=digest)
    event = Receipt(entry=log.leaves[index], proof=log.proof(index), salt=SALT)
    with pytest.raises(VerificationError, match="outcome"):
        verify_call_receipt(ANSWER, event, log.vkey)
    for receipt in (release_receipt(log, name="start"), release_receipt(log, kind="outcome")):
        with pytest.raises(VerificationError, match="of a release"):
            verify_release_receipt(DOCUMENT, receipt, log.vkey)


def test_an_outcome_without_a_digest_proves_no_answer(log):
    log.intent(1)
    index = log.outcome(0)
    with pytest.raises(VerificationError):
        verify_call_receipt(ANSWER, Receipt(entry=log.leaves[index], proof=log.proof(index), salt=SALT), log.vkey)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(data=st.data())
def test_a_flipped_bit_anywhere_in_a_receipt_is_noticed(log, data):
    log.leaves.clear()
    receipt = call_receipt(log)
    name = data.draw(st.sampled_from(["entry", "proof", "salt"]))
    value = getattr(receipt, name)
    content = bytearray(value.encode() if name == "proof" else value)
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= 1 << data.draw(st.integers(0, 7))
    if name == "proof":
        try:
            receipt.proof = content.decode()
        except UnicodeDecodeError:
            return  # gRPC would not deliver it
    else:
        setattr(receipt, name, bytes(content))
    with pytest.raises(VerificationError):
        verify_call_receipt(ANSWER, receipt, log.vkey)


HASH = "gSKyXoYZUgZ6jduWYrkDOARinOMGJveXjgMkBTcdPlQ="


def test_extra_data_is_read_and_means_nothing():
    proof = parse_proof(f"c2sp.org/tlog-proof@v1\nextra AAEC\nindex 73894\n{HASH}\n{HASH}\n\na\n\nb\n")
    assert (proof.index, proof.extra, len(proof.path), proof.checkpoint) == (73894, b"\x00\x01\x02", 2, "a\n\nb\n")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n\n",
        "c2sp.org/tlog-proof@v1",
        "c2sp.org/tlog-proof@v1\nindex 1\n",
        "c2sp.org/tlog-proof@v1\n\ncheckpoint\n",
        "c2sp.org/tlog-proof@v2\nindex 1\n\ncheckpoint\n",
        "\nc2sp.org/tlog-proof@v1\nindex 1\n\ncheckpoint\n",
        f"c2sp.org/tlog-proof@v1\n{HASH}\nindex 1\n\ncheckpoint\n",
        "c2sp.org/tlog-proof@v1\nindex 01\n\ncheckpoint\n",
        "c2sp.org/tlog-proof@v1\nindex -1\n\ncheckpoint\n",
        "c2sp.org/tlog-proof@v1\nindex\n\ncheckpoint\n",
        "c2sp.org/tlog-proof@v1\nextra A\nindex 1\n\ncheckpoint\n",
        "c2sp.org/tlog-proof@v1\nextra AAAA\nextra AAAA\nindex 1\n\ncheckpoint\n",
        "c2sp.org/tlog-proof@v1\nextra AAAA\n\ncheckpoint\n",
        f"c2sp.org/tlog-proof@v1\nindex 1\n{HASH[:-1]}\n\ncheckpoint\n",
        f"c2sp.org/tlog-proof@v1\r\nindex 1\r\n{HASH}\r\n\r\ncheckpoint\n",
        "c2sp.org/tlog-proof@v1\nindex 1\n" + f"{HASH}\n" * 65 + "\ncheckpoint\n",
    ],
)
def test_a_malformed_proof_is_refused(text):
    with pytest.raises(VerificationError):
        parse_proof(text)
