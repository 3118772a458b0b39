"""Make a damaged log whole again, as far as it can be, and say in the log what was lost. Offline, by the operator.

1. The files of all devices are locked: no appliance runs.
2. What can be saved is decided (:mod:`heldout_server.audit.salvage`); if nothing is wrong, nothing is done.
3. A new file is written beside the first device's: leaves from whichever device has their bytes, an empty entry for a
   damaged one, all hashes computed anew, the head signed again. Heads are deterministic: it is the head that there was.
4. Events are appended to it: ``repair`` for each damaged leaf that none names yet, and ``log_repaired``.
5. The new file takes the place of every device's. The old ones stay beside them, as ``….damaged``.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from heldout_server.audit.device import lock_file
from heldout_server.audit.entry import EVENT, INTENT, encode_entry, is_repair_of, repair_record
from heldout_server.audit.examination import StoredLeaf
from heldout_server.audit.note import CheckpointSigner
from heldout_server.audit.salvage import BATCH, Salvage, Survey, salvage, survey
from heldout_server.audit.store import (
    MIGRATIONS,
    Group,
    insert_copies,
    write_cosignatures,
    write_counters,
    write_devices,
    write_group,
    write_head,
)
from heldout_server.database import Connection, Database, write_mark
from heldout_server.errors import StorageError
from heldout_server.ports.audit import Record
from heldout_server.ports.environment import Clock

LOG_REPAIRED: Final = "log_repaired"
SIDES: Final = ("", "-wal", "-shm")
"""What a database file's name is followed by in the names of its files."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RepairReport:
    """Say what a repair found and did.

    Attributes:
        origin: the log's name.
        size: entries that it had.
        damaged: entries whose bytes are lost.
        rewritten: devices whose file was not whole, or missing; empty if nothing was done.
        unreadable: those of them of which nothing could be read.
        head_lost: the signed head was lost too: that these are all entries is for the auditors' heads to show.
        checkpoint: the signed head after it.
    """

    origin: str
    size: int
    damaged: tuple[int, ...]
    rewritten: tuple[str, ...]
    unreadable: tuple[str, ...]
    head_lost: bool
    checkpoint: str


async def repair_log(paths: Mapping[str, Path], *, key: bytes, signer: CheckpointSigner, clock: Clock) -> RepairReport:
    """Repair a log on all its devices.

    Args:
        paths: database files by device name: those of the config.
        key: raw key of the databases, 32 bytes.
        signer: signs the heads.
        clock: tells the time of the new entries.

    Raises:
        StorageError: an appliance runs on the files, or a disk fails.
        IntegrityError: too much is lost; then nothing was changed.
    """
    async with contextlib.AsyncExitStack() as stack:
        # (1) Nobody else writes.
        for path in paths.values():
            stack.callback(os.close, lock_file(path))
            _put_back(path)
        # (2) What is there, and what of it holds.
        surveys = [await survey(name, path, key=key, signer=signer) for name, path in paths.items()]
        readers = [one.reader for one in surveys if one.reader is not None]
        for reader in readers:
            stack.push_async_callback(reader.close)
        saved = salvage(surveys, signer)
        repairs = await _find_repairs(saved)
        rewritten = tuple(
            one.name for one in surveys if one.devices != set(paths) or not _is_whole(one, saved, repairs, signer)
        )
        size = saved.growth.after.size
        checkpoint = signer.checkpoint(size=size, root=saved.growth.after.root())
        if rewritten:
            # (3), (4) A file with all that was saved, and the events.
            new = next(iter(paths.values())).with_suffix(".repairing")
            _remove(new)
            events = _Events(rewritten=rewritten, devices=tuple(paths), now_s=clock.now_s())
            checkpoint = await _write(new, saved, repairs, events, key=key, signer=signer)
            for reader in readers:  # before the files that they have open are others
                await reader.close()
            # (5) It takes the place of the old ones.
            for path in paths.values():
                _replace(path, new)
            _remove(new)
    return RepairReport(
        origin=signer.origin,
        size=size,
        damaged=saved.damaged,
        rewritten=rewritten,
        unreadable=tuple(one.name for one in surveys if one.reader is None),
        head_lost=saved.head_lost,
        checkpoint=checkpoint,
    )


