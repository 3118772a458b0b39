"""Read ``[audit]`` of ``config.toml``: where the logs are kept besides, and how they are watched.

::

    [audit]
    second = "/mnt/other/heldout"   # a folder on another disk: every entry goes to both, and one of them is enough
    commit_deadline_s = 5.0         # a disk that takes longer is lost
    sweep_leaves_per_s = 5000.0     # how fast the logs read themselves again
    sweep_pause_s = 60.0            # and how long they rest in between
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from heldout_server.config.reader import Reader


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """``[audit]``: the logs' second device, and how they are watched.

    Attributes:
        second: folder of the second device; None for none.
        commit_deadline_s: seconds that a commit may take on a device, 0.1 to 60.
        sweep_leaves_per_s: how many entries the self-audit reads a second, 1 to 1,000,000.
        sweep_pause_s: seconds between two passes of it, 1 to 86,400.
    """

    second: Path | None
    commit_deadline_s: float
    sweep_leaves_per_s: float
    sweep_pause_s: float


def read_audit(reader: Reader) -> Audit:
    """Read ``[audit]``.

    Raises:
        ConfigError: something in it is malformed or out of range, or names a folder that is not there.
    """
    return Audit(
        second=reader.directory("audit", "second") if reader.has("audit", "second") else None,
        commit_deadline_s=reader.number("audit", "commit_deadline_s", low=0.1, high=60, default=5.0),
        sweep_leaves_per_s=reader.number("audit", "sweep_leaves_per_s", low=1, high=1_000_000, default=5_000.0),
        sweep_pause_s=reader.number("audit", "sweep_pause_s", low=1, high=86_400, default=60.0),
    )
