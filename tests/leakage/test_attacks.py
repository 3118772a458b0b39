"""Every shipped attack is a test: the boundary holds against it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import pytest_asyncio

from heldout_server.attack.attack import Attack, Finding, Needs, Player, all_attacks, pick
from heldout_server.attack.running import Stages, run_attacks
from heldout_server.errors import ConfigError

COMMAND = Path(sys.executable).parent / "heldout-server"

ROOT = Path(__file__).parents[2]
ATOMS = "tests/unit/policy/test_atoms.py"
RELEASE = "tests/unit/server/release"
GUARDED_BY = {
    "another-logs-proof": "tests/unit/client/verification/test_receipts.py::test_a_receipt_of_another_log_is_refused",
    "approve-after-seeing": "tests/unit/server/evaluation/test_evaluation_transitions.py"
    "::test_a_run_starts_only_with_every_approval_that_policy_asks_for",
    "cancel-for-a-refund": "tests/integration/test_main_job.py"
    "::test_of_a_run_that_is_cancelled_a_release_without_figures_is_published",
    "cells-at-the-ends": f"{RELEASE}/test_publishing.py::test_figures_are_not_clamped",
    "clock-steps": f"{RELEASE}/test_release_slots.py::test_an_epoch_grants_so_many_releases_and_no_more",
    "crash-for-a-refund": "tests/integration/test_kill.py::test_kill_9_again_and_again_during_one_run",
    "drip-over-cards": "tests/unit/server/bank/test_cards_gate.py"
    "::test_words_dripped_two_at_a_time_over_cards_are_caught",
    "drip-over-categories": "tests/unit/server/bank/test_category_names.py"
    "::test_a_prompt_dealt_out_to_several_names_is_found",
    "forged-proof": "tests/unit/client/verification/test_receipts.py"
    "::test_a_flipped_bit_anywhere_in_a_receipt_is_noticed",
    "group-minus-one": f"{ATOMS}::test_an_epoch_that_loses_one_unit_is_withheld",
    "one-flipped-bit": "tests/integration/test_main_job.py::test_the_budget_counts_down_and_then_nothing_starts",
    "one-unit-more": f"{ATOMS}::test_an_epoch_that_gains_one_unit_is_withheld",
    "parallel-requests": f"{RELEASE}/test_release_slots.py::test_two_desks_on_one_ledger_do_not_overspend",
    "policy-downgraded": f"{RELEASE}/test_policy_versions.py::test_a_later_version_takes_its_place_for_good",
    "policy-edited": "tests/integration/test_server_command.py::test_a_policy_that_was_edited_is_no_policy",
    "policy-swapped": f"{RELEASE}/test_publishing.py::test_the_policy_of_the_debit_is_the_policy_of_the_release",
    "repeat-and-average": f"{RELEASE}/test_publishing.py::test_publishing_again_does_nothing",
    "restored-image": "tests/unit/client/test_setbacks.py"
    "::test_a_number_that_was_answered_before_shows_a_restore_in_a_log_that_has_grown_past_what_was_seen",
    "total-minus-cells": f"{ATOMS}::test_a_small_category_takes_another_with_it",
    "trainer-who-tests": "tests/unit/policy/test_principals.py::test_nobody_has_two_roles_whichever_they_are",
}
"""Attacks that are left to the slow check, each with the fast test of the guard that it is stopped by."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stages():
    async with Stages() as prepared:
        yield prepared


@pytest.mark.parametrize(
    "attack",
    [
        pytest.param(one, id=one.name, marks=[pytest.mark.slow] if one.slow or one.name in GUARDED_BY else [])
        for one in all_attacks()
    ],
)
@pytest.mark.asyncio(loop_scope="module")
async def test_the_boundary_holds(attack, stages):
    finding = await stages.run(attack)
    assert finding.held, (finding.tried, finding.learned)


@pytest.mark.parametrize("name", GUARDED_BY)
def test_an_attack_that_is_left_to_the_slow_check_has_a_fast_test_of_its_guard(name):
    assert name in {one.name for one in all_attacks()}
    file, _, test = GUARDED_BY[name].partition("::")
    before, found, _ = (ROOT / file).read_text().partition(f"def {test}(")
    assert found
    assert "slow" not in before.rpartition("\n\n\n")[2]  # its decorators
    assert "pytestmark" not in before


def attack_that(run, needs=Needs.NOTHING):
    return Attack(name="made-up", plays=Player.OPERATOR, explains="made up", needs=needs, run=run)


async def test_an_attack_that_cannot_be_carried_out_counts_as_broken():
    """It proves nothing."""

    async def run(_stage):
        raise TimeoutError

    (result,) = await run_attacks([attack_that(run)])
    assert not result.finding.held


async def test_a_staging_appliance_sees_only_attacks_that_change_nothing(tmp_path):
    async def run(_stage):
        return Finding(tried="", learned="", held=True)

    attacks = [attack_that(run, needs) for needs in Needs]
    results = await run_attacks(attacks, profiles=tmp_path)
    assert [result.attack.needs for result in results] == [Needs.CALLS]


def test_attacks_are_named_once_and_explained_in_one_line():
    attacks = all_attacks()
    assert len({attack.name for attack in attacks}) == len(attacks)
    assert all(0 < len(attack.explains) <= 100 for attack in attacks)


def test_an_unknown_attack_is_refused():
    with pytest.raises(ConfigError, match="there is no attack nothing-such"):
        pick(("nothing-such",))


def test_the_command_exits_with_1_if_anything_broke(tmp_path):
    """Here because the profiles are of no appliance."""
    done = subprocess.run(
        [COMMAND, "attack", "--only", "refusals-told-apart", "--profiles", tmp_path, "--json"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert json.loads(done.stdout)["held"] is False


def test_where_nothing_is_left_to_run_the_command_says_why():
    done = subprocess.run(
        [COMMAND, "attack", "--only", "one-question", "--quick"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert "--quick leaves out what is slow" in done.stderr


def test_the_list_names_every_attack():
    done = subprocess.run([COMMAND, "attack", "--list", "--json"], capture_output=True, text=True, check=True)
    assert [one["name"] for one in json.loads(done.stdout)] == [attack.name for attack in all_attacks()]
