"""Watch a run from outside while its model stalls and floods on some prompts: progress is an outcome."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Sequence
from typing import Final

from heldout_proto.v1 import evaluation_pb2
from heldout_server.api.contract import AUDIT_PREFIX
from heldout_server.attack.attack import Attack, Finding, Needs, Player
from heldout_server.attack.caller import Told
from heldout_server.attack.hearing import OTHERS, known_names, reading, requests
from heldout_server.attack.runs import find_run
from heldout_server.attack.scene import bank_table
from heldout_server.attack.stage import Stage

CHECKPOINT: Final = "nova-stalls"
LEAST_LOOKS: Final = 5
PATIENCE_S: Final = 60.0
PAUSE_S: Final = 0.1
TOO_OFTEN: Final = "RESOURCE_EXHAUSTED"
"""Follows from how often somebody asked, and from nothing else."""


async def run(stage: Stage) -> Finding:
    """Ask all that may be asked, again and again, from the start of a run to its end, and compare the answers.

    The logs are left out: they grow with every call that is made, and are compared by attacks of their own.
    """
    names = {field: values[-1:] for field, values in (await known_names(stage)).items()}
    looks: list[Sequence[Told]] = []
    async with contextlib.AsyncExitStack() as stack:
        callers = {role: await stack.enter_async_context(stage.caller(role)) for role in OTHERS}

        async def ask(role: str, method: str, request: bytes) -> Told:
            return await callers[role].call(method, request)

        methods = {name: one.request for name, one in reading().items() if not name.startswith(AUDIT_PREFIX)}
        allowed = [
            (role, name)
            for role in OTHERS
            for name, request in methods.items()
            if (await ask(role, name, next(requests(request, names)))).code == "OK"
        ]
        model = bank_table({"comply": 0.5, "non_answer": 0.3}, latency_ms=60, comply=["ladder " * 4000])
        stage.submit(CHECKPOINT, model)
        run = await find_run(stage, CHECKPOINT, state=evaluation_pb2.RUN_STATE_RUNNING)
        asked = [
            (role, name, request)
            for role, name in allowed
            for request in requests(methods[name], {**names, "run_id": [run.run_id]})
        ]
        deadline_s = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline_s:
            look = await asyncio.gather(*(ask(*one) for one in asked))
            if not await _is(stage, evaluation_pb2.RUN_STATE_RUNNING):
                break
            looks.append(look)
            await asyncio.sleep(PAUSE_S)
    changing = sorted(
        {
            f"{name} as {role}"
            for look in looks
            for (role, name, _), told, first in zip(asked, look, looks[0], strict=True)
            if told.shape != first.shape and told.code != TOO_OFTEN
        }
    )
    return Finding(
        tried=f"{len(looks)} looks at one run by {len({role for role, _ in allowed})} roles, {len(asked)} questions in "
        "each, while its model stalls and floods",
        learned=f"these change on the way: {', '.join(changing)}" if changing else "nothing: every look is the same",
        held=not changing and len(looks) >= LEAST_LOOKS,
    )


async def _is(stage: Stage, state: evaluation_pb2.RunState) -> bool:
    return any(run.tested.checkpoint == CHECKPOINT and run.state == state for run in await stage.runs())


ATTACK = Attack(
    name="watched-run",
    plays=Player.RUN_TESTER,
    explains="watch a run's progress while its model stalls and floods on some prompts",
    needs=Needs.SHARED,
    run=run,
)
