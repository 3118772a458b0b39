"""Put a whole old disk image back, so that what was spent since is forgotten and its noise is drawn again."""

from __future__ import annotations

from heldout_proto.v1 import audit_pb2, options_pb2
from heldout_server.attack.attack import Attack, Finding, Needs, Player
from heldout_server.attack.commands import run_client
from heldout_server.attack.images import SECOND, take_images
from heldout_server.attack.stage import Stage

ASKED = {"trainer": ("--json", "budget"), "auditor": ("--json", "audit", "verify")}
TIMES = 3
"""Calls of each client afterwards: it must stay sure of what it saw."""

LOGS = (options_pb2.HALF_VAULT, options_pb2.HALF_WINDOW)


async def run(stage: Stage) -> Finding:
    """Let clients see the newest state, put the old image back, let its logs outgrow what they saw, and have them look.

    No client asks meanwhile: a head that is smaller than the one it knows would be too easy to find.
    """
    images = await take_images(stage)
    await stage.start()
    before = {role: (await run_client(stage, role, *words)).code for role, words in ASKED.items()}
    releases = len(await stage.releases("bank_tester"))
    seen = await _sizes(stage)
    await stage.stop()

    images.put_back(old=True)
    said = await stage.try_start()
    if said:
        learned, held = f"it does not start: {said}", True
    else:
        forgotten = releases - len(await stage.releases("bank_tester"))
        await _outgrow(stage, seen)
        after = {role: [await run_client(stage, role, *words) for _ in range(TIMES)] for role, words in ASKED.items()}
        believed = [role for role, all_ended in after.items() if not all(ended.refused for ended in all_ended)]
        learned = (
            f"it starts, and has forgotten {forgotten} release; its own logs cannot know. Of those who saw a later"
            f" state, and asked {TIMES} times once its logs were longer again, {', '.join(believed) or 'nobody'} of"
            f" {', '.join(after)} believed it"
        )
        held = not believed
    return Finding(
        tried=f"put the image from before {SECOND} back: every database and both logs, and let the logs grow",
        learned=learned,
        held=held and not any(before.values()),
    )


async def _outgrow(stage: Stage, seen: list[int]) -> None:
    """Let others call until both logs have more entries than clients saw."""
    async with stage.caller("bank_tester") as caller:
        while any(size <= most for size, most in zip(await _sizes(stage), seen, strict=True)):
            for _ in range(max(seen) // 8):
                await caller.call("/heldout.v1.BankService/GetStats")  # in the vault's log
                await caller.call("/heldout.v1.FindingsService/ListScores")  # in the window's


async def _sizes(stage: Stage) -> list[int]:
    """Return how many entries each log has, as an auditor is told."""
    sizes = []
    for half in LOGS:
        request = audit_pb2.GetTreeHeadRequest(log=half).SerializeToString()
        told = await stage.ask("auditor", "/heldout.v1.AuditService/GetTreeHead", request)
        _origin, size, *_rest = audit_pb2.GetTreeHeadResponse.FromString(told.body).checkpoint.split("\n")
        sizes.append(int(size))
    return sizes


ATTACK = Attack(
    name="restored-image",
    plays=Player.OPERATOR,
    explains="put a whole old disk image back, so that what was spent since is forgotten",
    needs=Needs.OWN,
    run=run,
)
