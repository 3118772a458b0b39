"""A key ring and names without files, for tests of rooms that store."""

from __future__ import annotations

import hashlib
import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from heldout_server.errors import IntegrityError


class OneSecretKeyRing:
    """Hang every key from one secret, as the real ring does, without files."""

    def __init__(self, secret: bytes = b"root") -> None:
        self._secret = secret

    def database_key(self, name: str) -> bytes:
        return self._derive(f"database-{name}")

    def wrap(self, key: bytes, *, purpose: str) -> bytes:
        nonce = secrets.token_bytes(12)
        return nonce + AESGCM(self._derive("wrap")).encrypt(nonce, key, purpose.encode())

    def unwrap(self, wrapped: bytes, *, purpose: str) -> bytes:
        try:
            return AESGCM(self._derive("wrap")).decrypt(wrapped[:12], wrapped[12:], purpose.encode())
        except InvalidTag:
            raise IntegrityError("a wrapped key does not open") from None

    def audit_signing_key(self, half: str) -> Ed25519PrivateKey:
        return Ed25519PrivateKey.from_private_bytes(self._derive(f"sign-{half}"))

    def audit_mac_key(self, half: str) -> bytes:
        return self._derive(f"mac-{half}")

    def _derive(self, name: str) -> bytes:
        return hashlib.sha256(self._secret + name.encode()).digest()


class RandomIds:
    """Invent names as the real port does."""

    def new(self, prefix: str) -> str:
        return f"{prefix}-{secrets.token_hex(8)}"

    def several(self, prefix: str, count: int) -> list[str]:
        return [self.new(prefix) for _ in range(count)]
