"""kill -9 of one half while the other runs: what was published stays, and what was to be published is, once."""

import contextlib
import signal
import sys

import pytest

import mortal_server
from kill_checks import Seen, check, documents_of, keep_heads
from lab_texts import POLICY, write_checkpoint
from lab_texts import prompt_rows as prompts
from served_appliance import prompt_rows
from split_appliance import SplitAppliance

STEP_3 = ("window", "window_inserted", "budget_refreshed")
PLACES = [place for places in mortal_server.PLACES.values() for place in places if not place.startswith("batch")]


@contextlib.asynccontextmanager
async def appliance(folder, *, rounds):
    policy = POLICY.replace("releases_per_epoch = 3", f"releases_per_epoch = {rounds + 1}")
    split = SplitAppliance.install(folder, policy=policy, in_flight="8")
    split.command = (sys.executable, mortal_server.__file__, folder)
    try:
        await split.start()
        tester = await split.client("bank_tester")
        await tester.bank.import_prompts(prompt_rows(prompts()))
        await tester.bank.open_epoch()
        yield split
        await split.stop()
    finally:
        await split.close()


async def die_and_go_on(split, seen, folder, name, place):
    """Let the vault end at a place of a run; the window goes on answering, and shows the release once there is one."""
    await keep_heads(split, seen)
    (folder / "die").write_text(f"{place} 0")
    write_checkpoint(split.folder / "checkpoints", name)
    assert await split.ended(30) == -signal.SIGKILL
    await split.forget_clients()
    # Meanwhile the window takes nothing back.
    stood = await documents_of(split)
    assert {run: stood[run] for run in seen.documents} == seen.documents
    seen.documents = stood
    await split.forget_clients()
    await split.start_vault()
    run = await split.run_of(name)
    await check(split, seen, run, None, folder / f"export-{name}")


async def test_a_vault_that_dies_beside_a_running_window_publishes_once(tmp_path):
    seen = Seen()
    async with appliance(tmp_path, rounds=len(STEP_3)) as split:
        for number, place in enumerate(STEP_3):
            await die_and_go_on(split, seen, tmp_path, f"nova-v{number}", place)


async def test_a_window_that_dies_during_a_run_shows_its_release_afterwards(tmp_path):
    async with appliance(tmp_path, rounds=1) as split:
        seen = Seen()
        await keep_heads(split, seen)
        write_checkpoint(split.folder / "checkpoints", "nova-v1")
        await split.run_of("nova-v1", states=("running", "complete", "published"))
        await split.window.kill()
        run = await split.run_of("nova-v1")
        await split.forget_clients()
        await split.window.start()
        await check(split, seen, run, None, tmp_path / "export")


@pytest.mark.slow
@pytest.mark.parametrize("part", range(3))
async def test_a_vault_that_dies_anywhere_beside_a_running_window_publishes_once(tmp_path, part):
    seen, places = Seen(), PLACES[part::3]
    async with appliance(tmp_path, rounds=len(places)) as split:
        for number, place in enumerate(places):
            await die_and_go_on(split, seen, tmp_path, f"nova-v{number}", place)
