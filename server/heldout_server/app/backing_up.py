"""Copy the databases and logs of an appliance, running or not, as they are: encrypted, and consistent together.

1. What every database holds is pinned within milliseconds of each other, the logs last: so a log knows at least what
   the databases hold, and a copy that is put back is told apart from the newest (``restoring``).
2. Each is copied under its own key; nothing is ever decrypted onto the disk. No key is copied unless asked for. Each
   copy is marked as one, so that no appliance starts from it before that was accepted (``backup_marks``).
3. ``backup.json`` names each file by its digest, and an event in the logs that the process serves names ``backup.json``
   by its own: of two processes the vault makes the copy, and its log has the event.

A running appliance is asked by a file in its run folder, where nobody but its user can write, and answers in another.
"""

from __future__ import annotations

import asyncio
import dataclasses
import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import structlog

from heldout_server.app.logs import DATABASES, LOG_FILE, database_name
from heldout_server.config import Config
from heldout_server.database import Snapshot
from heldout_server.errors import ConfigError, HeldoutError, StorageError
from heldout_server.ports.audit import AuditLog, Record
from heldout_server.ports.environment import Clock
from heldout_server.ports.keys import KeyRing

FORMAT: Final = "heldout-backup/1"
EVENT: Final = "backup"
REQUEST: Final = "backup-request.json"
ANSWER: Final = "backup-answer.json"
LOOK_S: Final = 0.5
"""Seconds between two looks for a request."""

_log: Final = structlog.get_logger("backup")


@dataclass(frozen=True, slots=True, kw_only=True)
class Backup:
    """Say what was copied.

    Attributes:
        folder: of the copy.
        files: how many databases and logs.
        size_bytes: of all of them.
        manifest_sha256: hex digest of ``backup.json``, as in the logs.
        logs: halves in whose logs it stands: those that the process serves which made it.
    """

    folder: str
    files: int
    size_bytes: int
    manifest_sha256: str
    logs: tuple[str, ...]


async def back_up(
    config: Config, ring: KeyRing, logs: Mapping[str, AuditLog], to: Path, *, with_keys: bool, now_s: float
) -> Backup:
    """Copy everything into a new folder, and record that in the logs.

    Args:
        config: of the appliance.
        ring: its keys.
        logs: of the halves that this process serves. A window by itself goes on meanwhile, and its log is copied too.
        to: the folder; it must not exist, and its parent must.
        with_keys: copy the ring, and what opens it, too: then whoever has the copy has the bank.
        now_s: Unix seconds, for the manifest.

    Raises:
        ConfigError: the folder is there already, or its parent is not.
        StorageError: a disk fails; then no folder is left behind.
        WrongKey: a key does not open a database.
    """
    backup = await asyncio.to_thread(_copy, config, ring, to, logs=tuple(logs), with_keys=with_keys, now_s=now_s)
    details: dict[str, str | int] = {
        "files": backup.files,
        "size_bytes": backup.size_bytes,
        "manifest_sha256": backup.manifest_sha256,
        "keys": "included" if with_keys else "left_out",
    }
    try:
        for log in logs.values():
            await log.append(Record(kind="event", name=EVENT, details=details))
    except StorageError:
        shutil.rmtree(to)  # what no log knows of is no backup
        raise
    _log.info("backed_up", count=backup.files)
    return backup


async def answer_requests(config: Config, ring: KeyRing, logs: Mapping[str, AuditLog], clock: Clock) -> None:
    """Look for requests in the run folder, and answer them, until cancelled."""
    request, answer = config.data.run / REQUEST, config.data.run / ANSWER
    while True:
        await asyncio.sleep(LOOK_S)
        wanted = _take(request)
        if wanted is None:
            continue
        try:
            with_keys = wanted.get("with_keys") is True
            made = await back_up(
                config, ring, logs, Path(str(wanted.get("to", ""))), with_keys=with_keys, now_s=clock.now_s()
            )
            told: dict[str, Any] = dataclasses.asdict(made)
        except (HeldoutError, OSError) as error:
            _log.error("backup_failed", error=type(error).__name__)
            told = {"error": str(error) if isinstance(error, HeldoutError) else f"{type(error).__name__}: failed"}
        _put(answer, told)


