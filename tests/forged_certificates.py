"""Client certificates of every kind, good and bad, signed by an authority whose key is at hand."""

from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from heldout_server.installation.pki import Issued, private_pem

HOUR = timedelta(hours=1)


def forge(authority, *, common_name="somebody", names=(), begins=-HOUR, ends=HOUR):
    """Issue a client certificate.

    Args:
        authority: the signing certificate and its key, both PEM.
        common_name: which nobody should read as an identity.
        names: subject alternative names; without any the extension is left out.
        begins, ends: from now.
    """
    now = datetime.now(tz=UTC)
    issuer = x509.load_pem_x509_certificate(authority.certificate)
    key = ec.generate_private_key(ec.SECP256R1())
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)]))
        .issuer_name(issuer.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + begins)
        .not_valid_after(now + ends)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(list(names)), critical=False)
    signed = builder.sign(load_pem_private_key(authority.key, password=None), SHA256())
    return Issued(signed.public_bytes(Encoding.PEM), private_pem(key))


def uri(name):
    """Return a URI name."""
    return x509.UniformResourceIdentifier(name)


def authority_of(folder):
    """Return the development authority of an installed appliance."""
    return Issued((folder / "pki" / "ca.pem").read_bytes(), (folder / "pki" / "ca.key").read_bytes())
