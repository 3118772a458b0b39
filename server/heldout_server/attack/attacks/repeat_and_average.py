"""Ask again and again, so that the noise averages out."""

from __future__ import annotations

from heldout_server.attack.attack import Attack, Finding, Needs, Player
from heldout_server.attack.furnishing import mild_prompts
from heldout_server.attack.stage import Stage

TIMES = 50


async def run(stage: Stage) -> Finding:
    """Read one release many times, before and after a restart."""
    await stage.import_prompts(mild_prompts(harmful=24, benign=8))
    await stage.open_epoch()
    stage.submit("nova-v1")
    await stage.published("nova-v1")
    seen = {one.release.SerializeToString(deterministic=True) for _ in range(TIMES) for one in await stage.releases()}
    await stage.stop()
    await stage.start()
    seen |= {one.release.SerializeToString(deterministic=True) for one in await stage.releases()}
    return Finding(
        tried=f"read one release {TIMES + 1} times, once after a restart",
        learned=f"{len(seen)} different documents",
        held=len(seen) == 1,
    )


ATTACK = Attack(
    name="repeat-and-average",
    plays=Player.TRAINING_TEAM,
    explains="ask for the same figures again and again, so that their noise averages out",
    needs=Needs.OWN,
    run=run,
)
