"""Sealed packs: files of prompts that only one appliance can open, made where the prompts are, without a network.

A file is ``heldout-pack/1`` frames, each after its length in four bytes. The first is the header: the format's name and
a line feed, the first 8 bytes of SHA-256 over the appliance's public key, and a fresh 256-bit key sealed to it by HPKE
(RFC 9180; X25519, HKDF-SHA-256, AES-256-GCM, base mode, with the info ``heldout/v1/pack``). The others are chunks:
messages of rows under AES-256-GCM with that key, the header as associated data, and as nonce 7 zero bytes, the chunk's
number in 4, and 1 for the last chunk or 0 for the others, so that a pack that was cut off does not open.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import secrets
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from heldout.bank_model import PromptRow
from heldout.errors import BankFileError

MAGIC: Final = b"heldout-pack/1\n"
INFO: Final = b"heldout/v1/pack"
KEY_BYTES: Final = 32
KEY_ID_BYTES: Final = 8
LENGTH_BYTES: Final = 4
MAX_FRAME_BYTES: Final = 4 << 20
KEY_PREFIX: Final = "heldout-pack-key-"
_CHECK_BYTES: Final = 4


class PackKeyError(ValueError):
    """Say that a text is no pack key."""


def format_key(public_key: bytes) -> str:
    """Return a pack key as people pass it on: with a check against slips of the pen."""
    check = hashlib.sha256(INFO + public_key).digest()[:_CHECK_BYTES]
    return KEY_PREFIX + base64.urlsafe_b64encode(public_key + check).decode().rstrip("=")


def parse_key(text: str) -> bytes:
    """Return the public key of :func:`format_key`.

    Raises:
        PackKeyError: it is none, or was mistyped.
    """
    body = text.removeprefix(KEY_PREFIX)
    try:
        raw = base64.b64decode(body + "=" * (-len(body) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    if len(raw) != KEY_BYTES + _CHECK_BYTES or format_key(raw[:KEY_BYTES]) != text:
        raise PackKeyError("is no pack key, or was mistyped: heldout bank pack-key shows it")
    return raw[:KEY_BYTES]


def fingerprint(public_key: bytes) -> str:
    """Return what two people compare by voice: the first 16 hex digits of SHA-256, in fours."""
    digits = hashlib.sha256(public_key).hexdigest()[:16]
    return " ".join(digits[place : place + 4] for place in range(0, 16, 4))


def seal_rows(rows: Iterable[PromptRow], public_key: bytes) -> Iterator[bytes]:
    """Yield the bytes of a pack, a frame at a time, read as it is written.

    Args:
        rows: what goes into it.
        public_key: of the appliance, 32 bytes.
    """
    # Late, because cryptography takes its time and help should not.
    from cryptography.hazmat.primitives import hpke  # noqa: PLC0415 - see above
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey  # noqa: PLC0415 - see above
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415 - see above

    from heldout.services.batches import batch_rows  # noqa: PLC0415 - see above
    from heldout_proto.v1 import bank_pb2 as pb  # noqa: PLC0415 - see above

    suite = hpke.Suite(hpke.KEM.X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.AES_256_GCM)
    key = secrets.token_bytes(KEY_BYTES)
    sealed_key = suite.encrypt(key, X25519PublicKey.from_public_bytes(public_key), info=INFO)
    header = MAGIC + hashlib.sha256(public_key).digest()[:KEY_ID_BYTES] + sealed_key
    yield _frame(header)
    cipher = AESGCM(key)
    number = 0
    waiting = b""  # the chunk before: only the one after it says that it is not the last
    for batch in batch_rows(rows):
        if number:
            yield _frame(cipher.encrypt(_nonce(number - 1, last=False), waiting, header))
        waiting = pb.ImportPromptsRequest(rows=batch).SerializeToString()
        number += 1
    yield _frame(cipher.encrypt(_nonce(max(number - 1, 0), last=True), waiting, header))


def is_pack(path: Path) -> bool:
    """Say whether a file is a pack, by its first bytes. What cannot be read is none."""
    try:
        if not path.is_file():
            return False
        with path.open("rb") as file:
            return file.read(LENGTH_BYTES + len(MAGIC))[LENGTH_BYTES:] == MAGIC
    except OSError:
        return False


def read_frames(path: Path) -> Iterator[bytes]:
    """Yield the frames of a pack, still sealed.

    Raises:
        BankFileError: it cannot be read, or is cut off.
    """
    try:
        with path.open("rb") as file:
            while length := file.read(LENGTH_BYTES):
                size_bytes = int.from_bytes(length, "big")
                frame = file.read(size_bytes) if size_bytes <= MAX_FRAME_BYTES else b""
                if len(length) < LENGTH_BYTES or not frame or len(frame) < size_bytes:
                    raise BankFileError(f"{path.name}: is a truncated or damaged pack")
                yield frame
    except OSError as error:
        raise BankFileError(f"{path.name}: cannot be read ({error.strerror})") from None


def _frame(content: bytes) -> bytes:
    return len(content).to_bytes(LENGTH_BYTES, "big") + content


def _nonce(number: int, *, last: bool) -> bytes:
    return bytes(7) + number.to_bytes(4, "big") + bytes([last])
