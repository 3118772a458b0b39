"""kill -9 at any moment of a run, and a restart: it goes on and publishes, and nothing is lost, doubled or redrawn.

The model answers slowly, so that most of a run is trials. The first run is left alone: the same table answers the same
prompts alike whatever the checkpoint is called, so each run that was killed must end with exactly the same figures.
``test_kill_rounds.py`` does it often, and at places that a random moment seldom hits.
"""

import random
import time

from heldout.findings.model import TableKind
from kill_checks import BENIGN, Seen, check, documents_of, keep_heads
from lab_texts import POLICY, TABLE, write_checkpoint
from lab_texts import prompt_rows as prompts
from served_appliance import ServedAppliance, prompt_rows, seconds_since, until

ROUNDS = 4
SLOW_TABLE = TABLE | {"latency_ms": 60}


async def run_undisturbed(served, seen, folder):
    """Run one checkpoint without a crash; return its exact figures and how long it took."""
    began = time.monotonic()
    write_checkpoint(served.folder / "checkpoints", "nova-v0", table=SLOW_TABLE)
    run = await served.run_of("nova-v0")
    took_s = seconds_since(began)
    return await check(served, seen, run, None, folder), took_s


async def kill_and_go_on(served, seen, name, moment_s):
    """Let a checkpoint appear, kill the appliance so many seconds later, start it again, and return the run's end."""
    await keep_heads(served, seen)
    began = time.monotonic()
    write_checkpoint(served.folder / "checkpoints", name, table=SLOW_TABLE)
    await until(lambda: seconds_since(began) >= moment_s, moment_s + 5)
    await served.kill()
    await served.start()
    seen.documents |= await documents_of(served)
    return await served.run_of(name)


async def test_a_run_goes_on_after_kill_9(tmp_path):
    policy = POLICY.replace("releases_per_epoch = 3", f"releases_per_epoch = {ROUNDS + 1}")
    served = ServedAppliance.install(tmp_path, policy=policy, in_flight="8")
    try:
        await served.start()
        tester = await served.client("bank_tester")
        await tester.bank.import_prompts(prompt_rows(prompts()))
        await tester.bank.open_epoch()
        seen = Seen()
        figures, took_s = await run_undisturbed(served, seen, tmp_path / "export-0")
        for number in range(1, ROUNDS + 1):
            # Each round has a stretch of the run of its own, and a random moment in it.
            moment_s = took_s * (number - random.random()) / ROUNDS  # noqa: S311 - a moment, not a secret
            run = await kill_and_go_on(served, seen, f"nova-v{number}", moment_s)
            await check(served, seen, run, figures, tmp_path / f"export-{number}")
        await served.stop()
    finally:
        await served.close()


async def test_kill_9_again_and_again_during_one_run(tmp_path):
    """Even killed more often than it can finish in between, a run gets a little further each time."""
    served = ServedAppliance.install(tmp_path, policy=POLICY, in_flight="4")
    try:
        await served.start()
        tester = await served.client("bank_tester")
        await tester.bank.import_prompts(prompt_rows(prompts(harmful=16)))
        await tester.bank.open_epoch()
        write_checkpoint(served.folder / "checkpoints", "nova-v1", table=SLOW_TABLE)
        finished = 0
        for _ in range(3):
            run = await served.run_of("nova-v1", states=("running",))
            finished = await progress_past(served, run.run_id, finished)
            await served.kill()
            await served.start()
        run = await served.run_of("nova-v1")
        tester = await served.client("bank_tester")
        exact = await tester.runs.results(run.run_id)
        assert sum(row.trials for row in exact if row.table in {TableKind.TECHNIQUE, TableKind.STACK, BENIGN}) == (
            run.planned_trials
        )
        assert len(await documents_of(served)) == 1
    finally:
        await served.close()


async def progress_past(served, run_id, finished):
    """Wait until more trials have a verdict than before, and return how many."""
    tester = await served.client("bank_tester")
    async for progress in tester.runs.watch(run_id):
        assert progress.finished_trials >= finished
        if progress.finished_trials > finished or progress.run.state.value == "published":
            return progress.finished_trials
    raise AssertionError("the stream ended before the run did")
