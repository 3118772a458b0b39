"""A profile and the files that it names."""

import datetime as dt

from client_fakes import IDENTITY, FakeAppliance
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


def private_key(key):
    """Return a private key as PEM."""
    pkcs8, plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, pkcs8, plain)


def certificate(*names, key=None):
    key = key or ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "trainer")])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(dt.datetime(2026, 1, 1, tzinfo=dt.UTC))
        .not_valid_after(dt.datetime(2036, 1, 1, tzinfo=dt.UTC))
    )
    if names:
        uris = [x509.UniformResourceIdentifier(name) for name in names]
        builder = builder.add_extension(x509.SubjectAlternativeName(uris), critical=False)
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def install_profile(folder):
    """Write ``profiles/me.toml`` and the files that it names into a folder, and return the folder."""
    (folder / "pki").mkdir()
    (folder / "pki" / "ca.pem").write_bytes(b"authority")
    key = ec.generate_private_key(ec.SECP256R1())
    (folder / "pki" / "me.key").write_bytes(private_key(key))
    (folder / "pki" / "me.pem").write_bytes(certificate(IDENTITY, key=key))
    (folder / "profiles").mkdir()
    write_profile(folder)
    return folder


def write_profile(folder, *changes):
    vkeys = FakeAppliance().vkeys
    text = f"""
address = "127.0.0.1:7443"
ca = "../pki/ca.pem"
certificate = "../pki/me.pem"
key = "../pki/me.key"
server_name = "localhost"
[logs]
vault = "{vkeys["vault"]}"
window = "{vkeys["window"]}"
"""
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    (folder / "profiles" / "me.toml").write_text(text)
