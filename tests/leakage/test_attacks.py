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


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stages():
    async with Stages() as prepared:
        yield prepared


@pytest.mark.parametrize(
    "attack",
    [pytest.param(one, id=one.name, marks=[pytest.mark.slow] if one.slow else []) for one in all_attacks()],
)
@pytest.mark.asyncio(loop_scope="module")
async def test_the_boundary_holds(attack, stages):
    finding = await stages.run(attack)
    assert finding.held, (finding.tried, finding.learned)


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


def test_the_list_names_every_attack():
    done = subprocess.run([COMMAND, "attack", "--list", "--json"], capture_output=True, text=True, check=True)
    assert [one["name"] for one in json.loads(done.stdout)] == [attack.name for attack in all_attacks()]
