"""Put a whole old disk image back, so that what was spent since is forgotten and its noise is drawn again."""

from __future__ import annotations

from heldout_server.attack.attack import Attack, Finding, Needs, Player
from heldout_server.attack.commands import run_client
from heldout_server.attack.images import SECOND, take_images
from heldout_server.attack.stage import Stage

ASKED = {"trainer": ("--json", "budget"), "auditor": ("--json", "audit", "verify")}


async def run(stage: Stage) -> Finding:
    """Let clients see the newest state, put the old image back, and let them look again."""
    images = await take_images(stage)
    await stage.start()
    before = {role: (await run_client(stage, role, *words)).code for role, words in ASKED.items()}
    releases = len(await stage.releases())
    await stage.stop()

    images.put_back(old=True)
    said = await stage.try_start()
    if said:
        learned, held = f"it does not start: {said}", True
    else:
        forgotten = releases - len(await stage.releases())
        after = {role: await run_client(stage, role, *words) for role, words in ASKED.items()}
        believed = [role for role, ended in after.items() if ended.code == 0]
        learned = (
            f"it starts, and has forgotten {forgotten} release; its own logs cannot know. Whoever saw a later head:"
            f" {', '.join(believed) or 'nobody'} of {', '.join(after)} believed it"
        )
        held = not believed
    return Finding(
        tried=f"put the image from before {SECOND} back: every database and both logs",
        learned=learned,
        held=held and not any(before.values()),
    )


ATTACK = Attack(
    name="restored-image",
    plays=Player.OPERATOR,
    explains="put a whole old disk image back, so that what was spent since is forgotten",
    needs=Needs.OWN,
    run=run,
)
