"""Read ``[watch]`` of ``config.toml``: where checkpoints appear.

::

    [watch]
    source = "s3://bucket/prefix"           # or a folder's path; gs, az, abfss, https and http are read alike
    max_checkpoint_bytes = 200_000_000_000  # and max_files: what one checkpoint may take

    [watch.options]                         # handed on to obstore; a folder takes none
    region = "eu-central-1"
    access_key_id = { file = "keys/s3.id" }
    secret_access_key = { file = "keys/s3.key" }
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from heldout_server.config.place import Place
from heldout_server.config.reader import Reader, Setting

STORE_OPTIONS: Final = "options"
"""The key of ``[watch]`` that is a table of its own; it goes into :attr:`Store.options`."""

STORE_KINDS: Final = ("s3", "gs", "az", "abfss", "https", "http")
STORE_URL: Final = re.compile(r"abfss://[^\s@?#:]+@[^\s@?#]+|(?!abfss:)[a-z0-9]+://[^\s@?#]+")
"""What a store's URL looks like: only Azure's own form has an ``@``, after the container's name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    """Name an object store in which checkpoints appear.

    Attributes:
        url: its kind, place and prefix, such as ``s3://bucket/prefix``, without any secret.
        options: ``[watch.options]``; a path stands for what is in that file.
        place: where the config names the store, for errors.
        option_places: where it names each option.
    """

    url: str
    options: Mapping[str, Setting] = field(repr=False)
    place: Place
    option_places: Mapping[str, Place] = field(repr=False)

    def option_place(self, name: str) -> Place:
        """Return where the config names an option, or the store where it does not."""
        return self.option_places.get(name, self.place)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bound what one checkpoint may take, and all of them.

    Attributes:
        max_checkpoint_bytes: of all its files, holes included.
        max_files: how many files and folders.
        min_free_bytes: what stays free on the staging folder's disk; None for 5 GiB, or 5 % of a smaller disk.
        max_staged_bytes: what all of them together may take, which must be free for them alone; None for most of what
            is free when the appliance starts.
    """

    max_checkpoint_bytes: int = 1024**4
    max_files: int = 10_000
    min_free_bytes: int | None = None
    max_staged_bytes: int | None = None


DEFAULT_LIMITS: Final = Limits()
MOST_BYTES: Final = 1024**5
MOST_FILES: Final = 100_000
"""The largest values that the config may give to limits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """``[watch]``: where checkpoints appear, and what is done with them.

    Attributes:
        source: where they appear.
        poll_s: seconds between two looks, 0.05 to 3600.
        auto_run: start a run for each.
        max_checkpoint_bytes: see :class:`Limits`, as for the three below.
        max_files: likewise.
        min_free_bytes: likewise.
        max_staged_bytes: likewise.
    """

    source: Path | Store
    poll_s: float
    auto_run: bool
    max_checkpoint_bytes: int
    max_files: int
    min_free_bytes: int | None
    max_staged_bytes: int | None

    @property
    def limits(self) -> Limits:
        """Return what one checkpoint may take."""
        return Limits(
            max_checkpoint_bytes=self.max_checkpoint_bytes,
            max_files=self.max_files,
            min_free_bytes=self.min_free_bytes,
            max_staged_bytes=self.max_staged_bytes,
        )


def read_watch(reader: Reader) -> Watch:
    """Read ``[watch]``.

    Raises:
        ConfigError: something in it is missing, malformed or out of range, or names a folder or file that is not there.
    """
    return Watch(
        source=_source(reader),
        poll_s=reader.number("watch", "poll_s", low=0.05, high=3600, default=1.0),
        auto_run=reader.flag("watch", "auto_run", default=True),
        max_checkpoint_bytes=reader.integer(
            "watch", "max_checkpoint_bytes", low=1, high=MOST_BYTES, default=DEFAULT_LIMITS.max_checkpoint_bytes
        ),
        max_files=reader.integer("watch", "max_files", low=1, high=MOST_FILES, default=DEFAULT_LIMITS.max_files),
        min_free_bytes=_bytes(reader, "min_free_bytes", low=0),
        max_staged_bytes=_bytes(reader, "max_staged_bytes", low=1),
    )


def _bytes(reader: Reader, name: str, *, low: int) -> int | None:
    """Read a number of bytes, or None where the config does not say."""
    if not reader.has("watch", name):
        return None
    return reader.integer("watch", name, low=low, high=MOST_BYTES, default=low)


def _source(reader: Reader) -> Path | Store:
    """Read the folder's path, or what has ``://`` in it and is then a store's URL."""
    value = reader.peek("watch", "source")
    if not isinstance(value, str) or "://" not in value:
        if reader.has("watch", STORE_OPTIONS):
            place = reader.place("watch", STORE_OPTIONS)
            raise place.error("a folder takes no options", "leave them out, or set watch.source to a store's URL")
        return reader.directory("watch", "source")
    place = reader.place("watch", "source")
    kind = value.partition("://")[0]
    if kind not in STORE_KINDS:
        problem = f"no such kind of store; known are {', '.join(STORE_KINDS)}"
        raise place.error(problem, "a folder is named by its path")
    if STORE_URL.fullmatch(value) is None:
        problem = "must be a store's URL such as s3://bucket/prefix, without user, password or query"
        raise place.error(problem, 'give secrets in [watch.options], as { file = "path" }')
    options, places = reader.settings("watch", STORE_OPTIONS)
    return Store(url=value, options=options, place=place, option_places=places)
