"""Start more runs than the budget holds, all at the same moment."""

from __future__ import annotations

import asyncio

from heldout_proto.v1 import evaluation_pb2
from heldout_server.attack.attack import Attack, Finding, Needs, Player
from heldout_server.attack.furnishing import mild_prompts
from heldout_server.attack.patience import until
from heldout_server.attack.runs import BY_HAND, cancel, debited_nano_rho, propose, settled_budget, staged, start
from heldout_server.attack.setting import Setting
from heldout_server.attack.stage import Stage

GRANTED = 3
RUNS = 8
TIMES = 3
ENDED = {
    evaluation_pb2.RUN_STATE_PROPOSED,
    evaluation_pb2.RUN_STATE_PUBLISHED,
    evaluation_pb2.RUN_STATE_CANCELLED,
}


async def run(stage: Stage) -> Finding:
    """Race starts of many runs, each several times over, and one cancellation, against the ledger."""
    await stage.import_prompts(mild_prompts(harmful=24, benign=8))
    await stage.open_epoch()
    stage.submit("nova-v1")
    await staged(stage, "nova-v1")
    runs = [await propose(stage, "nova-v1") for _ in range(RUNS)]
    calls = [start(stage, one.run_id) for one in runs for _ in range(TIMES)]
    told = await asyncio.gather(*calls, cancel(stage, runs[-1].run_id))

    async def over() -> list[evaluation_pb2.Run] | None:
        found = await stage.runs()
        return found if all(one.state in ENDED for one in found) else None

    await until(over)
    budget = await settled_budget(stage, used=GRANTED)
    releases = [one.release for one in await stage.releases()]
    figures = [one for one in releases if not one.cancelled]
    price = debited_nano_rho(figures[:1])
    return Finding(
        tried=f"started {RUNS} runs {TIMES} times each in parallel, and cancelled one, with {GRANTED} releases left",
        learned=f"{len(releases)} releases, {sum(one.code == 'OK' for one in told)} calls went through,"
        f" {budget.harmful_spent_nano_rho:,} nano-rho spent, {price:,} a release",
        held=sorted(one.number for one in releases) == list(range(1, GRANTED + 1))
        and budget.releases_used == GRANTED
        and budget.harmful_spent_nano_rho == GRANTED * price > 0,
    )


ATTACK = Attack(
    name="parallel-requests",
    plays=Player.RUN_TESTER,
    explains="start more runs than the budget holds, at the same moment",
    needs=Needs.OWN,
    run=run,
    setting=Setting(releases=GRANTED, config=BY_HAND),
)
