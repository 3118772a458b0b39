"""The key ring: a file in which every key of the appliance lies wrapped under the root.

The file is JSON::

    {"format": "heldout-key-ring/1",
     "vault":  {"salt": "…", "check": "…", "keys": {"database/bank": "…", …, "audit-signing": "…", "audit-mac": "…",
                                                  "pack": "…"}},
     "window": {"salt": "…", "check": "…", "keys": {"database/published": "…", …}}}

Each part has a wrapping key of its own, derived from the root with the part's salt. So a window half can be given the
window part and its one wrapping key, and opens nothing of the vault; the embedded appliance opens both. ``check`` is a
wrapped constant: it tells a wrong root key from a damaged ring.

Where the root key was shared out anew, it is another: every key is wrapped under that one, among them ``data-keys``,
under which lie the keys of runs and shards that were wrapped before, and ``shares`` names the set that opens it.
"""

from __future__ import annotations

import base64
import binascii
import json
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, Self

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from heldout_server.errors import IntegrityError, WrongKey
from heldout_server.keys.private_files import read_private, write_private
from heldout_server.keys.root_key import ROOT_KEY_BYTES, RootKeyFile
from heldout_server.keys.shares import Share, ShareBook, overwrite, share_out
from heldout_server.keys.wrapping import KEY_BYTES, Wrapper, derive_wrapping_key

FORMAT: Final = "heldout-key-ring/1"
DATABASES: Final[Mapping[str, tuple[str, ...]]] = {
    "vault": ("bank", "outcomes", "checkpoints", "releases", "audit-vault"),
    "window": ("published", "window", "audit-window"),
}
"""Databases by the half whose part holds their keys. ``published`` is written by the vault, which opens both parts."""

SIGNING: Final = "audit-signing"
MAC: Final = "audit-mac"
PACK: Final = "pack"
"""Opens sealed packs of prompts: the vault's alone."""

DATA: Final = "data-keys"
"""Wraps the keys that rooms draw for themselves. Derived from the first root key, and kept when that is exchanged."""

SHARES: Final = "shares"
_CHECK: Final = bytes(KEY_BYTES)


class FileKeyRing:
    """Hold the opened keys of an appliance, which lie wrapped in a file.

    Build it with :meth:`create` or :meth:`create_shared` once, and with :meth:`open` or :meth:`open_with` ever after.
    """

    def __init__(self, keys: Mapping[str, Mapping[str, bytearray]], data_keys: Wrapper) -> None:
        self._keys = keys
        self._data_keys: Wrapper | None = data_keys

    @classmethod
    def create(cls, root_key_path: Path, ring_path: Path) -> Self:
        """Draw every key, write both files with mode 0600, and return the ring: **for development only**.

        Raises:
            ConfigError: one of the files is there already; then nothing is written.
            StorageError: they cannot be written.
        """
        root = RootKeyFile(root_key_path).create()
        try:
            _write_ring(root, ring_path)
        except BaseException:
            root_key_path.unlink()  # it was drawn a moment ago and opens nothing
            raise
        return cls.open(root_key_path, ring_path)

    @classmethod
    def create_shared(
        cls, ring_path: Path, book_path: Path, *, shares: int, threshold: int
    ) -> tuple[Self, ShareBook, tuple[Share, ...]]:
        """Draw every key and write the ring; split the root key, which is written nowhere, and name its shares.

        Args:
            ring_path: of the ring.
            book_path: of what tells its shares from others.
            shares: how many there are, 2 to 16.
            threshold: how many open the ring, 2 to ``shares``.

        Raises:
            ConfigError: there are no such shares, or one of the files is there already.
            StorageError: they cannot be written.
        """
        root = bytearray(secrets.token_bytes(ROOT_KEY_BYTES))
        try:
            book, made = share_out(bytes(root), shares=shares, threshold=threshold, draw=secrets.token_bytes)
            _write_ring(bytes(root), ring_path)
            write_private(book_path, book.to_json())
            return cls.open_with(root, ring_path, named="the root key"), book, made
        finally:
            overwrite(root)

    @classmethod
    def open(
        cls, root_key_path: Path, ring_path: Path, *, random_bytes: Callable[[int], bytes] = secrets.token_bytes
    ) -> Self:
        """Open every key of the ring with a root key in a file: **for development only**.

        Args:
            root_key_path: the file of the root key.
            ring_path: the file of the ring.
            random_bytes: draws the nonces of data keys that are wrapped later.

        Raises:
            ConfigError: a file is missing, or others may read it.
            WrongKey: the root key is not that of this ring.
            IntegrityError: the ring is damaged.
        """
        root = RootKeyFile(root_key_path).read()
        return cls.open_with(root, ring_path, named=root_key_path.name, random_bytes=random_bytes)

    @classmethod
    def open_with(
        cls,
        root: bytes | bytearray,
        ring_path: Path,
        *,
        named: str,
        random_bytes: Callable[[int], bytes] = secrets.token_bytes,
    ) -> Self:
        """Open every key of the ring with a root key that is at hand.

        Args:
            root: 32 bytes; whoever has them overwrites them.
            ring_path: of the ring.
            named: what the root key is called in an error.
            random_bytes: draws the nonces of data keys that are wrapped later.

        Raises:
            ConfigError: the ring is missing, or others may read it.
            WrongKey: the root key is not that of this ring.
            IntegrityError: the ring is damaged.
        """
        document = _parse(read_private(ring_path), ring_path)
        keys: dict[str, dict[str, bytearray]] = {}
        try:
            for half in DATABASES:
                part = document[half]
                wrapper = Wrapper.derived(root, salt=_decode(part["salt"]), use=half)
                _check(wrapper, _decode(part["check"]), half=half, ring=ring_path, named=named)
                keys[half] = {
                    name: bytearray(wrapper.unwrap(_decode(part["keys"][name]), purpose=f"{half}/{name}"))
                    for name in _names(half)
                }
            vault = document["vault"]
            if DATA not in vault["keys"]:
                key = derive_wrapping_key(root, salt=_decode(vault["salt"]), use=DATA)
            else:
                wrapper = Wrapper.derived(root, salt=_decode(vault["salt"]), use="vault")
                key = wrapper.unwrap(_decode(vault["keys"][DATA]), purpose=f"vault/{DATA}")
            keys["vault"][DATA] = bytearray(key)
        except (KeyError, TypeError, binascii.Error):
            raise _damaged(ring_path) from None
        return cls(keys, Wrapper(keys["vault"][DATA], random_bytes=random_bytes))

    def wrapped_anew(self, root: bytes, *, share_set: str) -> bytes:
        """Return the content of a ring with the very same keys under another root key, of which people have shares."""
        return _encode_ring(root, self._keys, share_set=share_set)

    def forget(self) -> None:
        """Overwrite every key that lies here. Copies that were given out, and OpenSSL's, go with who holds them."""
        for part in self._keys.values():
            for key in part.values():
                overwrite(key)
        self._keys, self._data_keys = {}, None

    def database_key(self, name: str) -> bytes:
        """Return the raw 256-bit key of a database (see :data:`DATABASES`).

        Raises:
            KeyError: there is no such database.
        """
        half = next((half for half, names in DATABASES.items() if name in names), "")
        return bytes(self._keys[half][f"database/{name}"])

    def window_keys(self) -> Mapping[str, bytes]:
        """Return every key of the window's part by its name, for a window half that is served by itself."""
        return {name: bytes(key) for name, key in self._keys["window"].items()}

    def wrap(self, key: bytes, *, purpose: str) -> bytes:
        """Return a data key of 32 bytes encrypted under the root, bound to its purpose.

        Raises:
            ValueError: the key has another length.
        """
        return self._wrapper().wrap(key, purpose=purpose)

    def unwrap(self, wrapped: bytes, *, purpose: str) -> bytes:
        """Return a data key.

        Raises:
            IntegrityError: it was wrapped for another purpose, under another root, or changed.
        """
        return self._wrapper().unwrap(wrapped, purpose=purpose)

    def pack_key(self) -> X25519PrivateKey:
        """Return the key that opens packs of prompts which were sealed to this appliance."""
        return X25519PrivateKey.from_private_bytes(bytes(self._keys["vault"][PACK]))

    def audit_signing_key(self, half: str) -> Ed25519PrivateKey:
        """Return the key that signs the tree heads of a half's log.

        Args:
            half: ``vault`` or ``window``.

        Raises:
            KeyError: there is no such half.
        """
        return Ed25519PrivateKey.from_private_bytes(bytes(self._keys[half][SIGNING]))

    def audit_mac_key(self, half: str) -> bytes:
        """Return the 256-bit key of the request digests in a half's log.

        Args:
            half: ``vault`` or ``window``.

        Raises:
            KeyError: there is no such half.
        """
        return bytes(self._keys[half][MAC])

    def _wrapper(self) -> Wrapper:
        if self._data_keys is None:
            raise WrongKey("the keys were forgotten when the appliance was sealed")
        return self._data_keys


