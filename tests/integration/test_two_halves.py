"""The vault and the window as two processes that share nothing but the window's folder."""

import pytest

from heldout.services.findings import ScoreKind
from kill_checks import Seen, check
from lab_texts import POLICY, prompt_rows, write_checkpoint
from served_appliance import prompt_rows as numbered
from split_appliance import SplitAppliance

VAULT_ROOMS = (
    "bank",
    "checkpoints",
    "evaluation",
    "judges",
    "outcomes",
    "release",
    "runtimes",
    "techniques",
    "watch",
)


@pytest.fixture
async def split(tmp_path):
    """Install an appliance whose halves a test starts as two processes."""
    split = SplitAppliance.install(tmp_path, policy=POLICY)
    yield split
    await split.close()


async def publish(split, name):
    """Import a bank if there is none, let a checkpoint appear, and wait until its run is published."""
    write_checkpoint(split.folder / "checkpoints", name)
    return await split.run_of(name)


async def fill(split):
    tester = await split.client("bank_tester")
    await tester.bank.import_prompts(numbered(prompt_rows()))
    await tester.bank.open_epoch()


async def test_a_run_is_published_by_one_process_and_read_from_the_other(split, tmp_path):
    await split.start()
    await fill(split)
    run = await publish(split, "nova-v1")
    await check(split, Seen(), run, None, tmp_path / "export")
    trainer = await split.client("trainer")
    assert len(await trainer.findings.cards()) > 0
    await trainer.findings.record_score(
        checkpoint="nova-v1", kind=ScoreKind.CAPABILITY, benchmark="swe-bench", value_milli=41_500
    )
    assert [score.value_milli for score in await trainer.findings.scores()] == [41_500]
    await split.stop()
