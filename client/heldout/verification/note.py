"""Signed notes and checkpoints, read strictly.

Formats: c2sp.org/signed-note (Ed25519, signature type 0x01) and c2sp.org/tlog-checkpoint. Signatures of keys that we
do not know (witnesses, other algorithms) are passed over; a known key whose signature is bad ends the check.
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from heldout.errors import VerificationError
from heldout.verification.merkle import HASH_BYTES

ED25519: Final = b"\x01"
ED25519_KEY_BYTES: Final = 32
KEY_ID_BYTES: Final = 4
MAX_NOTE_BYTES: Final = 1_000_000
MAX_SIGNATURES: Final = 100
SIGNATURE_LINE: Final = "\N{EM DASH} "

_NUMBER: Final = re.compile(r"0|[1-9][0-9]{0,18}")
_CONTROL: Final = re.compile(r"[\x00-\x09\x0b-\x1f]")
_MIN_CHECKPOINT_LINES: Final = 3


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """Name an Ed25519 key whose signatures are believed.

    Attributes:
        name: the key's name; for a log, its origin.
        key_id: 4 bytes.
        public_key: 32 bytes (RFC 8032).
    """

    name: str
    key_id: bytes
    public_key: bytes

    @classmethod
    def parse(cls, vkey: str) -> VerifierKey:
        """Read ``<name>+<key id, 8 hex digits>+<base64(0x01 || public key)>``.

        Raises:
            VerificationError: it is malformed, of another algorithm, or its id is not that of its key.
        """
        name, _, rest = vkey.partition("+")
        hex_id, _, encoded = rest.partition("+")
        if not is_key_name(name):
            raise VerificationError("a verifier key has no usable name")
        key = decode_base64(encoded, what="a verifier key")
        if key[:1] != ED25519 or len(key) != 1 + ED25519_KEY_BYTES:
            raise VerificationError("a verifier key is not an Ed25519 key")
        key_id = sha256(name.encode() + b"\n" + key).digest()[:KEY_ID_BYTES]
        if hex_id != key_id.hex():
            raise VerificationError("a verifier key's id is not that of its key")
        return cls(name, key_id, key[1:])

    def verify(self, signature: bytes, text: bytes) -> None:
        """Check one signature over the text of a note.

        Raises:
            VerificationError: this key did not sign this text.
        """
        try:
            Ed25519PublicKey.from_public_bytes(self.public_key).verify(signature, text)
        except InvalidSignature:
            raise VerificationError(f"the signature of {self.name} does not verify") from None


@dataclass(frozen=True, slots=True)
class Note:
    """Hold a note that a known key signed.

    Attributes:
        text: what was signed; it ends in a newline.
        signers: the known keys that signed it, each once.
    """

    text: str
    signers: tuple[VerifierKey, ...]


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Hold a tree head that the log signed.

    Attributes:
        origin: the log's name.
        size: leaves in the tree.
        root: its root, 32 bytes.
        extensions: further lines, without meaning to us.
    """

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()


def open_note(note: str, keys: Sequence[VerifierKey]) -> Note:
    """Read a signed note and check the signatures of the keys we know.

    Raises:
        VerificationError: it is malformed, no known key signed it, or the signature of a known key is bad.
    """
    text, lines = split_note(note)
    known = {(key.name, key.key_id): key for key in keys}
    signers: dict[VerifierKey, None] = {}
    for line in lines:
        name, key_id, signature = _parse_signature(line)
        key = known.get((name, key_id))
        if key is not None:  # a second signature of the same key is checked like the first
            key.verify(signature, text.encode())
            signers[key] = None
    if not signers:
        raise VerificationError("the note is not signed by a known key")
    return Note(text, tuple(signers))


def open_checkpoint(note: str, key: VerifierKey) -> Checkpoint:
    """Read a log's signed checkpoint.

    Raises:
        VerificationError: the note does not verify, is no checkpoint, or is of a log of another name than the key's.
    """
    checkpoint = parse_checkpoint(open_note(note, (key,)).text)
    if checkpoint.origin != key.name:
        raise VerificationError("a checkpoint is of another log than its key")
    return checkpoint


def parse_checkpoint(text: str) -> Checkpoint:
    """Read the text of a checkpoint, without its signatures (c2sp.org/tlog-checkpoint).

    Raises:
        VerificationError: it is malformed.
    """
    lines = text.split("\n")
    if lines.pop() or len(lines) < _MIN_CHECKPOINT_LINES or "" in lines:
        raise VerificationError("a checkpoint is not three or more lines, none empty")
    origin, size, encoded, *extensions = lines
    root = decode_base64(encoded, what="a checkpoint's root")
    if len(root) != HASH_BYTES:
        raise VerificationError(f"a checkpoint's root has not {HASH_BYTES} bytes")
    return Checkpoint(origin, parse_number(size, what="a checkpoint's size"), root, tuple(extensions))


def parse_number(text: str, *, what: str) -> int:
    """Read an ASCII decimal without leading zeroes, below 10^19.

    Raises:
        VerificationError: it is something else.
    """
    if not _NUMBER.fullmatch(text):
        raise VerificationError(f"{what} is not a plain number")
    return int(text)


def decode_base64(text: str, *, what: str) -> bytes:
    """Decode standard base64 with padding, in its one canonical form (RFC 4648 sections 3.5 and 4).

    Raises:
        VerificationError: it is something else.
    """
    try:
        data = b64decode(text, validate=True)
    except (Base64Error, ValueError):
        data = None
    if data is None or b64encode(data).decode("ascii") != text:
        raise VerificationError(f"{what} is not base64")
    return data


def split_note(note: str) -> tuple[str, list[str]]:
    """Cut a note at its last empty line into its text and its signature lines.

    Raises:
        VerificationError: it is no note.
    """
    try:
        size_bytes = len(note.encode())
    except UnicodeEncodeError:
        raise VerificationError("the note is not valid UTF-8") from None
    if size_bytes > MAX_NOTE_BYTES:
        raise VerificationError(f"the note is longer than {MAX_NOTE_BYTES} bytes")
    if _CONTROL.search(note):
        raise VerificationError("the note holds control characters")
    text, blank, signatures = note.rpartition("\n\n")
    lines = signatures.split("\n")
    if not blank or lines.pop() or not lines:
        raise VerificationError("the note has no signatures")
    if len(lines) > MAX_SIGNATURES:
        raise VerificationError(f"the note has more than {MAX_SIGNATURES} signatures")
    return f"{text}\n", lines


def _parse_signature(line: str) -> tuple[str, bytes, bytes]:
    """Read a line into the key's name, the key's id and the signature."""
    name, _, encoded = line.removeprefix(SIGNATURE_LINE).partition(" ")
    if not line.startswith(SIGNATURE_LINE) or not is_key_name(name):
        raise VerificationError("a signature line of the note is malformed")
    signature = decode_base64(encoded, what="a signature of the note")
    if len(signature) <= KEY_ID_BYTES:
        raise VerificationError("a signature of the note is too short")
    return name, signature[:KEY_ID_BYTES], signature[KEY_ID_BYTES:]


def is_key_name(name: str) -> bool:
    """Say whether a key may have this name: not empty, without blanks and plus signs."""
    return bool(name) and "+" not in name and not any(character.isspace() for character in name)