def _names(half: str) -> tuple[str, ...]:
    own = (PACK,) if half == "vault" else ()
    return (*(f"database/{name}" for name in DATABASES[half]), SIGNING, MAC, *own)


def _write_ring(root: bytes, path: Path) -> None:
    drawn = {half: {name: secrets.token_bytes(KEY_BYTES) for name in _names(half)} for half in DATABASES}
    write_private(path, _encode_ring(root, drawn))


def _encode_ring(root: bytes, keys: Mapping[str, Mapping[str, bytes | bytearray]], *, share_set: str = "") -> bytes:
    document: dict[str, Any] = {"format": FORMAT} | ({SHARES: share_set} if share_set else {})
    for half, part in keys.items():
        salt = secrets.token_bytes(KEY_BYTES)
        wrapper = Wrapper.derived(root, salt=salt, use=half)
        document[half] = {
            "salt": _encode(salt),
            "check": _encode(wrapper.wrap(_CHECK, purpose=f"{half}/check")),
            "keys": {name: _encode(wrapper.wrap(bytes(key), purpose=f"{half}/{name}")) for name, key in part.items()},
        }
    return json.dumps(document, indent=1).encode() + b"\n"


def read_share_set(ring_path: Path) -> str:
    """Return which set of shares opens a ring whose root key was shared out anew; empty for the first set.

    Raises:
        ConfigError: the ring is missing, or others may read it.
        IntegrityError: it is damaged.
    """
    return str(_parse(read_private(ring_path), ring_path).get(SHARES, ""))


def _check(wrapper: Wrapper, check: bytes, *, half: str, ring: Path, named: str) -> None:
    try:
        wrapper.unwrap(check, purpose=f"{half}/check")
    except IntegrityError:
        raise WrongKey(f"{named} does not open {ring.name}: it is the root key of another ring") from None


def _parse(content: bytes, path: Path) -> Mapping[str, Any]:
    try:
        document = json.loads(content)
    except ValueError:
        raise _damaged(path) from None
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise _damaged(path)
    return document


def _damaged(path: Path) -> IntegrityError:
    return IntegrityError(f"{path.name}: is not a key ring ({FORMAT}), or it is damaged", reason="KEY_RING_BROKEN")


def _encode(value: bytes) -> str:
    return base64.b64encode(value).decode()


def _decode(value: str) -> bytes:
    return base64.b64decode(value, validate=True)
