"""The key of calls that are kept while no log is open: one that forgets what it was, so that lines before stay true.

No key of the appliance is at hand while it is sealed, and whoever holds its disk holds every file that it could read.
So the key moves on: the file holds the key of the **next** line alone, each line is signed (HMAC-SHA-256, RFC 2104)
under the key of its place, and that key is then replaced by its hash, durable (forward security: M. Bellare and B. Yee,
"Forward-Security in Private-Key Cryptography", CT-RSA 2003). The first key of a row was drawn while the appliance was
open, and stands beside it wrapped under the root key: once that is back every key of the row can be made again.

So whoever takes the disk can add lines from then on, and can neither change nor take away what came before: they would
need keys that are gone. What remains: lines may be added by whoever has the file; who has an earlier copy of it, from
the same row, or finds one in what the file system has not overwritten yet, can make anew what came after that copy; and
who takes file and key away leaves lines without a signature, which the log then says.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, Protocol

from heldout_server.errors import IntegrityError, StorageError

FORMAT: Final = "heldout-kept-key/1"
PURPOSE: Final = "vault/sealed-calls"
KEY_BYTES: Final = 32
_NEXT: Final = b"heldout/v1/kept-key/next"


class KeyWrapper(Protocol):
    """Wrap keys under the root key, as :class:`heldout_server.ports.keys.KeyRing` does."""

    def wrap(self, key: bytes, *, purpose: str) -> bytes:
        """Return a key of 32 bytes encrypted and bound to its purpose."""
        ...

    def unwrap(self, wrapped: bytes, *, purpose: str) -> bytes:
        """Return it.

        Raises:
            IntegrityError: it was wrapped for another purpose, under another root, or changed.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptKey:
    """Hold the key of the next line.

    Attributes:
        wrapped: the first key of the row, wrapped under the root key.
        step: how many lines of the row were signed.
        key: of the next one, 32 bytes.
    """

    wrapped: bytes
    step: int
    key: bytes = field(repr=False)

    @property
    def row(self) -> str:
        """Return the name of the row, which each of its lines carries: 64 hex digits."""
        return hashlib.sha256(self.wrapped).hexdigest()

    def sign(self, link: str) -> str:
        """Return the signature of the next line, in hex."""
        return hmac.digest(self.key, link.encode(), hashlib.sha256).hex()

    def moved_on(self) -> KeptKey:
        """Return the key of the line after the next; this one does not follow from it."""
        return replace(self, step=self.step + 1, key=hashlib.sha256(_NEXT + self.key).digest())


def draw_key(ring: KeyWrapper, *, random_bytes: Callable[[int], bytes]) -> KeptKey:
    """Begin a new row, while the root key is at hand."""
    first = random_bytes(KEY_BYTES)
    return KeptKey(wrapped=ring.wrap(first, purpose=PURPOSE), step=0, key=first)


def first_key(key: KeptKey, ring: KeyWrapper) -> KeptKey:
    """Return the first key of a row.

    Raises:
        IntegrityError: the row was not begun by this appliance.
    """
    return replace(key, step=0, key=ring.unwrap(key.wrapped, purpose=PURPOSE))


def read_key(path: Path) -> KeptKey | None:
    """Return what is in the file; None if there is none.

    Raises:
        IntegrityError: it holds something else.
        StorageError: it cannot be read.
    """
    try:
        document = json.loads(path.read_bytes())
        key = KeptKey(
            wrapped=bytes.fromhex(document["wrapped"]), step=int(document["step"]), key=bytes.fromhex(document["key"])
        )
        whole = document["format"] == FORMAT and len(key.key) == KEY_BYTES and key.step >= 0
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StorageError(f"{path}: cannot be read ({error.strerror})", reason="KEPT_CALLS") from None
    except (ValueError, TypeError, KeyError, RecursionError):
        whole = False
    if not whole:
        raise IntegrityError(f"{path}: does not hold a key of kept calls ({FORMAT})", reason="KEPT_CALLS_BROKEN")
    return key


def write_key(path: Path, key: KeptKey) -> None:
    """Put a key in the place of the one before it, durable.

    Raises:
        OSError: the disk fails; the one before it is still there.
    """
    document = {"format": FORMAT, "wrapped": key.wrapped.hex(), "step": key.step, "key": key.key.hex()}
    beside = path.with_name(f"{path.name}.new")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(json.dumps(document).encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make what was made, renamed or removed in a folder durable.

    Raises:
        OSError: the disk fails.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
