"""The appliance of an attack's own, as a process: started, ended as an operator does, or killed."""

from __future__ import annotations

import asyncio
import contextlib
import re
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from heldout_server.attack.patience import until
from heldout_server.errors import ConfigError

LAUNCHER: Final = (sys.executable, "-m", "heldout_server.cli")
SERVING: Final = re.compile(r"serving on \S+:(\d+) \(health on (\d+)\)")


class ApplianceProcess:
    """Run ``heldout-server serve`` over a folder, as often as an attack needs it.

    Attributes:
        launcher: what it is started with; the words of ``heldout-server serve`` follow.
        address: where it serves since its newest start, as ``host:port``; empty before the first.
        health_address: where it answers health checks, likewise.
    """

    def __init__(self, folder: Path, *, launcher: Sequence[str | Path] = LAUNCHER) -> None:
        """Start nothing yet.

        Args:
            folder: of an installed appliance.
            launcher: what it is started with.
        """
        self.launcher = tuple(launcher)
        self.address = ""
        self.health_address = ""
        self._folder = folder
        self._log = folder / "attack.log"
        self._process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int:
        """Return its process id.

        Raises:
            ConfigError: it was never started.
        """
        if self._process is None:
            raise ConfigError("the appliance under attack was not started")
        return self._process.pid

    @property
    def said(self) -> str:
        """Return what it wrote on its standard error, over all starts."""
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    async def try_start(self) -> str:
        """Start it, and wait until it serves or has ended; return what it said last then, or nothing."""
        before = len(self.said)
        with self._log.open("ab") as log:
            process = self._process = await asyncio.create_subprocess_exec(
                *self.launcher,
                "serve",
                "--config",
                self._folder / "config.toml",
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

        async def look() -> re.Match[str] | bool | None:
            """Return where it said that it serves, or that it ended."""
            return SERVING.search(self.said, before) or (process.returncode is not None) or None

        found = await until(look)
        if isinstance(found, re.Match):
            self.address, self.health_address = (f"127.0.0.1:{port}" for port in found.groups())
            return ""
        lines = self.said[before:].strip().splitlines()
        return next((line for line in lines if line.startswith("heldout-server: ")), "".join(lines[-1:]) or "nothing")

    async def end(self, number: signal.Signals) -> None:
        """Send it a signal and wait until it has ended, if it runs."""
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):  # it ended by itself a moment ago
                self._process.send_signal(number)
            await self._process.wait()
