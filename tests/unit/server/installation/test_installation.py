import dataclasses
import ipaddress
import stat
import tomllib
from datetime import UTC, datetime
from importlib import resources

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from heldout_policy.errors import PolicyError
from heldout_policy.principals import parse_principals
from heldout_policy.release_policy import parse_release_policy
from heldout_policy.schedule import Schedule
from heldout_server.config import load_config, load_window_config
from heldout_server.domain import Role
from heldout_server.errors import ConfigError, StorageError
from heldout_server.identity import CertificateGatekeeper
from heldout_server.installation import describe, install
from heldout_server.keys import FileKeyRing, verify_policy_signature

NOW_S = 1_790_000_000.0
NOW = datetime.fromtimestamp(NOW_S, tz=UTC)


class FixedClock:
    def now_s(self):
        return NOW_S

    def monotonic_s(self):
        return 0.0


@pytest.fixture
def folder(tmp_path):
    install(tmp_path / "lab", clock=FixedClock())
    return tmp_path / "lab"


def certificate(folder, name):
    return x509.load_pem_x509_certificate((folder / "pki" / f"{name}.pem").read_bytes())


def alternative_names(found):
    return found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value


def verifier(folder, time=NOW):
    return PolicyBuilder().store(Store([certificate(folder, "ca")])).time(time)


def test_the_config_loads_and_every_path_in_it_is_inside(folder):
    config = load_config(folder / "config.toml")
    assert config.appliance.name == "heldout-dev"
    assert config.listen.address == "127.0.0.1:7443"
    assert config.listen.health_address == "127.0.0.1:7444"
    assert config.data.vault == folder / "vault"
    assert config.watch.source == folder / "checkpoints"


def test_what_is_commented_out_in_the_config_is_the_default(folder):
    text = (folder / "config.toml").read_text()
    uncommented = "\n".join(
        line.removeprefix("# ") if " = " in line or line.startswith(("#   [", "# ]")) else line
        for line in text.splitlines()
    )
    (folder / "all.toml").write_text(uncommented)
    assert load_config(folder / "all.toml") == load_config(folder / "config.toml")
    assert "poll_s" in tomllib.loads(uncommented)["watch"]


def test_the_config_shows_how_to_name_a_store_and_its_options(folder):
    """Uncommented as they stand, the options are some that the config takes."""
    text = (folder / "config.toml").read_text().replace('source = "checkpoints"', 'source = "s3://bucket/prefix"')
    lines = text.splitlines()
    start = lines.index("#     [watch.options]")
    end = lines.index("", start)
    lines[start:end] = [line.removeprefix("#     ") for line in lines[start:end]]
    for name in ("s3.id", "s3.key"):
        (folder / "keys" / name).touch()
    (folder / "store.toml").write_text("\n".join(lines))
    source = load_config(folder / "store.toml").watch.source
    assert sorted(source.options) == ["access_key_id", "endpoint", "region", "secret_access_key"]
    assert source.options["secret_access_key"] == folder / "keys" / "s3.key"


def test_the_keys_open(folder):
    config = load_config(folder / "config.toml")
    ring = FileKeyRing.open(config.keys.root, config.keys.ring)
    assert len(ring.database_key("bank")) == 32


def test_private_files_are_for_their_owner_alone_and_so_is_the_folder(folder):
    private = [*folder.glob("keys/*.*"), *folder.glob("keys/window/*"), *folder.glob("pki/*.key")]
    assert len(private) == 2 + 2 + 8 + 1  # root and ring, the window's own; ca, server and six roles; the policy signer
    assert {stat.S_IMODE(path.stat().st_mode) for path in private} == {0o600}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_the_policy_is_the_shipped_one_but_for_its_schedule_and_signed_by_the_signer(folder):
    config = load_config(folder / "config.toml")
    for document in ("authorization.cedar", "principals.toml"):
        shipped = resources.files("heldout_policy").joinpath("defaults", document).read_bytes()
        assert (config.policy.folder / document).read_bytes() == shipped
    shipped = parse_release_policy(
        resources.files("heldout_policy").joinpath("defaults", "release.toml").read_text(encoding="utf-8")
    )
    installed = parse_release_policy((config.policy.folder / "release.toml").read_text(encoding="utf-8"))
    assert (shipped.schedule, installed.schedule) == (Schedule(slot_s=3600), Schedule(slot_s=0))
    assert dataclasses.replace(installed, schedule=shipped.schedule) == shipped
    verify_policy_signature(
        (config.policy.folder / "release.toml").read_bytes(),
        (config.policy.folder / "release.toml.sig").read_bytes(),
        config.policy.signer.read_bytes(),
    )


