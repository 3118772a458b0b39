"""Gather shares of the root key from people, and open the ring once enough different people have given one."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from pathlib import Path

from heldout_server.config.appliance import Keys
from heldout_server.errors import ConfigError, InvalidRequest, WrongState
from heldout_server.keys.resharing import read_book
from heldout_server.keys.ring import FileKeyRing
from heldout_server.keys.shares import Share, ShareBook, overwrite, read_share, recover


class Unsealing:
    """Take shares until there are enough. A share counts once, and so does a person.

    Args:
        book: knows the shares.
        ring: path of the ring that they open.
    """

    def __init__(self, book: ShareBook, ring: Path) -> None:
        self.book = book
        self._ring = ring
        self._given: dict[str, tuple[int, bytearray]] = {}

    @classmethod
    def begin(cls, book: Path, ring: Path) -> Unsealing:
        """Read what tells the shares from others.

        Raises:
            ConfigError: it is missing, or others may read or write it.
            IntegrityError: it is damaged.
        """
        return cls(read_book(book, ring), ring)

    @property
    def given_by(self) -> tuple[str, ...]:
        """Return who gave a share, in the order in which they did."""
        return tuple(self._given)

    @property
    def complete(self) -> bool:
        """Say whether there are enough."""
        return len(self._given) >= self.book.threshold

    def give(self, identity: str, *, share_set: str, number: int, value: bytes) -> None:
        """Take a share.

        Raises:
            InvalidRequest: it is none of this appliance's, or was changed: nothing says where it differs.
            WrongState: enough were given, or this person or somebody with this very share has given one.
        """
        if self.complete:
            raise WrongState("enough shares were given", reason="SHARES_COMPLETE")
        if not self.book.knows(Share(share_set=share_set, number=number, value=value)):
            raise InvalidRequest("that is no share of this appliance's root key", reason="SHARE_WRONG")
        if identity in self._given:
            raise WrongState("this person has given a share", reason="SHARE_GIVEN_BEFORE")
        if any(number == other for other, _ in self._given.values()):
            raise WrongState("somebody else has given this share", reason="SHARE_GIVEN_BEFORE")
        self._given[identity] = (number, bytearray(value))

    def open_ring(self, *, random_bytes: Callable[[int], bytes] = secrets.token_bytes) -> FileKeyRing:
        """Open the ring, and overwrite the root key and every share that was given.

        Args:
            random_bytes: draws the nonces of data keys that are wrapped later.

        Raises:
            ConfigError: too few shares were given, or the ring is missing.
            WrongKey: the shares are not those of this ring.
            IntegrityError: the ring is damaged.
        """
        root = self.recover_root()
        try:
            named = "the root key that the shares give"
            return FileKeyRing.open_with(root, self._ring, named=named, random_bytes=random_bytes)
        finally:
            overwrite(root)
            self.forget()

    def recover_root(self) -> bytearray:
        """Return the root key that the shares give, to be overwritten by whoever asked for it.

        Raises:
            ConfigError: too few shares were given.
        """
        return recover(self.book, {number: bytes(value) for number, value in self._given.values()})

    def forget(self) -> None:
        """Overwrite every share that was given; who gave one stays known."""
        for _, value in self._given.values():
            overwrite(value)


def open_ring(
    keys: Keys, shares: Sequence[Path] = (), *, random_bytes: Callable[[int], bytes] = secrets.token_bytes
) -> FileKeyRing:
    """Open the ring of an appliance that does not run.

    Args:
        keys: what its config says.
        shares: files of key shares, which key holders brought together on this machine.
        random_bytes: draws the nonces of data keys that are wrapped later.

    Raises:
        ConfigError: a file is missing or holds no share of this set, or they are too few or not wanted.
        WrongKey: the root key is not that of this ring.
        IntegrityError: the ring, or what tells its shares, is damaged.
    """
    if keys.root is not None:
        if shares:
            raise ConfigError("the root key of this appliance lies in a file: it takes no key shares")
        return FileKeyRing.open(keys.root, keys.ring, random_bytes=random_bytes)
    if keys.shares is None:  # pragma: no cover - a config names one of them
        raise AssertionError
    return gather(keys.shares, keys.ring, shares).open_ring(random_bytes=random_bytes)


def gather(book: Path, ring: Path, shares: Sequence[Path]) -> Unsealing:
    """Take shares from files, as many as are needed.

    Args:
        book: what tells the shares from others.
        ring: that they open.
        shares: files of key shares.

    Raises:
        ConfigError: a file is missing, or holds no share of this set.
        IntegrityError: what tells the shares is damaged.
    """
    unsealing = Unsealing.begin(book, ring)
    for path in shares[: unsealing.book.threshold]:
        share = read_share(path)
        try:
            unsealing.give(str(path), share_set=share.share_set, number=share.number, value=share.value)
        except InvalidRequest:
            raise ConfigError(f"{path}: a key share of another appliance, or one that was changed") from None
        except WrongState:
            raise ConfigError(f"{path}: the same key share as another one\n  pass --share FILE for each") from None
    return unsealing
