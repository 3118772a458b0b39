"""From the command to a healthy appliance."""

from __future__ import annotations

import statistics
import subprocess
import sys
from pathlib import Path

from measuring import Effort, Row, Stopwatch, Target, progress, scratch

from heldout_server.environment import SystemClock
from heldout_server.installation import install

SERVER = Path(sys.executable).parent / "heldout-server"
ROUNDS = 7
PATIENCE_S = 30


async def measure(effort: Effort) -> list[Row]:
    """Start and stop one appliance a few times; the first time does not count."""
    seconds = []
    with scratch() as folder:
        install(folder / "a", address="127.0.0.1:0", health="127.0.0.1:0", clock=SystemClock())
        for number in range(effort.pick(ROUNDS, 2) + 1):
            progress(f"start: round {number}")
            seconds.append(_start_s(folder / "a" / "config.toml"))
    return [
        Row(
            name="start to healthy, from the command",
            value=statistics.median(seconds[1:]),
            unit="s",
            target=Target("value", "<=", 1.5),
        )
    ]


def _start_s(config: Path) -> float:
    watch = Stopwatch()
    process = subprocess.Popen([SERVER, "serve", "--config", config], stderr=subprocess.PIPE, text=True)
    try:
        for line in process.stderr:
            if "healthy" in line:
                return watch.seconds()
        raise AssertionError("the appliance did not start")
    finally:
        process.terminate()
        process.communicate(timeout=PATIENCE_S)
