"""Every attack reports broken on an appliance whose guard against it is gone: so one that holds means something."""

import base64
import contextlib
import dataclasses
import hashlib
import hmac
import sys
import tempfile
from pathlib import Path

import pytest
import pytest_asyncio

from heldout_server.attack.attack import Needs, all_attacks, pick
from heldout_server.attack.attacks import (
    hash_of_a_guess,
    nonsense,
    outcomes_in_the_log,
    refusals_by_time,
    stalling_checkpoint,
)
from heldout_server.attack.hearing import known_names
from heldout_server.attack.scene import SHARED
from heldout_server.attack.stage import own_stage

SERVER = (sys.executable, str(Path(__file__).with_name("weakened_server.py")))

WEAKNESSES = {
    "answers-by-outcome": "withheld-by-outcome",
    "hash-of-a-guess": "plain-hashes",
    "judge-told": "judge-obeys",
    "leftovers": "prompts-in-the-log",
    "low-digits": "a-hidden-field",
    "nonsense": "requests-quoted",
    "outcomes-in-the-log": "verdicts-in-the-log",
    "prompt-logger": "asked-without-leave",
    "refusals-by-time": "looked-up-first",
    "smuggled-text": "tags-in-names",
    "watched-run": "progress-shown",
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


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage():
    with tempfile.TemporaryDirectory(prefix="heldout-", ignore_cleanup_errors=True) as root:
        async with own_stage(Path(root), setting=SHARED, launcher=SERVER) as furnished:
            await furnished.furnish()
            yield furnished


@pytest.mark.slow
@pytest.mark.parametrize("name", WEAKNESSES)
@pytest.mark.asyncio(loop_scope="module")
async def test_an_attack_finds_the_weakness_that_it_looks_for(name, stage):
    (attack,) = pick((name,))
    (stage.folder / "there").write_text((await known_names(stage))["handle"][0])
    with weakened(stage, WEAKNESSES[name]):
        finding = await attack.run(stage)
    assert not finding.held, finding.learned


@pytest.mark.slow
async def test_careless_operators_are_found_out_where_the_appliance_starts_with_an_open_key():
    (attack,) = pick(("careless-operator",))
    with tempfile.TemporaryDirectory(prefix="heldout-", ignore_cleanup_errors=True) as root:
        async with own_stage(Path(root), setting=attack.setting, launcher=SERVER) as own:
            with weakened(own, "open-keys"):
                finding = await attack.run(own)
    assert "it starts with pki/server.key for everybody to read" in finding.learned
    assert not finding.held


@pytest.mark.slow
async def test_a_stranger_s_name_is_found_where_it_is_written_down():
    (attack,) = pick(("smuggled-text",))
    with tempfile.TemporaryDirectory(prefix="heldout-", ignore_cleanup_errors=True) as root:
        async with own_stage(Path(root), setting=SHARED, launcher=SERVER) as own:
            await own.furnish()
            with weakened(own, "strangers-named"):
                finding = await attack.run(own)
    assert "a certificate reaches what the process says" in finding.learned
    assert not finding.held


@pytest.mark.slow
@pytest.mark.parametrize("name", ["drip-over-cards", "drip-over-categories"])
async def test_a_prompt_drips_out_where_no_card_and_no_name_is_compared_with_the_bank(name):
    (attack,) = pick((name,))
    with tempfile.TemporaryDirectory(prefix="heldout-", ignore_cleanup_errors=True) as root:
        async with own_stage(Path(root), setting=attack.setting, launcher=SERVER) as own:
            with weakened(own, "ungated-cards"):
                finding = await attack.run(own)
    assert "100% of its words" in finding.learned
    assert not finding.held


@pytest.mark.slow
async def test_a_stalling_checkpoint_is_told_by_its_delay_where_runs_publish_on_completion():
    setting = dataclasses.replace(stalling_checkpoint.SETTING, schedule='publish = "on_completion"')
    quick_s, stalling_s = [
        await stalling_checkpoint.time_release(model, setting=setting) for model in stalling_checkpoint.MODELS.values()
    ]
    assert stalling_s > quick_s + stalling_checkpoint.APART_S


def test_a_guess_is_found_in_every_spelling_of_its_digest():
    digest = hashlib.sha256(b"guess").digest()
    salt = bytes(range(16))
    for content in (
        b"x" + digest + b"y",
        b"..." + digest.hex().encode(),
        base64.b64encode(b"1" + digest),
        salt.hex().encode() + hmac.digest(salt, b"guess", "sha256").hex().encode(),
        b"public-name " + hmac.digest(b"public-name", b"guess", "sha256"),
    ):
        assert hash_of_a_guess.confirm([b"guess"], [content]), content
    assert hash_of_a_guess.confirm([b"guess"], [hashlib.sha256(b"other").digest()]) == ()


def test_times_are_told_apart_by_the_share_of_pairs_in_which_one_is_slower():
    assert refusals_by_time.slower_share([1.0, 2.0], [1.0, 2.0]) == 0.5
    assert refusals_by_time.slower_share([3.0, 4.0], [1.0, 2.0]) == 1.0


@pytest.mark.parametrize("text", ["ValueError: no", 'File "edge.py"', "at 0x7f00aa", "Unexpected <class 'int'>"])
def test_texts_that_speak_of_the_inside_are_noticed(text):
    assert nonsense.speaking([text]) == [text]
    assert nonsense.speaking(["no such thing"]) == []


def test_two_runs_differ_by_what_their_entries_hold_and_not_by_their_names():
    def run_of(name, **details):
        return [{"kind": "event", "name": "run", "details": {"run_id": name, "state": "complete", **details}}]

    first, same, other = (
        outcomes_in_the_log.trace(one, begin=0) for one in (run_of("a"), run_of("b"), run_of("c", failed=3))
    )
    assert outcomes_in_the_log.compare(first, same) == []
    assert sorted(outcomes_in_the_log.compare(first, other)) == ["run 1", "run 1: failed"]


def test_weaknesses_are_of_attacks_on_the_shared_stage():
    assert set(WEAKNESSES) <= {one.name for one in all_attacks() if one.needs is Needs.SHARED}
