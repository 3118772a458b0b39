"""Have a run proposed or started under one policy, and finish it under another that tells more."""

from __future__ import annotations

from heldout_proto.v1 import evaluation_pb2, findings_pb2
from heldout_server.attack.attack import Attack, Finding, Needs, Player
from heldout_server.attack.furnishing import TABLE, mild_prompts
from heldout_server.attack.policies import put_signed
from heldout_server.attack.runs import BY_HAND, find_run, propose, staged, start
from heldout_server.attack.setting import Setting
from heldout_server.attack.stage import Stage


async def run(stage: Stage) -> Finding:
    """Exchange the policy for a wider one, rightly signed, between proposal and start and in the middle of a run."""
    await stage.import_prompts(mild_prompts(harmful=24, benign=8))
    await stage.open_epoch()
    stage.submit("started", TABLE | {"latency_ms": 400})
    stage.submit("proposed")
    for name in ("started", "proposed"):
        await staged(stage, name)
    first = await propose(stage, "started")
    second = await propose(stage, "proposed")
    await start(stage, first.run_id)
    await find_run(stage, "started", state=evaluation_pb2.RUN_STATE_RUNNING)
    await stage.kill()

    put_signed(stage, bits=16)
    await stage.start()
    told = await start(stage, second.run_id)
    narrow = await stage.published("started")
    third = await propose(stage, "proposed")
    await start(stage, third.run_id)
    wide = await stage.published("proposed")

    kept = narrow.policy_digest == first.policy_digest and _sigma(narrow) > _sigma(wide)
    return Finding(
        tried="exchanged the signed policy for one with twice the bits, after a proposal and in the middle of a run",
        learned=f"the proposed run {'started' if told.code == 'OK' else 'is refused'}; the started one is released with"
        f" {'the widths and the digest that it was begun with' if kept else 'other widths'}",
        held=told.code != "OK" and kept and wide.policy_digest == third.policy_digest != first.policy_digest,
    )


def _sigma(release: findings_pb2.Release) -> int:
    return release.tables[0].sigma_micro


ATTACK = Attack(
    name="policy-swapped",
    plays=Player.OPERATOR,
    explains="exchange the policy between proposal and start, or in the middle of a run",
    needs=Needs.OWN,
    run=run,
    setting=Setting(config=BY_HAND),
)
