"""Kill the appliance in the middle of a run, so that the budget comes back or the noise is drawn again."""

from __future__ import annotations

from heldout_proto.v1 import findings_pb2
from heldout_server.attack.attack import Attack, Finding, Needs, Player
from heldout_server.attack.furnishing import TABLE, mild_prompts
from heldout_server.attack.patience import until
from heldout_server.attack.stage import Stage

KILLS = 3


async def run(stage: Stage) -> Finding:
    """Let a slow checkpoint's run be killed several times, and look at the budget after each."""
    await stage.import_prompts(mild_prompts(harmful=24, benign=8))
    await stage.open_epoch()
    stage.submit("nova-v1", TABLE | {"latency_ms": 150})

    async def reserved() -> bool:
        return (await stage.budget()).harmful_spent_nano_rho > 0 or any(
            run.release_number > 0 for run in await stage.runs()
        )

    await until(reserved)
    for _ in range(KILLS):
        await stage.kill()
        await stage.start()
    await stage.published("nova-v1")

    async def settled() -> findings_pb2.Budget | None:
        """A release can be read a moment before the standing budget counts it."""
        budget = await stage.budget()
        return budget if budget.releases_used else None

    budget = await until(settled)
    releases = await stage.releases()
    debited = sum(
        table.debit_nano_rho
        for table in releases[0].release.tables
        if table.kind != findings_pb2.TABLE_KIND_OVER_REFUSAL
    )
    learned = f"{len(releases)} release, {budget.releases_used} used, {budget.harmful_spent_nano_rho:,} nano-rho spent"
    return Finding(
        tried=f"killed the appliance {KILLS} times in one run",
        learned=learned,
        held=len(releases) == 1 and budget.releases_used == 1 and budget.harmful_spent_nano_rho == debited,
    )


ATTACK = Attack(
    name="crash-for-a-refund",
    plays=Player.TRAINING_TEAM,
    explains="kill the appliance in a run, so that budget comes back or the noise is drawn again",
    needs=Needs.OWN,
    run=run,
)
