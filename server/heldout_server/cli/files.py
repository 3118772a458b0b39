"""Files that a person names on the command line: one clear line where one cannot be read or written."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from heldout_server.errors import ConfigError

Shares: TypeAlias = Annotated[
    list[Path] | None, typer.Option("--share", help="A key share's file; once for each, if the root key is shared.")
]


def read_file(path: Path) -> bytes:
    """Return the content of a file.

    Raises:
        ConfigError: it cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}. Nothing was done.") from None


def write_file(path: Path, content: bytes) -> None:
    """Write a file.

    Raises:
        ConfigError: it cannot be written.
    """
    try:
        path.write_bytes(content)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}. Nothing was done.") from None


def decode_text(content: bytes, path: Path) -> str:
    """Return the text of a file.

    Raises:
        ConfigError: it is not UTF-8.
    """
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: not UTF-8 text. Save it as UTF-8; nothing was done.") from None
