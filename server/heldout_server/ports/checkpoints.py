"""The registry of checkpoints that were noticed, digested and staged."""

from __future__ import annotations

from typing import Protocol

from heldout_server.domain import Checkpoint, LeftOut


class Checkpoints(Protocol):
    """Notice checkpoints in a source, once and in order, and stage them read-only."""

    async def scan(self) -> tuple[Checkpoint, ...]:
        """Look at the source and return what is new since any earlier scan, staged or refused, in order.

        A folder whose marker is not there yet is not new. Names are noticed once, across restarts.
        """
        ...

    async def get(self, name: str) -> Checkpoint:
        """Return one checkpoint.

        Raises:
            NotFound: none of this name was noticed.
        """
        ...

    async def list(self, *, after: int, limit: int) -> tuple[Checkpoint, ...]:
        """Return up to ``limit`` checkpoints in the order they were noticed, those past sequence ``after``."""
        ...

    async def left_out(self) -> tuple[LeftOut, ...]:
        """Return what stands in the source and has not become ready for a while, the longest first; not all of many."""
        ...

    async def verify(self, checkpoint: Checkpoint) -> None:
        """Digest the staged files again, at load.

        Raises:
            IntegrityError: they are not what was staged.
        """
        ...

    async def pending(self) -> tuple[Checkpoint, ...]:
        """Return what was noticed and not settled yet, staged or refused, in order: across restarts too."""
        ...

    async def settle(self, name: str) -> None:
        """Record, durably, that a checkpoint is in the log and, where it is staged, was submitted. Idempotent.

        Raises:
            NotFound: none of this name was noticed.
        """
        ...
