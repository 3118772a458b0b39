"""Serve until told to stop: what ``heldout-server serve`` runs, and says."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rich.console import Console

from heldout_server.hardening.process import harden_process

if TYPE_CHECKING:  # what serving needs is imported when it serves, so that help is fast
    from heldout_server.app.halves import Served
    from heldout_server.config import AnyConfig
    from heldout_server.telemetry import Metrics

EXIT_LOG_FAILED: Final = 3
COLLECT_AFTER: Final = 10_000
"""Objects that may come before the youngest are looked through; Python's default is 700."""
SLOW_START_S: Final = 10.0
"""Seconds after which a start says what it waits for, and again after as many more."""
GRACE_S: Final = 3.0
"""Seconds that a process gets to end in order once its log has failed, or all is closed."""

console = Console(stderr=True, highlight=False)


async def serve_until_stopped(config_path: Path, served: Served) -> int:
    """Serve halves by a config until SIGTERM, SIGINT or a failed log, and return the exit code."""
    began = time.monotonic()
    from heldout_server.app.halves import load
    from heldout_server.telemetry import configure

    config = load(config_path, served)
    telemetry = configure(config.telemetry)
    try:
        code = await _serve_until_told(config, telemetry.metrics, began, served)
    finally:
        telemetry.shutdown()
    _end_within(GRACE_S, code)
    return code


def collect_seldom() -> None:
    """Let the garbage collector pass over what is there for good, and look less often: calls make hardly any cycles."""
    gc.freeze()
    gc.set_threshold(COLLECT_AFTER)


async def _serve_until_told(config: AnyConfig, metrics: Metrics, began: float, served: Served) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    say_hardened = True
    while True:
        ended = await _serve_once(config, metrics, stop, served, began=began, say_hardened=say_hardened)
        if isinstance(ended, int):
            return ended
        config = ended
        gc.unfreeze()
        gc.collect()  # what held keys and prompts goes now, not some time
        began, say_hardened = time.monotonic(), False


async def _serve_once(
    config: AnyConfig, metrics: Metrics, stop: asyncio.Event, served: Served, *, began: float, say_hardened: bool
) -> int | AnyConfig:
    """Serve until told to stop, and return the exit code; or until sealed, and return by what to begin anew."""
    from heldout_server.app.halves import pick
    from heldout_server.app.sealed import wait_sealed
    from heldout_server.app.serving import serve as serve_appliance
    from heldout_server.audit import DISK_HANGS
    from heldout_server.config import Config
    from heldout_server.errors import StorageError
    from heldout_server.ports.audit import LOG_FAILED
    from heldout_server.telemetry import say_hardening

    async with contextlib.AsyncExitStack() as stack:
        door = None
        if isinstance(config, Config) and config.keys.shares is not None:
            door = await stack.enter_async_context(wait_sealed(config, metrics))
            config = door.config
            console.print(f"heldout-server: sealed, waiting for shares on {_places(config)}", soft_wrap=True)
            await _first(stop, door.enough)
            if stop.is_set():
                console.print("heldout-server: stopped, sealed")
                return 0
            began = time.monotonic()
        serving = serve_appliance(
            config, metrics, pick(config, served), door=door, on_log_failed=_say_and_end_once_failed
        )
        try:
            with _saying_what_is_slow():
                appliance = await stack.enter_async_context(serving)
        except StorageError as error:
            if error.reason not in {DISK_HANGS, LOG_FAILED}:
                raise
            _end_within(GRACE_S, EXIT_LOG_FAILED)
            console.print(f"heldout-server: {error}", soft_wrap=True, markup=False)
            return EXIT_LOG_FAILED
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, appliance.reload.set)
        collect_seldom()
        host = config.listen.address.rpartition(":")[0]
        console.print(
            f"heldout-server: serving {_named(served)}on {host}:{appliance.port} (health on {appliance.health_port}),"
            f" healthy after {time.monotonic() - began:.2f} s",
            soft_wrap=True,
        )
        if say_hardened:
            say_hardening(harden_process())  # once more, as every command is: it says how it went
        await _first(stop, appliance.log_failed, appliance.sealing)
        if appliance.log_failed.is_set():
            return EXIT_LOG_FAILED
        sealing = appliance.sealing.is_set() and not stop.is_set()
        if sealing:
            console.print("heldout-server: sealing: calls finish, then everything is closed", soft_wrap=True)
    if sealing:
        return config
    console.print("heldout-server: stopped")
    return 0


async def _first(*events: asyncio.Event) -> None:
    """Wait until one of the events is set."""
    waiting = [asyncio.ensure_future(event.wait()) for event in events]
    await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    for one in waiting:
        one.cancel()


def _places(config: AnyConfig) -> str:
    """Say where a sealed appliance listens."""
    return f"{config.listen.address} (health on {config.listen.health_address.rpartition(':')[2]})"


def _named(served: Served) -> str:
    return "" if served == "both" else f"the {served} half "


def _say_and_end_once_failed() -> None:
    """Say that a log has failed, and see to it that the process ends soon: closing other files may hang too."""
    console.print(
        "heldout-server: an audit log cannot be written: nothing is answered any more. Stopping.", soft_wrap=True
    )
    _end_within(GRACE_S, EXIT_LOG_FAILED)


@contextlib.contextmanager
def _saying_what_is_slow() -> Iterator[None]:
    """Say on which file the start waits, from a thread: a disk that hangs may hold up the event loop itself."""
    from heldout_server.database import files_at_work

    started = threading.Event()

    def say() -> None:
        waited_s = 0.0
        while not started.wait(SLOW_START_S):
            waited_s += SLOW_START_S
            files = ", ".join(str(path) for path in files_at_work()) or "something that is not a database"
            console.print(
                f"heldout-server: not started after {waited_s:.0f} s: waiting for {files}."
                " If its disk hangs, mend that; SIGKILL ends this process.",
                soft_wrap=True,
                markup=False,
            )

    threading.Thread(target=say, name="slow-start", daemon=True).start()
    try:
        yield
    finally:
        started.set()


def _end_within(seconds: float, code: int) -> None:
    """End the process after so many seconds, if it has not ended by then.

    A thread that hangs on a disk would be waited for without end, by whoever closes its file and by the interpreter.
    """
    last = threading.Timer(seconds, os._exit, (code,))  # all that is durable is durable
    last.daemon = True
    last.start()
