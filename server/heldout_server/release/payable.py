"""How many releases the ledger can still pay: from policy, membership and spends alone, never from an outcome."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from heldout_policy.mechanism import FULL_ONLY, Side, TableKind, is_full, table_debit_nano_rho
from heldout_policy.release_policy import ReleasePolicy


def count_payable(
    policy: ReleasePolicy, *, units: Mapping[Side, Collection[str]], spent: Mapping[str, int], used: int
) -> int:
    """Return how many more releases of an epoch every unit can pay, if each holds all that the policy grants it.

    A unit with harmful and benign prompts pays both sides from its one budget, so an epoch that has such units may
    have fewer than the policy grants. Releases without stacks cost less, and there may be more of those.

    Args:
        policy: the policy in force.
        units: units that have prompts on each side.
        spent: by unit, in billionths of zCDP rho.
        used: releases of the epoch that are taken.
    """
    budget = policy.budget_nano_rho  # a logarithm to 50 digits: once, and not once a unit
    left = {
        sides: budget - max(spent.get(unit, 0) for unit in names)
        for sides, names in {
            (Side.HARMFUL,): set(units[Side.HARMFUL]) - set(units[Side.BENIGN]),
            (Side.BENIGN,): set(units[Side.BENIGN]) - set(units[Side.HARMFUL]),
            (Side.HARMFUL, Side.BENIGN): set(units[Side.HARMFUL]) & set(units[Side.BENIGN]),
        }.items()
        if names
    }
    for number in range(used + 1, policy.releases_per_epoch + 1):
        full = is_full(policy, number)
        left = {sides: rest - sum(_debit(policy, side, full=full) for side in sides) for sides, rest in left.items()}
        if min(left.values(), default=0) < 0:
            return number - 1 - used
    return max(0, policy.releases_per_epoch - used)


def _debit(policy: ReleasePolicy, side: Side, *, full: bool) -> int:
    """Return what a release debits each unit of one side for all the tables that it may hold."""
    kinds = [kind for kind in TableKind if (kind is TableKind.OVER_REFUSAL) == (side is Side.BENIGN)]
    return sum(table_debit_nano_rho(policy, kind) for kind in kinds if full or kind not in FULL_ONLY)
