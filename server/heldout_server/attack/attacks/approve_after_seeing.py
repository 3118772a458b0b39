"""Start first and approve later, once it is seen what came of it."""

from __future__ import annotations

from heldout_proto.v1 import evaluation_pb2
from heldout_server.attack.attack import Attack, Finding, Needs, Player
from heldout_server.attack.furnishing import mild_prompts
from heldout_server.attack.runs import (
    BY_HAND,
    EVALUATION,
    approve,
    cancel,
    debited_nano_rho,
    propose,
    settled_budget,
    staged,
    start,
)
from heldout_server.attack.setting import Setting
from heldout_server.attack.stage import Stage

APPROVE = ("run_tester", "bank_tester")


async def run(stage: Stage) -> Finding:
    """Try every order of approving, starting and looking but the right one; then the right one."""
    await stage.import_prompts(mild_prompts(harmful=24, benign=8))
    await stage.open_epoch()
    stage.submit("nova-v1")
    await staged(stage, "nova-v1")
    wanted, other = await propose(stage, "nova-v1"), await propose(stage, "nova-v1")
    mine, wrong = wanted.manifest_digest, "0" * 64
    results = evaluation_pb2.GetResultsRequest(run_id=wanted.run_id).SerializeToString()

    codes = {
        "started without an approval": (await start(stage, wanted.run_id)).code,
        "approved another digest": (await approve(stage, wanted.run_id, wrong, role="run_tester")).code,
    }
    await approve(stage, wanted.run_id, mine, role="run_tester")
    await approve(stage, wanted.run_id, mine, role="run_tester")
    codes["started with one approval, given twice"] = (await start(stage, wanted.run_id)).code
    codes["looked at results before the start"] = (
        await stage.ask("run_tester", f"{EVALUATION}GetResults", results)
    ).code
    early = await stage.budget()
    await approve(stage, wanted.run_id, mine, role="bank_tester")
    codes["started the other run on these approvals"] = (await start(stage, other.run_id)).code
    started = await start(stage, wanted.run_id)
    await stage.published("nova-v1")
    codes["approved what was published"] = (await approve(stage, wanted.run_id, mine, role="bank_tester")).code
    codes["cancelled what was published"] = (await cancel(stage, wanted.run_id)).code
    codes["started it again"] = (await start(stage, wanted.run_id)).code

    budget = await settled_budget(stage, used=1)
    releases = [one.release for one in await stage.releases()]
    went_through = [name for name, code in codes.items() if code == "OK"]
    return Finding(
        tried=f"{len(codes)} ways to start, to look or to choose out of turn, and then the right one",
        learned=f"went through: {', '.join(went_through) or 'none'}; {len(releases)} release,"
        f" {budget.harmful_spent_nano_rho:,} nano-rho spent",
        held=not went_through
        and started.code == "OK"
        and not early.harmful_spent_nano_rho
        and len(releases) == budget.releases_used == 1
        and budget.harmful_spent_nano_rho == debited_nano_rho(releases),
    )


ATTACK = Attack(
    name="approve-after-seeing",
    plays=Player.RUN_TESTER,
    explains="approve, or choose between runs, after it is seen what came of them",
    needs=Needs.OWN,
    run=run,
    setting=Setting(approvals=APPROVE, config=BY_HAND),
)
