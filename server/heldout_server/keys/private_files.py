"""Read and write files that nobody but their owner may read."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from heldout_server.errors import ConfigError, StorageError

PRIVATE: Final = 0o600
_OTHERS: Final = 0o077


def read_private(path: Path) -> bytes:
    """Return what is in a private file.

    Raises:
        ConfigError: it is not there, cannot be read, or others may read or write it.
    """
    try:
        with path.open("rb") as file:
            # Of the file that was opened, not of the name, which may be moved meanwhile.
            mode = os.fstat(file.fileno()).st_mode & 0o777
            content = file.read()
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({type(error).__name__})\n  check its path in config.toml") from None
    if mode & _OTHERS:
        raise ConfigError(f"{path}: mode {mode:04o} gives it to others\n  chmod 600 {path}", reason="KEY_FILE_MODE")
    return content


def write_private(path: Path, content: bytes) -> None:
    """Write a new private file, durably.

    Raises:
        ConfigError: a file of this name is there already; it is left as it is.
        StorageError: it cannot be written.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE)
    except FileExistsError:
        raise ConfigError(f"{path}: is there already\n  keys are never overwritten: move it away first") from None
    except OSError as error:
        raise StorageError(f"{path}: cannot be written ({type(error).__name__})") from None
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
