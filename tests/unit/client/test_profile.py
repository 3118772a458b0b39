"""Profiles: all read and checked before anything is called."""

import datetime as dt

import pytest
from client_fakes import IDENTITY, FakeAppliance
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from heldout.errors import ProfileError
from heldout.profile import read_profile


def certificate(*names):
    key = ec.generate_private_key(ec.SECP256R1())
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


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "pki").mkdir()
    (tmp_path / "pki" / "ca.pem").write_bytes(b"authority")
    (tmp_path / "pki" / "me.key").write_bytes(b"key")
    (tmp_path / "pki" / "me.pem").write_bytes(certificate(IDENTITY))
    (tmp_path / "profiles").mkdir()
    write(tmp_path)
    return tmp_path


def write(folder, *changes):
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


def read(folder):
    return read_profile(folder / "profiles" / "me.toml")


def test_a_profile_with_what_it_names(folder):
    profile = read(folder)
    assert profile.address == "127.0.0.1:7443"
    assert profile.server_name == "localhost"
    assert (profile.authority, profile.key) == (b"authority", b"key")
    assert profile.identity == IDENTITY
    assert profile.vkeys == FakeAppliance().vkeys


def test_the_key_is_in_no_repr(folder):
    assert "key" not in repr(read(folder))


def test_the_server_name_may_be_left_out(folder):
    write(folder, ('server_name = "localhost"', ""))
    assert read(folder).server_name == ""


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ([('address = "127.0.0.1:7443"', "")], "address: must be a text"),
        ([('address = "127.0.0.1:7443"', "address = 7443")], "address: must be a text"),
        ([('"127.0.0.1:7443"', '""')], "address: must be a text"),
        ([("address =", "adress =")], "adress: unknown key"),
        ([("[logs]", "[log]")], "log: unknown key"),
        ([("[logs]", "logs = 3\n[unused]")], "unused: unknown key"),
        ([("vault =", "other =")], "vault: must be a text"),
        ([("lab/vault+", "lab/other+")], r"logs\.vault: a verifier key's id"),
        ([("[logs]", "[logs")], "not TOML"),
        ([("../pki/ca.pem", "../pki/none.pem")], "ca: no such file"),
        ([("../pki/me.key", "../pki")], "key: cannot be read"),
        ([("../pki/me.pem", "../pki/ca.pem")], "exactly one URI name"),
    ],
)
def test_what_is_wrong_is_named(folder, changes, said):
    write(folder, *changes)
    with pytest.raises(ProfileError, match=said):
        read(folder)


def test_logs_must_be_there(folder):
    text = (folder / "profiles" / "me.toml").read_text()
    (folder / "profiles" / "me.toml").write_text(text.partition("[logs]")[0])
    with pytest.raises(ProfileError, match="verifier keys"):
        read(folder)


@pytest.mark.parametrize("names", [(), (IDENTITY, "spiffe://heldout.example/auditor")])
def test_a_certificate_has_exactly_one_name(folder, names):
    (folder / "pki" / "me.pem").write_bytes(certificate(*names))
    with pytest.raises(ProfileError, match="exactly one URI name"):
        read(folder)


def test_a_missing_binary_or_endless_profile(folder):
    with pytest.raises(ProfileError, match="no such file"):
        read_profile(folder / "none.toml")
    (folder / "profiles" / "me.toml").write_bytes(b"\xff")
    with pytest.raises(ProfileError, match="not UTF-8"):
        read(folder)
    (folder / "profiles" / "me.toml").write_bytes(b"#" * (2 << 20))
    with pytest.raises(ProfileError, match="longer than"):
        read(folder)
