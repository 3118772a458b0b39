"""The logs of the halves that are served, opened before any other database: whatever happens after this is recorded."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Collection
from functools import partial
from pathlib import Path
from typing import Final

from heldout_server.app.policies import Policies
from heldout_server.app.tools import Tools
from heldout_server.audit import SqlAuditLog, run_on_disk
from heldout_server.config import AnyConfig
from heldout_server.errors import IntegrityError
from heldout_server.ports.audit import Record

HALVES: Final = ("vault", "window")
LOG_FILE: Final = "audit.db"
DATABASES: Final = (
    ("vault", LOG_FILE),
    ("window", LOG_FILE),
    ("vault", "bank.db"),
    ("vault", "outcomes.db"),
    ("vault", "checkpoints.db"),
    ("window", "published.db"),
    ("vault", "releases.db"),
    ("window", "window.db"),
)
"""Folder and file of every database, in the order in which a first start makes them; what is new goes to the end."""


async def open_logs(
    stack: contextlib.AsyncExitStack,
    config: AnyConfig,
    tools: Tools,
    policies: Policies,
    *,
    halves: Collection[str],
    log_failed: asyncio.Event,
    on_log_failed: Callable[[], None],
    on_fault: Callable[[str], None],
) -> dict[str, SqlAuditLog]:
    """Open the logs of these halves and record the start; record the stop and close them when the stack unwinds.

    Raises:
        IntegrityError: a database is gone, or a log is not what its signed head says.
        WrongKey: the key does not open a log.
        StorageError: a disk fails, or hangs.
    """

    def note_failure() -> None:
        if not log_failed.is_set():
            log_failed.set()
            on_log_failed()

    folders, deadline_s = config.data.folders(), config.audit.commit_deadline_s
    await run_on_disk(
        partial(verify_databases, config, halves), path=folders[next(iter(halves))], deadline_s=deadline_s
    )
    logs: dict[str, SqlAuditLog] = {}
    for half in halves:
        logs[half] = await open_log(config, tools, policies, half=half, on_failure=note_failure, on_fault=on_fault)
        stack.push_async_callback(logs[half].close)
    for opened in logs.values():
        await opened.append(Record(kind="event", name="start", details=policies.documents.digests()))

    async def record_stop() -> None:
        if not log_failed.is_set():
            for opened in logs.values():
                await opened.append(Record(kind="event", name="stop"))

    stack.push_async_callback(record_stop)
    return logs


async def open_log(
    config: AnyConfig,
    tools: Tools,
    policies: Policies | None,
    *,
    half: str,
    on_failure: Callable[[], None] | None = None,
    on_fault: Callable[[str], None] | None = None,
) -> SqlAuditLog:
    """Open the log of a half, and record nothing. Where no policy holds nothing is published, so nobody is waited for.

    Raises:
        IntegrityError: the log is not what its signed head says.
        WrongKey: the key does not open it.
        StorageError: a disk fails.
    """
    files = log_files(config, half)
    return await SqlAuditLog.open(
        files["first"],
        key=tools.ring.database_key(f"audit-{half}"),
        origin=f"{config.appliance.name}/{half}",
        signing_key=tools.ring.audit_signing_key(half),
        mac_key=tools.ring.audit_mac_key(half),
        clock=tools.clock,
        second=files.get("second"),
        witnessing=None if policies is None else policies.release.witness,
        commit_deadline_s=config.audit.commit_deadline_s,
        on_failure=on_failure,
        on_fault=on_fault,
        random_bytes=tools.random_bytes,
    )


def log_files(config: AnyConfig, half: str) -> dict[str, Path]:
    """Return the files of a half's log by device: the first, and the second if there is one."""
    files = {"first": config.data.folders()[half] / LOG_FILE}
    if config.audit.second is not None:
        files["second"] = config.audit.second / f"audit-{half}.db"
    return files


def verify_databases(config: AnyConfig, halves: Collection[str] = HALVES) -> None:
    """Check that no database was deleted: they are made one after the other, so a gap is not a first start cut off.

    A log or a ledger that were begun anew would be empty, and nobody here could tell. A half that has none yet may be
    served for the first time, long after the other; if that is not so, the log of the other knows better.

    Raises:
        IntegrityError: a database is gone.
    """
    folders = config.data.folders()
    there = {(folder, name): (folders[folder] / name).exists() for folder, name in DATABASES if folder in folders}
    begun = {_maker(*one) for one in files_of(config, halves) if there[one]}
    made = [one for one in there if _maker(*one) in begun]
    for place, (folder, name) in enumerate(made):
        if not there[folder, name] and any(there[one] for one in made[place:]):
            raise IntegrityError(
                f"{folder}/{name} is gone, and later databases are there. It is never begun anew:"
                " restore it from a backup. Nothing was started."
            )


def files_of(config: AnyConfig, halves: Collection[str]) -> tuple[tuple[str, str], ...]:
    """Return folder and file of the databases that these halves make, in the folders that there are."""
    folders = config.data.folders()
    return tuple(one for one in DATABASES if one[0] in folders and _maker(*one) in halves)


def database_name(folder: str, name: str) -> str:
    """Return what a database is called where its key and its anchors are: that of a file in a folder."""
    return f"audit-{folder}" if name == LOG_FILE else name.removesuffix(".db")


def _maker(folder: str, name: str) -> str:
    """Return the half that makes a database: all but one lie in its own folder."""
    return "vault" if name == "published.db" else folder