async def ask_for_backup(config: Config, to: Path, *, with_keys: bool, deadline_s: float) -> Backup:
    """Have a running appliance make a backup, and return what it copied.

    Args:
        config: of the appliance.
        to: the folder, absolute; it must not exist, and its parent must.
        with_keys: see :func:`back_up`.
        deadline_s: seconds to wait for it.

    Raises:
        ConfigError: it was not made, with what the appliance says.
        StorageError: the appliance did not answer in time.
    """
    request, answer = config.data.run / REQUEST, config.data.run / ANSWER
    answer.unlink(missing_ok=True)
    _put(request, {"to": str(to), "with_keys": with_keys})
    told = None
    for _ in range(max(1, round(deadline_s / LOOK_S))):
        await asyncio.sleep(LOOK_S)
        told = _take(answer)
        if told is not None:
            break
    if told is None:
        request.unlink(missing_ok=True)
        raise StorageError(f"the running appliance did not answer within {deadline_s:.0f} s; is it sealed?")
    if "error" in told:
        raise ConfigError(str(told["error"]))
    return Backup(**{**told, "logs": tuple(told["logs"])})


def _copy(config: Config, ring: KeyRing, to: Path, *, logs: tuple[str, ...], with_keys: bool, now_s: float) -> Backup:
    if not to.is_absolute() or not to.parent.is_dir():
        raise ConfigError(f"{to.parent}: no such folder\n  create it first")
    building = to.with_name(f".{to.name}.part")
    try:
        if to.exists():
            raise ConfigError(f"{to}: is there already\n  a backup is never overwritten: name another folder")
        if building.exists():
            raise ConfigError(f"{building}: was left by a backup that was cut off\n  delete it")
        building.mkdir(mode=0o700)
        try:
            backup = _fill(config, ring, building, to, logs=logs, with_keys=with_keys, now_s=now_s)
            building.rename(to)
        except BaseException:
            shutil.rmtree(building)
            raise
    except OSError as error:
        raise StorageError(f"{to}: cannot be made ({error.strerror or type(error).__name__})") from None
    return backup


def _fill(
    config: Config,
    ring: KeyRing,
    building: Path,
    to: Path,
    *,
    logs: tuple[str, ...],
    with_keys: bool,
    now_s: float,
) -> Backup:
    folders = {"vault": config.data.vault, "window": config.data.window}
    # Logs stand first where databases are made, and are pinned last.
    names = sorted(DATABASES, key=lambda database: database[1] == LOG_FILE)
    files: dict[str, dict[str, str | int]] = {}
    with ExitStack() as stack:
        pinned: dict[tuple[str, str], Snapshot] = {}
        for half, name in names:
            key = ring.database_key(database_name(half, name))
            pinned[half, name] = Snapshot(folders[half] / name, key)
            stack.callback(pinned[half, name].close)
        for (half, name), snapshot in pinned.items():
            (building / half).mkdir(mode=0o700, exist_ok=True)
            snapshot.copy(building / half / name, made_s=now_s)
            files[f"{half}/{name}"] = _describe(building / half / name)
    if with_keys:
        (building / "keys").mkdir(mode=0o700)
        for path in (config.keys.ring, config.keys.root, config.keys.shares):
            if path is not None:
                shutil.copy(path, building / "keys" / path.name)
    manifest = {"format": FORMAT, "appliance": config.appliance.name, "time_s": int(now_s), "files": files}
    content = json.dumps(manifest, indent=1, sort_keys=True).encode() + b"\n"
    (building / "backup.json").write_bytes(content)
    for path in (*building.rglob("*"), building):
        _sync(path)
    return Backup(
        folder=str(to),
        files=len(files),
        size_bytes=sum(int(file["size_bytes"]) for file in files.values()),
        manifest_sha256=hashlib.sha256(content).hexdigest(),
        logs=logs,
    )


def _describe(path: Path) -> dict[str, str | int]:
    with path.open("rb") as file:
        return {"sha256": hashlib.file_digest(file, "sha256").hexdigest(), "size_bytes": path.stat().st_size}


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _put(path: Path, document: Mapping[str, Any]) -> None:
    part = path.with_suffix(".part")
    part.write_text(json.dumps(document), encoding="utf-8")
    part.rename(path)


def _take(path: Path) -> dict[str, Any] | None:
    """Return what a file says, and remove it; None if there is none."""
    with suppress(FileNotFoundError):
        content = path.read_bytes()
        path.unlink()
        with suppress(ValueError):
            document = json.loads(content)
            return document if isinstance(document, dict) else {}
        return {}
    return None
