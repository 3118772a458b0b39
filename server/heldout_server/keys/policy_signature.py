"""Sign the release policy, and check who signed it: Ed25519 (RFC 8032) over the exact bytes of ``release.toml``.

The signature lies beside the document as one line of base64. A document whose signature does not hold is not a policy,
and without a policy nothing leaves.
"""

from __future__ import annotations

import base64
import binascii

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

from heldout_server.errors import ConfigError


def sign_policy(document: bytes, key_pem: bytes) -> bytes:
    """Return the detached signature of a document: base64 and a newline.

    Args:
        document: the bytes of ``release.toml``.
        key_pem: the signer's Ed25519 private key, unencrypted PKCS #8 in PEM.

    Raises:
        ConfigError: that is not such a key.
    """
    try:
        key = load_pem_private_key(key_pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise ConfigError("the policy signer's private key must be Ed25519, PKCS #8 in PEM, without a password")
    return base64.b64encode(key.sign(document)) + b"\n"


def verify_policy_signature(document: bytes, signature: bytes, signer_pem: bytes) -> None:
    """Check that the signer signed exactly this document.

    Args:
        document: the bytes of ``release.toml``.
        signature: what :func:`sign_policy` returned.
        signer_pem: the Ed25519 public key that must have signed, in PEM.

    Raises:
        ConfigError: it did not, or that is not such a key.
    """
    try:
        signer = load_pem_public_key(signer_pem)
    except (ValueError, UnsupportedAlgorithm):
        signer = None
    if not isinstance(signer, Ed25519PublicKey):
        raise ConfigError("policy.signer must be an Ed25519 public key in PEM")
    try:
        signer.verify(base64.b64decode(signature.strip(), validate=True), document)
    except (InvalidSignature, binascii.Error):
        problem = "release.toml is not signed by policy.signer: it was changed since, or another key signed it"
        remedy = "let the bank tester read it and run heldout-server policy sign"
        raise ConfigError(f"{problem}\n  {remedy}", reason="POLICY_SIGNATURE") from None
