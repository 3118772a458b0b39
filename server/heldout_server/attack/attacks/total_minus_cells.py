"""Subtract the categories from the total, so that a small one is left that is not shown."""

from __future__ import annotations

from heldout_proto.v1 import bank_pb2
from heldout_server.attack.attack import Attack, Finding, Needs, Player
from heldout_server.attack.furnishing import mild_prompts
from heldout_server.attack.runs import BY_HAND, run_through
from heldout_server.attack.setting import Setting
from heldout_server.attack.stage import Stage
from heldout_server.attack.subtraction import MINIMUM, judge

LARGE = 22
SMALL = 2
"""Prompts in a category of their own: fewer than the policy's minimum, so its row is withheld."""


async def run(stage: Stage) -> Finding:
    """Release a bank with one small category."""
    prompts = mild_prompts(harmful=LARGE + SMALL, benign=8)
    for prompt in prompts[LARGE : LARGE + SMALL]:
        prompt["category"] = "category-small"
    await stage.import_prompts(prompts)
    epoch = bank_pb2.OpenEpochResponse.FromString((await stage.open_epoch()).body).epoch.epoch_id
    last = await run_through(stage, "nova-v1")
    units = {f"unit-{n}": prompt["category"] for n, prompt in enumerate(prompts[: LARGE + SMALL])}
    return judge(
        f"subtracted the categories from the total, where one has {SMALL} prompts and the minimum is {MINIMUM}",
        releases=[one.release for one in await stage.releases()],
        epochs={epoch: units},
        last=last,
    )


ATTACK = Attack(
    name="total-minus-cells",
    plays=Player.TRAINING_TEAM,
    explains="subtract all categories from the total, so that a withheld one is left",
    needs=Needs.OWN,
    run=run,
    setting=Setting(config=BY_HAND),
)
