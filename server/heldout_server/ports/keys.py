"""Keys: one root, and everything that hangs from it."""

from __future__ import annotations

from typing import Protocol

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey


class KeyRing(Protocol):
    """Give each room the keys of its own, and no others."""

    def database_key(self, name: str) -> bytes:
        """Return the raw 256-bit key of a database, for instance ``bank``."""
        ...

    def wrap(self, key: bytes, *, purpose: str) -> bytes:
        """Return a data key encrypted under the root, bound to its purpose."""
        ...

    def unwrap(self, wrapped: bytes, *, purpose: str) -> bytes:
        """Return a data key.

        Raises:
            IntegrityError: it was wrapped for another purpose, under another root, or changed.
        """
        ...

    def pack_key(self) -> X25519PrivateKey:
        """Return the key that opens packs of prompts which were sealed to this appliance."""
        ...

    def audit_signing_key(self, half: str) -> Ed25519PrivateKey:
        """Return the key that signs the tree heads of a half's log (``vault`` or ``window``)."""
        ...

    def audit_mac_key(self, half: str) -> bytes:
        """Return the key of the request digests in a half's log."""
        ...
