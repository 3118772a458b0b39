"""Profiles: all read and checked before anything is called."""

import pytest
from client_fakes import IDENTITY, FakeAppliance
from profile_files import certificate, install_profile, write_profile

from heldout.errors import ProfileError
from heldout.profile import read_profile


@pytest.fixture
def folder(tmp_path):
    return install_profile(tmp_path)


def read(folder):
    return read_profile(folder / "profiles" / "me.toml")


def test_a_profile_with_what_it_names(folder):
    profile = read(folder)
    assert profile.address == "127.0.0.1:7443"
    assert profile.server_name == "localhost"
    assert (profile.authority, profile.key) == (b"authority", (folder / "pki" / "me.key").read_bytes())
    assert profile.identity == IDENTITY
    assert profile.vkeys == FakeAppliance().vkeys


def test_the_key_is_in_no_repr(folder):
    assert "PRIVATE" not in repr(read(folder))


def test_the_server_name_may_be_left_out(folder):
    write_profile(folder, ('server_name = "localhost"', ""))
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
        ([("../pki/me.key", "../pki/ca.pem")], "key: must be a private key in PEM"),
        ([('"127.0.0.1:7443"', '"127.0.0.1"')], "address: must be host and port"),
        ([("[logs]", "[listen]\n[data]\n[logs]")], "is the config of an appliance"),
    ],
)
def test_what_is_wrong_is_named(folder, changes, said):
    write_profile(folder, *changes)
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


def test_certificate_and_key_of_two_people_do_not_belong_together(folder):
    (folder / "pki" / "me.pem").write_bytes(certificate(IDENTITY))
    with pytest.raises(ProfileError, match="certificate and key do not belong together"):
        read(folder)
