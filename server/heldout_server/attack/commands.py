"""Run the shipped ``heldout`` client against the stage, as a person would: in a process of its own."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from dataclasses import dataclass
from typing import Final

from heldout_server.attack.stage import Stage

CLIENT: Final = (sys.executable, "-c", "from heldout.cli.app import main; main()")
ADDRESS: Final = re.compile(r'^address = "[^"]*"', re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """Say how a command ended."""

    code: int
    out: str
    err: str

    @property
    def refused(self) -> bool:
        """Whether it believed nothing: it failed, printed no answer, and said why in one line."""
        return self.code != 0 and not self.out and "heldout: " in self.err


async def run_client(stage: Stage, role: str, *words: str, address: str = "", memory: str = "memory") -> Ended:
    """Run a command as a role.

    Args:
        stage: whose appliance.
        role: whose profile.
        words: of the command.
        address: to call instead of the appliance's own.
        memory: names a folder in which clients remember what they saw.
    """
    text = (stage.profiles / f"{role}.toml").read_text()
    profile = stage.profiles / f"attacked-{role}.toml"
    profile.write_text(ADDRESS.sub(f'address = "{address or stage.address}"', text))
    home = stage.own_folder / memory
    home.mkdir(exist_ok=True)
    process = await asyncio.create_subprocess_exec(
        *CLIENT,
        "--profile",
        profile,
        *words,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={"PATH": os.environ.get("PATH", ""), "HOME": str(home), "XDG_STATE_HOME": str(home), "NO_COLOR": "1"},
    )
    out, err = await process.communicate()
    return Ended(code=process.returncode or 0, out=out.decode(), err=err.decode())