def test_another_release_policy_is_installed_and_signed_on_request(tmp_path):
    shipped = resources.files("heldout_policy").joinpath("defaults", "release.toml").read_bytes()
    (tmp_path / "mine.toml").write_bytes(b"# ours\n" + shipped)
    install(tmp_path / "lab", clock=FixedClock(), release_policy=tmp_path / "mine.toml")
    installed = (tmp_path / "lab" / "policy" / "release.toml").read_bytes()
    assert installed == b"# ours\n" + shipped
    signature = (tmp_path / "lab" / "policy" / "release.toml.sig").read_bytes()
    verify_policy_signature(installed, signature, (tmp_path / "lab" / "policy" / "signer.pem").read_bytes())


@pytest.mark.parametrize("role", [role.value for role in Role])
def test_each_role_has_a_certificate_with_one_uri_and_no_other_name(folder, role):
    found = certificate(folder, role)
    names = list(alternative_names(found))
    assert names == [x509.UniformResourceIdentifier(f"spiffe://heldout.example/{role.replace('_', '-')}")]
    usage = found.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    verifier(folder).build_client_verifier().verify(found, [])


@pytest.mark.parametrize("role", [role.value for role in Role])
def test_each_certificate_identifies_its_role_at_the_gate(folder, role):
    class Nothing:
        def decide(self, **_):
            raise AssertionError

    principals = parse_principals((folder / "policy" / "principals.toml").read_text())
    (uri,) = alternative_names(certificate(folder, role)).get_values_for_type(x509.UniformResourceIdentifier)
    principal = CertificateGatekeeper(principals, Nothing()).identify({"peer_uri": [uri.encode()]})
    assert principal is not None
    assert principal.role.value == role


@pytest.mark.parametrize(
    "subject", [x509.DNSName("localhost"), *(x509.IPAddress(ipaddress.ip_address(a)) for a in ("127.0.0.1", "::1"))]
)
def test_the_servers_certificate_is_valid_for_loopback(folder, subject):
    verifier(folder).build_server_verifier(subject).verify(certificate(folder, "server"), [])


def test_the_servers_certificate_also_names_its_identity_and_no_other_host(folder):
    names = alternative_names(certificate(folder, "server"))
    assert names.get_values_for_type(x509.UniformResourceIdentifier) == ["spiffe://heldout.example/server"]
    with pytest.raises(VerificationError):
        verifier(folder).build_server_verifier(x509.DNSName("example.org")).verify(certificate(folder, "server"), [])


@pytest.mark.parametrize(
    ("address", "dns", "hosts", "client"),
    [
        ("lab.example:7443", ["localhost", "lab.example"], 2, "lab.example:7443"),
        ("192.0.2.7:7443", ["localhost"], 3, "192.0.2.7:7443"),
        ("0.0.0.0:7443", ["localhost"], 2, "127.0.0.1:7443"),
        ("[::]:7443", ["localhost"], 2, "[::1]:7443"),
        ("localhost:0", ["localhost"], 2, "localhost:0"),
    ],
)
def test_the_certificate_and_the_profiles_follow_the_address(tmp_path, address, dns, hosts, client):
    install(tmp_path / "lab", address=address, clock=FixedClock())
    names = alternative_names(certificate(tmp_path / "lab", "server"))
    assert names.get_values_for_type(x509.DNSName) == dns
    assert len(names.get_values_for_type(x509.IPAddress)) == hosts
    profile = tomllib.loads((tmp_path / "lab" / "profiles" / "trainer.toml").read_text())
    assert profile["address"] == client == describe(tmp_path / "lab").address


def test_clients_and_servers_do_not_pass_for_each_other(folder):
    with pytest.raises(VerificationError):
        verifier(folder).build_client_verifier().verify(certificate(folder, "server"), [])
    with pytest.raises(VerificationError):
        verifier(folder).build_server_verifier(x509.DNSName("localhost")).verify(certificate(folder, "trainer"), [])


def test_the_authority_signs_leaves_only(folder):
    authority = certificate(folder, "ca")
    constraints = authority.extensions.get_extension_for_class(x509.BasicConstraints)
    assert (constraints.critical, constraints.value.ca, constraints.value.path_length) == (True, True, 0)
    usage = authority.extensions.get_extension_for_class(x509.KeyUsage).value
    assert (usage.key_cert_sign, usage.digital_signature) == (True, False)
    leaf = certificate(folder, "trainer").extensions
    assert leaf.get_extension_for_class(x509.BasicConstraints).value.ca is False
    assert leaf.get_extension_for_class(x509.KeyUsage).value.key_cert_sign is False


def test_certificates_begin_by_the_injected_clock_and_end(folder):
    found = certificate(folder, "trainer")
    assert 0 < (NOW - found.not_valid_before_utc).total_seconds() <= 300
    assert (found.not_valid_after_utc - NOW).days == 397
    with pytest.raises(VerificationError):
        verifier(folder, found.not_valid_after_utc.replace(year=2030)).build_client_verifier().verify(found, [])


def test_two_installations_trust_nothing_of_each_other(folder, tmp_path):
    install(tmp_path / "other", clock=FixedClock())
    with pytest.raises(VerificationError):
        verifier(tmp_path / "other").build_client_verifier().verify(certificate(folder, "trainer"), [])


