"""Repair the logs of an appliance that does not run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from heldout_server.app.logs import log_files
from heldout_server.audit import CheckpointSigner, RepairReport, repair_log
from heldout_server.config import Config
from heldout_server.environment import SystemClock
from heldout_server.keys import open_ring


async def repair_logs(config: Config, halves: Sequence[str], *, shares: Sequence[Path] = ()) -> list[RepairReport]:
    """Repair the logs of these halves, on all devices of the config.

    Args:
        config: of the appliance.
        halves: ``vault``, ``window``, or both.
        shares: files of key shares, where its root key is shared.

    Raises:
        StorageError: the appliance runs, or a disk fails.
        IntegrityError: too much of a log is lost; that log is as it was.
    """
    ring = open_ring(config.keys, shares)
    return [
        await repair_log(
            log_files(config, half),
            key=ring.database_key(f"audit-{half}"),
            signer=CheckpointSigner(f"{config.appliance.name}/{half}", ring.audit_signing_key(half)),
            clock=SystemClock(),
        )
        for half in halves
    ]
