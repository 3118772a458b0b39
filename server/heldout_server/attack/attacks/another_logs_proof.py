"""Answer with proofs of logs that the client does not know: the other half's, and another appliance's."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

from heldout_server.attack.attack import Attack, Finding, Needs, Player
from heldout_server.attack.lying import ROLE, Answer, LyingDoor
from heldout_server.attack.stage import Stage, own_stage

MEMORY = "another-log"


async def run(stage: Stage) -> Finding:
    """Take receipts of the vault's log and of a second appliance, whose logs have the same names."""
    release = (await stage.releases())[0].receipt.SerializeToString()
    runs = await stage.ask("run_tester", "/heldout.v1.EvaluationService/ListRuns")
    with tempfile.TemporaryDirectory(prefix="heldout-") as folder:
        async with own_stage(Path(folder)) as other:
            foreign = await other.ask(ROLE, "/heldout.v1.FindingsService/GetBudget")
    lies = (
        ("the receipt of a release, of the vault's log", lambda answer: replace(answer, receipt=release)),
        ("the receipt of a call to the vault", lambda _answer: Answer(runs.body, runs.receipt)),
        ("answer and receipt of another appliance", lambda _answer: Answer(foreign.body, foreign.receipt)),
    )
    async with LyingDoor(stage) as door:
        return await door.tell_all(lies, memory=MEMORY, tried="answered a trainer with")


ATTACK = Attack(
    name="another-logs-proof",
    plays=Player.OPERATOR,
    explains="answer a trainer with proofs of the other half's log, or of another appliance's",
    needs=Needs.SHARED,
    run=run,
)
