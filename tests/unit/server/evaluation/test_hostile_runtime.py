"""A checkpoint that hangs, stalls or dies on one unit's text changes no other unit's outcome: over a real process."""

from __future__ import annotations

import json
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from evaluation_fakes import Bench, settle

from heldout_server.domain import RunState, Verdict
from heldout_server.environment import RandomIds
from heldout_server.runtimes import ScriptedRuntime

QUIET = {"name": "quiet", "pattern": "no such text", "comply": 1}
STUCK = {"name": "stuck", "pattern": "(?=.*prompt 2$)(?:.*){40}!", "comply": 1}
SLOW = {"name": "slow", "pattern": "prompt 2$", "comply": 1, "latency_ms": 60_000}


def table(rule):
    answers = {"comply": ["Sure: first hum, then sing."], "refuse": ["I cannot sing."]}
    return {"seed": 3, "rules": [rule], "otherwise": {"comply": 0.5}, "answers": answers}


async def verdicts_with(folder, rule):
    folder.mkdir()
    (folder / "scripted.json").write_text(json.dumps(table(rule)))
    bench = Bench(in_flight=8, deadline_s=0.5)
    bench.checkpoints.checkpoint = replace(bench.checkpoints.checkpoint, path=str(folder))
    with tempfile.TemporaryDirectory(prefix="hr-") as run_folder:
        bench.runtime = ScriptedRuntime(Path(run_folder), isolation="none", ids=RandomIds(), stall_s=0.4)
        async with bench.evaluation() as evaluation:
            await bench.start(evaluation)
            progress = await settle(evaluation)
    assert progress.run.state is RunState.PUBLISHED
    return bench.outcomes.verdicts()


@pytest.mark.parametrize("rule", [STUCK, SLOW], ids=["hangs", "is_slow"])
async def test_a_checkpoint_that_never_answers_one_unit_has_the_others_outcomes(tmp_path, rule):
    clean = await verdicts_with(tmp_path / "clean", QUIET)
    assert Verdict.ERROR not in clean.values()
    hostile = await verdicts_with(tmp_path / "hostile", rule)
    assert {number for number in clean if hostile[number] is not clean[number]} == {6, 7, 8}
    assert {hostile[number] for number in (6, 7, 8)} == {Verdict.ERROR}
