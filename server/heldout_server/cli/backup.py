"""``heldout-server backup``: copy the databases and logs, whether the appliance runs or not."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from heldout_server.cli.offline import read_config
from heldout_server.cli.options import AsJson, ConfigPath, Shares

if TYPE_CHECKING:
    from heldout_server.app.backing_up import Backup
    from heldout_server.config import Config

DEADLINE_S: Final = 3600.0
"""Seconds to wait for a running appliance: a bank may be large."""


def backup(
    to: Annotated[Path, typer.Option("--to", help="A folder that does not exist yet; its parent must.")],
    config: ConfigPath = Path("config.toml"),
    with_keys: Annotated[
        bool, typer.Option("--with-keys", help="Copy the key files too: then whoever has the copy has the bank.")
    ] = False,
    share: Shares = None,
    as_json: AsJson = False,
) -> None:
    """Copy every database and log, encrypted, as at one moment.

    The copy is recorded in the logs.

    A running appliance makes the copy itself, and goes on meanwhile; a sealed one makes none. Of two halves the vault
    makes it, and records it in its own log. Of an appliance that does not run, pass --share for each key share if its
    root key is shared.
    """
    made = asyncio.run(_back_up(read_config(config), to.absolute(), share or [], with_keys=with_keys))
    if as_json:
        typer.echo(json.dumps(dataclasses.asdict(made)))
        return
    keys = "with its keys: guard it as the bank" if with_keys else "without keys"
    typer.echo(f"{made.folder}: {made.files} databases and logs, {made.size_bytes:,} bytes, {keys}")
    where = "both logs" if len(made.logs) > 1 else f"the log of the {made.logs[0]} half"
    typer.echo(f"  recorded in {where}: backup.json {made.manifest_sha256}")


async def _back_up(config: Config, to: Path, shares: list[Path], *, with_keys: bool) -> Backup:
    from heldout_server.app.backing_up import ask_for_backup
    from heldout_server.app.stopped import back_up_stopped
    from heldout_server.errors import StorageError

    try:
        return await back_up_stopped(config, to, shares=shares, with_keys=with_keys)
    except StorageError as error:
        if error.reason != "AUDIT_LOCKED":
            raise
    return await ask_for_backup(config, to, with_keys=with_keys, deadline_s=DEADLINE_S)
