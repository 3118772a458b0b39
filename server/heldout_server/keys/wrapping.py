"""Wrap keys under a key: AES-256-GCM (NIST SP 800-38D) under a key derived by HKDF-SHA-256 (RFC 5869).

A wrapped key is ``nonce (12 bytes) || ciphertext || tag (16 bytes)``. Its purpose is authenticated, not stored: a key
that was wrapped for one thing does not open as another.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from heldout_server.errors import IntegrityError
from heldout_server.sealing import NONCE_BYTES, context

KEY_BYTES: Final = 32


class Wrapper:
    """Wrap and unwrap keys under one key.

    Args:
        key: 32 bytes; see :func:`derive_wrapping_key`.
        random_bytes: draws nonces.
    """

    def __init__(self, key: bytes | bytearray, *, random_bytes: Callable[[int], bytes] = secrets.token_bytes) -> None:
        self._cipher = AESGCM(key)
        self._random_bytes = random_bytes

    @classmethod
    def derived(cls, root: bytes | bytearray, *, salt: bytes, use: str) -> Wrapper:
        """Wrap under the key that a root key has for one use; see :func:`derive_wrapping_key`."""
        return cls(derive_wrapping_key(root, salt=salt, use=use))

    def wrap(self, key: bytes, *, purpose: str) -> bytes:
        """Return the key encrypted and bound to its purpose.

        Args:
            key: 32 bytes.
            purpose: must be given again to unwrap.

        Raises:
            ValueError: the key has another length.
        """
        if len(key) != KEY_BYTES:
            raise ValueError(f"a data key has {KEY_BYTES} bytes")
        nonce = self._random_bytes(NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, key, context(purpose))

    def unwrap(self, wrapped: bytes, *, purpose: str) -> bytes:
        """Return the key that was wrapped for this purpose.

        Raises:
            IntegrityError: it was wrapped for another purpose, under another root, or changed.
        """
        try:
            return self._cipher.decrypt(wrapped[:NONCE_BYTES], wrapped[NONCE_BYTES:], context(purpose))
        except (InvalidTag, ValueError):
            raise IntegrityError("a wrapped key does not open for its purpose", reason="KEY_BROKEN") from None


def derive_wrapping_key(root: bytes | bytearray, *, salt: bytes, use: str) -> bytes:
    """Return a key of 32 bytes, derived from a root key for one use (RFC 5869).

    Args:
        root: the root key, 32 bytes.
        salt: random, stored beside what is wrapped (RFC 5869 section 3.1).
        use: what the key is for; different uses have unrelated keys.
    """
    info = context("heldout/v1/wrap", use)
    return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=salt, info=info).derive(root)
