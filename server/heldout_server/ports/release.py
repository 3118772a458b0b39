"""The release desk: the only place where something becomes public."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from heldout_policy.atoms import Gap
from heldout_server.domain import Intent, Run


@dataclass(frozen=True, slots=True, kw_only=True)
class LineQuota:
    """Say what one model line has taken of an epoch's releases, and what it is granted."""

    line: str
    used: int
    total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetState:
    """Say what the ledger has left in an epoch; known from policy and membership alone.

    Attributes:
        releases_used, releases_total: ordinary ones, taken and granted.
        releases_payable: how many more releases every unit can pay.
        lines: what model lines have, where the policy grants each its own.
        anchors_used, anchors_total: releases that restate an earlier checkpoint, beside the others.
        exact: figures are published without noise: there is no budget, and no bound.
        harmful_spent_nano_rho, benign_spent_nano_rho: the largest spend among the units that have prompts of that
            intent, in billionths of zCDP rho.
        budget_nano_rho: what no unit may pass, likewise.
    """

    epoch_id: str
    releases_used: int
    releases_total: int
    releases_payable: int
    harmful_spent_nano_rho: int
    benign_spent_nano_rho: int
    budget_nano_rho: int
    lines: tuple[LineQuota, ...] = ()
    anchors_used: int = 0
    anchors_total: int = 0
    exact: bool = False


EpochGate: TypeAlias = Callable[[Mapping[Intent, frozenset[str]]], tuple[Gap, ...]]
"""Says by how few units an epoch with these units would differ from what was released; nothing where it may open."""


class ReleaseDesk(Protocol):
    """Take slots, debit the ledger, and publish."""

    async def reserve(self, run: Run) -> int:
        """Debit every unit of the run's epoch for one release and return its 1-based number. Idempotent by run.

        Raises:
            BudgetExhausted: a unit, the epoch, the line or the reserve has too little left; nothing is debited then.
            WrongState: the line is granted none, or an anchor ties nothing.
        """
        ...

    async def has_slot(self, run_id: str) -> bool:
        """Say whether a run took a slot: then it was debited, and must go on."""
        ...

    async def publish(self, run_id: str) -> None:
        """Publish a complete run, each step durable before the next. Idempotent; noise is drawn once.

        Raises:
            WrongState: the run is not complete, or it has no slot.
        """
        ...

    async def carry_on(self) -> None:
        """Finish what a crash interrupted: every release that is pending."""
        ...

    async def refresh_budget(self) -> None:
        """Publish what the newest epoch has left."""
        ...

    async def epoch_gate(self) -> EpochGate:
        """Return what decides, by memberships alone, whether an epoch is far enough from all that was released."""
        ...

    async def budget(self, epoch_id: str) -> BudgetState:
        """Say what is left."""
        ...
