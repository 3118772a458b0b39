"""Look through what the machine shows of an appliance at work: logs, files, processes, shared memory."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from heldout_proto.v1 import evaluation_pb2
from heldout_server.attack.attack import Attack, Finding, Needs, Player
from heldout_server.attack.furnishing import CANARY
from heldout_server.attack.patience import until
from heldout_server.attack.scene import SYSTEM_WORD, WORDS, bank_table
from heldout_server.attack.search import find_words
from heldout_server.attack.stage import Stage

CHECKPOINT: Final = "nova-busy"
OWN: Final = ("checkpoints", "staging")
"""Folders with what the model's owner wrote: its answers stand there, and no prompt may."""

PROC: Final = Path("/proc")
SHOWN: Final = ("environ", "cmdline", "maps", "wchan", "status", "stack", "limits")
SHARED_MEMORY: Final = Path("/dev/shm")  # noqa: S108 - looked at, not used
MOST_BYTES: Final = 64 * 1024 * 1024


async def run(stage: Stage) -> Finding:
    """Search everything while a run is on, with the log at its most talkative."""
    stage.submit(CHECKPOINT, bank_table({"comply": 0.5}, latency_ms=40))

    async def running() -> bool:
        return any(
            run.tested.checkpoint == CHECKPOINT and run.state == evaluation_pb2.RUN_STATE_RUNNING
            for run in await stage.runs()
        )

    await until(running)
    places = list(_places(stage))
    await stage.published(CHECKPOINT)
    places += list(_places(stage))
    found = {f"{place}: {word}" for place, words, content in places for word in find_words(words, [content])}
    dumps = [place for place, _, _ in places if place.rpartition("/")[2].startswith("core")]
    kinds = {place.partition(" ")[0] for place, _, _ in places}
    return Finding(
        tried=f"searched {len(places)} places, {sum(len(content) for _, _, content in places):,} bytes, in a run and "
        f"after it: {', '.join(sorted(kinds))}",
        learned="; ".join(sorted(found) + dumps) or "no word of a prompt, an answer or a system prompt",
        held=not found and not dumps and {"file", "log", "process"} <= kinds,
    )


def _places(stage: Stage) -> Iterator[tuple[str, tuple[str, ...], bytes]]:
    """Yield what is where, and which words may not be there."""
    yield "log", WORDS, stage.said.encode()
    folder = stage.own_folder
    for path in folder.rglob("*"):
        name = str(path.relative_to(folder))
        yield f"name {name}", WORDS, name.encode()
        if path.is_file() and path.stat().st_size < MOST_BYTES and name != "system.txt":
            yield f"file {name}", (CANARY, SYSTEM_WORD) if name.startswith(OWN) else WORDS, _read(path)
    for pid in (stage.process.pid, *children_of(stage.process.pid)):
        process = PROC / str(pid)
        for path in (*(process / name for name in SHOWN), *process.glob("task/*/comm")):
            yield f"process {path.name}", WORDS, _read(path)
    for path in SHARED_MEMORY.iterdir():
        yield f"shared memory {path.name}", WORDS, _read(path) if path.is_file() else b""


def children_of(pid: int) -> Iterator[int]:
    """Yield the processes that a process started, at any depth, that have not ended meanwhile."""
    for task in (PROC / str(pid)).glob("task/*/children"):
        for child in map(int, _read(task).split()):
            yield child
            yield from children_of(child)


def _read(path: Path) -> bytes:
    """Return what can be read; what is kept from this user, or gone again, is not told to anybody else either."""
    with contextlib.suppress(OSError), path.open("rb") as file:
        return file.read(MOST_BYTES)
    return b""


ATTACK = Attack(
    name="leftovers",
    plays=Player.OPERATOR,
    explains="search logs, files, write-ahead logs, processes and shared memory of an appliance at work",
    needs=Needs.SHARED,
    run=run,
)
