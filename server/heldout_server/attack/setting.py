"""What an appliance of an attack's own is like."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """Say what an appliance of an attack's own is like.

    Attributes:
        releases: that its policy grants an epoch.
        approvals: roles that must each approve a manifest before its run starts.
        schedule: what its policy says of when runs publish.
        config: keys of ``config.toml`` that stand there commented out, with their values in TOML.
        tables: to add to it.
        files: to put beside it, by name.
    """

    releases: int = 10
    approvals: tuple[str, ...] = ()
    schedule: str = 'publish = "on_completion"'
    config: Mapping[str, str] = field(default_factory=dict)
    tables: str = ""
    files: Mapping[str, str] = field(default_factory=dict)
