"""What a witness signs: that it saw a tree head at some time, and that the head continues all it saw before.

Format: c2sp.org/tlog-cosignature, version 1 (Ed25519, signature type 0x04). A line holds the key id, a big-endian
uint64 of Unix seconds, and a signature over ``cosignature/v1``, ``time <seconds>`` and the text of the checkpoint.
"""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from heldout.errors import VerificationError
from heldout.verification.note import (
    ED25519_KEY_BYTES,
    KEY_ID_BYTES,
    SIGNATURE_LINE,
    decode_base64,
    is_key_name,
    split_note,
)

COSIGNATURE_V1: Final = b"\x04"
TIME_BYTES: Final = 8
SIGNER: Final = "PRIVATE+KEY"


@dataclass(frozen=True, slots=True)
class WitnessKey:
    """Name the public key of a witness.

    Attributes:
        name: the key's name.
        public_key: 32 bytes (RFC 8032).
    """

    name: str
    public_key: bytes

    @property
    def key_id(self) -> bytes:
        """The 4 bytes that tell it from other keys of that name."""
        return sha256(self.name.encode() + b"\n" + COSIGNATURE_V1 + self.public_key).digest()[:KEY_ID_BYTES]

    @property
    def vkey(self) -> str:
        """The verifier key, ``<name>+<key id>+<base64(0x04 || public key)>``."""
        return f"{self.name}+{self.key_id.hex()}+{b64encode(COSIGNATURE_V1 + self.public_key).decode()}"

    @classmethod
    def parse(cls, vkey: str) -> WitnessKey:
        """Read a verifier key in its one canonical form.

        Raises:
            VerificationError: it is malformed, of another type, or its id is not that of its key.
        """
        name, _, rest = vkey.partition("+")
        data = decode_base64(rest.partition("+")[2], what="a witness's key")
        if not is_key_name(name) or data[:1] != COSIGNATURE_V1 or len(data) != 1 + ED25519_KEY_BYTES:
            raise VerificationError("a witness's key is not an Ed25519 key of type 0x04")
        key = cls(name, data[1:])
        if key.vkey != vkey:
            raise VerificationError("a witness's key has another id than its key")
        return key


class WitnessSigner:
    """Cosign with a witness's own key.

    Attributes:
        key: its public half.
    """

    def __init__(self, name: str, private: Ed25519PrivateKey) -> None:
        if not is_key_name(name):
            raise VerificationError("a witness's name is one word without a plus sign")
        self.key = WitnessKey(name, private.public_key().public_bytes_raw())
        self._private = private

    def export(self) -> str:
        """Return the secret as one line, ``PRIVATE+KEY+<name>+<key id>+<base64(0x04 || seed)>``."""
        seed = b64encode(COSIGNATURE_V1 + self._private.private_bytes_raw()).decode()
        return f"{SIGNER}+{self.key.name}+{self.key.key_id.hex()}+{seed}"

    @classmethod
    def parse(cls, line: str) -> WitnessSigner:
        """Read what :meth:`export` wrote.

        Raises:
            VerificationError: it is something else; the message does not quote it.
        """
        words = line.removeprefix(f"{SIGNER}+").split("+", 2)
        if not line.startswith(f"{SIGNER}+") or len(words) != len(("name", "id", "key")):
            raise VerificationError("that is not the secret key of a witness")
        name, hex_id, encoded = words
        seed = decode_base64(encoded, what="a witness's secret key")
        if seed[:1] != COSIGNATURE_V1 or len(seed) != 1 + ED25519_KEY_BYTES:
            raise VerificationError("that is not the secret key of a witness")
        signer = cls(name, Ed25519PrivateKey.from_private_bytes(seed[1:]))
        if signer.key.key_id.hex() != hex_id:
            raise VerificationError("a witness's secret key has another id than its key")
        return signer

    def cosign(self, note: str, *, time_s: int) -> str:
        """Return a signed note with this witness's line as its last; earlier lines of this key are dropped.

        Args:
            note: a checkpoint that the log signed.
            time_s: Unix seconds.
        """
        text, lines = split_note(note)
        signature = self._private.sign(_message(text, time_s))
        blob = self.key.key_id + time_s.to_bytes(TIME_BYTES, "big") + signature
        start = f"{SIGNATURE_LINE}{self.key.name} "
        kept = [line for line in lines if not line.startswith(start)]
        return "\n".join([text, *kept, start + b64encode(blob).decode(), ""])


def cosigned_at(note: str, key: WitnessKey) -> int:
    """Return when a witness cosigned a note, in Unix seconds; the latest where it did so more than once.

    Raises:
        VerificationError: it did not, or a signature of this key is bad.
    """
    text, lines = split_note(note)
    times = []
    for line in lines:
        name, _, encoded = line.removeprefix(SIGNATURE_LINE).partition(" ")
        blob = decode_base64(encoded, what="a signature of the note")
        if name == key.name and blob[:KEY_ID_BYTES] == key.key_id:
            times.append(_verified_time(key, blob[KEY_ID_BYTES:], text))
    if not times:
        raise VerificationError(f"{key.name} has not cosigned this head")
    return max(times)


def _verified_time(key: WitnessKey, signature: bytes, text: str) -> int:
    time_s = int.from_bytes(signature[:TIME_BYTES], "big")
    try:
        Ed25519PublicKey.from_public_bytes(key.public_key).verify(signature[TIME_BYTES:], _message(text, time_s))
    except InvalidSignature:
        raise VerificationError(f"the cosignature of {key.name} does not verify") from None
    return time_s


def _message(text: str, time_s: int) -> bytes:
    return f"cosignature/v1\ntime {time_s}\n{text}".encode()
