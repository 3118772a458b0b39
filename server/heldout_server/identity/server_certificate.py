"""Check that a server's certificate, its key and the authority of its clients can be shown, before they are."""

from __future__ import annotations

from datetime import UTC, datetime

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from heldout_server.errors import ConfigError


def verify_server_certificate(*, authority: bytes, certificate: bytes, key: bytes, now_s: float) -> None:
    """Check that PEM files belong together: read half-way through an exchange, they do not.

    Args:
        authority: certificates that client certificates come from.
        certificate: the server's own, and the chain above it.
        key: its private key.
        now_s: Unix seconds at which it must be valid.

    Raises:
        ConfigError: one of them is not PEM, the key is another certificate's, or the certificate is not valid now.
    """
    x509_of = x509.load_pem_x509_certificates
    try:
        x509_of(authority)
    except ValueError:
        raise ConfigError("tls.ca: not PEM certificates", reason="CA_MALFORMED") from None
    try:
        own = x509_of(certificate)[0]
    except ValueError:
        raise ConfigError("tls.certificate: not a PEM certificate", reason="CERTIFICATE_MALFORMED") from None
    try:
        public = load_pem_private_key(key, password=None).public_key()
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise ConfigError("tls.key: not an unencrypted PEM private key", reason="KEY_MALFORMED") from None
    form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    try:
        shown = own.public_key().public_bytes(*form)
    except (ValueError, UnsupportedAlgorithm):
        raise ConfigError("tls.certificate: not a PEM certificate", reason="CERTIFICATE_MALFORMED") from None
    if public.public_bytes(*form) != shown:
        raise ConfigError("tls.key: not the key of tls.certificate", reason="KEY_OF_ANOTHER")
    if not own.not_valid_before_utc <= datetime.fromtimestamp(now_s, tz=UTC) <= own.not_valid_after_utc:
        raise ConfigError("tls.certificate: not valid today: renew it", reason="CERTIFICATE_NOT_VALID")
