"""An object store in which checkpoints appear: S3, GCS, Azure, or HTTP with WebDAV listings, through obstore.

``<prefix>/<name>/…`` is a checkpoint; ``<prefix>/<name>/READY`` marks it. What is read is bound to one version of an
object: a part of another version is never taken for a part of this one.
"""

from __future__ import annotations

import asyncio
import itertools
import re
import threading
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import obstore
from obstore import exceptions as store_errors
from obstore.store import HTTPStore, ObjectStore, from_url

from heldout_server.checkpoints.refusal import Reason, Unacceptable
from heldout_server.checkpoints.sources.calls import ATTEMPTS, BACKOFF_S, Calls
from heldout_server.checkpoints.sources.source import (
    MARKER,
    MAX_FILES,
    Ready,
    Tree,
    Unready,
    ignore,
    verify_path,
)
from heldout_server.config.watch import Store
from heldout_server.domain import LeftOutReason
from heldout_server.errors import StorageError

PART_BYTES: Final = 8 * 1024 * 1024
"""How much is asked for at once. It must arrive within the client's timeout."""

MAX_NAMES: Final = 10_000
PAGE: Final = 1000
MARKERS_AT_ONCE: Final = 16
LISTING_S: Final = 60.0
PART_S: Final = 120.0
NS: Final = 1_000_000_000

CLIENT_DEFAULTS: Final = {"timeout": "60s", "connect_timeout": "5s"}
CLIENT_OPTIONS: Final = frozenset(
    {
        "allow_http",
        "allow_invalid_certificates",
        "connect_timeout",
        "http1_only",
        "http2_only",
        "pool_idle_timeout",
        "pool_max_idle_per_host",
        "proxy_ca_certificate",
        "proxy_excludes",
        "proxy_url",
        "randomize_addresses",
        "read_timeout",
        "root_certificate",
        "timeout",
        "user_agent",
    }
)
"""Options of the HTTP client (obstore's ``ClientConfig``); every other one is the store's own."""

NO_RETRIES: Final[Any] = {"max_retries": 0}
"""What is tried again, and how often, is decided in one place: :class:`Calls`."""

QUOTED: Final = re.compile(r"key: '?([a-z0-9_]+)")


def connect(store: Store, options: Mapping[str, str | bool]) -> ObjectSource:
    """Return the source behind a store's URL. It asks nothing yet.

    Args:
        store: what the config says.
        options: its options, those in files read.

    Raises:
        ConfigError: an option is unknown to this kind of store, missing or malformed.
    """
    http: Any = CLIENT_DEFAULTS | {name: value for name, value in options.items() if name in CLIENT_OPTIONS}
    own = {name: value for name, value in options.items() if name not in CLIENT_OPTIONS}
    try:
        settings: Any = {"config": own or None, "client_options": http, "retry_config": NO_RETRIES}
        client = from_url(store.url, **settings)
        if isinstance(client, HTTPStore):  # its listings name paths from the server's root, whatever its own prefix
            url = urlsplit(store.url)
            root = HTTPStore(f"{url.scheme}://{url.netloc}", client_options=http, retry_config=NO_RETRIES)
            return ObjectSource(root, prefix=unquote(url.path).strip("/"))
    except store_errors.UnknownConfigurationKeyError as error:
        found = QUOTED.search(str(error))
        place = store.option_place(found[1]) if found else store.place
        raise place.error("this store knows no such option", "see the options of obstore for this store") from None
    except (store_errors.BaseError, ValueError, TypeError):  # the message may quote a secret
        problem = "the store cannot be set up: an option is missing, malformed, or not for this store"
        raise store.place.error(problem, "see [watch.options], and the options of obstore for this store") from None
    return ObjectSource(client)


