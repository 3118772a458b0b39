"""A real ``heldout-server serve`` in a process of its own, for tests that kill it, starve it, or read what it left."""

import asyncio
import dataclasses
import inspect
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from heldout import AsyncClient
from heldout.bank_model import Intent, Prompt, PromptRow
from heldout.profile import read_profile
from heldout_server.environment import SystemClock
from heldout_server.installation import install

BIN = Path(sys.executable).parent
START_S = 120
"""Far beyond any start, however busy the machine: what is refused ends, and says so at once."""
STOP_S = 20
SERVING = re.compile(r"serving (?:the \w+ half )?on \S+:(\d+) \(health on (\d+)\)")
SEALED = re.compile(r"sealed, waiting for shares on \S+:(\d+) \(health on (\d+)\)")
ADDRESS = re.compile(r'^address = "[^"]*"', re.MULTILINE)


async def until(condition, deadline_s=20.0):
    """Wait until ``condition()`` holds, awaited if it can be, and return what it returned. The one way to wait."""
    async with asyncio.timeout(deadline_s):
        while True:
            value = condition()
            if inspect.isawaitable(value):
                value = await value
            if value:
                return value
            await asyncio.sleep(0.01)


def prompt_rows(prompts):
    """Number the dictionaries of prompts as the lines of a file."""
    return [
        PromptRow(n, Prompt(text=row["prompt"], intent=Intent(row["intent"]), category=row["category"]))
        for n, row in enumerate(prompts, start=1)
    ]


@dataclass
class ServedAppliance:
    """Hold an installed appliance, and the process that serves it.

    Attributes:
        folder: of the appliance; its path must be short enough for sockets.
        temporary: the process's own folder of temporary files.
        log: what the process wrote on stdout and stderr, over all starts.
        command: what is started; the words of ``heldout-server serve`` follow.
        environment: variables of the process besides its own.
        words: options of ``heldout-server serve``.
        config: name of the config in the folder.
    """

    folder: Path
    temporary: Path
    log: Path
    command: tuple[str | Path, ...] = (BIN / "heldout-server",)
    environment: dict[str, str] = field(default_factory=dict)
    words: tuple[str, ...] = ()
    config: str = "config.toml"
    process: subprocess.Popen | None = None
    port: int = 0
    health_port: int = 0
    clients: list[AsyncClient] = field(default_factory=list)

    @classmethod
    def install(cls, root, *, policy=None, sharing=None, **settings):
        """Install into a folder below ``root``. Settings are keys of ``config.toml`` that stand there commented out."""
        document = None
        if policy is not None:
            document = root / "release.toml"
            document.write_text(policy)
        folder = root / "a"
        install(
            folder,
            address="127.0.0.1:0",
            health="127.0.0.1:0",
            clock=SystemClock(),
            release_policy=document,
            sharing=sharing,
        )
        config = folder / "config.toml"
        text = config.read_text()
        for key, value in {"poll_s": "0.05", "isolation": '"none"', **settings}.items():
            text, found = re.subn(rf"^# {key} = .*$", f"{key} = {value}", text, flags=re.MULTILINE)
            assert found == 1, key
        config.write_text(text)
        temporary = root / "temporary"
        temporary.mkdir()
        return cls(folder, temporary, root / "server.log")

    def said(self):
        """Return what the process wrote, of all starts."""
        return self.log.read_text() if self.log.exists() else ""

    def said_last(self):
        """Return the lines of the last start."""
        return self.said()[self._began :].splitlines()

    def spawn(self):
        """Start the process without waiting for it."""
        self._began = len(self.said())
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*self.command, "serve", *self.words, "--config", self.folder / self.config],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={"PATH": os.environ["PATH"], "HOME": "/", "NO_COLOR": "1", "TMPDIR": str(self.temporary)}
                | self.environment,
            )

    async def start(self, says=SERVING):
        """Start the process and wait until it serves, or says so; the profiles then name its port."""
        self.spawn()
        try:
            await until(lambda: says.search("\n".join(self.said_last())) or self.process.poll() is not None, START_S)
        except TimeoutError:
            raise AssertionError(f"neither serves nor ended after {START_S} s: {self.said_last()}") from None
        found = says.search("\n".join(self.said_last()))
        assert found is not None, f"refused to start, exit code {self.process.poll()}: {self.said_last()}"
        self.port, self.health_port = map(int, found.groups())
        for profile in (self.folder / "profiles").iterdir():
            profile.write_text(ADDRESS.sub(f'address = "127.0.0.1:{self.port}"', profile.read_text()))
        return self

    async def ended(self, deadline_s=STOP_S):
        """Wait until the process ends by itself and return its exit code."""
        await until(lambda: self.process.poll() is not None, deadline_s)
        return self.process.returncode

    async def stop(self):
        """End the process as an operator does; it must end well."""
        await self.forget_clients()
        self.process.terminate()
        assert await self.ended() == 0, self.said_last()

    async def kill(self):
        """End the process at once and without warning (SIGKILL)."""
        self.process.kill()
        assert await self.ended() == -signal.SIGKILL
        await self.forget_clients()

    async def close(self):
        """End the process if it still runs, whatever state it is in."""
        await self.forget_clients()
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    async def client(self, role):
        """Connect as a role; the client is closed with the appliance."""
        profile = dataclasses.replace(self.profile(role), address=f"127.0.0.1:{self.port}")
        client = AsyncClient.from_profile(profile)
        self.clients.append(client)
        return client

    async def forget_clients(self):
        """Close all clients."""
        while self.clients:
            await self.clients.pop().close()

    def profile(self, role):
        """Return the client profile of a role."""
        return read_profile(self.folder / "profiles" / f"{role}.toml")

    async def ask(self, role, *words, deadline_s=60):
        """Run the ``heldout`` command as a person would, and return its exit code, stdout and stderr."""
        process = await self.spawn_command(role, *words)
        try:
            async with asyncio.timeout(deadline_s):
                out, err = await process.communicate()
        except TimeoutError:
            process.kill()
            await process.wait()
            raise
        return process.returncode, out.decode(), err.decode()

    async def spawn_command(self, role, *words):
        """Start the ``heldout`` command without waiting for it."""
        return await asyncio.create_subprocess_exec(
            BIN / "heldout",
            *map(str, words),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(self.temporary),
                "HELDOUT_PROFILE": str(self.folder / "profiles" / f"{role}.toml"),
            },
        )

    async def run_of(self, checkpoint, *, states=("published",), deadline_s=60.0):
        """Wait until the run of a checkpoint is in one of the states, and return it."""
        tester = await self.client("bank_tester")

        async def found():
            runs = [run for run in await tester.runs.list() if run.tested.checkpoint == checkpoint]
            return next((run for run in runs if run.state.value in states), None)

        return await until(found, deadline_s)


def seconds_since(moment):
    """Return the seconds since a moment of the monotonic clock."""
    return time.monotonic() - moment
