"""Open the devices of a log, and bring together what they hold.

1. Each device is locked and opened. A file that is missing is made only where the log was never written to it: a
   device that was lost may be behind the one that is left, and an old end that is taken for the newest is a fork.
2. Each log is checked on its own.
3. The one that is behind must be the beginning of the one that is ahead; it is given the leaves that it lacks, each
   examined on the way, and must then have the very head that the other has.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import structlog

from heldout_server.audit.deadline import DISK_HANGS, run_on_disk, wait_for_disk
from heldout_server.audit.device import FIRST, LogDevice
from heldout_server.audit.examination import StoredLeaf, examine
from heldout_server.audit.note import OTHER_NAME, CheckpointSigner
from heldout_server.audit.store import (
    ADVICE,
    Stored,
    damage_error,
    insert_copies,
    load_peaks,
    read_leaves,
    read_node,
    write_cosignatures,
    write_counters,
    write_devices,
    write_head,
)
from heldout_server.audit.tree import Frontier, root
from heldout_server.database import Connection
from heldout_server.errors import IntegrityError, StorageError

BATCH: Final = 10_000

_log: Final = structlog.get_logger("audit")


@dataclass(frozen=True, slots=True)
class Opened:
    """Hold devices that agree, the first first, and what they hold."""

    devices: tuple[LogDevice, ...]
    stored: Stored


async def open_devices(paths: Mapping[str, Path], *, key: bytes, signer: CheckpointSigner, deadline_s: float) -> Opened:
    """Open all devices of a log and bring them to one state, or make a new log on all of them.

    Args:
        paths: database files by device name: ``first``, and perhaps ``second``.
        key: raw key of the databases, 32 bytes.
        signer: signs the heads, and tells whether stored ones are its own.
        deadline_s: seconds that each step may take on a device. One that takes longer hangs, and is left alone.

    Raises:
        IntegrityError: a device is damaged or gone, or two devices hold different logs.
        StorageError: a disk fails or hangs, or another process has a device open.
        WrongKey: the key does not open a device.
    """
    stored: dict[str, Stored] = {}
    devices: list[LogDevice] = []
    there = {name for name, path in paths.items() if await run_on_disk(path.exists, path=path, deadline_s=deadline_s)}
    try:
        for name, path in paths.items():
            known = stored[FIRST].devices if FIRST in stored else there - {FIRST}
            _verify_there(name, there, known=known, origin=signer.origin)
            device = await LogDevice.open(name, path, key=key, deadline_s=deadline_s)
            devices.append(device)
            stored[name] = await _load(device, signer, deadline_s=deadline_s)
        _verify_configured(stored[FIRST].devices, paths, origin=signer.origin)
        ahead, *others = sorted(devices, key=lambda one: stored[one.name].frontier.size, reverse=True)
        for behind in others:
            before = stored[behind.name]
            await _catch_up(behind, before, ahead=ahead, to=stored[ahead.name], signer=signer, deadline_s=deadline_s)
        for device in devices:
            writing = device.write(partial(write_devices, names=tuple(paths)))
            await wait_for_disk(writing, path=device.path, deadline_s=deadline_s)
    except BaseException:
        for device in devices:
            await device.close_within(deadline_s)
        raise
    return Opened(tuple(devices), stored[ahead.name])


def _verify_there(name: str, there: Collection[str], *, known: Collection[str], origin: str) -> None:
    """Refuse to make a device anew that the log was written to, or any that comes before one that is there."""
    if name not in there and (known if name == FIRST else name in known):
        raise IntegrityError(f"{origin}: log device {name} is gone. {ADVICE}", reason="AUDIT_DEVICE_GONE")


def _verify_configured(known: Collection[str], paths: Mapping[str, Path], *, origin: str) -> None:
    """Refuse to go on without a device that the log was written to: it may be ahead of those that are left."""
    for name in sorted(set(known) - paths.keys()):
        problem = f"{origin}: log device {name} is not in the config any more"
        raise IntegrityError(f"{problem}. {ADVICE}", reason="AUDIT_DEVICE_GONE")


async def _load(device: LogDevice, signer: CheckpointSigner, *, deadline_s: float) -> Stored:
    place = f"{signer.origin}: log device {device.name}, {device.path.name}"
    try:
        return await wait_for_disk(device.load(signer), path=device.path, deadline_s=deadline_s)
    except (IntegrityError, StorageError) as error:
        if error.reason in {DISK_HANGS, OTHER_NAME}:  # nothing is known to be damaged
            raise
        said = str(error).removesuffix(".")
        raise IntegrityError(
            f"{place}: {said if ADVICE in str(error) else f'{said}. {ADVICE}'}", reason=error.reason
        ) from None


async def _catch_up(
    behind: LogDevice, before: Stored, *, ahead: LogDevice, to: Stored, signer: CheckpointSigner, deadline_s: float
) -> None:
    """Give a device the leaves that it lacks.

    Raises:
        IntegrityError: it is not the beginning of the one that is ahead, or that one is damaged there.
        StorageError: a disk fails.
    """
    size, end = before.frontier.size, to.frontier.size
    reading = partial(wait_for_disk, path=ahead.path, deadline_s=deadline_s)
    same = await reading(ahead.read(lambda connection: root(size, partial(read_node, connection))))
    if same != before.frontier.root():
        raise IntegrityError(
            f"{signer.origin}: the log devices {ahead.name} ({end} entries) and {behind.name} ({size} entries) hold"
            f" different logs. Keep the one that your auditors' heads are of. {ADVICE}"
        )
    for start in range(size, end, BATCH):
        stop = min(start + BATCH, end)
        leaves = await reading(ahead.read(partial(read_leaves, start=start, end=stop)))
        append = partial(_append_copies, leaves=leaves, signer=signer, last=to if stop == end else None)
        await wait_for_disk(behind.write(append), path=behind.path, deadline_s=deadline_s)
    if size < end:
        _log.warning("log_device_caught_up", origin=signer.origin, device=behind.name, tree_size=end, count=end - size)


def _append_copies(
    connection: Connection, *, leaves: Sequence[StoredLeaf], signer: CheckpointSigner, last: Stored | None
) -> None:
    """Store leaves of another device behind those that are here, examined, and sign the head over them.

    Args:
        connection: of the device that is behind.
        leaves: what it lacks, in order, at least one.
        signer: signs the head.
        last: with the last of them, what the log ends with: counters, cosignatures, and the very same head.

    Raises:
        IntegrityError: the leaves are damaged, or do not lead to that head.
    """
    start, end = leaves[0].leaf, leaves[-1].leaf + 1
    for finding in examine(leaves, peaks=load_peaks(connection, size=start)):
        raise damage_error(finding)
    insert_copies(connection, leaves)
    grown = Frontier.load(end, partial(read_node, connection))
    checkpoint = signer.checkpoint(size=end, root=grown.root())
    write_head(connection, size=end, checkpoint=checkpoint)
    if last is not None:
        if checkpoint != last.checkpoint:
            raise IntegrityError(f"{signer.origin}: what was copied does not lead to the signed head. {ADVICE}")
        write_counters(connection, counters=last.counters)
        write_cosignatures(connection, cosignatures=last.cosignatures)
