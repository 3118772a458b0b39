"""Submit the same model with one bit of its files flipped, so that its noise is drawn again for nothing."""

from __future__ import annotations

from heldout_server.attack.attack import Attack, Finding, Needs, Player
from heldout_server.attack.furnishing import TABLE
from heldout_server.attack.runs import debited_nano_rho, settled_budget
from heldout_server.attack.stage import Stage

COPIES = 3


async def run(stage: Stage) -> Finding:
    """Submit copies that behave alike and differ in a byte, change one in place, and look at what each costs."""
    before = await stage.budget()
    for copy in range(COPIES):
        name = f"flipped-v{copy}"
        stage.submit(name, TABLE | {"seed": TABLE["seed"], "latency_ms": copy / 1000})
        await stage.published(name)
    table = stage.checkpoints / "flipped-v0" / "scripted.json"
    table.write_text(table.read_text() + " ")
    (stage.checkpoints / "flipped-v0" / "READY").touch()
    stage.submit("after-the-flips")  # what is noticed after it shows that the changed one was looked at
    await stage.published("after-the-flips")

    budget = await settled_budget(stage, used=before.releases_used + COPIES + 1)
    releases = [one.release for one in await stage.releases()]
    found = [one for one in releases if one.tested.checkpoint.startswith("flipped-")]
    debited = debited_nano_rho([*found, releases[-1]])
    spent = budget.harmful_spent_nano_rho - before.harmful_spent_nano_rho
    return Finding(
        tried=f"submitted one model {COPIES} times with a byte changed, and changed one of them in place",
        learned=f"{len(found)} releases, each debited: {spent:,} nano-rho for them and one more",
        held=len(found) == COPIES
        and spent == debited > 0
        and budget.releases_used == before.releases_used + COPIES + 1,
    )


ATTACK = Attack(
    name="one-flipped-bit",
    plays=Player.TRAINING_TEAM,
    explains="submit one model again with a flipped bit, so that its noise is drawn again for nothing",
    needs=Needs.SHARED,
    run=run,
)
