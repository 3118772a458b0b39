"""Put single old pages back into the ledger and into what is published: the cipher does not notice that."""

from __future__ import annotations

from heldout_server.attack.attack import Attack, Finding, Needs, Player
from heldout_server.attack.images import take_images
from heldout_server.attack.stage import Stage

FILES = (("vault", "releases.db"), ("window", "published.db"))


async def run(stage: Stage) -> Finding:
    """Put each page back alone; where a look finds nothing, start and compare the answers."""
    images = await take_images(stage)
    await stage.start()
    truth = await _answers(stage)
    await stage.stop()
    pages = found = harmless = 0
    for half, name in FILES:
        for _ in images.put_back_pages(half, name):
            pages += 1
            if await images.found() or await stage.try_start():
                found += 1
                continue
            harmless += await _answers(stage) == truth
            await stage.stop()
    return Finding(
        tried=f"put {pages} old pages of the ledger and of what is published back, each alone",
        learned=f"{found} stop the start, {harmless} change no answer, {pages - found - harmless} change one",
        held=found > 0 and found + harmless == pages,
    )


async def _answers(stage: Stage) -> tuple[bytes, ...]:
    budget = await stage.budget()
    releases = await stage.releases()
    return tuple(one.SerializeToString(deterministic=True) for one in (budget, *releases))


ATTACK = Attack(
    name="old-page",
    plays=Player.OPERATOR,
    explains="put old pages back into the ledger, so that it forgets what was spent",
    needs=Needs.OWN,
    run=run,
    slow=True,
)
