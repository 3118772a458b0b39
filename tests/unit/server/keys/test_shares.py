"""Shares of the root key: their files, what tells them apart, and who may give them."""

import dataclasses
import os

import pytest

from heldout.errors import ProfileError
from heldout.key_share import read_key_share
from heldout_server.config.appliance import Keys
from heldout_server.errors import ConfigError, IntegrityError, InvalidRequest, WrongKey, WrongState
from heldout_server.keys import FileKeyRing, Unsealing, open_ring
from heldout_server.keys.private_files import write_private
from heldout_server.keys.shares import ShareBook, overwrite, read_share, share_out, share_text


@pytest.fixture
def made(tmp_path):
    return FileKeyRing.create_shared(tmp_path / "ring.json", tmp_path / "shares.json", shares=3, threshold=2)


def give(unsealing, identity, share, *, number=None):
    unsealing.give(identity, share_set=share.share_set, number=number or share.number, value=share.value)


def test_two_of_three_people_open_the_ring_that_was_made(made, tmp_path):
    ring, _, shares = made
    for first, second in ((0, 1), (0, 2), (2, 1)):
        unsealing = Unsealing.begin(tmp_path / "shares.json", tmp_path / "ring.json")
        give(unsealing, "anna", shares[first])
        assert not unsealing.complete
        give(unsealing, "ben", shares[second])
        assert (unsealing.complete, unsealing.given_by) == (True, ("anna", "ben"))
        assert unsealing.open_ring().database_key("bank") == ring.database_key("bank")


def test_a_person_and_a_share_count_once(made, tmp_path):
    _, _, shares = made
    unsealing = Unsealing.begin(tmp_path / "shares.json", tmp_path / "ring.json")
    give(unsealing, "anna", shares[0])
    for identity, share in (("anna", shares[1]), ("ben", shares[0])):
        with pytest.raises(WrongState):
            give(unsealing, identity, share)
    assert unsealing.given_by == ("anna",)
    with pytest.raises(ConfigError, match="1 of 2"):
        unsealing.open_ring()


def test_once_enough_were_given_no_more_are_taken(made, tmp_path):
    _, _, shares = made
    unsealing = Unsealing.begin(tmp_path / "shares.json", tmp_path / "ring.json")
    give(unsealing, "anna", shares[0])
    give(unsealing, "ben", shares[1])
    with pytest.raises(WrongState) as caught:
        give(unsealing, "cleo", shares[2])
    assert caught.value.reason == "SHARES_COMPLETE"
    assert unsealing.given_by == ("anna", "ben")


def keys(tmp_path, root=None):
    return Keys(
        provider="shamir" if root is None else "file",
        ring=tmp_path / "ring.json",
        root=root,
        shares=tmp_path / "shares.json" if root is None else None,
    )


def write_shares(made, folder):
    _, book, shares = made
    paths = [folder / f"holder-{share.number}.toml" for share in shares]
    for path, share in zip(paths, shares, strict=True):
        write_private(path, share_text(share, book, appliance="acme"))
    return paths


def test_an_appliance_that_does_not_run_takes_shares_from_files(made, tmp_path):
    first, second, third = write_shares(made, tmp_path)
    for given in ((first, third), (second, first), (third, second, first)):  # more than enough are not even read
        ring = open_ring(keys(tmp_path), given)
        assert ring.database_key("bank") == made[0].database_key("bank")
    for few in ((), (first,)):
        with pytest.raises(ConfigError, match=f"{len(few)} of 2"):
            open_ring(keys(tmp_path), few)
    with pytest.raises(ConfigError, match=r"holder-1\.toml: the same key share as another one"):
        open_ring(keys(tmp_path), (first, first))


def test_a_share_file_of_another_appliance_is_named(made, tmp_path):
    first, *_ = write_shares(made, tmp_path)
    (tmp_path / "other").mkdir()
    other = FileKeyRing.create_shared(
        tmp_path / "other" / "ring.json", tmp_path / "other" / "shares.json", shares=2, threshold=2
    )
    foreign, *_ = write_shares(other, tmp_path / "other")
    with pytest.raises(ConfigError, match=r"other/holder-1\.toml: a key share of another appliance"):
        open_ring(keys(tmp_path), (first, foreign))


def test_an_appliance_whose_root_key_lies_in_a_file_takes_no_shares(made, tmp_path):
    paths = write_shares(made, tmp_path)
    ring = FileKeyRing.create(tmp_path / "root.key", tmp_path / "file-ring.json")
    settings = dataclasses.replace(keys(tmp_path, tmp_path / "root.key"), ring=tmp_path / "file-ring.json")
    assert open_ring(settings).database_key("bank") == ring.database_key("bank")
    with pytest.raises(ConfigError, match="takes no key shares"):
        open_ring(settings, paths)


