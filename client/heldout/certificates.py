"""What can be seen of certificates without calling anybody: whose a key is, who signed, and until when.

A handshake that fails says nothing that a person could act on, so that what is wrong on this side is looked for here.
"""

from __future__ import annotations

import datetime as dt

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from heldout.errors import ProfileError


def load_certificate(pem: bytes) -> x509.Certificate | None:
    """Return the first certificate of a PEM file; None if there is none."""
    try:
        return x509.load_pem_x509_certificate(pem)
    except ValueError:
        return None


def verify_pair(certificate: x509.Certificate, key: bytes) -> None:
    """Check that a private key, PEM without a passphrase, is that of a certificate.

    Raises:
        ProfileError: it is another's, or none; says nothing of where it stands.
    """
    try:
        private = load_pem_private_key(key, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise ProfileError("key: must be a private key in PEM, without a passphrase") from None
    if private.public_key() != certificate.public_key():
        raise ProfileError("certificate and key do not belong together: are they of the same person?")


def find_doubt(*, certificate: bytes, authority: bytes, now: dt.datetime) -> str:
    """Say why an appliance may not take a certificate, as far as it can be seen here; empty if nothing shows.

    Args:
        certificate: ours, PEM.
        authority: the certificates that the profile believes, PEM.
        now: aware of its time zone.
    """
    own = load_certificate(certificate)
    if own is None:
        return ""
    if now >= own.not_valid_after_utc:
        return f"the certificate ended on {own.not_valid_after_utc:%Y-%m-%d}: ask the operator for a new one"
    if now < own.not_valid_before_utc:
        return f"the certificate begins on {own.not_valid_before_utc:%Y-%m-%d}: is the clock of this machine right?"
    try:
        issuers = x509.load_pem_x509_certificates(authority)
    except ValueError:
        return "ca holds no PEM certificate"
    if not any(_is_signed_by(own, issuer) for issuer in issuers):
        return "the ca of the profile did not sign its certificate: is one of them another appliance's?"
    return ""


def _is_signed_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True
