"""Run a model's server as a child process that can reach nothing of ours, and end it.

The child is exec'd with an empty environment but for a locale, and no open file of ours but a standard input that
closes when we end. It contains itself before it becomes the server (:mod:`heldout_server.hardening.contained`): it
reads libraries and its checkpoint, makes Unix sockets in a folder of its own, and no more. That folder goes with it:
nothing that one child leaves is there for the next, which may answer somebody else. Under ``namespace`` it also
has a network namespace of its own, with a loopback and no other interface, and nothing is started where any of this
cannot be had. Under ``none`` it has no such namespace: with Landlock and seccomp it reaches no network all the same and
is contained; where one is missing it is started in any case, and called exposed. Only this user may open its socket.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import structlog

from heldout_server.config.runtimes import Dialect, Isolation
from heldout_server.domain import TrustClass
from heldout_server.errors import EndpointError, RuntimeDied
from heldout_server.hardening import contained
from heldout_server.ports.environment import Ids
from heldout_server.runtimes.client import OpenAIClient

MAX_SOCKET_BYTES: Final = 107
"""Longest path of a Unix socket (``sun_path`` of unix(7) has 108 bytes with its closing NUL)."""

SOCKET: Final = "m.sock"
"""What a child's socket is called; llama.cpp tells by the suffix that it is one."""

UNSHARE: Final = "/usr/bin/unshare"
ENVIRONMENT: Final = {"LANG": "C.UTF-8", "PATH": "/usr/bin:/bin"}
PYTHON: Final = (sys.executable, "-I")
"""Isolated mode: no environment variable, user folder or working folder adds to what is imported."""

CONTAINED: Final = (*PYTHON, "-m", contained.__name__)

_log = structlog.get_logger("runtimes")


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """Say how long to wait for a child.

    Attributes:
        start_s: seconds until it must answer ``/health``.
        stop_s: seconds that it gets between SIGTERM and SIGKILL.
        poll_s: seconds between two looks at ``/health``.
        sleep: waits so many seconds.
    """

    start_s: float = 30.0
    stop_s: float = 5.0
    poll_s: float = 0.02
    sleep: Callable[[float], Awaitable[object]] = field(default=asyncio.sleep)


@dataclass(frozen=True, slots=True)
class Child:
    """Hold a child that answers.

    Attributes:
        client: speaks to it.
        end: ends it at once, whatever it does; whoever waits for an answer learns that it died.
    """

    client: OpenAIClient
    end: Callable[[], Awaitable[None]]