def test_whatever_is_wrong_in_a_share_is_told_alike(made, tmp_path):
    _, _, shares = made
    unsealing = Unsealing.begin(tmp_path / "shares.json", tmp_path / "ring.json")
    one = shares[0]
    wrong = [
        {"share_set": "shares-0", "number": 1, "value": one.value},
        {"share_set": one.share_set, "number": 2, "value": one.value},
        {"share_set": one.share_set, "number": 0, "value": one.value},
        {"share_set": one.share_set, "number": 4, "value": one.value},
        *(
            {
                "share_set": one.share_set,
                "number": 1,
                "value": bytes([*one.value[:i], one.value[i] ^ 1, *one.value[i + 1 :]]),
            }
            for i in range(32)
        ),
    ]
    told = set()
    for share in wrong:
        with pytest.raises(InvalidRequest) as error:
            unsealing.give("anna", **share)
        told.add((str(error.value), error.value.reason))
    assert len(told) == 1


def test_the_shares_of_another_ring_do_not_open_this_one(made, tmp_path):
    _, _, shares = made
    FileKeyRing.create_shared(tmp_path / "other.json", tmp_path / "others.json", shares=2, threshold=2)
    unsealing = Unsealing.begin(tmp_path / "shares.json", tmp_path / "other.json")
    give(unsealing, "anna", shares[0])
    give(unsealing, "ben", shares[1])
    with pytest.raises(WrongKey, match="the shares give"):
        unsealing.open_ring()


def test_forgotten_keys_open_nothing(made):
    ring, _, _ = made
    kept = ring._keys["vault"]["database/bank"]
    ring.forget()
    assert kept == bytes(32)
    with pytest.raises(KeyError):
        ring.database_key("bank")
    with pytest.raises(WrongKey, match="sealed"):
        ring.wrap(bytes(32), purpose="shard")


def test_overwriting_keeps_the_length():
    secret = bytearray(b"secret")
    overwrite(secret)
    assert secret == bytes(6)


def test_server_and_client_read_the_same_file(tmp_path):
    book, shares = share_out(os.urandom(32), shares=2, threshold=2, draw=os.urandom)
    path = tmp_path / "anna.toml"
    write_private(path, share_text(shares[1], book, appliance="acme"))
    mine, theirs = read_share(path), read_key_share(path)
    assert mine == shares[1]
    assert (theirs.appliance, theirs.share_set, theirs.number, theirs.value) == (
        "acme",
        mine.share_set,
        2,
        mine.value,
    )
    assert theirs.value.hex() not in repr(theirs)
    assert mine.value.hex() not in repr(mine)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("number = 1", "number = 2"),
        ('share = "', 'share = "AAAA'),
        ("heldout-key-share/1", "heldout-key-share/2"),
        ("check", "chuck"),
        ("number = 1", "number = x"),
    ],
)
def test_a_file_that_was_changed_holds_no_share(tmp_path, old, new):
    book, shares = share_out(os.urandom(32), shares=2, threshold=2, draw=os.urandom)
    path = tmp_path / "anna.toml"
    write_private(path, share_text(shares[0], book, appliance="acme").decode().replace(old, new).encode())
    with pytest.raises(ConfigError, match="whole key share"):
        read_share(path)
    with pytest.raises(ProfileError, match="whole key share"):
        read_key_share(path)


def test_a_share_that_others_can_read_is_refused(tmp_path):
    book, shares = share_out(os.urandom(32), shares=2, threshold=2, draw=os.urandom)
    path = tmp_path / "anna.toml"
    write_private(path, share_text(shares[0], book, appliance="acme"))
    path.chmod(0o640)
    with pytest.raises(ConfigError, match="0640"):
        read_share(path)
    with pytest.raises(ProfileError, match="0640"):
        read_key_share(path)


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b'{"format": "x", "set": "a", "threshold": 2, "checks": []}'])
def test_a_damaged_book_is_named(tmp_path, content):
    write_private(tmp_path / "shares.json", content)
    with pytest.raises(IntegrityError, match=r"shares\.json"):
        ShareBook.read(tmp_path / "shares.json")


def test_there_is_no_share_for_one_alone():
    with pytest.raises(ConfigError, match="--shares 1 --threshold 1"):
        share_out(bytes(32), shares=1, threshold=1, draw=os.urandom)
