"""Seal small texts one by one: AES-256-GCM under a data key, bound to where the text belongs.

A sealed text is ``nonce (12 bytes) || ciphertext || tag (16 bytes)`` (NIST SP 800-38D; random 96-bit nonces, so one
key seals at most 2^32 texts). The context is authenticated, not stored: a row moved to another place does not open.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from heldout_server.domain import SecretText
from heldout_server.errors import IntegrityError

NONCE_BYTES: Final = 12


def context(*parts: str | int) -> bytes:
    """Encode where a text belongs, unambiguously: each part is prefixed with its length in bytes."""
    place = b""
    for part in parts:
        encoded = str(part).encode()
        place += len(encoded).to_bytes(4, "big") + encoded
    return place


class Sealer:
    """Seal and open texts under one 256-bit key."""

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)

    def seal(self, text: SecretText, where: bytes) -> bytes:
        """Return the sealed form of a text that belongs at ``where`` (see :func:`context`).

        Raises:
            IntegrityError: ``NOT_UNICODE``: it holds half of a surrogate pair, which UTF-8 cannot spell.
        """
        nonce = secrets.token_bytes(NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, _encode(text), where)

    def seal_all(self, items: Sequence[tuple[SecretText, bytes]]) -> list[bytes]:
        """Return the sealed forms of texts and where they belong, in order; many at once cost less each.

        Raises:
            IntegrityError: as :meth:`seal` does.
        """
        nonces = secrets.token_bytes(NONCE_BYTES * len(items))
        encrypt = self._cipher.encrypt
        sealed = []
        start = 0
        for text, where in items:
            nonce = nonces[start : start + NONCE_BYTES]
            start += NONCE_BYTES
            sealed.append(nonce + encrypt(nonce, _encode(text), where))
        return sealed

    def open(self, sealed: bytes, where: bytes) -> SecretText:
        """Return the text that was sealed for ``where``.

        Raises:
            IntegrityError: it was changed, moved, or sealed under another key.
        """
        try:
            plain = self._cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], where)
        except (InvalidTag, ValueError):
            raise IntegrityError("a sealed text does not open at its place", reason="SEAL_BROKEN") from None
        return SecretText(plain.decode())


def _encode(text: SecretText) -> bytes:
    try:
        return text.reveal().encode()
    except UnicodeEncodeError:
        pass  # raised from here, ours would hold Python's error, and that one holds the text
    raise IntegrityError("a text to be sealed is no Unicode", reason="NOT_UNICODE")
