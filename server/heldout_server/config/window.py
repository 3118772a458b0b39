"""Read ``window.toml``: what the operator decides of a window half that is served by itself.

It names what such a process may touch, and nothing else: the window's folder and the window's keys. The sections have
the same meaning as in ``config.toml``, and one that belongs to the vault is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Final, TypeAlias, get_type_hints

from heldout_server.config.appliance import Config
from heldout_server.config.audit import Audit, read_audit
from heldout_server.config.limits import Limits, read_limits
from heldout_server.config.reader import open_document
from heldout_server.config.sections import (
    Appliance,
    Listen,
    Policy,
    Telemetry,
    Tls,
    read_appliance,
    read_listen,
    read_policy,
    read_telemetry,
    read_tls,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowKeys:
    """``[keys]``: the window's own root key, and the ring that it opens. They open nothing of the vault."""

    root: Path
    ring: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowData:
    """``[data]``: the folder of the window's databases, which the vault shares."""

    window: Path

    def folders(self) -> Mapping[str, Path]:
        """Return the folder of databases by half."""
        return {"window": self.window}


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowConfig:
    """Hold the whole of ``window.toml``; every path absolute and, when read, there."""

    appliance: Appliance
    listen: Listen
    tls: Tls
    limits: Limits
    keys: WindowKeys
    policy: Policy
    data: WindowData
    audit: Audit
    telemetry: Telemetry


AnyConfig: TypeAlias = Config | WindowConfig
"""What a process that serves one half or both is told."""

KNOWN: Final = {
    section: frozenset(one.name for one in fields(of)) for section, of in get_type_hints(WindowConfig).items()
}
"""The keys of each section."""


def load_window_config(path: Path) -> WindowConfig:
    """Read and check ``window.toml``.

    Raises:
        ConfigError: it cannot be read, or something in it is unknown, missing, malformed, out of range, or names a file
            or folder that is not there.
    """
    reader = open_document(path)
    if reader.has("data", "vault"):
        problem = "is the vault's, and a window by itself has nothing of it"
        raise reader.place("data", "vault").error(problem, "name window.toml with --config")
    reader.refuse_unknown(KNOWN)
    return WindowConfig(
        appliance=read_appliance(reader),
        listen=read_listen(reader),
        tls=read_tls(reader),
        limits=read_limits(reader),
        keys=WindowKeys(root=reader.file("keys", "root"), ring=reader.file("keys", "ring")),
        policy=read_policy(reader),
        data=WindowData(window=reader.directory("data", "window")),
        audit=read_audit(reader),
        telemetry=read_telemetry(reader),
    )
