"""Set the clock months forward and back, so that the budget comes back with time."""

from __future__ import annotations

from heldout_server.attack import shifted_clock
from heldout_server.attack.attack import Attack, Finding, Needs, Player
from heldout_server.attack.furnishing import mild_prompts
from heldout_server.attack.runs import BY_HAND, propose, run_through, settled_budget, staged, start
from heldout_server.attack.setting import Setting
from heldout_server.attack.stage import Stage

DAY_S = 86_400
SHIFTS_S = (100 * DAY_S, -200, -100 * DAY_S)


async def run(stage: Stage) -> Finding:
    """Spend the one release of an epoch, and try to have another in each year."""
    await stage.import_prompts(mild_prompts(harmful=24, benign=8))
    await stage.open_epoch()
    await run_through(stage, "nova-v1")
    spent = (await settled_budget(stage, used=1)).harmful_spent_nano_rho
    documents = {one.release.SerializeToString(deterministic=True) for one in await stage.releases()}
    stage.submit("nova-v2")
    await staged(stage, "nova-v2")

    true_launcher, codes, kept, refused = stage.process.launcher, [], True, 0
    for shift_s in SHIFTS_S:
        await stage.stop()
        python, *program = true_launcher
        stage.process.launcher = (python, "-m", shifted_clock.NAME, str(shift_s), *program)
        if await stage.try_start():
            refused += 1  # with a certificate that is not valid at such a time
            continue
        codes.append((await start(stage, (await propose(stage, "nova-v2")).run_id)).code)
        budget = await stage.budget()
        now = {one.release.SerializeToString(deterministic=True) for one in await stage.releases()}
        kept &= (budget.releases_used, budget.harmful_spent_nano_rho, now) == (1, spent, documents)
    stage.process.launcher = true_launcher
    return Finding(
        tried="spent the last release of an epoch, and asked for another 100 days later, some minutes earlier"
        " and 100 days earlier",
        learned=f"{codes.count('OK')} of {len(codes)} runs started, and at {refused} of the times nothing starts;"
        f" what is spent and published {'stays as it is' if kept else 'changed'}",
        held=bool(codes) and "OK" not in codes and kept,
    )


ATTACK = Attack(
    name="clock-steps",
    plays=Player.OPERATOR,
    explains="set the clock months forward and back, so that the budget comes back with time",
    needs=Needs.OWN,
    run=run,
    setting=Setting(releases=1, config=BY_HAND),
)
