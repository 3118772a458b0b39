"""A whole appliance whose policy has slots, and a clock that the test sets: a release comes at its slot alone."""

import pytest

from heldout.bank_model import Intent, Prompt, PromptRow
from heldout.services.runs import RunState
from heldout_server.app.tools import Environment
from heldout_server.environment import SystemClock
from lab_texts import POLICY, TABLE, prompt_rows
from raw_calls import entries_of
from served_appliance import until

HOUR_S = 3_600


class MovedClock(SystemClock):
    """Tell the machine's time, and how much later a test wants it to be."""

    def __init__(self):
        self.ahead_s = 0.0

    def now_s(self):
        return super().now_s() + self.ahead_s


@pytest.fixture
def policy_text():
    return POLICY.replace('publish = "on_completion"', f'publish = "as_planned"\nslot_s = {HOUR_S}')


async def test_a_release_comes_at_its_slot_and_nobody_but_a_bank_tester_knows_before_that_its_run_is_done(start_lab):
    clock = MovedClock()
    lab = await start_lab(environment=Environment(clock=clock))
    bank, runs, trainer = [await lab.client(role) for role in ("bank_tester", "run_tester", "trainer")]
    await bank.bank.import_prompts(
        [
            PromptRow(n, Prompt(text=row["prompt"], intent=Intent(row["intent"]), category=row["category"]))
            for n, row in enumerate(prompt_rows(), start=1)
        ]
    )
    await bank.bank.open_epoch()
    lab.write_checkpoint("nova-v1", table=TABLE)

    async def started():
        return next((run for run in await runs.runs.list() if run.state is RunState.RUNNING), None)

    run = await until(started)
    assert run.publishes_s % 60 == 0
    assert run.publishes_s - clock.now_s() > 30 + 3 * 18 * 30, "the runtime's start, and three deadlines for each unit"

    async for progress in bank.runs.watch(run.run_id):
        if progress.finished_trials == run.planned_trials:
            break
    assert await bank.runs.results(run.run_id)
    shown = await runs.runs.get(run.run_id)
    assert (shown.state, shown.planned_time_percent) == (RunState.RUNNING, 0)
    assert await trainer.findings.releases() == ()
    assert not any(entry["details"].get("state") == "complete" for entry in await entries_of(lab, "vault"))

    clock.ahead_s += run.publishes_s - clock.now_s()

    async def published():
        return (await runs.runs.get(run.run_id)).state is RunState.PUBLISHED

    await until(published)
    (release,) = await trainer.findings.releases()
    assert release.published_s == run.publishes_s
    told = [entry for entry in await entries_of(lab, "vault") if entry["name"] in {"run", "release"}]
    assert [(entry["name"], entry["details"].get("state", "")) for entry in told] == [
        ("run", "running"), ("run", "complete"), ("release", "")
    ]  # fmt: skip
    assert [entry["time_s"] for entry in told[1:]] == [run.publishes_s] * 2
    assert {entry["details"].get("publishes_s", run.publishes_s) for entry in told} == {run.publishes_s}
