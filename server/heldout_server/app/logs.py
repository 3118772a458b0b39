"""The logs of both halves, opened before any other database: whatever happens after this is recorded."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Final

from heldout_server.app.policies import Policies
from heldout_server.app.tools import Tools
from heldout_server.audit import SqlAuditLog
from heldout_server.config import Config
from heldout_server.errors import IntegrityError
from heldout_server.ports.audit import AuditLog, Record

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
"""Half and file of every database, in the order in which a first start makes them; what is new goes to the end."""


async def open_logs(
    stack: contextlib.AsyncExitStack, config: Config, tools: Tools, policies: Policies, log_failed: asyncio.Event
) -> dict[str, AuditLog]:
    """Open both logs and record the start; record the stop and close them when the stack unwinds.

    Raises:
        IntegrityError: a database is gone, or a log is not what its signed head says.
        WrongKey: the key does not open a log.
        StorageError: a disk fails.
    """
    _verify_databases(config)
    logs: dict[str, AuditLog] = {}
    for half, folder in (("vault", config.data.vault), ("window", config.data.window)):
        log = await SqlAuditLog.open(
            folder / LOG_FILE,
            key=tools.ring.database_key(f"audit-{half}"),
            origin=f"{config.appliance.name}/{half}",
            signing_key=tools.ring.audit_signing_key(half),
            mac_key=tools.ring.audit_mac_key(half),
            clock=tools.clock,
            on_failure=log_failed.set,
        )
        stack.push_async_callback(log.close)
        logs[half] = log
    for opened in logs.values():
        await opened.append(Record(kind="event", name="start", details={"policy_digest": policies.documents.digest}))

    async def record_stop() -> None:
        if not log_failed.is_set():
            for opened in logs.values():
                await opened.append(Record(kind="event", name="stop"))

    stack.push_async_callback(record_stop)
    return logs


def _verify_databases(config: Config) -> None:
    """Check that no database was deleted: they are made one after the other, so a gap is not a first start cut off.

    A log or a ledger that were begun anew would be empty, and nobody here could tell.

    Raises:
        IntegrityError: a database is gone.
    """
    folders = {"vault": config.data.vault, "window": config.data.window}
    there = [(folders[half] / name).exists() for half, name in DATABASES]
    for place, (half, name) in enumerate(DATABASES):
        if not there[place] and any(there[place:]):
            raise IntegrityError(
                f"{half}/{name} is gone, and later databases are there. It is never begun anew:"
                " restore it from a backup. Nothing was started."
            )
