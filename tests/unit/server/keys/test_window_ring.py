"""The window's key ring holds what the window needs, under a root of its own, and opens nothing of the vault."""

import json

import pytest

from heldout_server.errors import ConfigError, HeldoutError, IntegrityError, WrongKey
from heldout_server.keys import FileKeyRing, WindowKeyRing, write_window_ring


@pytest.fixture
def vault(tmp_path):
    return FileKeyRing.create(tmp_path / "root.key", tmp_path / "ring.json")


@pytest.fixture
def paths(tmp_path, vault):
    root, ring = tmp_path / "window.key", tmp_path / "window.json"
    write_window_ring(vault, root_key_path=root, ring_path=ring)
    return root, ring


def test_both_halves_have_the_same_keys_of_the_window(vault, paths):
    window = WindowKeyRing.open(*paths)
    for name in ("published", "window", "audit-window"):
        assert window.database_key(name) == vault.database_key(name)
    assert window.audit_mac_key("window") == vault.audit_mac_key("window")
    signing = [one.audit_signing_key("window").private_bytes_raw() for one in (window, vault)]
    assert signing[0] == signing[1]


@pytest.mark.parametrize(
    "ask",
    [
        lambda ring: ring.database_key("bank"),
        lambda ring: ring.database_key("audit-vault"),
        lambda ring: ring.audit_signing_key("vault"),
        lambda ring: ring.audit_mac_key("vault"),
        lambda ring: ring.wrap(bytes(32), purpose="shard"),
        lambda ring: ring.unwrap(bytes(60), purpose="shard"),
        lambda ring: ring.pack_key(),
    ],
)
def test_nothing_of_the_vault_is_there(paths, ask):
    with pytest.raises(KeyError):
        ask(WindowKeyRing.open(*paths))


def test_no_key_of_the_vault_stands_in_its_file(tmp_path, paths):
    names = set(json.loads(paths[1].read_text())["heldout-window-ring/1"])
    assert names == {"database/published", "database/window", "database/audit-window", "audit-signing", "audit-mac"}
    assert paths[0].read_bytes() != (tmp_path / "root.key").read_bytes()


@pytest.mark.parametrize("which", [0, 1])
def test_the_files_of_one_half_do_not_open_those_of_the_other(tmp_path, paths, which):
    mixed = [paths, (tmp_path / "root.key", tmp_path / "ring.json")]
    with pytest.raises(HeldoutError):
        WindowKeyRing.open(mixed[which][0], mixed[1 - which][1])
    with pytest.raises(HeldoutError):
        FileKeyRing.open(mixed[1 - which][0], mixed[which][1] if which == 0 else mixed[0][1])


def test_another_root_key_is_named_in_one_line(tmp_path, paths):
    (tmp_path / "window.key").write_text("ab" * 32 + "\n")
    with pytest.raises(WrongKey, match=r"window\.key does not open window\.json"):
        WindowKeyRing.open(*paths)


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"salt": 3, "heldout-window-ring/1": {}}', '{"salt": "AA=="}'])
def test_a_damaged_ring_is_named_in_one_line(paths, content):
    paths[1].write_text(content)
    with pytest.raises(IntegrityError, match=r"window\.json"):
        WindowKeyRing.open(*paths)


def test_it_is_written_once(vault, paths):
    with pytest.raises(ConfigError):
        write_window_ring(vault, root_key_path=paths[0], ring_path=paths[1])
