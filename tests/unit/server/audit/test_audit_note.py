from __future__ import annotations

from base64 import b64decode
from hashlib import sha256

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from heldout.verification.note import VerifierKey, open_checkpoint
from heldout.verification.receipt import parse_proof
from heldout_server.audit.note import CheckpointSigner, proof_text
from heldout_server.errors import ConfigError

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
ROOT = sha256(b"root").digest()


def test_a_checkpoint_verifies_under_the_verifier_key_of_its_signer():
    signer = CheckpointSigner("lab/vault", KEY)
    head = open_checkpoint(signer.checkpoint(size=7, root=ROOT), VerifierKey.parse(signer.verifier_key))
    assert (head.origin, head.size, head.root, head.extensions) == ("lab/vault", 7, ROOT, ())


def test_the_verifier_key_is_name_id_and_typed_public_key():
    name, key_id, encoded = CheckpointSigner("lab/vault", KEY).verifier_key.split("+", 2)
    public = KEY.public_key().public_bytes_raw()
    assert name == "lab/vault"
    assert b64decode(encoded) == b"\x01" + public
    assert bytes.fromhex(key_id) == sha256(b"lab/vault\x0a\x01" + public).digest()[:4]


def test_the_same_tree_has_one_checkpoint():
    signer = CheckpointSigner("lab/vault", KEY)
    assert signer.checkpoint(size=1, root=ROOT) == CheckpointSigner("lab/vault", KEY).checkpoint(size=1, root=ROOT)
    assert signer.checkpoint(size=1, root=ROOT) != signer.checkpoint(size=2, root=ROOT)


@pytest.mark.parametrize("origin", ["", "lab vault", "lab+vault", "lab\nvault", "lab\tvault", "lab\u00a0vault"])
def test_an_origin_that_no_key_can_be_named_after_is_refused(origin):
    with pytest.raises(ConfigError):
        CheckpointSigner(origin, KEY)


def test_the_text_of_a_proof_reads_back():
    checkpoint = CheckpointSigner("lab/vault", KEY).checkpoint(size=3, root=ROOT)
    for path in ((), (ROOT,), (ROOT, bytes(32))):
        proof = parse_proof(proof_text(2, path, checkpoint))
        assert (proof.index, proof.path, proof.checkpoint, proof.extra) == (2, path, checkpoint, b"")
