"""What witnesses sign of our tree heads: notes read strictly, cosignatures checked. Pure.

Formats: c2sp.org/signed-note, c2sp.org/tlog-checkpoint, c2sp.org/tlog-cosignature (version 1, Ed25519, type 0x04). A
cosignature line holds the key id, a big-endian uint64 of Unix seconds, and a signature over ``cosignature/v1``, the
line ``time <seconds>``, and the text of the checkpoint.
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from heldout_policy.witness import KEY_ID_BYTES, WitnessKey
from heldout_server.errors import InvalidRequest

MAX_SIGNATURES: Final = 100
MAX_NOTE_BYTES: Final = 65_536
EM_DASH: Final = "\N{EM DASH} "
TIME_BYTES: Final = 8
SIGNATURE_BYTES: Final = 64
BODY_LINES: Final = 3
AHEAD_S: Final = 300
"""How far a witness's clock may be ahead of ours."""

_SIZE: Final = re.compile(r"0|[1-9][0-9]{0,18}")
_CONTROL: Final = re.compile(r"[\x00-\x09\x0b-\x1f]")


@dataclass(frozen=True, slots=True)
class Cosignature:
    """Hold what one witness signed of one head.

    Attributes:
        witness: verifier key name of the witness and its key id, as ``name+id``: what tells keys apart.
        size: leaves in the tree.
        time_s: Unix seconds at which the witness signed.
        line: the signature line as it stands in a note, without its newline.
    """

    witness: str
    size: int
    time_s: int
    line: str


@dataclass(frozen=True, slots=True)
class CosignedHead:
    """Hold a head and the trusted cosignatures over it; that it is a head of our log is for the log to check.

    Attributes:
        size: leaves in the tree.
        text: the checkpoint without signatures, as it was signed.
        cosignatures: each trusted witness's, at least one.
    """

    size: int
    text: str
    cosignatures: tuple[Cosignature, ...]


def read_cosigned(note: str, *, keys: Sequence[WitnessKey], now_s: float) -> CosignedHead:
    """Read a note and check the cosignatures of the keys that are trusted; lines of other keys are passed over.

    Args:
        note: a checkpoint of three lines with signatures.
        keys: of the trusted witnesses.
        now_s: Unix seconds.

    Raises:
        InvalidRequest: it is malformed, no trusted key signed it, or one did so badly or in the future.
    """
    text, lines = _split(note)
    size = _size(text)
    known = {(key.name, key.key_id): key for key in keys}
    found: dict[str, Cosignature] = {}
    for line in lines:
        name, key_id, signature = _parse_line(line)
        key = known.get((name, key_id))
        if key is not None:
            time_s = _verify(key, signature, text)
            if time_s > now_s + AHEAD_S:
                raise InvalidRequest("a cosignature is of the future", reason="COSIGNATURE_TIME")
            witness = f"{key.name}+{key.key_id.hex()}"
            found[witness] = Cosignature(witness, size, time_s, line)
    if not found:
        raise InvalidRequest("no trusted witness cosigned that head", reason="COSIGNATURE_UNKNOWN")
    return CosignedHead(size, text, tuple(found.values()))


def _verify(key: WitnessKey, signature: bytes, text: str) -> int:
    """Check one cosignature and return its time."""
    if len(signature) != TIME_BYTES + SIGNATURE_BYTES:
        raise InvalidRequest("a cosignature has another length than one has", reason="COSIGNATURE_BAD")
    time_s = int.from_bytes(signature[:TIME_BYTES], "big")
    message = f"cosignature/v1\ntime {time_s}\n{text}".encode()
    try:
        Ed25519PublicKey.from_public_bytes(key.public_key).verify(signature[TIME_BYTES:], message)
    except InvalidSignature:
        raise InvalidRequest("the cosignature of a trusted witness does not verify", reason="COSIGNATURE_BAD") from None
    return time_s


def _split(note: str) -> tuple[str, list[str]]:
    """Cut a note at its last empty line into its text and its signature lines."""
    text, blank, signatures = note.rpartition("\n\n")
    lines = signatures.split("\n")
    if not blank or lines.pop() or not 1 <= len(lines) <= MAX_SIGNATURES or _CONTROL.search(note):
        raise _malformed()
    if len(note.encode(errors="replace")) > MAX_NOTE_BYTES:
        raise _malformed()
    return f"{text}\n", lines


def _size(text: str) -> int:
    lines = text.split("\n")[:-1]
    if len(lines) != BODY_LINES or not _SIZE.fullmatch(lines[1]):
        raise _malformed()
    return int(lines[1])


def _parse_line(line: str) -> tuple[str, bytes, bytes]:
    name, _, encoded = line.removeprefix(EM_DASH).partition(" ")
    try:
        data = b64decode(encoded, validate=True)
    except ValueError:
        raise _malformed() from None
    if not line.startswith(EM_DASH) or not name or "+" in name or any(one.isspace() for one in name):
        raise _malformed()
    if len(data) <= KEY_ID_BYTES or b64encode(data).decode() != encoded:
        raise _malformed()
    return name, data[:KEY_ID_BYTES], data[KEY_ID_BYTES:]


def _malformed() -> InvalidRequest:
    return InvalidRequest("that is no signed checkpoint", reason="NOTE_MALFORMED")