def _is_whole(one: Survey, saved: Salvage, repairs: Mapping[int, int], signer: CheckpointSigner) -> bool:
    after = saved.growth.after
    return (
        one.intact
        and one.signed == signer.checkpoint(size=after.size, root=after.root())
        and tuple(one.rows) == saved.growth.rows
        and all(
            own == wanted or (own is None and leaf in repairs and one.repairs.get(leaf) == repairs[leaf])
            for leaf, (own, wanted) in enumerate(zip(one.own, saved.hashes, strict=True))
        )
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Events:
    """Hold what the events say besides what was saved, and where the log is written from now on."""

    rewritten: tuple[str, ...]
    devices: tuple[str, ...]
    now_s: float

    def group(self, saved: Salvage, unnamed: Sequence[int]) -> Group:
        """Return the events: one for each damaged leaf that none names yet, and one about the repair."""
        details: dict[str, str | int | tuple[str, ...]] = {
            "damaged": len(saved.damaged),
            "devices": self.rewritten,
            "head": "lost" if saved.head_lost else "kept",
        }
        records = [repair_record(leaf=leaf, leaf_hash=saved.hashes[leaf]) for leaf in unnamed]
        records.append(Record(kind=EVENT, name=LOG_REPAIRED, details=details))
        return Group(tuple(encode_entry(record, counter=0, now_s=self.now_s) for record in records), {})


async def _write(
    new: Path, saved: Salvage, repairs: Mapping[int, int], events: _Events, *, key: bytes, signer: CheckpointSigner
) -> str:
    """Write the log that was saved into a new file, with the events about it, and return its signed head."""
    before = saved.growth.after
    unnamed = [leaf for leaf in saved.damaged if leaf not in repairs]
    repairs = {**repairs, **{leaf: before.size + place for place, leaf in enumerate(unnamed)}}
    counters: dict[str, int] = {}
    for one in saved.surveys:
        _raise_counters(counters, one.counters.items())

    def finish(connection: Connection) -> str:
        write_head(connection, size=before.size, checkpoint=signer.checkpoint(size=before.size, root=before.root()))
        write_counters(connection, counters=counters)
        for one in saved.surveys:
            write_cosignatures(connection, cosignatures=one.cosignatures)
        write_devices(connection, names=events.devices)
        # A backup that nobody has accepted stays one.
        write_mark(connection, max((one.made_s or 0 for one in saved.surveys), default=0))
        return write_group(connection, before=before, group=events.group(saved, unnamed), signer=signer).checkpoint

    database = Database.open(new, key, MIGRATIONS)
    try:
        for start in range(0, before.size, BATCH):
            leaves = await _leaves(saved, start, min(start + BATCH, before.size), repairs)
            _raise_counters(counters, _counters_in(leaves))
            await database.write(partial(insert_copies, leaves=leaves))
        return await database.write(finish)
    finally:
        database.close()


async def _leaves(saved: Salvage, start: int, end: int, repairs: Mapping[int, int]) -> list[StoredLeaf]:
    """Read leaves from the devices that have their bytes."""
    places = set(saved.sources[start:end]) - {-1}
    found = {place: await saved.surveys[place].leaves(start, end) for place in places}
    return [
        StoredLeaf(leaf, b"", saved.growth.rows[leaf], repairs[leaf])
        if saved.sources[leaf] < 0
        else StoredLeaf(leaf, found[saved.sources[leaf]][leaf - start].entry, saved.growth.rows[leaf])
        for leaf in range(start, end)
    ]


async def _find_repairs(saved: Salvage) -> dict[int, int]:
    """Return the leaves of the events that name damaged leaves already, and are whole themselves."""
    found: dict[int, int] = {}
    for leaf in saved.damaged:
        for event in {one.repairs[leaf] for one in saved.surveys if leaf in one.repairs}:
            if event < len(saved.sources) and saved.sources[event] >= 0:
                (stored,) = await _leaves(saved, event, event + 1, {})
                if is_repair_of(stored.entry or b"", leaf=leaf, leaf_hash=saved.hashes[leaf]):
                    found[leaf] = event
    return found


def _counters_in(leaves: list[StoredLeaf]) -> Iterator[tuple[str, int]]:
    """Yield identity and counter of each intent."""
    for leaf in leaves:
        if leaf.entry:
            fields = json.loads(leaf.entry)
            if fields["kind"] == INTENT:
                yield fields["identity"], fields["counter"]


def _raise_counters(counters: dict[str, int], seen: Iterable[tuple[str, int]]) -> None:
    for identity, counter in seen:
        counters[identity] = max(counter, counters.get(identity, 0))


def _replace(path: Path, new: Path) -> None:
    """Put a copy of a new file in the place of an old one, which stays beside it."""
    copy = _copying(path)
    try:
        shutil.copyfile(new, copy)
        copy.chmod(0o600)
        _sync(copy)
        if path.exists():
            number = len(_damaged(path)) + 1
            aside = f"{path}.damaged" if number == 1 else f"{path}.damaged-{number}"
            # A write-ahead log beside a file that it is not of would be taken for its own: it goes first.
            for side in ("-wal", ""):
                with contextlib.suppress(FileNotFoundError):
                    Path(f"{path}{side}").rename(f"{aside}{side}")
        for side in ("-wal", "-shm"):
            Path(f"{path}{side}").unlink(missing_ok=True)
        copy.rename(path)
        _sync(path.parent)
    except OSError as error:
        raise StorageError(f"{path}: {error.strerror}. Run the repair again.", reason="AUDIT_REPAIR") from None


def _put_back(path: Path) -> None:
    """Undo a replacement that was cut off between its two renames."""
    if not path.exists() and _copying(path).exists() and (aside := _damaged(path)):
        for side in ("-wal", ""):
            with contextlib.suppress(FileNotFoundError):
                Path(f"{aside[-1]}{side}").rename(f"{path}{side}")


def _damaged(path: Path) -> list[str]:
    """Return what was put aside before, oldest first."""
    first = Path(f"{path}.damaged")
    found = [str(first)] if first.exists() else []
    while Path(following := f"{path}.damaged-{len(found) + 1}").exists():
        found.append(following)
    return found


def _remove(path: Path) -> None:
    for side in SIDES:
        Path(f"{path}{side}").unlink(missing_ok=True)


def _copying(path: Path) -> Path:
    return Path(f"{path}.copying")


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
