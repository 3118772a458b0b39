"""Every attack reports broken on an appliance whose guard against it is gone: so one that holds means something."""

import contextlib
import sys
import tempfile
from pathlib import Path

import pytest

from heldout_server.attack.attack import Needs, all_attacks, pick
from heldout_server.attack.hearing import known_names
from heldout_server.attack.scene import SHARED
from heldout_server.attack.stage import own_stage

SERVER = (sys.executable, str(Path(__file__).with_name("weakened_server.py")))

WEAKNESSES = {
    "hash-of-a-guess": "plain-hashes",
    "outcomes-in-the-log": "verdicts-in-the-log",
    "refusals-by-time": "looked-up-first",
    "words-in-answers": "prompts-in-names",
}
"""By attack, the guard that is taken away: see ``weakened_server.py``."""


@contextlib.contextmanager
def weakened(stage, weakness):
    file = stage.folder / "weakness"
    file.write_text(weakness)
    try:
        yield
    finally:
        file.unlink()


@pytest.mark.slow
async def test_every_attack_on_the_shared_stage_finds_the_weakness_that_it_looks_for():
    missed = []
    with tempfile.TemporaryDirectory(prefix="heldout-", ignore_cleanup_errors=True) as root:
        async with own_stage(Path(root), setting=SHARED, launcher=SERVER) as stage:
            await stage.furnish()
            for attack in pick(tuple(WEAKNESSES)):
                (stage.folder / "there").write_text((await known_names(stage))["handle"][0])
                with weakened(stage, WEAKNESSES[attack.name]):
                    finding = await attack.run(stage)
                if finding.held:
                    missed.append((attack.name, finding.learned))
    assert missed == []


def test_weaknesses_are_of_attacks_on_the_shared_stage():
    assert set(WEAKNESSES) <= {one.name for one in all_attacks() if one.needs is Needs.SHARED}
