"""Client certificates of every wrong kind."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from heldout_server.environment import SystemClock
from heldout_server.installation.pki import Authority, Issued, private_pem

HOUR: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Forger:
    """Sign client certificates with the key of an authority."""

    authority: Issued

    def issue(
        self, *uris: str, common_name: str = "somebody", begins: timedelta = -HOUR, ends: timedelta = HOUR
    ) -> Issued:
        """Issue a client certificate.

        Args:
            uris: its URI names; without any, there is no extension for names.
            common_name: which nobody should read as an identity.
            begins: from now.
            ends: from now.
        """
        now = datetime.fromtimestamp(SystemClock().now_s(), tz=UTC)
        key = ec.generate_private_key(ec.SECP256R1())
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)]))
            .issuer_name(x509.load_pem_x509_certificate(self.authority.certificate).subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + begins)
            .not_valid_after(now + ends)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        )
        if uris:
            names = [x509.UniformResourceIdentifier(uri) for uri in uris]
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        signer = load_pem_private_key(self.authority.key, password=None)
        if not isinstance(signer, ec.EllipticCurvePrivateKey):
            raise TypeError("the authority of an installation has an elliptic curve key")
        signed = builder.sign(signer, SHA256())
        return Issued(signed.public_bytes(Encoding.PEM), private_pem(key))


def authority_of(folder: Path) -> Forger:
    """Return who signs with the development authority of an installed appliance."""
    return Forger(Issued((folder / "pki" / "ca.pem").read_bytes(), (folder / "pki" / "ca.key").read_bytes()))


def another_authority(name: str) -> Forger:
    """Return who signs with an authority of that name which the appliance has never seen."""
    return Forger(Authority(name, now_s=SystemClock().now_s()).itself())
