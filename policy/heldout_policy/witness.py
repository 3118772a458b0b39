"""Witnesses whose cosignatures a release waits for: their keys, as ``release.toml`` names them. Pure.

A witness follows a log, checks that each head continues the one before, and signs what it saw. A key is written as a
verifier key of signature type 0x04 (c2sp.org/tlog-cosignature, version 1, Ed25519)::

    <name>+<key id, 8 hex digits>+<base64(0x04 || public key)>
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

COSIGNATURE_V1: Final = b"\x04"
KEY_ID_BYTES: Final = 4
PUBLIC_KEY_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class WitnessKey:
    """Name an Ed25519 key that cosigns tree heads.

    Attributes:
        name: the key's name.
        key_id: 4 bytes.
        public_key: 32 bytes (RFC 8032).
    """

    name: str
    key_id: bytes
    public_key: bytes

    @classmethod
    def parse(cls, vkey: str) -> WitnessKey:
        """Read a verifier key in its one canonical form.

        Raises:
            ValueError: it is malformed, of another type, or its id is not that of its key.
        """
        name, _, rest = vkey.partition("+")
        hex_id, _, encoded = rest.partition("+")
        if not name or not name.isprintable() or any(character.isspace() for character in name):
            raise ValueError("a verifier key has no usable name")
        try:
            key = b64decode(encoded, validate=True)
        except ValueError:
            raise ValueError("a verifier key is not base64") from None
        if key[:1] != COSIGNATURE_V1 or len(key) != 1 + PUBLIC_KEY_BYTES or b64encode(key).decode() != encoded:
            raise ValueError("a verifier key is not one of a witness (type 0x04, Ed25519)")
        key_id = sha256(name.encode() + b"\n" + key).digest()[:KEY_ID_BYTES]
        if hex_id != key_id.hex():
            raise ValueError("a verifier key's id is not that of its key")
        return cls(name, key_id, key[1:])


@dataclass(frozen=True, slots=True, kw_only=True)
class Witnessing:
    """Say whose cosignatures a release waits for, of how many witnesses, and how old they may be.

    Attributes:
        keys: of trusted witnesses, at least one. Keys of one name are of one witness, as while it changes its key.
        maximum_age_s: seconds between a cosignature and the publication that it lets through.
        needed: how many different witnesses must each have cosigned a head that holds the release, 1 or more.
    """

    keys: tuple[WitnessKey, ...]
    maximum_age_s: int
    needed: int = 1

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names of the witnesses, each once, in the document's order."""
        return tuple(dict.fromkeys(key.name for key in self.keys))