class ObjectSource:
    """Find checkpoints in an object store, and read them in parts.

    Args:
        store: the client; it must not try again by itself.
        prefix: where checkpoints appear, seen from the client; empty where it stands there itself.
        part_bytes: how much is asked for at once, at least 16.
        attempts: how often a call is tried, at least 1.
        backoff_s: seconds before the second attempt.
    """

    def __init__(
        self,
        store: ObjectStore,
        *,
        prefix: str = "",
        part_bytes: int = PART_BYTES,
        attempts: int = ATTEMPTS,
        backoff_s: float = BACKOFF_S,
    ) -> None:
        self._store = store
        self._above = f"{prefix}/" if prefix else ""
        self._part_bytes = part_bytes
        self._attempts = attempts
        self._backoff_s = backoff_s

    def find_ready(
        self, is_known: Callable[[str], bool], *, stop: threading.Event, on_unready: Callable[[Unready], None] = ignore
    ) -> tuple[Ready, ...]:
        """Return what is ready, in order, without what is known.

        Raises:
            StorageError: the store cannot be listed, or holds too many names, or one that cannot be listed.
            Stopped: ``stop`` was set.
        """

        async def list_names() -> list[str]:
            found = await obstore.list_with_delimiter_async(self._store, prefix=self._above or None)
            names = (path.removeprefix(self._above) for path in found["common_prefixes"])
            return [name for name in names if not is_known(name)]

        async def find_marker(name: str) -> Ready | Unready:
            try:
                meta = await obstore.head_async(self._store, f"{self._above}{name}/{MARKER}")
            except FileNotFoundError:
                return Unready(name, LeftOutReason.NO_MARKER)
            return Ready(int(meta["last_modified"].timestamp() * NS), name, link=False)

        async def find_markers(names: tuple[str, ...]) -> list[Ready | Unready]:
            return await asyncio.gather(*map(find_marker, names))

        with self._calls(stop) as calls:
            try:
                names = calls.call(list_names, deadline_s=LISTING_S)
                if len(names) > MAX_NAMES:
                    raise StorageError("the source holds too many new names", reason="SOURCE_CROWDED")
                seen: list[Ready | Unready] = []
                rest = iter(names)
                while batch := tuple(itertools.islice(rest, MARKERS_AT_ONCE)):
                    seen += calls.call(partial(find_markers, batch), deadline_s=LISTING_S)
            except Unacceptable:  # it stands beside the checkpoints, in none of them
                raise StorageError("the source holds a key that cannot be listed", reason="SOURCE_KEY") from None
        for one in seen:
            if isinstance(one, Unready) and not one.name.startswith("."):
                on_unready(one)
        return tuple(sorted(one for one in seen if isinstance(one, Ready)))

    @contextmanager
    def open(self, folder: str, *, stop: threading.Event) -> Iterator[ObjectHolding]:
        """Yield one checkpoint."""
        with self._calls(stop) as calls:
            yield ObjectHolding(self._store, self._above + folder, calls, part_bytes=self._part_bytes)

    def _calls(self, stop: threading.Event) -> Calls:
        return Calls(stop, attempts=self._attempts, backoff_s=self._backoff_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """Say which version of an object is meant.

    Attributes:
        size: in bytes.
        tag: its entity tag without quotes, which stores put around it at one place and not at another; may be empty.
        modified_s: Unix seconds, what there is to go by where there is no tag.
    """

    size: int
    tag: str
    modified_s: int

    def is_of(self, meta: Mapping[str, Any]) -> bool:
        """Return whether an answer is about this version."""
        other = _version(meta)
        if self.tag and other.tag:
            return (self.size, self.tag) == (other.size, other.tag)
        return (self.size, self.modified_s) == (other.size, other.modified_s)


class ObjectHolding:
    """List and read the objects below one place."""

    def __init__(self, store: ObjectStore, place: str, calls: Calls, *, part_bytes: int) -> None:
        self._store = store
        self._place = place
        self._calls = calls
        self._part_bytes = part_bytes
        self._listed: Mapping[str, Version] = {}

    def list(self) -> Tree:
        """Return what it holds.

        Raises:
            Unacceptable: it holds a key that is no path, or too much.
            StorageError: the store fails.
            Stopped: nobody waits any more.
        """
        listed = self._calls.call(self._list, deadline_s=LISTING_S)
        folders = {folder for path in listed for folder in _parents(path)}
        for placeholder in folders & listed.keys():  # a console's "folder" is an empty object
            if listed.pop(placeholder).size:
                raise Unacceptable(Reason.BAD_NAME)
        self._listed = listed
        return Tree(
            folders=tuple(sorted(folders)),
            files=tuple(sorted(listed)),
            sizes=tuple(one.size for _, one in sorted(listed.items())),
            versions=tuple(f"{path} {one.size} {one.tag} {one.modified_s}" for path, one in sorted(listed.items())),
        )

    def read(self, path: str) -> Generator[memoryview]:
        """Yield a listed file in parts.

        Raises:
            Unacceptable: it is no longer the listed version.
            StorageError: the store fails, for one part as often as it is tried.
            Stopped: nobody waits any more.
        """
        listed, offset, tag = self._listed[path], 0, None
        while offset < listed.size:
            part, tag = self._calls.call(partial(self._get, path, listed, offset, tag), deadline_s=PART_S)
            yield part
            offset += len(part)

    async def _list(self) -> dict[str, Version]:
        found: dict[str, Version] = {}
        async for page in obstore.list(self._store, prefix=self._place, chunk_size=PAGE):
            for meta in page:
                path = meta["path"].removeprefix(f"{self._place}/")
                _verify_path(path, found)
                found[path] = _version(meta)
        return found

    async def _get(self, path: str, listed: Version, start: int, match: str | None) -> tuple[memoryview, str | None]:
        length = min(self._part_bytes, listed.size - start)
        options: obstore.GetOptions = {"range": (start, start + length)}
        if match is not None:
            options["if_match"] = match
        result = await obstore.get_async(self._store, f"{self._place}/{path}", options=options)
        if not listed.is_of(result.meta):
            raise Unacceptable(Reason.CHANGED_WHILE_READ)
        part = memoryview(await result.bytes_async())
        if result.range != (start, start + length) or len(part) != length:
            raise Unacceptable(Reason.CHANGED_WHILE_READ)
        return part, result.meta["e_tag"]


def _verify_path(path: str, found: Mapping[str, Version]) -> None:
    verify_path(path)
    if path in found:  # "a" and "a/" are two keys and one path
        raise Unacceptable(Reason.BAD_NAME)
    if len(found) == MAX_FILES:
        raise Unacceptable(Reason.TOO_MANY_FILES)


def _parents(path: str) -> Iterator[str]:
    return itertools.accumulate(path.split("/")[:-1], "{}/{}".format)


def _version(meta: Mapping[str, Any]) -> Version:
    tag = (meta["e_tag"] or "").removeprefix("W/").strip('"')
    return Version(size=meta["size"], tag=tag, modified_s=int(meta["last_modified"].timestamp()))
