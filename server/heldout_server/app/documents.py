"""Read and write the files that an operator named, with one clear line where that fails."""

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
        raise ConfigError(f"{path}: {error.strerror}. Nothing was done.") from None


def write_document(path: Path, content: bytes) -> None:
    """Write a file.

    Raises:
        ConfigError: it cannot be written.
    """
    try:
        path.write_bytes(content)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}. Nothing was done.") from None


def decode_document(content: bytes, name: str | Path) -> str:
    """Return the text of a document.

    Raises:
        ConfigError: it is not UTF-8.
    """
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise ConfigError(f"{name}: not UTF-8 text. Save it as UTF-8. Nothing was done.") from None
