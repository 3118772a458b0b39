"""Watch a run from outside while its model stalls and floods on some prompts: progress is an outcome."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Final

from heldout_proto.v1 import evaluation_pb2
from heldout_server.attack.attack import Attack, Finding, Needs, Player
from heldout_server.attack.scene import bank_table
from heldout_server.attack.stage import Stage

CHECKPOINT: Final = "nova-stalls"
WATCHED: Final = {
    "trainer": (
        "/heldout.v1.FindingsService/ListReleases",
        "/heldout.v1.FindingsService/GetBudget",
        "/heldout.v1.FindingsService/ListScores",
    ),
    "run_tester": (
        "/heldout.v1.EvaluationService/ListRuns",
        "/heldout.v1.CheckpointService/ListCheckpoints",
        "/heldout.v1.FindingsService/GetBudget",
    ),
    "operator": ("/heldout.v1.CheckpointService/ListCheckpoints",),
}
LEAST_LOOKS: Final = 5
PATIENCE_S: Final = 60.0


async def run(stage: Stage) -> Finding:
    """Ask all that may be asked, again and again, from the start of a run to its end, and compare the answers."""
    stage.submit(CHECKPOINT, bank_table({"comply": 0.5, "non_answer": 0.3}, latency_ms=60, comply=["ladder " * 4000]))
    await stage.until(lambda: _is(stage, evaluation_pb2.RUN_STATE_RUNNING))
    looks: list[Mapping[str, bytes]] = []
    deadline_s = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline_s:
        look = {
            f"{name} as {role}": await _heard(stage, role, name) for role, names in WATCHED.items() for name in names
        }
        if not await _is(stage, evaluation_pb2.RUN_STATE_RUNNING):
            break
        looks.append(look)
    changing = sorted(name for name in looks[0] if len({look[name] for look in looks}) > 1) if looks else []
    return Finding(
        tried=f"{len(looks)} looks at one run by {len(WATCHED)} roles, while its model stalls and floods",
        learned=f"these change on the way: {', '.join(changing)}" if changing else "nothing: every look is the same",
        held=not changing and len(looks) >= LEAST_LOOKS,
    )


async def _heard(stage: Stage, role: str, method: str) -> bytes:
    told = await stage.ask(role, method)
    return b"".join(told.contents())


async def _is(stage: Stage, state: evaluation_pb2.RunState) -> bool:
    return any(run.tested.checkpoint == CHECKPOINT and run.state == state for run in await stage.runs())


ATTACK = Attack(
    name="watched-run",
    plays=Player.RUN_TESTER,
    explains="watch a run's progress while its model stalls and floods on some prompts",
    needs=Needs.SHARED,
    run=run,
)
