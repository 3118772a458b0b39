"""Tell refused, unknown, empty and nonexistent apart, by what a trainer is told."""

from __future__ import annotations

from heldout_proto.v1 import findings_pb2
from heldout_server.attack.attack import Attack, Finding, Needs, Player
from heldout_server.attack.caller import Told, every_method
from heldout_server.attack.stage import Stage

ALLOWED = "/heldout.v1.FindingsService/"
GUESSES = ("release-0", "release-00000000000000000000", "prompt-00abf3c4243a7db0", "zanzibar")


async def run(stage: Stage) -> Finding:
    """Ask for what a trainer may not have and for what there is not, in every way, and compare the answers."""
    told: dict[str, Told] = {}
    async with stage.caller("trainer") as trainer:
        for method in every_method():
            if not method.startswith(ALLOWED):
                told[f"{method} with nothing"] = await trainer.call(method, b"")
        for name in GUESSES:
            request = findings_pb2.GetReleaseRequest(release_id=name)
            told[f"release {name}"] = await trainer.call(f"{ALLOWED}GetRelease", request.SerializeToString())
    shapes = {one.shape for one in told.values()}
    return Finding(
        tried=f"{len(told)} calls for what is forbidden, unknown or empty",
        learned="one answer to all of them, byte for byte"
        if len(shapes) == 1
        else f"{len(shapes)} different answers: {sorted({one.code for one in told.values()})}",
        held=len(shapes) == 1,
    )


ATTACK = Attack(
    name="refusals-told-apart",
    plays=Player.TRAINING_TEAM,
    explains="tell what is forbidden from what is not there, by the bytes of the refusals",
    needs=Needs.CALLS,
    run=run,
)
