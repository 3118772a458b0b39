"""Put single old databases and logs back beside newer ones."""

from __future__ import annotations

from heldout_server.attack.attack import Attack, Finding, Needs, Player
from heldout_server.attack.images import HELD, LOGS, take_images
from heldout_server.attack.stage import Stage

STARTED = ("audit.db", "releases.db")
"""Of these the appliance itself is started; the rest are looked at by the code that looks at a start."""


async def run(stage: Stage) -> Finding:
    """Put each file back alone."""
    images = await take_images(stage)
    believed = []
    for half, name in (*LOGS, *HELD):
        images.put_back_file(half, name)
        if name in STARTED:
            refused = bool(await stage.try_start())
            await stage.stop()
        else:
            refused = await images.found()
        if not refused:
            believed.append(f"{half}/{name}")
    images.put_back(old=False)
    started = await stage.try_start()
    return Finding(
        tried=f"put {len(LOGS) + len(HELD)} files of an older state back, each alone: both logs, the ledger, the rest",
        learned=f"believed: {', '.join(believed) or 'none'}; the newest state {started or 'starts'}",
        held=not believed and not started,
    )


ATTACK = Attack(
    name="older-files",
    plays=Player.OPERATOR,
    explains="put an older log, ledger or other database back beside newer ones",
    needs=Needs.OWN,
    run=run,
    slow=True,
)
