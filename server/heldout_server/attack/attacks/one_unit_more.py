"""Compare an epoch with the next one, which holds one prompt more."""

from __future__ import annotations

from heldout_proto.v1 import bank_pb2
from heldout_server.attack.attack import Attack, Finding, Needs, Player
from heldout_server.attack.furnishing import mild_prompts
from heldout_server.attack.runs import BY_HAND, run_through
from heldout_server.attack.setting import Setting
from heldout_server.attack.stage import Stage
from heldout_server.attack.subtraction import judge

UNITS = 24


async def run(stage: Stage) -> Finding:
    """Release an epoch, import one prompt, and release the next epoch."""
    prompts = mild_prompts(harmful=UNITS + 1, benign=8)
    await stage.import_prompts(prompts[:UNITS] + prompts[UNITS + 1 :])
    first = bank_pb2.OpenEpochResponse.FromString((await stage.open_epoch()).body).epoch.epoch_id
    await run_through(stage, "nova-v1")
    await stage.import_prompts(prompts[UNITS : UNITS + 1])
    second = bank_pb2.OpenEpochResponse.FromString((await stage.open_epoch()).body).epoch.epoch_id
    last = await run_through(stage, "nova-v2")

    units = {f"unit-{n}": prompt["category"] for n, prompt in enumerate(prompts[: UNITS + 1])}
    known = {unit: category for unit, category in units.items() if unit != f"unit-{UNITS}"}
    return judge(
        f"released an epoch of {UNITS} prompts and then one of {UNITS + 1}",
        releases=[one.release for one in await stage.releases()],
        epochs={first: known, second: units},
        last=last,
    )


ATTACK = Attack(
    name="one-unit-more",
    plays=Player.TRAINING_TEAM,
    explains="subtract an epoch from the next one, which holds one prompt more",
    needs=Needs.OWN,
    run=run,
    setting=Setting(config=BY_HAND),
)
