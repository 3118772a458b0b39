"""Stopped, killed and started again and again while it publishes: every start finds databases and logs in step."""

import asyncio
import random

import pytest

from lab_texts import POLICY, write_checkpoint
from lab_texts import prompt_rows as prompts
from served_appliance import SERVING, ServedAppliance, prompt_rows

ROUNDS = 10  # a seed; ten seeds make a hundred
RELEASES = 6
MOST_S = 1.5
"""Seconds after a checkpoint appeared, from which the moment of the end is drawn."""
ALL_S = 300
"""For what is left of all runs, on a machine that has other work."""


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10))
async def test_no_restart_in_the_middle_of_a_publication_is_refused(tmp_path, seed):
    served = ServedAppliance.install(
        tmp_path, policy=POLICY.replace("releases_per_epoch = 3", f"releases_per_epoch = {RELEASES}")
    )
    moments = random.Random(seed)  # noqa: S311 - moments, not secrets: the same in each run
    try:
        await served.start()
        tester = await served.client("bank_tester")
        await tester.bank.import_prompts(prompt_rows(prompts()))
        await tester.bank.open_epoch()
        for number in range(ROUNDS):
            if number < RELEASES:
                write_checkpoint(served.folder / "checkpoints", f"nova-{number}")
            await asyncio.sleep(moments.random() * MOST_S)  # the moment of the end, not a wait for something
            await (served.kill() if number % 2 else served.stop())
            await served.start()  # a start that is refused fails here, with its exit code and what it said
        for number in range(RELEASES):
            await served.run_of(f"nova-{number}", deadline_s=ALL_S)
        code, out, err = await served.ask("auditor", "audit", "verify", deadline_s=ALL_S)
        assert (code, f"{RELEASES} releases recorded before they were read" in out) == (0, True), (out, err)
        await served.stop()
        assert len(SERVING.findall(served.said())) == 1 + ROUNDS
    finally:
        await served.close()
