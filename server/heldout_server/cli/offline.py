"""What the commands share that work on an appliance that does not run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from heldout_server.config import Config


def read_config(path: Path) -> Config:
    """Read the config, and send what the rooms warn of to stderr: stdout is the answer's alone, which says the rest.

    Raises:
        ConfigError: it cannot be read, or something in it is wrong.
    """
    from heldout_server.config import load_config
    from heldout_server.environment import SystemClock
    from heldout_server.telemetry import configure_logging

    config = load_config(path)
    settings = config.telemetry
    level = "error" if settings.log_level == "error" else "warning"
    configure_logging(log_format=settings.log_format, log_level=level, clock=SystemClock())
    return config
