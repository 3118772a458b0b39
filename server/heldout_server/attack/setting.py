"""What an appliance of an attack's own is like."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from heldout_server.errors import ConfigError

POLICY: Final = """
version = 1
profile = "private"
bits_per_prompt = 8
releases_per_epoch = {releases}
full_every = 1
anchors_per_epoch = 0
minimum_units_per_cell = 5
grid_fraction = 0.5
[shares.harmful]
technique = 0.45
non_answers = 0.03
stack = 0.225
first_breach = 0.045
category = 0.18
reserve = 0.07
[shares.benign]
over_refusal = 0.9
reserve = 0.1
[approvals]
roles = [{approvals}]
[cards]
shipped = "signature"
approved_by = "bank_tester"
[schedule]
{schedule}
"""
QUICK: Final = {"poll_s": "0.05", "isolation": '"none"'}
"""Keys of every stage: a checkpoint is noticed at once, and served where no network namespace can be made."""


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

    @property
    def policy(self) -> str:
        """Return its release policy."""
        approvals = ", ".join(f'"{role}"' for role in self.approvals)
        return POLICY.format(releases=self.releases, approvals=approvals, schedule=self.schedule)

    def written_into(self, config: str) -> str:
        """Return a ``config.toml``, as it was installed, with this setting in it.

        Raises:
            ConfigError: a key does not stand there commented out, once.
        """
        for key, value in {**QUICK, **self.config}.items():
            config, found = re.subn(rf"^# {key} = .*$", f"{key} = {value}", config, flags=re.MULTILINE)
            if found != 1:
                raise ConfigError(f"config.toml has no {key} that could be set")
        return config + self.tables
