import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from heldout_server.errors import ConfigError
from heldout_server.keys import sign_policy, verify_policy_signature

DOCUMENT = b'profile = "private"\n'


def private(key, encryption=None):
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption or NoEncryption())


def public(key):
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


@pytest.fixture
def signer():
    return Ed25519PrivateKey.generate()


def test_a_signature_holds_for_its_document_and_signer(signer):
    signature = sign_policy(DOCUMENT, private(signer))
    verify_policy_signature(DOCUMENT, signature, public(signer))
    verify_policy_signature(DOCUMENT, signature.strip() + b"\r\n", public(signer))


def test_a_signature_is_one_line_of_base64(signer):
    signature = sign_policy(DOCUMENT, private(signer))
    assert signature.count(b"\n") == 1
    assert len(signature) == 89


@pytest.mark.parametrize("change", [lambda text: text + b" ", lambda text: text[:-1], lambda _: b""])
def test_a_changed_document_is_refused(signer, change):
    signature = sign_policy(DOCUMENT, private(signer))
    with pytest.raises(ConfigError) as caught:
        verify_policy_signature(change(DOCUMENT), signature, public(signer))
    assert caught.value.reason == "POLICY_SIGNATURE"


def test_another_signer_is_refused(signer):
    signature = sign_policy(DOCUMENT, private(Ed25519PrivateKey.generate()))
    with pytest.raises(ConfigError, match="another key signed it"):
        verify_policy_signature(DOCUMENT, signature, public(signer))


@pytest.mark.parametrize("signature", [b"", b"AAAA", b"not base64!", b"\xff\xfe", b"A" * 88])
def test_what_is_no_signature_is_refused(signer, signature):
    with pytest.raises(ConfigError):
        verify_policy_signature(DOCUMENT, signature, public(signer))


def test_keys_of_other_kinds_are_refused(signer):
    other = ec.generate_private_key(ec.SECP256R1())
    signature = sign_policy(DOCUMENT, private(signer))
    for pem in (public(other), b"", private(signer)):
        with pytest.raises(ConfigError, match=r"policy\.signer must be an Ed25519 public key"):
            verify_policy_signature(DOCUMENT, signature, pem)
    for pem in (private(other), b"", public(signer), private(signer, BestAvailableEncryption(b"word"))):
        with pytest.raises(ConfigError, match="must be Ed25519"):
            sign_policy(DOCUMENT, pem)
