"""Attacks on the budget, the files, the policy and the receipts report broken where the guard against them is gone."""

import sys
from pathlib import Path

import pytest

from heldout_server.attack import commands
from heldout_server.attack.attack import pick
from heldout_server.attack.images import Images
from heldout_server.attack.running import run_attacks

GUARDS = Path(__file__).with_name("weakened_guards.py")

BROKEN_BY = [
    ("another-roles-methods", "anybody"),
    ("approve-after-seeing", "no_approvals"),
    ("cancel-for-a-refund", "no_debit"),
    ("cells-at-the-ends", "clamped"),
    ("clock-steps", "forgetful"),
    ("crash-for-a-refund", "no_debit"),
    ("forged-cosignature", "any_cosignature"),
    ("group-minus-one", "no_atoms"),
    ("independence", "no_second_chance"),
    ("old-page", "undigested"),
    ("older-files", "unanchored"),
    ("one-flipped-bit", "no_debit"),
    ("one-unit-more", "no_atoms"),
    ("parallel-requests", "no_debit"),
    ("policy-downgraded", "older_policy"),
    ("policy-edited", "unsigned_policy"),
    ("policy-swapped", "policy_ignored"),
    ("repeat-and-average", "fresh_noise"),
    ("total-minus-cells", "no_atoms"),
    ("trainer-who-tests", "two_roles"),
    ("two-accounts", "budget_of_its_own"),
    ("wrong-certificates", "any_name"),
]

GULLIBLE = """
from types import SimpleNamespace
from heldout.calls import Caller
from heldout.cli.app import main

def verify(self, call, body, receipt):
    call.verified = True
    return SimpleNamespace(role="")

Caller._verify = verify
main()
"""
"""A client that believes every answer."""


async def finding_of(name, launcher=None):
    (attack,) = pick((name,))
    (result,) = await run_attacks([attack], **({"launcher": launcher} if launcher else {}))
    assert result.finding.tried != "could not be carried out", result.finding.learned
    return result.finding


@pytest.mark.slow
@pytest.mark.parametrize(("attack", "weakness"), BROKEN_BY)
async def test_it_finds_that_the_guard_is_gone(attack, weakness, monkeypatch):
    if weakness in {"unanchored", "undigested"}:

        async def finds_nothing(_self):
            return False

        monkeypatch.setattr(Images, "found", finds_nothing)  # the same look, by the attack's own process
    finding = await finding_of(attack, (sys.executable, str(GUARDS), weakness))
    assert not finding.held, finding.learned


@pytest.mark.slow
@pytest.mark.parametrize("attack", ["another-logs-proof", "forged-proof", "replayed-receipt", "restored-image"])
async def test_it_finds_a_client_that_believes_everything(attack, monkeypatch):
    monkeypatch.setattr(commands, "CLIENT", (sys.executable, "-c", GULLIBLE))
    finding = await finding_of(attack)
    assert not finding.held, finding.learned
