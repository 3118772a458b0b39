"""Telemetry: what the machine's operator may see of the appliance while it runs.

An operator may not read the bank, so the room lets out only declared fields of declared shapes: see ``fields``. It
opens no connection: log lines go to one stream, metrics stay in the process or go into the log.
"""

from heldout_server.telemetry.crashes import silence_crashes
from heldout_server.telemetry.logs import configure_logging
from heldout_server.telemetry.metrics import Metrics, Telemetry, configure_telemetry
from heldout_server.telemetry.process import configure, say_hardening

__all__ = [
    "Metrics",
    "Telemetry",
    "configure",
    "configure_logging",
    "configure_telemetry",
    "say_hardening",
    "silence_crashes",
]
