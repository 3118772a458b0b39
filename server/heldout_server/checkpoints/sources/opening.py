"""Make the source that the config names."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from heldout_server.checkpoints.sources.folder import FolderSource
from heldout_server.checkpoints.sources.source import Source
from heldout_server.config.reader import Setting
from heldout_server.config.watch import Store
from heldout_server.errors import ConfigError

MAX_SECRET_BYTES: Final = 1024 * 1024
"""How large a file may be that an option names: a bundle of certificates is the largest."""


def open_source(place: Path | Store) -> Source:
    """Return the source in a folder, or behind a store's URL. Nothing is asked of a store yet.

    Raises:
        ConfigError: the package for stores is not installed, or the store knows or takes an option not, or a file that
            one names cannot be read.
    """
    if isinstance(place, Path):
        return FolderSource(place)
    try:
        from heldout_server.checkpoints.sources.objects import connect  # noqa: PLC0415 - only stores need obstore
    except ImportError:
        problem = "a store's URL needs the package obstore"
        raise place.place.error(problem, 'install "heldout[stores]", or name a folder') from None
    options = {name: _read_option(place, name, value) for name, value in place.options.items()}
    return connect(place, options)


def _read_option(store: Store, name: str, value: Setting) -> str | bool:
    if isinstance(value, bool | str):
        return value
    try:
        with value.open("rb") as file:
            content = file.read(MAX_SECRET_BYTES + 1)
        if len(content) > MAX_SECRET_BYTES:
            raise _unreadable(store, name, "is too large")
        return content.decode().strip()
    except OSError as error:
        raise _unreadable(store, name, f"cannot be read ({type(error).__name__})") from None
    except UnicodeDecodeError:
        raise _unreadable(store, name, "is not UTF-8 text") from None


def _unreadable(store: Store, name: str, problem: str) -> ConfigError:
    return store.option_place(name).error(f"its file {problem}", f"mend the file, or set {name}")
