"""What can be saved of a damaged log: leaves and hashes from all its devices, held to the signed head.

1. Each device is read past what cannot be read. The largest tree that one of them has a good signature for is the log;
   where no signature is left to go by, the largest tree.
2. A leaf has a hash by its bytes and a recorded one. Where these differ, the hash right above them says which holds.
3. The chosen hashes must lead to the signed head. Otherwise nothing is believed.
4. A leaf is whole if some device has bytes with its hash; all others are damaged, and their hashes stand in for them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from heldout_server.audit.cosignature import Cosignature
from heldout_server.audit.examination import StoredLeaf
from heldout_server.audit.note import CheckpointSigner
from heldout_server.audit.reading import UNREADABLE, LogReader
from heldout_server.audit.store import read_beside, read_cosignatures, read_counters, read_devices
from heldout_server.audit.tree import HASH_BYTES, Frontier, Growth, leaf_hash, node_hash, node_in_row
from heldout_server.database import read_mark
from heldout_server.errors import IntegrityError

BATCH: Final = 1_024


@dataclass(slots=True)
class Survey:
    """Hold what one device says, entries left out.

    Attributes:
        name: of the device.
        reader: reads it again; None if it is missing or cannot be opened.
        size: leaves that its head covers, or that are there at least.
        signed: the head that it has, whatever that is worth.
        own: hash of each leaf's bytes; None where they cannot be read.
        rows: recorded hashes of each leaf's row; None likewise.
        repairs: leaf of the event that names each repaired leaf.
        counters, cosignatures: as stored, as far as they can be read.
        devices: names of those that the log was written to.
        intact: all that stands beside the leaves can be read.
        made_s: when the file was made as a copy for a backup, see :func:`heldout_server.database.read_mark`.
    """

    name: str
    reader: LogReader | None = None
    size: int = 0
    signed: str = ""
    own: list[bytes | None] = field(default_factory=list)
    rows: list[bytes | None] = field(default_factory=list)
    repairs: dict[int, int] = field(default_factory=dict)
    counters: dict[str, int] = field(default_factory=dict)
    cosignatures: tuple[Cosignature, ...] = ()
    devices: frozenset[str] = frozenset()
    intact: bool = False
    made_s: int | None = None

    def recorded(self, leaf: int, level: int) -> bytes | None:
        """Return the hash of the subtree on ``level`` that a leaf completes, as recorded; None if there is none."""
        row = self.rows[leaf] if leaf < len(self.rows) else None
        return node_in_row(row, level) or None if row is not None else None

    async def leaves(self, start: int, end: int) -> list[StoredLeaf]:
        """Read leaves again; nothing of a device that cannot be read."""
        return [] if self.reader is None else await self.reader.leaves(start, end)

    def own_hash(self, leaf: int) -> bytes | None:
        """Return the hash of a leaf's bytes; None if there are none."""
        return self.own[leaf] if leaf < len(self.own) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Salvage:
    """Hold what the log is, as far as it can be known.

    Attributes:
        growth: the tree from nothing to its head: all hashes.
        hashes: of the leaves.
        sources: for each leaf, the place among the surveys of one that has its bytes; -1 for a damaged leaf.
        head_lost: no device has a good signature of this tree: the operator's word is all that says that it is all.
        surveys: what the devices say.
    """

    growth: Growth
    hashes: tuple[bytes, ...]
    sources: tuple[int, ...]
    head_lost: bool
    surveys: tuple[Survey, ...]

    @property
    def damaged(self) -> tuple[int, ...]:
        """Return the leaves whose bytes are lost."""
        return tuple(leaf for leaf, source in enumerate(self.sources) if source < 0)


