"""The root key shared out anew: every key stays what it was, and shares of before open nothing that is left."""

import pytest

from heldout_server.config.appliance import Keys
from heldout_server.errors import ConfigError, StorageError, WrongKey
from heldout_server.keys import FileKeyRing, open_ring, put_in_force, resharing, share_anew, write_shares
from heldout_server.keys.private_files import write_private
from heldout_server.keys.shares import share_text

PURPOSE = "vault/shard"
KEY = bytes(range(32))


class House:
    """A ring of three shares, two of which open it, and the files of them."""

    def __init__(self, folder):
        self.folder = folder
        self.keys = Keys(provider="shamir", ring=folder / "ring.json", root=None, shares=folder / "shares.json")
        self.ring, book, shares = FileKeyRing.create_shared(self.keys.ring, self.keys.shares, shares=3, threshold=2)
        self.old = [folder / f"old-{share.number}.toml" for share in shares]
        for path, share in zip(self.old, shares, strict=True):
            write_private(path, share_text(share, book, appliance="acme"))

    def prepare(self, name="new", *, given=None, shares=5, threshold=3):
        """Go as far as files of new shares, which are not in force."""
        made = share_anew(self.open(given or self.old), shares=shares, threshold=threshold)
        return made, write_shares(made, self.folder / name, appliance="acme")

    def open(self, given):
        return open_ring(self.keys, given)

    def put_in_force(self, made):
        put_in_force(made, book=self.keys.shares, ring=self.keys.ring)


@pytest.fixture
def house(tmp_path):
    return House(tmp_path)


def test_every_key_is_what_it_was_and_new_shares_open_them(house):
    wrapped = house.ring.wrap(KEY, purpose=PURPOSE)
    made, new = house.prepare()
    house.put_in_force(made)
    ring = house.open(new[1:4])
    for name in ("bank", "releases", "audit-vault", "published", "audit-window"):
        assert ring.database_key(name) == house.ring.database_key(name)
    assert ring.audit_signing_key("vault").private_bytes_raw() == (
        house.ring.audit_signing_key("vault").private_bytes_raw()
    )
    assert ring.unwrap(wrapped, purpose=PURPOSE) == KEY
    assert ring.window_keys() == house.ring.window_keys()
    with pytest.raises(ConfigError, match="2 of 3"):
        house.open(new[:2])


def test_shares_of_before_open_nothing_that_is_left(house):
    book = house.keys.shares.read_bytes()
    made, _ = house.prepare()
    house.put_in_force(made)
    with pytest.raises(ConfigError, match="another appliance, or one that was changed"):
        house.open(house.old)
    house.keys.shares.write_bytes(book)  # even if somebody puts back what knows them
    with pytest.raises(WrongKey):
        house.open(house.old)


def test_it_can_be_done_again(house):
    wrapped = house.ring.wrap(KEY, purpose=PURPOSE)
    made, new = house.prepare()
    house.put_in_force(made)
    again, newest = house.prepare("newest", given=new, shares=2, threshold=2)
    house.put_in_force(again)
    assert house.open(newest).unwrap(wrapped, purpose=PURPOSE) == KEY
    with pytest.raises(ConfigError):
        house.open(new)


@pytest.mark.parametrize("passed", range(3))
def test_cut_off_anywhere_either_the_old_shares_open_it_or_the_new(house, monkeypatch, passed):
    """It ends before the ring is exchanged, before the book is, or before that is durable."""
    made, new = house.prepare()
    sync, left = resharing._sync, [None] * passed

    def end_some_time(*folders):
        if not left:
            raise OSError(5, "the end")
        left.pop()
        sync(*folders)

    monkeypatch.setattr(resharing, "_sync", end_some_time)
    with pytest.raises(StorageError):
        house.put_in_force(made)
    monkeypatch.undo()
    opening, shut = (house.old, new) if passed == 0 else (new, house.old)
    assert house.open(opening).database_key("bank") == house.ring.database_key("bank")
    with pytest.raises(ConfigError):
        house.open(shut)
    again, newest = house.prepare("again", given=opening)
    house.put_in_force(again)
    assert house.open(newest).database_key("bank") == house.ring.database_key("bank")
    assert sorted(path.name for path in house.folder.glob("*.new")) == []


def test_shares_that_were_never_put_in_force_open_nothing(house):
    _, new = house.prepare()
    with pytest.raises(ConfigError):
        house.open(new)
    assert house.open(house.old).database_key("bank") == house.ring.database_key("bank")


def test_files_of_shares_are_private_and_never_written_over(house):
    made, new = house.prepare()
    assert {path.stat().st_mode & 0o777 for path in new} == {0o600}
    assert new[0].parent.stat().st_mode & 0o777 == 0o700
    with pytest.raises(ConfigError, match="name a folder that does not exist yet"):
        write_shares(made, new[0].parent, appliance="acme")


def test_there_is_no_share_for_one_alone(house):
    with pytest.raises(ConfigError, match="--shares 1"):
        house.prepare(shares=1, threshold=1)
