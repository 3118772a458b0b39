"""Shares of the root key: a file for each key holder, and one that tells the appliance which shares are its own.

A share's file is TOML, mode 0600, for one person::

    format = "heldout-key-share/1"
    appliance = "acme"
    set = "shares-4f0c9a1be2d37c55"
    number = 1
    share = "…"  # base64 of 32 bytes
    check = "…"  # hex SHA-256 over set, number and share

The appliance keeps the checks alone, in ``shares.json``. A share is 256 random bits, so its check gives nothing of it
away, and a wrong one is told at once. The root key is written nowhere.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import secrets
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from heldout_server.errors import ConfigError, IntegrityError
from heldout_server.keys.private_files import read_private
from heldout_server.keys.shamir import combine, split

SHARE_FORMAT: Final = "heldout-key-share/1"
BOOK_FORMAT: Final = "heldout-key-shares/1"
SHARE_BYTES: Final = 32

_SHARE: Final = """\
# Share {number} of {shares} of the root key of {appliance}; {threshold} of them open its bank.
# For one person alone. Keep it where the others are not: heldout seal give-share FILE
format = "{format}"
appliance = "{appliance}"
set = "{set}"
number = {number}
share = "{share}"
check = "{check}"
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """Hold one share.

    Attributes:
        share_set: the set that it belongs to, ``shares-`` and 16 hex digits.
        number: its place in it, from 1.
        value: 32 bytes.
    """

    share_set: str
    number: int
    value: bytes = field(repr=False)

    @property
    def check(self) -> str:
        """Return what tells this share from any other, in hex."""
        return hashlib.sha256(f"{SHARE_FORMAT}\n{self.share_set}\n{self.number}\n".encode() + self.value).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class ShareBook:
    """Know the shares of a root key without having one.

    Attributes:
        share_set: the set.
        threshold: how many open the ring.
        checks: of each share, by its place.
    """

    share_set: str
    threshold: int
    checks: tuple[str, ...]

    def knows(self, share: Share) -> bool:
        """Say whether a share is one of this set."""
        return (
            share.share_set == self.share_set
            and 1 <= share.number <= len(self.checks)
            and secrets.compare_digest(share.check, self.checks[share.number - 1])
        )

    def to_json(self) -> bytes:
        """Return the content of ``shares.json``."""
        document = {
            "format": BOOK_FORMAT,
            "set": self.share_set,
            "threshold": self.threshold,
            "checks": list(self.checks),
        }
        return json.dumps(document, indent=1).encode() + b"\n"

    @classmethod
    def read(cls, path: Path) -> ShareBook:
        """Read ``shares.json``.

        Raises:
            ConfigError: it is missing, or others may read or write it.
            IntegrityError: it is damaged.
        """
        content = read_private(path)
        try:
            document = json.loads(content)
            book = cls(
                share_set=str(document["set"]), threshold=int(document["threshold"]), checks=tuple(document["checks"])
            )
            whole = document["format"] == BOOK_FORMAT and all(isinstance(check, str) for check in book.checks)
        except (ValueError, KeyError, TypeError):
            whole = False
        if not whole:
            raise IntegrityError(f"{path.name}: does not name key shares ({BOOK_FORMAT})", reason="SHARES_BROKEN")
        return book


def share_out(
    root: bytes, *, shares: int, threshold: int, draw: Callable[[int], bytes]
) -> tuple[ShareBook, tuple[Share, ...]]:
    """Split a root key into a new set of shares.

    Args:
        root: 32 bytes.
        shares: how many, 2 to 16.
        threshold: how many of them open the ring, 2 to ``shares``.
        draw: returns so many random bytes.

    Raises:
        ConfigError: there are no such shares.
    """
    share_set = f"shares-{draw(8).hex()}"
    try:
        values = split(root, shares=shares, threshold=threshold, draw=draw)
    except ValueError as error:
        raise ConfigError(f"--shares {shares} --threshold {threshold}: {error}") from None
    made = tuple(Share(share_set=share_set, number=number, value=value) for number, value in values.items())
    return ShareBook(share_set=share_set, threshold=threshold, checks=tuple(one.check for one in made)), made


def share_text(share: Share, book: ShareBook, *, appliance: str) -> bytes:
    """Return the content of a share's file."""
    return _SHARE.format(
        number=share.number,
        shares=len(book.checks),
        appliance=appliance,
        threshold=book.threshold,
        format=SHARE_FORMAT,
        set=share.share_set,
        share=base64.b64encode(share.value).decode(),
        check=share.check,
    ).encode()


def read_share(path: Path) -> Share:
    """Read a share's file.

    Raises:
        ConfigError: it is missing, others may read it, or it holds no whole share.
    """
    content = read_private(path)
    try:
        document = tomllib.loads(content.decode())
        share = Share(
            share_set=str(document["set"]),
            number=int(document["number"]),
            value=base64.b64decode(document["share"], validate=True),
        )
        whole = document["format"] == SHARE_FORMAT and document["check"] == share.check
    except (ValueError, KeyError, TypeError, binascii.Error):
        whole = False
    if not whole or len(share.value) != SHARE_BYTES:
        raise ConfigError(f"{path}: does not hold a whole key share\n  take the file as init wrote it")
    return share


def recover(book: ShareBook, values: Mapping[int, bytes]) -> bytearray:
    """Return the root key, to be overwritten by whoever asked for it.

    Args:
        book: of the set.
        values: shares of it by number, each checked before.

    Raises:
        ConfigError: they are too few.
    """
    if len(values) < book.threshold:
        raise ConfigError(f"{len(values)} of {book.threshold} key shares were given\n  pass --share FILE for each")
    return combine(values)


def overwrite(secret: bytearray) -> None:
    """Overwrite a secret where it lies. Copies that Python or a library made of it are not reached."""
    secret[:] = bytes(len(secret))
