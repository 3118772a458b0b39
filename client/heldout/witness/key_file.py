"""The secret key of a witness, in a file that its owner alone can read."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from heldout.errors import HeldoutClientError, VerificationError
from heldout.verification.cosignature import WitnessSigner

MOST_BYTES: Final = 4096
OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


def write_signer(file: Path, *, name: str) -> WitnessSigner:
    """Draw a key and write it into a new file.

    Args:
        file: must not exist.
        name: of the key; for a public witness a domain of its operator, with a path if need be.

    Raises:
        HeldoutClientError: the file exists, or the name cannot be one.
    """
    signer = WitnessSigner(name, Ed25519PrivateKey.generate())
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        raise HeldoutClientError(f"{file} exists: a key is never overwritten") from None
    with os.fdopen(descriptor, "w", encoding="utf-8") as out:
        out.write(signer.export() + "\n")
        out.flush()
        os.fsync(out.fileno())
    return signer


def read_signer(file: Path) -> WitnessSigner:
    """Read a key.

    Raises:
        HeldoutClientError: others than its owner can read the file.
        VerificationError: it holds no key.
    """
    with file.open("rb") as opened:
        if os.fstat(opened.fileno()).st_mode & OTHERS:
            raise HeldoutClientError(f"{file}: others can read this key: chmod 600 {file}")
        line = opened.read(MOST_BYTES)
    try:
        return WitnessSigner.parse(line.decode().removesuffix("\n"))
    except (UnicodeDecodeError, VerificationError):
        raise VerificationError(f"{file}: holds no secret key of a witness") from None
