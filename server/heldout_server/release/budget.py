"""What the ledger has left, and how many releases that pays: from policy, membership and spends, never an outcome."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from heldout_policy.mechanism import FULL_ONLY, Side, TableKind, is_full, table_debit_nano_rho
from heldout_policy.release_policy import ReleasePolicy
from heldout_server.ports.release import BudgetState, LineQuota
from heldout_server.release.grants import Taken


def standing_budget(
    policy: ReleasePolicy,
    *,
    epoch_id: str,
    units: Mapping[Side, Collection[str]],
    spent: Mapping[str, int],
    taken: Taken,
    closed: bool,
) -> BudgetState:
    """Return what an epoch has spent and has left.

    Args:
        policy: the policy in force.
        epoch_id: the epoch.
        units: its units that have prompts on each side.
        spent: by unit, in billionths of zCDP rho.
        taken: its releases that are taken.
        closed: a restore lost what was released of it, so that all of it counts as spent.
    """
    largest = {side: max((spent.get(unit, 0) for unit in names), default=0) for side, names in units.items()}
    return BudgetState(
        epoch_id=epoch_id,
        releases_used=policy.releases_granted if closed else taken.ordinary,
        releases_total=policy.releases_granted,
        releases_payable=0 if closed else count_payable(policy, units=units, spent=spent, taken=taken),
        harmful_spent_nano_rho=largest[Side.HARMFUL],
        benign_spent_nano_rho=largest[Side.BENIGN],
        budget_nano_rho=policy.budget_nano_rho,
        lines=tuple(
            LineQuota(line=line, used=quota if closed else taken.by_line.get(line, 0), total=quota)
            for line, quota in policy.lines.items()
        ),
        anchors_used=policy.anchors_per_epoch if closed else taken.anchors,
        anchors_total=policy.anchors_per_epoch,
        exact=policy.exact,
    )


def count_payable(
    policy: ReleasePolicy, *, units: Mapping[Side, Collection[str]], spent: Mapping[str, int], taken: Taken
) -> int:
    """Return how many more releases of an epoch every unit can pay, if each holds all that the policy grants it.

    A unit with harmful and benign prompts pays both sides from its one budget, so an epoch that has such units may
    have fewer than the policy grants. Releases without stacks cost less, and there may be more of those. Where lines
    have quotas nobody knows in which order they come, so the costly ones are taken to come first.

    Args:
        policy: the policy in force.
        units: units that have prompts on each side.
        spent: by unit, in billionths of zCDP rho.
        taken: releases of the epoch that are taken.
    """
    coming = _coming(policy, taken)
    if policy.exact:
        return len(coming)
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
    for number, full in enumerate(coming):
        left = {sides: rest - sum(_debit(policy, side, full=full) for side in sides) for sides, rest in left.items()}
        if min(left.values(), default=0) < 0:
            return number
    return len(coming)


def _coming(policy: ReleasePolicy, taken: Taken) -> list[bool]:
    """Return of each release that is left whether it is full, in the order in which they come at the worst."""
    if not policy.lines:
        return [is_full(policy, turn) for turn in range(taken.ordinary + 1, policy.releases_per_epoch + 1)]
    turns = (turn for line, quota in policy.lines.items() for turn in range(taken.by_line.get(line, 0) + 1, quota + 1))
    coming = sorted((is_full(policy, turn) for turn in turns), reverse=True)
    return coming[: max(0, policy.releases_per_epoch - taken.ordinary)]


def _debit(policy: ReleasePolicy, side: Side, *, full: bool) -> int:
    """Return what a release debits each unit of one side for all the tables that it may hold."""
    kinds = [kind for kind in TableKind if (kind is TableKind.OVER_REFUSAL) == (side is Side.BENIGN)]
    return sum(table_debit_nano_rho(policy, kind) for kind in kinds if full or kind not in FULL_ONLY)
