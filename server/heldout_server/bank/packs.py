"""Sealed packs: prompts that were encrypted on a bank tester's own machine, and are opened in here only.

A pack is a header frame and chunk frames, in order. The header is ``heldout-pack/1`` and a line feed, the first 8 bytes
of SHA-256 over the appliance's public key, and a fresh 256-bit key sealed to it by HPKE (RFC 9180; X25519,
HKDF-SHA-256, AES-256-GCM, base mode, with the info ``heldout/v1/pack``). A chunk is AES-256-GCM under that key, with
the header as its associated data and as its nonce 7 zero bytes, the chunk's number in 4, and 1 for the last chunk or 0
for the others (STREAM, Hoang et al. 2015): chunks that are changed, moved, missing or cut off at the end do not open.

Base mode says nothing of who sealed a pack: that it came from a bank tester is what mTLS says.
"""

from __future__ import annotations

import hashlib
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hpke
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from heldout_server.errors import InvalidRequest

MAGIC: Final = b"heldout-pack/1\n"
INFO: Final = b"heldout/v1/pack"
KEY_ID_BYTES: Final = 8
SUITE: Final = hpke.Suite(hpke.KEM.X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.AES_256_GCM)
MAX_CHUNKS: Final = 1 << 32


class SealedPacks:
    """Open packs with the key of one appliance.

    Args:
        key: from the key ring.
    """

    def __init__(self, key: X25519PrivateKey) -> None:
        self._key = key

    @property
    def public_key(self) -> bytes:
        """Return the X25519 public key to which packs are sealed, 32 bytes."""
        return self._key.public_key().public_bytes_raw()

    def reader(self) -> SealedPackReader:
        """Return what opens the next pack."""
        return SealedPackReader(self._key)


class SealedPackReader:
    """Open one pack, frame by frame."""

    def __init__(self, key: X25519PrivateKey) -> None:
        self._key = key
        self._header = b""
        self._cipher: AESGCM | None = None
        self._number = 0
        self._finished = False

    @property
    def finished(self) -> bool:
        """Say whether its last frame was opened: a pack that was cut off has none."""
        return self._finished

    def open(self, frame: bytes) -> bytes:
        """Return what is in the next frame; nothing for the first, which is the header.

        Raises:
            InvalidRequest: it is not the next frame of a pack that was sealed to this appliance.
        """
        if self._finished or self._number == MAX_CHUNKS:
            raise _broken()
        if self._cipher is None:
            self._cipher = self._open_header(frame)
            self._header = frame
            return b""
        for last in (0, 1):
            nonce = bytes(7) + self._number.to_bytes(4, "big") + bytes([last])
            try:
                plain = self._cipher.decrypt(nonce, frame, self._header)
            except InvalidTag:
                continue
            self._number += 1
            self._finished = bool(last)
            return plain
        raise _broken()

    def _open_header(self, frame: bytes) -> AESGCM:
        if not frame.startswith(MAGIC):
            raise InvalidRequest("that is not a sealed pack of prompts", reason="PACK_UNKNOWN")
        key_id = frame[len(MAGIC) : len(MAGIC) + KEY_ID_BYTES]
        if key_id != hashlib.sha256(self._key.public_key().public_bytes_raw()).digest()[:KEY_ID_BYTES]:
            raise InvalidRequest("the pack was sealed to another appliance", reason="PACK_OF_ANOTHER_APPLIANCE")
        try:
            return AESGCM(SUITE.decrypt(frame[len(MAGIC) + KEY_ID_BYTES :], self._key, info=INFO))
        except (InvalidTag, ValueError):
            raise _broken() from None


def _broken() -> InvalidRequest:
    return InvalidRequest("the pack was changed, or its frames are not in order", reason="PACK_BROKEN")
