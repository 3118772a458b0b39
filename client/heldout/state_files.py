"""Files that are kept from one run to the next."""

from __future__ import annotations

import os
from pathlib import Path


def state_home() -> Path:
    """Return the folder of what is kept from one run to the next: ``$XDG_STATE_HOME/heldout``."""
    state = os.environ.get("XDG_STATE_HOME")
    return (Path(state) if state else Path.home() / ".local" / "state") / "heldout"


def replace_file(file: Path, content: bytes, *, durable: bool) -> None:
    """Replace a file as a whole, readable by its owner alone.

    Args:
        file: which; its folder must exist.
        content: what is in it afterwards.
        durable: whether it outlasts a power cut once this returns.
    """
    temporary = file.with_name(f"{file.name}.{os.getpid()}.new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        view = memoryview(content)
        while view:
            view = view[os.write(descriptor, view) :]
        if durable:
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
    temporary.replace(file)
    if durable:
        folder = os.open(file.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
