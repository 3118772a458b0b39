"""Cancel runs after their start, so that their budget comes back, or choose which of them are published."""

from __future__ import annotations

from heldout_proto.v1 import evaluation_pb2
from heldout_server.attack.attack import Attack, Finding, Needs, Player
from heldout_server.attack.furnishing import FIRST, TABLE
from heldout_server.attack.runs import cancel, debited_nano_rho, find_run, settled_budget
from heldout_server.attack.stage import Stage

RUNS = 2


async def run(stage: Stage) -> Finding:
    """Cancel slow runs while they last, and look at the budget and at what is published of them."""
    before = await stage.budget()
    for number in range(RUNS):
        name = f"cancelled-v{number}"
        stage.submit(name, TABLE | {"latency_ms": 2_000})
        started = await find_run(stage, name, state=evaluation_pb2.RUN_STATE_RUNNING)
        await cancel(stage, started.run_id)
        await stage.published(name)
    budget = await settled_budget(stage, used=before.releases_used + RUNS)
    releases = [one.release for one in await stage.releases()]
    found = [one for one in releases if one.tested.checkpoint.startswith("cancelled-")]
    spent = budget.harmful_spent_nano_rho - before.harmful_spent_nano_rho
    price = debited_nano_rho([one for one in releases if one.tested.checkpoint == FIRST])
    figures = sum(len(one.tables) for one in found)
    return Finding(
        tried=f"started {RUNS} runs and cancelled each while it lasted",
        learned=f"{len(found)} releases that say cancelled, with {figures} tables; {spent:,} nano-rho spent on them,"
        f" where {RUNS} whole ones cost {RUNS * price:,}",
        held=len(found) == RUNS and all(one.cancelled for one in found) and not figures and spent == RUNS * price > 0,
    )


ATTACK = Attack(
    name="cancel-for-a-refund",
    plays=Player.RUN_TESTER,
    explains="cancel runs after their start, for a refund or for a choice of what is published",
    needs=Needs.SHARED,
    run=run,
)
