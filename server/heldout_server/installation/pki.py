"""Make a certificate authority and the certificates it signs (RFC 5280), for development.

Keys are P-256: gRPC's BoringSSL offers no Ed25519 in TLS. A client certificate has exactly one name, a URI: that is
the caller's identity. Nothing of an authority is kept but what :meth:`Authority.certificate` returns and the key.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

AUTHORITY_LIFE: Final = timedelta(days=3650)
LEAF_LIFE: Final = timedelta(days=397)
BACKDATED: Final = timedelta(minutes=5)
"""Certificates begin a little earlier, for clocks that are a little behind."""


@dataclass(frozen=True, slots=True)
class Issued:
    """Hold a certificate and its private key, both in PEM."""

    certificate: bytes
    key: bytes


class Authority:
    """Sign certificates under one key, made on creation, with path length 0: it signs leaves only.

    Args:
        name: common name of the authority.
        now_s: Unix seconds at which its certificates begin.
    """

    def __init__(self, name: str, *, now_s: float) -> None:
        self._now = datetime.fromtimestamp(int(now_s), tz=UTC)
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _common_name(name)
        identifier = x509.SubjectKeyIdentifier.from_public_key(self._key.public_key())
        self._key_identifier = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier)
        self._certificate = (
            self._builder(self._name, self._key.public_key(), life=AUTHORITY_LIFE)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_key_usage(signs_certificates=True), critical=True)
            .sign(self._key, SHA256())
        )

    def itself(self) -> Issued:
        """Return the authority's own certificate and key."""
        return Issued(self._certificate.public_bytes(Encoding.PEM), private_pem(self._key))

    def issue_server(self, name: str, names: Sequence[x509.GeneralName]) -> Issued:
        """Return a certificate for a TLS server.

        Args:
            name: common name.
            names: subject alternative names.
        """
        return self._issue(name, names, usage=ExtendedKeyUsageOID.SERVER_AUTH)

    def issue_client(self, name: str, identity: str) -> Issued:
        """Return a certificate for a TLS client whose one name is a URI.

        Args:
            name: common name, which nobody reads as an identity.
            identity: the URI.
        """
        names = [x509.UniformResourceIdentifier(identity)]
        return self._issue(name, names, usage=ExtendedKeyUsageOID.CLIENT_AUTH)

    def _issue(self, name: str, names: Sequence[x509.GeneralName], *, usage: x509.ObjectIdentifier) -> Issued:
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = (
            self._builder(_common_name(name), key.public_key(), life=LEAF_LIFE)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(self._key_identifier, critical=False)
            .sign(self._key, SHA256())
        )
        return Issued(certificate.public_bytes(Encoding.PEM), private_pem(key))

    def _builder(
        self, subject: x509.Name, key: ec.EllipticCurvePublicKey, *, life: timedelta
    ) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(self._now - BACKDATED)
            .not_valid_after(self._now + life)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        )


def private_pem(key: PrivateKeyTypes) -> bytes:
    """Return a private key as unencrypted PKCS #8 in PEM, for a file of mode 0600."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _common_name(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )
