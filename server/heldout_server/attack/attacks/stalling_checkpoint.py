"""Make a checkpoint stall where it knows a prompt: how late its release is would count the prompts that it knows."""

from __future__ import annotations

import asyncio
import tempfile
import time
from pathlib import Path
from typing import Any, Final

from heldout_proto.v1 import evaluation_pb2
from heldout_server.attack.attack import Attack, Finding, Needs, Player
from heldout_server.attack.furnishing import mild_prompts
from heldout_server.attack.patience import until
from heldout_server.attack.scene import bank_table, table
from heldout_server.attack.setting import Setting
from heldout_server.attack.stage import Stage, own_stage

SLOT_S: Final = 1
DEADLINE_S: Final = 0.6
PATIENCE_S: Final = 100.0
SETTING: Final = Setting(
    schedule=f'publish = "as_planned"\nslot_s = {SLOT_S}',
    config={"deadline_s": str(DEADLINE_S), "techniques": '["plain"]', "stacks": "[]"},
)
MODELS: Final = {
    "answers at once": table(0.5),
    "stalls past every deadline where it knows a prompt": bank_table({"comply": 0.5}, latency_ms=5_000),
}
APART_S: Final = 3 * SLOT_S
"""Two runs that begin at other fractions of a second have slots that are one apart; the other two are for looking."""


async def run(_stage: Stage) -> Finding:
    """Submit a model that stalls and one that does not, each to an appliance of its own, and time their releases."""
    taken = await asyncio.gather(*(time_release(model) for model in MODELS.values()))
    apart_s = max(taken) - min(taken)
    return Finding(
        tried="timed the releases of a model that "
        + " and of one that ".join(f"{what} ({one:.1f} s)" for what, one in zip(MODELS, taken, strict=True)),
        learned=f"{apart_s:.1f} s between them"
        + (", no more than slots are" if apart_s <= APART_S else ": the delay tells how many prompts it knows"),
        held=apart_s <= APART_S,
    )


async def time_release(model: Any, *, setting: Setting = SETTING) -> float:
    """Return the seconds from the start of a model's run, as a run tester sees it, to its release."""
    with tempfile.TemporaryDirectory(prefix="heldout-", ignore_cleanup_errors=True) as root:
        async with own_stage(Path(root), setting=setting) as stage:
            await stage.import_prompts(mild_prompts(harmful=6, benign=6, categories=1))
            await stage.open_epoch()
            stage.submit("nova-v1", model)

            async def running() -> bool:
                states = (evaluation_pb2.RUN_STATE_RUNNING, evaluation_pb2.RUN_STATE_PUBLISHED)
                return any(run.state in states for run in await stage.runs())

            await until(running)
            began = time.monotonic()
            await stage.published("nova-v1", patience_s=PATIENCE_S)
            return time.monotonic() - began


ATTACK = Attack(
    name="stalling-checkpoint",
    plays=Player.TRAINING_TEAM,
    explains="let a checkpoint stall where it knows a prompt, and time its release",
    needs=Needs.NOTHING,
    run=run,
    slow=True,
)