async def survey(name: str, path: Path, *, key: bytes, signer: CheckpointSigner) -> Survey:
    """Read what one device says."""
    found = Survey(name)
    reader = LogReader(path, key)
    try:
        found.made_s = await reader.read(read_mark)
        found.signed = str(await reader.value("SELECT checkpoint FROM head") or "")
        found.size = signer.size_of(found.signed) or max(
            await reader.value("SELECT max(leaf) + 1 FROM leaves") or 0,
            await reader.value("SELECT max(leaf) + 1 FROM rows") or 0,
        )
    except UNREADABLE:
        await reader.close()
        return found
    try:
        signer.refuse_other_name(found.signed)
    except IntegrityError:
        await reader.close()
        raise
    found.reader = reader
    with contextlib.suppress(*UNREADABLE):
        found.counters = await reader.read(read_counters)
    with contextlib.suppress(*UNREADABLE):
        found.cosignatures = await reader.read(read_cosignatures)
    with contextlib.suppress(*UNREADABLE):
        await reader.read(read_beside)
        found.intact = await reader.value("SELECT size FROM head") == signer.size_of(found.signed)
    with contextlib.suppress(*UNREADABLE):
        found.devices = await reader.read(read_devices)
    for start in range(0, found.size, BATCH):
        for leaf in await reader.leaves(start, min(start + BATCH, found.size)):
            found.own.append(leaf_hash(leaf.entry) if leaf.entry else None)
            found.rows.append(leaf.row)
            if leaf.repair is not None:
                found.repairs[leaf.leaf] = leaf.repair
    return found


def salvage(surveys: Sequence[Survey], signer: CheckpointSigner) -> Salvage:
    """Decide what the log is.

    Raises:
        IntegrityError: no device can be read, a leaf has left no trace, or the hashes lead to no signed head.
    """
    readable = [one for one in surveys if one.reader is not None]
    if not readable:
        raise IntegrityError(
            f"{signer.origin}: no log device can be read. Nothing was changed: restore the log from a backup."
        )
    # (1) Only what has a signature of ours may say how long the log is.
    sizes = {size for one in readable if (size := signer.size_of(one.signed)) is not None}
    size = max(sizes, default=max(one.size for one in readable))
    # (2), (3) The hashes that lead to the signed head.
    pairs = [_choose_pair(readable, 2 * pair) for pair in range(size // 2)]
    for tail in _tails(readable, size):
        hashes = tuple(one for pair in pairs for one in pair) + tail
        growth = Frontier().extend(hashes)
        checkpoint = signer.checkpoint(size=size, root=growth.after.root())
        if not sizes or any(one.signed == checkpoint for one in readable):
            sources = tuple(_source(surveys, leaf, wanted) for leaf, wanted in enumerate(hashes))
            return Salvage(growth=growth, hashes=hashes, sources=sources, head_lost=not sizes, surveys=tuple(surveys))
    raise IntegrityError(
        f"{signer.origin}: what is left does not lead to the signed head over {size} entries. Nothing was changed:"
        " restore the log from a backup."
    )


def _choose_pair(readable: list[Survey], first: int) -> tuple[bytes, bytes]:
    """Return the hashes of two leaves that have one parent: those that the recorded parent is made of."""
    lefts, rights = _candidates(readable, first), _candidates(readable, first + 1)
    if len(lefts) == len(rights) == 1:
        return lefts[0], rights[0]
    parents = {one.recorded(first + 1, 1) for one in readable}
    found = [(left, right) for left in lefts for right in rights if node_hash(left, right) in parents]
    return found[0] if found else (lefts[0], rights[0])


def _tails(readable: list[Survey], size: int) -> Iterator[tuple[bytes, ...]]:
    """Yield what the last leaf of an odd tree may hash to, which has no parent; nothing, once, for an even tree."""
    if size % 2:
        for one in _candidates(readable, size - 1):
            yield (one,)
    else:
        yield ()


def _candidates(readable: list[Survey], leaf: int) -> list[bytes]:
    """Return the hashes that the devices have for a leaf, recorded ones first."""
    hashes = [one.recorded(leaf, 0) for one in readable] + [one.own_hash(leaf) for one in readable]
    found = dict.fromkeys(one for one in hashes if one is not None and len(one) == HASH_BYTES)
    if not found:
        raise IntegrityError(
            f"entry {leaf} has left neither bytes nor hash on any device. Nothing was changed: restore the log from a"
            " backup."
        )
    return list(found)


def _source(surveys: Sequence[Survey], leaf: int, wanted: bytes) -> int:
    return next((place for place, one in enumerate(surveys) if one.own_hash(leaf) == wanted), -1)
