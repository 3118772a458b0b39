"""The window's key ring: all that a window half needs that is served by itself, and nothing that opens the vault.

Its file is JSON, wrapped under a root key of its own that has nothing to do with the root of the vault::

    {"salt": "…", "heldout-window-ring/1": {"database/published": "…", "database/window": "…", …}}

The vault's ring holds the same keys, since the vault writes ``published.db`` and checks what the window left.
"""

from __future__ import annotations

import base64
import binascii
import json
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Self

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from heldout_server.errors import IntegrityError, WrongKey
from heldout_server.keys.private_files import read_private, write_private
from heldout_server.keys.ring import MAC, SIGNING, FileKeyRing
from heldout_server.keys.root_key import RootKeyFile
from heldout_server.keys.wrapping import KEY_BYTES, Wrapper

FORMAT: Final = "heldout-window-ring/1"
HALF: Final = "window"
USE: Final = "window-alone"
_NONE: Final = "the window's keys open nothing of the vault"


class WindowKeyRing:
    """Hold the opened keys of the window half. Implements :class:`heldout_server.ports.keys.KeyRing`, as far as it can.

    Build it with :func:`write_window_ring` once, and with :meth:`open` ever after.
    """

    def __init__(self, keys: Mapping[str, bytes]) -> None:
        self._keys = keys

    @classmethod
    def open(cls, root_key_path: Path, ring_path: Path) -> Self:
        """Open every key of the ring.

        Raises:
            ConfigError: a file is missing, or others may read it.
            WrongKey: the root key is not that of this ring.
            IntegrityError: the ring is damaged, or is that of a vault.
        """
        root, content = RootKeyFile(root_key_path).read(), read_private(ring_path)
        try:
            document = json.loads(content)
            wrapper = Wrapper.derived(root, salt=_decode(document["salt"]), use=USE)
            wrapped = {name: _decode(key) for name, key in document[FORMAT].items()}
        except (ValueError, KeyError, TypeError, AttributeError, binascii.Error):
            broken = f"{ring_path.name}: is not a window's key ring ({FORMAT}), or it is damaged"
            raise IntegrityError(broken, reason="KEY_RING_BROKEN") from None
        try:
            return cls({name: wrapper.unwrap(key, purpose=name) for name, key in wrapped.items()})
        except IntegrityError:
            raise WrongKey(f"{root_key_path.name} does not open {ring_path.name}, or that is damaged") from None

    def database_key(self, name: str) -> bytes:
        """Return the raw 256-bit key of a database of the window's: ``published``, ``window`` or ``audit-window``.

        Raises:
            KeyError: there is no such database here.
        """
        return self._keys[f"database/{name}"]

    def audit_signing_key(self, half: str) -> Ed25519PrivateKey:
        """Return the key that signs the tree heads of the window's log.

        Raises:
            KeyError: another half is asked for.
        """
        return Ed25519PrivateKey.from_private_bytes(self._of(half, SIGNING))

    def audit_mac_key(self, half: str) -> bytes:
        """Return the 256-bit key of the request digests in the window's log.

        Raises:
            KeyError: another half is asked for.
        """
        return self._of(half, MAC)

    def wrap(self, key: bytes, *, purpose: str) -> bytes:  # noqa: ARG002 - the port's
        """Refuse: data keys are the vault's.

        Raises:
            KeyError: always.
        """
        raise KeyError(_NONE)

    def unwrap(self, wrapped: bytes, *, purpose: str) -> bytes:  # noqa: ARG002 - the port's
        """Refuse: data keys are the vault's.

        Raises:
            KeyError: always.
        """
        raise KeyError(_NONE)

    def pack_key(self) -> X25519PrivateKey:
        """Refuse: packs of prompts are for the vault.

        Raises:
            KeyError: always.
        """
        raise KeyError(_NONE)

    def _of(self, half: str, name: str) -> bytes:
        if half != HALF:
            raise KeyError(_NONE)
        return self._keys[name]


def write_window_ring(ring: FileKeyRing, *, root_key_path: Path, ring_path: Path) -> None:
    """Draw a root key for the window alone, and write the window's keys under it: two files of mode 0600.

    Raises:
        ConfigError: one of the files is there already.
        StorageError: they cannot be written.
    """
    root, salt = RootKeyFile(root_key_path).create(), secrets.token_bytes(KEY_BYTES)
    wrapper = Wrapper.derived(root, salt=salt, use=USE)
    keys = {name: _encode(wrapper.wrap(key, purpose=name)) for name, key in ring.window_keys().items()}
    document = {"salt": _encode(salt), FORMAT: keys}
    write_private(ring_path, json.dumps(document, indent=1).encode() + b"\n")


def _encode(value: bytes) -> str:
    return base64.b64encode(value).decode()


def _decode(value: str) -> bytes:
    return base64.b64decode(value, validate=True)
