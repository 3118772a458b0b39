"""Set up the telemetry of the whole process, once, by the config."""

from __future__ import annotations

from typing import Final

import structlog

from heldout_server.config import sections
from heldout_server.environment import SystemClock
from heldout_server.hardening.process import Hardening
from heldout_server.telemetry.crashes import silence_crashes
from heldout_server.telemetry.logs import configure_logging
from heldout_server.telemetry.metrics import Telemetry, configure_telemetry

SWAP: Final = {True: "on", False: "off", None: "unknown"}


def configure(settings: sections.Telemetry) -> Telemetry:
    """Silence crashes, send logging through the allow-list, and build the meters.

    Call it once a process, before any room is built, and :meth:`Telemetry.shutdown` what it returns at the end.
    """
    silence_crashes()
    configure_logging(log_format=settings.log_format, log_level=settings.log_level, clock=SystemClock())
    return configure_telemetry(metrics_interval_s=settings.metrics_interval_s)


def say_hardening(hardening: Hardening) -> None:
    """Log how far the system keeps our memory from others; a warning where it may reach a disk or a neighbour."""
    log = structlog.get_logger("process")
    kept = hardening.undumpable and (hardening.memory_locked or hardening.swap is False)
    (log.info if kept else log.warning)(
        "process_hardened",
        tracing="off" if hardening.undumpable else "on",
        memory="locked" if hardening.memory_locked else "not_locked",
        swap=SWAP[hardening.swap],
    )