@pytest.mark.parametrize("role", [role.value for role in Role])
def test_each_role_has_a_profile_whose_files_are_there(folder, role):
    path = folder / "profiles" / f"{role}.toml"
    profile = tomllib.loads(path.read_text())
    assert profile["server_name"] == "localhost"
    for key in ("ca", "certificate", "key"):
        assert (path.parent / profile[key]).is_file()
    assert role in profile["certificate"]
    assert profile["logs"] == describe(folder).verifier_keys


def test_a_description_names_the_logs_after_the_appliance(tmp_path):
    install(tmp_path / "lab", name="appliance-7", clock=FixedClock())
    found = describe(tmp_path / "lab")
    assert found.name == "appliance-7"
    assert found.config == tmp_path / "lab" / "config.toml"
    assert set(found.profiles) == {role.value for role in Role}
    assert found.verifier_keys["vault"].startswith("appliance-7/vault+")
    assert found.verifier_keys["window"].startswith("appliance-7/window+")


def test_an_empty_folder_is_taken(tmp_path):
    (tmp_path / "lab").mkdir()
    install(tmp_path / "lab", clock=FixedClock())
    assert (tmp_path / "lab" / "config.toml").is_file()
    assert [path.name for path in tmp_path.iterdir()] == ["lab"]


def refused(tmp_path, error=ConfigError, **arguments):
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(error) as caught:
        install(**{"folder": tmp_path / "lab", "clock": FixedClock(), **arguments})
    assert sorted(tmp_path.rglob("*")) == before
    return str(caught.value)


def test_a_folder_that_holds_something_is_refused_and_left_alone(tmp_path):
    (tmp_path / "lab").mkdir()
    (tmp_path / "lab" / "notes").write_text("precious")
    assert "is not empty" in refused(tmp_path)
    assert (tmp_path / "lab" / "notes").read_text() == "precious"


def test_installing_twice_is_refused_and_changes_nothing(folder):
    root = (folder / "keys" / "root.key").read_bytes()
    with pytest.raises(ConfigError, match="never overwritten"):
        install(folder, clock=FixedClock())
    assert (folder / "keys" / "root.key").read_bytes() == root


def test_a_file_or_a_link_in_the_place_is_refused(tmp_path):
    (tmp_path / "lab").write_text("precious")
    assert "is not a folder" in refused(tmp_path)
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    assert "is not a folder" in refused(tmp_path, folder=tmp_path / "link")


def test_a_missing_parent_is_refused(tmp_path):
    assert "no such folder" in refused(tmp_path, folder=tmp_path / "none" / "lab")


@pytest.mark.parametrize(
    "arguments", [{"name": "My Lab"}, {"name": 'x"\ny = 1'}, {"address": "nowhere"}, {"health": "a:b"}]
)
def test_impossible_arguments_are_refused_before_anything_is_made(tmp_path, arguments):
    assert "must be" in refused(tmp_path, **arguments)


@pytest.mark.parametrize("arguments", [{"address": "127.0.0.1:99999"}, {"health": "127.0.0.1:7443"}])
def test_what_the_config_refuses_leaves_nothing_behind(tmp_path, arguments):
    assert "config.toml line" in refused(tmp_path, **arguments)


def test_a_release_policy_that_is_none_leaves_nothing_behind(tmp_path):
    (tmp_path / "bad.toml").write_text("profile = 3\n")
    assert "release.toml" in refused(tmp_path, error=PolicyError, release_policy=tmp_path / "bad.toml")
    (tmp_path / "bad.toml").write_bytes(b"\xff\xfe")
    assert "UTF-8" in refused(tmp_path, release_policy=tmp_path / "bad.toml")
    assert "FileNotFoundError" in refused(tmp_path, release_policy=tmp_path / "none.toml")


def test_a_disk_that_fails_leaves_nothing_behind(tmp_path, monkeypatch):
    def fail(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.rename", fail)
    assert "cannot be made" in refused(tmp_path, error=StorageError)
    monkeypatch.setattr("tempfile.mkdtemp", fail)
    assert "cannot make a folder" in refused(tmp_path, error=StorageError)


@pytest.mark.parametrize(
    ("address", "ports"),
    [("10.0.0.1:8000", (8001, 8002, 8003)), ("127.0.0.1:65535", (1024, 1025, 1026)), ("127.0.0.1:0", (0, 0, 0))],
)
def test_the_other_ports_follow_that_of_the_service(tmp_path, address, ports):
    install(tmp_path / "lab", address=address, clock=FixedClock())
    vault, window = load_config(tmp_path / "lab/config.toml"), load_window_config(tmp_path / "lab/window.toml")
    found = (vault.listen.health_address, window.listen.address, window.listen.health_address)
    assert found == tuple(f"127.0.0.1:{port}" for port in ports)
