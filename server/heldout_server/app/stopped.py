"""An appliance that does not run: its keys and logs opened, as a start would, so that it can be looked at or copied."""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from heldout_server.app.anchors import Anchors
from heldout_server.app.backing_up import Backup, back_up
from heldout_server.app.backup_marks import verify_unmarked
from heldout_server.app.logs import HALVES, log_files, open_log, verify_databases
from heldout_server.app.policies import Policies, load_policies
from heldout_server.app.tools import Tools
from heldout_server.audit import SqlAuditLog, lock_file
from heldout_server.config import Config
from heldout_server.errors import ConfigError, StorageError
from heldout_server.keys import open_ring


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopped:
    """Hold an appliance that does not run, with its logs open."""

    config: Config
    tools: Tools
    policies: Policies
    logs: dict[str, SqlAuditLog]
    anchors: Anchors


@contextlib.asynccontextmanager
async def open_stopped(config: Config, shares: Sequence[Path]) -> AsyncIterator[Stopped]:
    """Open the keys and logs of an appliance that does not run, and close the logs on leaving.

    Args:
        config: of the appliance.
        shares: files of key shares, where its root key is shared.

    Raises:
        ConfigError: something that the operator wrote is missing or wrong.
        IntegrityError: a log does not hold together, or a database is gone.
        WrongKey: a key does not open a log.
        StorageError: the appliance runs, or a disk fails.
    """
    tools = Tools(ring=open_ring(config.keys, shares))
    policies = load_policies(config)
    verify_databases(config)
    async with contextlib.AsyncExitStack() as stack:
        logs: dict[str, SqlAuditLog] = {}
        for half in HALVES:
            logs[half] = await open_log(config, tools, policies, half=half)
            stack.push_async_callback(logs[half].close)
        yield Stopped(config=config, tools=tools, policies=policies, logs=logs, anchors=await Anchors.open(logs))


async def back_up_stopped(config: Config, to: Path, *, shares: Sequence[Path], with_keys: bool) -> Backup:
    """Copy an appliance that does not run; see :func:`heldout_server.app.backing_up.back_up`.

    Raises:
        ConfigError: the folder cannot be made, or something that the operator wrote is missing or wrong; or the window
            runs by itself, which can copy nothing.
        IntegrityError: a log does not hold together, a database is gone, or a backup was put back and is not accepted.
        WrongKey: a key does not open a database.
        StorageError: the appliance or its vault half runs (``AUDIT_LOCKED``), or a disk fails.
    """
    for half in HALVES:  # before any key: of an appliance that runs, shares are not asked for
        try:
            os.close(lock_file(log_files(config, half)["first"]))
        except StorageError as error:
            if half == "vault" or error.reason != "AUDIT_LOCKED":
                raise
            raise ConfigError(
                "the window half runs, and the vault half is stopped or sealed\n  start or unseal the vault half, which"
                " makes the copy while the window goes on; or stop the window half"
            ) from None
    await verify_unmarked(config, open_ring(config.keys, shares))
    async with open_stopped(config, shares) as stopped:
        now_s = stopped.tools.clock.now_s()
        return await back_up(config, stopped.tools.ring, stopped.logs, to, with_keys=with_keys, now_s=now_s)
