"""A whole log in a folder, and the offline check of everything that it claims.

The folder is in tlog-tiles layout (c2sp.org/tlog-tiles): ``checkpoint``, ``tile/<level>/…`` and ``tile/entries/…``.
``heldout audit export`` writes it from what the server lists; ``heldout audit verify`` reads it and believes nothing
but the log's verifier key.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from heldout.errors import HeldoutClientError, VerificationError
from heldout.verification.entry import EVENT, INTENT, RELEASE, Entry, parse_entry
from heldout.verification.note import Checkpoint, VerifierKey, open_checkpoint
from heldout.verification.tiles import ENTRIES, TILE_WIDTH, Tile, TileCutter, parse_bundle, tile_path

CHECKPOINT: Final = "checkpoint"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportReport:
    """Say what a log holds that was found to be whole.

    Attributes:
        origin: the log's name.
        size: entries.
        root: hex root of the tree that was signed.
        intents, outcomes, events: entries of each kind; they sum to ``size``.
        open_intents: indices of the intents that no outcome names: calls under way, or cut off.
        counters: number of the last intent of each identity; there is no gap below it.
        releases: the publications, in order.
        earlier_heads: how many earlier heads this log was found to continue.
    """

    origin: str
    size: int
    root: str
    intents: int
    outcomes: int
    events: int
    open_intents: tuple[int, ...]
    counters: Mapping[str, int]
    releases: tuple[Entry, ...]
    earlier_heads: int


class LogExport:
    """Write a log into a new folder as its entries come; the checkpoint last, so that half a log has none.

    ::

        export = LogExport(folder)
        async for page in pages:
            export.add(page)
        export.finish(checkpoint)
    """

    def __init__(self, folder: Path) -> None:
        """Make the folder.

        Raises:
            HeldoutClientError: something is in it already.
        """
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise HeldoutClientError(f"{folder} is not empty")
        self._folder = folder
        self._cutter = TileCutter()

    def add(self, entries: Iterable[bytes]) -> None:
        """Take the next leaves, in the order of the log.

        Raises:
            VerificationError: one is longer than a leaf can be.
        """
        for entry in entries:
            self._write(*self._cutter.add(entry))

    def finish(self, checkpoint: str) -> None:
        """Write what is left, and the signed checkpoint over exactly these entries.

        Its signature and root are not checked here but by :func:`verify_export`.
        """
        self._write(*self._cutter.rest(), Tile(CHECKPOINT, checkpoint.encode()))

    def _write(self, *tiles: Tile) -> None:
        for tile in tiles:
            file = self._folder / tile.path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(tile.content)


def read_checkpoint(folder: Path) -> str:
    """Return the signed checkpoint of an exported log, unchecked.

    Raises:
        VerificationError: there is none, or it is not UTF-8.
    """
    try:
        return _read(folder, CHECKPOINT).decode()
    except UnicodeDecodeError:
        raise VerificationError("the checkpoint is not valid UTF-8") from None


def read_entries(folder: Path, *, size: int) -> Iterator[bytes]:
    """Yield the first ``size`` leaves of an exported log, unchecked.

    Raises:
        VerificationError: a bundle is missing or malformed.
    """
    for start in range(0, size, TILE_WIDTH):
        width = min(TILE_WIDTH, size - start)
        path = tile_path(ENTRIES, start // TILE_WIDTH, width)
        yield from parse_bundle(_read_tile(folder, path), width=width)


def verify_export(folder: Path, vkey: str, *, earlier: Sequence[str] = ()) -> ExportReport:
    """Check an exported log from its leaves up.

    1. The checkpoint, and each earlier one, is signed by the log.
    2. The leaves hash to the signed root, and at each earlier size to the earlier root: nothing was changed since.
    3. The hash tiles are those of the leaves.
    4. Each leaf is an entry in canonical form.
    5. The intents of each identity are numbered from 1 without a gap.
    6. Each outcome names an earlier intent of the same call and identity, and no two name one.

    Args:
        folder: where it was exported to.
        vkey: the log's verifier key.
        earlier: signed checkpoints that the log gave out before, of any size up to that of the export.

    Raises:
        VerificationError: one of these does not hold; the message names the first entry or file where.
    """
    # (1) The heads.
    key = VerifierKey.parse(vkey)
    head = open_checkpoint(read_checkpoint(folder), key)
    heads = [open_checkpoint(note, key) for note in earlier]
    roots: dict[int, set[bytes]] = {}
    for each in (head, *heads):
        if each.size > head.size:
            raise VerificationError(f"the log has shrunk: {head.size} entries, and {each.size} were signed before")
        roots.setdefault(each.size, set()).add(each.root)
    tree, calls = TileCutter(), _Calls()
    _check_roots(tree, roots)
    for index, leaf in enumerate(read_entries(folder, size=head.size)):
        _check_tiles(folder, tree.add(leaf))  # (3), the full ones
        _check_roots(tree, roots)  # (2)
        calls.add(parse_entry(leaf, index=index))  # (4), (5), (6)
    _check_tiles(folder, tree.rest())  # (3), the partial ones
    return calls.report(head, earlier_heads=len(heads))


class _Calls:
    """Follow the calls through the log: what was begun, and how it ended."""

    def __init__(self) -> None:
        self._open: dict[int, Entry] = {}
        self._counters: dict[str, int] = {}
        self._releases: list[Entry] = []
        self._intents = self._outcomes = self._events = 0

    def add(self, entry: Entry) -> None:
        """Take the next entry."""
        if entry.kind == INTENT:
            self._begin(entry)
        elif entry.kind == EVENT:
            self._events += 1
            if entry.name == RELEASE:
                self._releases.append(entry)
        else:
            self._end(entry)

    def report(self, head: Checkpoint, *, earlier_heads: int) -> ExportReport:
        """Say what was found."""
        return ExportReport(
            origin=head.origin,
            size=head.size,
            root=head.root.hex(),
            intents=self._intents,
            outcomes=self._outcomes,
            events=self._events,
            open_intents=tuple(self._open),
            counters=self._counters,
            releases=tuple(self._releases),
            earlier_heads=earlier_heads,
        )

    def _begin(self, intent: Entry) -> None:
        expected = self._counters.get(intent.identity, 0) + 1
        if intent.counter != expected:
            raise VerificationError(
                f"entry {intent.index} is intent {intent.counter} of its identity, and {expected} comes next"
            )
        self._counters[intent.identity] = expected
        self._open[intent.index] = intent
        self._intents += 1

    def _end(self, outcome: Entry) -> None:
        named = outcome.details.get(INTENT)
        intent = self._open.pop(named, None) if isinstance(named, int) else None
        if intent is None:
            raise VerificationError(f"entry {outcome.index} names no open intent before it")
        if (intent.name, intent.identity, intent.role) != (outcome.name, outcome.identity, outcome.role):
            raise VerificationError(f"entry {outcome.index} ends another call than the intent that it names")
        self._outcomes += 1


def _check_roots(tree: TileCutter, roots: Mapping[int, set[bytes]]) -> None:
    signed = roots.get(tree.size)
    if signed is not None and signed != {tree.root()}:
        raise VerificationError(f"the first {tree.size} entries do not hash to the root that was signed")


def _check_tiles(folder: Path, tiles: Iterable[Tile]) -> None:
    for tile in tiles:
        if _read_tile(folder, tile.path, size_bytes=len(tile.content)) != tile.content:
            raise VerificationError(f"{tile.path} is not of these entries")


def _read_tile(folder: Path, path: str, *, size_bytes: int | None = None) -> bytes:
    """Read a tile; where a partial one is gone, as much of the full one that took its place (c2sp.org/tlog-tiles)."""
    full, partial, _ = path.partition(".p/")
    if partial and not (folder / path).exists():
        return _read(folder, full)[:size_bytes]
    return _read(folder, path)


def _read(folder: Path, path: str) -> bytes:
    try:
        return (folder / path).read_bytes()
    except OSError:
        raise VerificationError(f"{path} is missing from the log, or cannot be read") from None
