"""Set up the telemetry of the whole process, once, by the config."""

from __future__ import annotations

from heldout_server import config
from heldout_server.environment import SystemClock
from heldout_server.telemetry.crashes import silence_crashes
from heldout_server.telemetry.logs import configure_logging
from heldout_server.telemetry.metrics import Telemetry, configure_telemetry


def configure(settings: config.Telemetry) -> Telemetry:
    """Silence crashes, send logging through the allow-list, and build the meters.

    Call it once a process, before any room is built, and :meth:`Telemetry.shutdown` what it returns at the end.
    """
    silence_crashes()
    configure_logging(log_format=settings.log_format, log_level=settings.log_level, clock=SystemClock())
    return configure_telemetry(metrics_interval_s=settings.metrics_interval_s)