class RuntimeProcess:
    """Start children, each with a folder of its own for its socket.

    Attributes:
        trust: contained if no child is ever started that could reach a network or our files, else exposed.
    """

    def __init__(
        self,
        run_folder: Path,
        *,
        isolation: Isolation,
        ids: Ids,
        patience: Patience | None = None,
        unshare: str = UNSHARE,
        launcher: Sequence[str] = CONTAINED,
        can_contain: Callable[[], bool] = contained.can_contain,
    ) -> None:
        self.trust = TrustClass.CONTAINED if isolation == "namespace" or can_contain() else TrustClass.EXPOSED
        self._run_folder = run_folder.absolute()
        self._isolation = isolation
        self._ids = ids
        self._patience = patience or Patience()
        self._unshare = unshare
        self._launcher = tuple(launcher)
        self._tried = False

    @contextlib.asynccontextmanager
    async def serve(
        self,
        command: Callable[[Path], Sequence[str]],
        *,
        model: str,
        dialect: Dialect = "openai",
        reads: Sequence[Path] = (),
    ) -> AsyncIterator[Child]:
        """Start a child, wait until it answers, yield it, and end it on leaving.

        Args:
            command: returns the arguments of the Python interpreter for a socket's path.
            model: the name that requests ask for.
            dialect: how sampling is spelt.
            reads: what it may read besides the interpreter and its libraries: the checkpoint.

        Raises:
            EndpointError: ``SOCKET_PATH_TOO_LONG``, ``NO_NAMESPACE``, ``NO_CONTAINMENT``, ``NO_START`` (it cannot be
                exec'd) or ``START_TIMEOUT``.
            RuntimeDied: it ended before it answered.
        """
        folder = self._run_folder / self._ids.new("rt")
        socket = folder / SOCKET
        if len(os.fsencode(socket)) > MAX_SOCKET_BYTES:
            raise EndpointError(f"a socket's path is over {MAX_SOCKET_BYTES} bytes", reason="SOCKET_PATH_TOO_LONG")
        words = await self._contained()
        readable = (word for path in reads for word in ("--read", str(path)))
        folder.mkdir(mode=0o700)
        try:
            process = await self._start((*words, "--sockets", str(folder), *readable, "--", *command(socket)))
        except BaseException:
            folder.rmdir()
            raise

        async def end() -> None:
            """End the child: a stalled one may not come to handle a SIGTERM."""
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()

        try:
            async with OpenAIClient.over_socket(
                socket, model=model, dialect=dialect, died=lambda: process.returncode is not None
            ) as client:
                await self._wait_until_healthy(client, process)
                yield Child(client, end)
        finally:
            try:
                await self._stop(process)
            finally:
                await asyncio.to_thread(shutil.rmtree, folder)  # it may have made many

    async def _contained(self) -> tuple[str, ...]:
        """Return what to put before a command so that it is contained, having tried once that it can be."""
        prefix = self._prefix()
        required = ("--required",) if self.trust is TrustClass.CONTAINED else ()
        words = (*prefix, *self._launcher, *required)
        if not self._tried:
            held = await self._try((*words, "--sockets", str(self._run_folder), "--probe"), apart=bool(prefix))
            _log.info("runtimes_contained", isolation=self._isolation, containment=held)
            self._tried = True
        return words

    def _prefix(self) -> tuple[str, ...]:
        if self._isolation == "none":
            return ()
        # Where we are not root, a user namespace of its own gives the right to make a network namespace (unshare(1)).
        return (self._unshare, "-n") if os.geteuid() == 0 else (self._unshare, "-Urn")

    async def _try(self, probe: Sequence[str], *, apart: bool) -> tuple[str, ...]:
        """Return which measures hold for a child, one name each."""
        try:
            process = await self._start(probe, stdout=PIPE)
        except EndpointError:
            if apart:
                raise _no_namespace() from None
            raise
        said, _ = await process.communicate()
        if process.returncode in {contained.REFUSED, contained.MISPLACED}:
            raise _no_containment(misplaced=process.returncode == contained.MISPLACED)
        if process.returncode != 0:
            raise _no_namespace() if apart else EndpointError("a runtime cannot be contained", reason="NO_CONTAINMENT")
        return (*(("network_namespace",) if apart else ()), *said.decode("ascii", "replace").split())

    async def _start(self, command: Sequence[str], *, stdout: int = DEVNULL) -> Process:
        try:
            return await asyncio.create_subprocess_exec(
                *command,
                stdin=PIPE,
                stdout=stdout,
                stderr=DEVNULL,
                env=ENVIRONMENT,
                cwd="/",
                umask=0o077,
                start_new_session=True,  # a Ctrl-C at the terminal is ours: it must not end the child before its trials
            )
        except OSError as error:
            raise EndpointError(f"a runtime cannot be started: {type(error).__name__}", reason="NO_START") from None

    async def _wait_until_healthy(self, client: OpenAIClient, process: Process) -> None:
        try:
            async with asyncio.timeout(self._patience.start_s):
                while not await client.healthy():
                    if process.returncode in {contained.REFUSED, contained.MISPLACED}:
                        raise _no_containment(misplaced=process.returncode == contained.MISPLACED)
                    if process.returncode is not None:
                        raise RuntimeDied("the runtime ended before it answered")
                    await self._patience.sleep(self._patience.poll_s)
        except TimeoutError:
            raise EndpointError("the runtime did not come up in time", reason="START_TIMEOUT") from None

    async def _stop(self, process: Process) -> None:
        with contextlib.suppress(ProcessLookupError):  # it ended by itself
            process.terminate()
        try:
            async with asyncio.timeout(self._patience.stop_s):
                await process.wait()
        except TimeoutError:
            pass  # it gets SIGKILL below, which it cannot ignore
        finally:
            if process.returncode is None:  # or we were cancelled: it must not be left behind
                process.kill()
        await process.wait()


def _no_namespace() -> EndpointError:
    return EndpointError(
        'no network namespace can be made here; runtimes.isolation = "none" does without', reason="NO_NAMESPACE"
    )


def _no_containment(*, misplaced: bool) -> EndpointError:
    if misplaced:
        return EndpointError(
            "Python's modules lie in a folder that holds the run folder: a runtime could read what else is there;"
            " install them elsewhere",
            reason="NO_CONTAINMENT",
        )
    return EndpointError(
        "this system cannot keep a runtime from our files (Landlock, Linux 5.13, and seccomp);"
        ' runtimes.isolation = "none" does without, and calls it exposed',
        reason="NO_CONTAINMENT",
    )
