"""Give an appliance that does not run new key shares, and record that before they open anything."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from heldout_server.app.backup_marks import verify_unmarked
from heldout_server.app.logs import HALVES, open_log
from heldout_server.app.tools import Tools
from heldout_server.config import Config
from heldout_server.errors import ConfigError
from heldout_server.keys import open_ring, put_in_force, share_anew, write_shares
from heldout_server.ports.audit import Record

EVENT: Final = "reshare"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reshared:
    """Say what was made.

    Attributes:
        share_set: the new set.
        files: of its shares.
        threshold: how many of them open the bank.
    """

    share_set: str
    files: tuple[str, ...]
    threshold: int


async def reshare(config: Config, given: Sequence[Path], to: Path, *, shares: int, threshold: int) -> Reshared:
    """Exchange the root key, and split the new one. The shares of before then open nothing that is left here.

    Args:
        config: of the appliance.
        given: files of shares of before, as many as open it.
        to: a folder that does not exist yet, for a file for each new share.
        shares: how many, 2 to 16.
        threshold: how many of them open the bank, 2 to ``shares``.

    Raises:
        ConfigError: its root key lies in a file, shares are missing or wrong, or the folder cannot be made.
        WrongKey: the shares are not those of this ring.
        IntegrityError: a log or the ring is damaged, or a backup was put back and is not accepted yet.
        StorageError: the appliance runs, or a disk fails.
    """
    if config.keys.shares is None:
        raise ConfigError("the root key of this appliance lies in a file: it has no key shares\n  see init --shares")
    ring = open_ring(config.keys, given)
    try:
        made = share_anew(ring, shares=shares, threshold=threshold)
        await verify_unmarked(config, ring)
        async with contextlib.AsyncExitStack() as stack:
            logs = []
            for half in HALVES:  # their locks tell that nothing runs
                logs.append(await open_log(config, Tools(ring=ring), None, half=half))
                stack.push_async_callback(logs[-1].close)
            files = write_shares(made, to, appliance=config.appliance.name)
            record = Record(
                kind="event",
                name=EVENT,
                details={"share_set": made.book.share_set, "shares": shares, "threshold": threshold},
            )
            for log in logs:
                await log.append(record)
            put_in_force(made, book=config.keys.shares, ring=config.keys.ring)
    finally:
        ring.forget()
    return Reshared(share_set=made.book.share_set, files=tuple(map(str, files)), threshold=threshold)
