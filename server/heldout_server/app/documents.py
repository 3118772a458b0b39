"""Read the files that an operator named, with one clear line where one cannot be read."""

from __future__ import annotations

from pathlib import Path

from heldout_server.errors import ConfigError


def read_document(path: Path) -> bytes:
    """Return the content of a file.

    Raises:
        ConfigError: it cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}. Nothing was started.") from None


def decode_document(content: bytes, name: str) -> str:
    """Return the text of a document.

    Raises:
        ConfigError: it is not UTF-8.
    """
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise ConfigError(f"{name}: not UTF-8 text. Save it as UTF-8. Nothing was started.") from None
