"""Kill the appliance in the middle of a run, so that the budget comes back or the noise is drawn again."""

from __future__ import annotations

from heldout_server.attack.attack import Attack, Finding, Needs
from heldout_server.attack.stage import TABLE, Stage, mild_prompts

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

    await stage.until(reserved)
    for _ in range(KILLS):
        await stage.kill()
        await stage.start()
    await stage.published("nova-v1")
    budget = await stage.budget()
    releases = await stage.releases()
    debited = sum(table.debit_nano_rho for table in releases[0].release.tables if "over" not in table.rows[0].key)
    learned = f"{len(releases)} release, {budget.releases_used} used, {budget.harmful_spent_nano_rho:,} nano-rho spent"
    return Finding(
        tried=f"killed the appliance {KILLS} times in one run",
        learned=learned,
        held=len(releases) == 1 and budget.releases_used == 1 and 0 < budget.harmful_spent_nano_rho <= debited,
    )


ATTACK = Attack(
    name="crash-for-a-refund",
    explains="kill the appliance in a run, so that budget comes back or the noise is drawn again",
    needs=Needs.OWN,
    run=run,
)
