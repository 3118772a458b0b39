import json
import stat

import pytest

from heldout_server.errors import ConfigError, IntegrityError, StorageError, WrongKey
from heldout_server.keys import FileKeyRing
from heldout_server.keys.ring import DATABASES
from heldout_server.ports.keys import KeyRing

ALL_DATABASES = [name for names in DATABASES.values() for name in names]


@pytest.fixture
def paths(tmp_path):
    return tmp_path / "root.key", tmp_path / "ring.json"


@pytest.fixture
def ring(paths):
    return FileKeyRing.create(*paths)


def all_keys(ring):
    keys = [ring.database_key(name) for name in ALL_DATABASES]
    for half in DATABASES:
        keys += [ring.audit_mac_key(half), ring.audit_signing_key(half).private_bytes_raw()]
    return keys


def test_the_ring_is_what_the_port_asks_for(ring):
    port: KeyRing = ring
    assert set(ALL_DATABASES) == {
        "bank",
        "outcomes",
        "checkpoints",
        "releases",
        "published",
        "window",
        "audit-vault",
        "audit-window",
    }
    assert port.database_key("bank") == ring.database_key("bank")


def test_every_key_is_its_own_and_has_256_bits(ring):
    keys = all_keys(ring)
    assert len(set(keys)) == len(keys) == 12
    assert {len(key) for key in keys} == {32}


def test_opening_again_gives_the_same_keys(ring, paths):
    assert all_keys(FileKeyRing.open(*paths)) == all_keys(ring)


def test_two_rings_share_nothing(ring, tmp_path):
    (tmp_path / "other").mkdir()
    other = FileKeyRing.create(tmp_path / "other" / "root.key", tmp_path / "other" / "ring.json")
    assert not set(all_keys(ring)) & set(all_keys(other))


def test_no_key_stands_in_the_file_in_the_clear(ring, paths):
    text = paths[1].read_text()
    for key in all_keys(ring):
        assert key.hex() not in text
    for value in json.loads(text)["vault"]["keys"].values():
        assert len(value) == 80  # 12 nonce + 32 key + 16 tag, in base64


def test_both_files_are_for_their_owner_alone(ring, paths):
    assert [stat.S_IMODE(path.stat().st_mode) for path in paths] == [0o600, 0o600]


@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620])
def test_a_file_that_others_may_read_is_refused(ring, paths, which, mode):
    paths[which].chmod(mode)
    with pytest.raises(ConfigError, match="chmod 600") as caught:
        FileKeyRing.open(*paths)
    assert caught.value.reason == "KEY_FILE_MODE"


def test_a_wrong_root_key_is_named_in_one_line_and_nothing_changes(ring, paths):
    paths[0].write_text("ab" * 32 + "\n")
    before = [path.read_bytes() for path in paths]
    with pytest.raises(WrongKey) as caught:
        FileKeyRing.open(*paths)
    assert str(caught.value) == "root.key does not open ring.json: it is the root key of another ring"
    assert caught.value.__cause__ is None
    assert [path.read_bytes() for path in paths] == before


@pytest.mark.parametrize("content", ["", "ab" * 31, "zz" * 32, "ab" * 32 + "\n\n", "ab" * 33])
def test_a_file_without_a_root_key_is_refused(ring, paths, content):
    paths[0].write_text(content)
    with pytest.raises(ConfigError, match="64 hex digits"):
        FileKeyRing.open(*paths)


@pytest.mark.parametrize("which", [0, 1])
def test_a_missing_file_is_the_operators_to_mend(ring, paths, which):
    paths[which].unlink()
    with pytest.raises(ConfigError, match="FileNotFoundError"):
        FileKeyRing.open(*paths)


def damage(path, change):
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


@pytest.mark.parametrize(
    "change",
    [
        lambda document: document.update(format="heldout-key-ring/2"),
        lambda document: document.pop("window"),
        lambda document: document["vault"]["keys"].pop("audit-mac"),
        lambda document: document["vault"].update(salt=3),
        lambda document: document["vault"]["keys"].update({"database/bank": "%%%%"}),
        lambda document: document.update(vault=[]),
    ],
)
def test_a_ring_that_is_none_is_refused_whole(ring, paths, change):
    damage(paths[1], change)
    with pytest.raises(IntegrityError) as caught:
        FileKeyRing.open(*paths)
    assert caught.value.reason == "KEY_RING_BROKEN"


@pytest.mark.parametrize("content", ["", "[]", "{", "\x00"])
def test_a_file_that_is_no_ring_is_refused(ring, paths, content):
    paths[1].write_text(content)
    with pytest.raises(IntegrityError, match="not a key ring"):
        FileKeyRing.open(*paths)


def swap(document, half, one, other):
    keys = document[half]["keys"]
    keys[one], keys[other] = keys[other], keys[one]


def test_a_key_does_not_open_under_another_keys_name(ring, paths):
    damage(paths[1], lambda document: swap(document, "vault", "database/bank", "database/outcomes"))
    with pytest.raises(IntegrityError) as caught:
        FileKeyRing.open(*paths)
    assert caught.value.reason == "KEY_BROKEN"


def test_the_parts_of_the_halves_do_not_open_each_other(ring, paths):
    def change(document):
        document["vault"]["keys"]["audit-mac"] = document["window"]["keys"]["audit-mac"]

    damage(paths[1], change)
    with pytest.raises(IntegrityError):
        FileKeyRing.open(*paths)


@pytest.mark.parametrize("which", [0, 1])
def test_creating_over_something_leaves_everything_as_it_was(paths, which):
    paths[which].write_text("precious")
    with pytest.raises(ConfigError, match="never overwritten"):
        FileKeyRing.create(*paths)
    assert paths[which].read_text() == "precious"
    assert not paths[1 - which].exists()


def test_creating_where_there_is_no_folder_is_a_storage_error(tmp_path):
    with pytest.raises(StorageError, match="cannot be written"):
        FileKeyRing.create(tmp_path / "none" / "root.key", tmp_path / "ring.json")


def test_data_keys_open_for_their_purpose_alone_and_across_a_restart(ring, paths):
    key = bytes(range(32))
    wrapped = ring.wrap(key, purpose="shard-1")
    assert key not in wrapped
    assert FileKeyRing.open(*paths).unwrap(wrapped, purpose="shard-1") == key
    with pytest.raises(IntegrityError):
        ring.unwrap(wrapped, purpose="shard-2")


def test_a_data_key_does_not_open_under_another_root(ring, tmp_path):
    (tmp_path / "other").mkdir()
    other = FileKeyRing.create(tmp_path / "other" / "root.key", tmp_path / "other" / "ring.json")
    with pytest.raises(IntegrityError):
        other.unwrap(ring.wrap(bytes(32), purpose="shard"), purpose="shard")


def test_unknown_databases_and_halves_have_no_key(ring):
    for ask in (ring.database_key, ring.audit_mac_key, ring.audit_signing_key):
        with pytest.raises(KeyError):
            ask("nowhere")


def test_a_ring_does_not_show_its_keys(ring):
    assert ring.database_key("bank").hex() not in repr(ring)
    assert repr(ring.database_key("bank")) not in repr(ring)
