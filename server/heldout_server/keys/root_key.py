"""The root key in a file: **for development only**.

Whoever reads the file reads the bank. In earnest the root comes from shares, an HSM, a KMS, or an attestation.
"""

from __future__ import annotations

import re
import secrets
from pathlib import Path
from typing import Final

from heldout_server.errors import ConfigError
from heldout_server.keys.private_files import read_private, write_private

ROOT_KEY_BYTES: Final = 32
_HEX: Final = re.compile(rb"[0-9a-f]{64}\n?")


class RootKeyFile:
    """Keep a root key as 64 hex digits in a file of mode 0600: for development only."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def create(self) -> bytes:
        """Draw a root key, write it, and return it.

        Raises:
            ConfigError: the file is there already.
            StorageError: it cannot be written.
        """
        key = secrets.token_bytes(ROOT_KEY_BYTES)
        write_private(self._path, key.hex().encode() + b"\n")
        return key

    def read(self) -> bytes:
        """Return the root key, 32 bytes.

        Raises:
            ConfigError: the file is not there, others may read it, or it does not hold 64 hex digits.
        """
        content = read_private(self._path)
        if _HEX.fullmatch(content) is None:
            raise ConfigError(f"{self._path}: does not hold a root key\n  it is 64 hex digits, as init writes it")
        return bytes.fromhex(content.decode())
