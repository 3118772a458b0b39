"""The self-audit: all leaves, hashes and the head of a log, read again from the disk, slowly and without end.

It reads through a connection of its own, so that an append never waits for it, and sees what is on the disk and not
what an append has in memory. What it finds is named once; it mends nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from heldout_server.audit.entry import is_repair_of
from heldout_server.audit.examination import Damage, Finding, Peaks, StoredLeaf, examine
from heldout_server.audit.note import CheckpointSigner
from heldout_server.audit.reading import UNREADABLE, LogReader
from heldout_server.audit.store import read_beside
from heldout_server.audit.tree import Frontier, node_in_row

BATCH: Final = 256
MAX_NAMED: Final = 1_000
"""How many findings are told: past these a log needs its second device or a backup, and not a list."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """Say how fast the self-audit goes.

    Attributes:
        leaves_per_s: at most so many, above 0.
        pause_s: seconds between the end of one pass and the next.
    """

    leaves_per_s: float = 5_000.0
    pause_s: float = 60.0


class SelfAudit:
    """Read one device of a log again and again.

    Args:
        path: the database file.
        key: its raw key, 32 bytes.
        signer: tells whether the head is that of the leaves.
        pace: how fast.
        on_finding: told of each damage once.
        sleep: waits so many seconds.
    """

    def __init__(
        self,
        path: Path,
        key: bytes,
        *,
        signer: CheckpointSigner,
        pace: Pace,
        on_finding: Callable[[Finding], Awaitable[None]],
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._reader = LogReader(path, key)
        self._signer = signer
        self._pace = pace
        self._on_finding = on_finding
        self._sleep = sleep
        self._named: set[Finding] = set()

    async def run(self) -> None:
        """Sweep until cancelled."""
        try:
            while True:
                await self.sweep()
                await self.close()  # or the next pass would find in memory what this one read
                await self._sleep(self._pace.pause_s)
        finally:
            self._reader.abandon()

    async def close(self) -> None:
        """Close the file; the next sweep opens it again."""
        await self._reader.close()

    async def sweep(self) -> None:
        """Read the log once, up to the head that it has now."""
        try:
            # In one statement: an append moves both.
            head = str(await self._reader.value("SELECT size || char(10) || checkpoint FROM head") or "")
            last = await self._reader.value("SELECT max(leaf) FROM rows")
        except UNREADABLE:  # the first page: nothing can be read without it
            await self._name(Finding(0, Damage.HEAD))
            return
        try:
            await self._reader.read(read_beside)
        except UNREADABLE:
            await self._name(Finding(0, Damage.HEAD))
        written, _, checkpoint = head.partition("\n")
        signed = self._signer.size_of(checkpoint)
        size = signed if signed is not None else 0 if last is None else last + 1
        if str(signed) != written:
            await self._name(Finding(size, Damage.HEAD))
        peaks: Peaks = []
        for start in range(0, size, BATCH):
            leaves = await self._reader.leaves(start, min(start + BATCH, size))
            for finding in examine(leaves, peaks=peaks):
                await self._name(finding)
            for leaf in leaves:
                await self._check_repair(leaf)
            await self._sleep(len(leaves) / self._pace.leaves_per_s)
        known = [peak for peak in peaks if peak is not None]
        if signed is not None and len(known) == len(peaks):
            root = Frontier(size, tuple(known)).root()
            if self._signer.checkpoint(size=size, root=root) != checkpoint:
                await self._name(Finding(size, Damage.HEAD))

    async def _check_repair(self, leaf: StoredLeaf) -> None:
        """Check that the event is there that excuses an empty entry."""
        if leaf.repair is not None and leaf.row is not None:
            event = await self._reader.value("SELECT entry FROM leaves WHERE leaf = ?", leaf.repair)
            if event is None or not is_repair_of(event, leaf=leaf.leaf, leaf_hash=node_in_row(leaf.row, 0)):
                await self._name(Finding(leaf.leaf, Damage.ENTRY))

    async def _name(self, finding: Finding) -> None:
        known = Finding(0, Damage.HEAD) if finding.damage is Damage.HEAD else finding  # there is one head, and it moves
        if known not in self._named and len(self._named) < MAX_NAMED:
            self._named.add(known)
            await self._on_finding(finding)
