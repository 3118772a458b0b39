"""Serve until told to stop: what ``heldout-server serve`` runs, and says."""

from __future__ import annotations

import asyncio
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rich.console import Console

if TYPE_CHECKING:  # what serving needs is imported when it serves, so that help is fast
    from heldout_server.config import Config
    from heldout_server.telemetry import Metrics

EXIT_LOG_FAILED: Final = 3

console = Console(stderr=True, highlight=False)


async def serve_until_stopped(config_path: Path) -> int:
    """Serve by a config until SIGTERM, SIGINT or a failed log, and return the exit code."""
    began = time.monotonic()
    from heldout_server.config import load_config
    from heldout_server.telemetry import configure

    config = load_config(config_path)
    telemetry = configure(config.telemetry)
    try:
        return await _serve_until_told(config, telemetry.metrics, began)
    finally:
        telemetry.shutdown()


async def _serve_until_told(config: Config, metrics: Metrics, began: float) -> int:
    from heldout_server.app import serve as serve_appliance

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with serve_appliance(config, metrics) as appliance:
        host = config.listen.address.rpartition(":")[0]
        console.print(
            f"heldout-server: serving on {host}:{appliance.port} (health on {appliance.health_port}),"
            f" healthy after {time.monotonic() - began:.2f} s",
            soft_wrap=True,
        )
        waiting = [asyncio.ensure_future(event.wait()) for event in (stop, appliance.log_failed)]
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        for one in waiting:
            one.cancel()
        if appliance.log_failed.is_set():
            console.print(
                "heldout-server: an audit log cannot be written: nothing is answered any more. Stopping.",
                soft_wrap=True,
            )
            return EXIT_LOG_FAILED
    console.print("heldout-server: stopped")
    return 0
