"""Shares of the root key: their files, what tells them apart, and who may give them."""

import os

import pytest

from heldout.errors import ProfileError
from heldout.key_share import read_key_share
from heldout_server.errors import ConfigError, IntegrityError, InvalidRequest, WrongKey, WrongState
from heldout_server.keys import FileKeyRing, Unsealing
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
