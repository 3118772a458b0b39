"""Share the root key out anew: to other people, or to more of them, without any key of a database changing.

The root key itself is exchanged, so the shares of before open nothing that is left here: a ring of before, as in a
backup with keys, they still open. Ring and book are two files, so:

1. the files of the new shares, durable; they open nothing yet;
2. the new book beside the old one;
3. the new ring in the place of the old one, in one rename: from here on the new shares open it, and it says so;
4. the new book in the place of the old one. If this was cut off, whoever reads the book next makes up for it.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from heldout_server.errors import ConfigError, StorageError
from heldout_server.keys.private_files import write_private
from heldout_server.keys.ring import FileKeyRing, read_share_set
from heldout_server.keys.root_key import ROOT_KEY_BYTES
from heldout_server.keys.shares import Share, ShareBook, overwrite, share_out, share_text


@dataclass(frozen=True, slots=True, kw_only=True)
class Resharing:
    """Hold what takes the place of a ring and its shares.

    Attributes:
        book: knows the new shares.
        shares: one for each key holder.
        ring: content of the new ring; every key in it is wrapped.
    """

    book: ShareBook
    shares: tuple[Share, ...]
    ring: bytes


def share_anew(
    ring: FileKeyRing, *, shares: int, threshold: int, draw: Callable[[int], bytes] = secrets.token_bytes
) -> Resharing:
    """Draw another root key, wrap every key of a ring under it, and split it; nothing is written.

    Args:
        ring: opened.
        shares: how many, 2 to 16.
        threshold: how many of them open the ring, 2 to ``shares``.
        draw: returns so many random bytes.

    Raises:
        ConfigError: there are no such shares.
    """
    root = bytearray(draw(ROOT_KEY_BYTES))
    try:
        book, made = share_out(bytes(root), shares=shares, threshold=threshold, draw=draw)
        return Resharing(book=book, shares=made, ring=ring.wrapped_anew(bytes(root), share_set=book.share_set))
    finally:
        overwrite(root)


def write_shares(resharing: Resharing, folder: Path, *, appliance: str) -> tuple[Path, ...]:
    """Write a file for each new share into a new folder, durable: step 1.

    Raises:
        ConfigError: the folder is there already, or cannot be made.
        StorageError: the disk fails.
    """
    try:
        folder.mkdir(mode=0o700)
    except OSError as error:
        raise ConfigError(
            f"{folder}: cannot be made ({error.strerror})\n  name a folder that does not exist yet"
        ) from None
    paths = tuple(folder / f"share-{share.number}.toml" for share in resharing.shares)
    for path, share in zip(paths, resharing.shares, strict=True):
        write_private(path, share_text(share, resharing.book, appliance=appliance))
    _sync(folder, folder.parent)
    return paths


def put_in_force(resharing: Resharing, *, book: Path, ring: Path) -> None:
    """Exchange ring and book: steps 2 to 4.

    Raises:
        StorageError: the disk fails. What opens the ring then is told by :func:`read_book`.
    """
    new_book, new_ring = _beside(book), _beside(ring)
    try:
        for path in (new_book, new_ring):
            path.unlink(missing_ok=True)  # of an attempt that was cut off, and never in force
        write_private(new_book, resharing.book.to_json())
        write_private(new_ring, resharing.ring)
        _sync(book.parent)
        new_ring.replace(ring)
        _sync(ring.parent)
        new_book.replace(book)
        _sync(book.parent)
    except OSError as error:
        raise StorageError(f"{ring.parent}: cannot be written ({type(error).__name__})") from None


def read_book(book: Path, ring: Path) -> ShareBook:
    """Return what knows the shares of a ring; an exchange that was cut off behind the ring's is ended first.

    Raises:
        ConfigError: it is missing, or others may read or write it.
        IntegrityError: it, or the ring, is damaged.
        StorageError: the exchange cannot be ended.
    """
    new = _beside(book)
    if new.exists() and ShareBook.read(new).share_set == read_share_set(ring):
        try:
            new.replace(book)
            _sync(book.parent)
        except OSError as error:
            raise StorageError(f"{book}: cannot be written ({type(error).__name__})") from None
    return ShareBook.read(book)


def _beside(path: Path) -> Path:
    return path.with_name(f"{path.name}.new")


def _sync(*folders: Path) -> None:
    for folder in folders:
        descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
