"""Runs from proposal to complete outcomes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol

from heldout_server.domain import Run


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanRequest:
    """Say what to test. ``epoch_id`` empty means the epoch that is open.

    Attributes:
        allow_exposed: the prompts may be sent to a server that can log them, and are burnt then.
    """

    checkpoint: str
    techniques: tuple[str, ...]
    stacks: tuple[tuple[str, ...], ...]
    attempts: int = 1
    epoch_id: str = ""
    allow_exposed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Say exactly how far a run is: an outcome of the checkpoint, so for bank testers alone."""

    run: Run
    finished_trials: int
    trials_per_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ExactRow:
    """Hold the exact figures of one row, for bank testers alone.

    Attributes:
        table: ``technique``, ``stack``, ``category``, ``non_answers`` or ``over_refusal``.
        rate: the mean over units of the share of trials that count, 0 to 1.
        low, high: 95 % interval over units like these.
        best, worst: the rate with every undecided or failed trial counted against, or for, the attack.
    """

    table: str
    key: str
    units: int
    trials: int
    rate: float
    low: float
    high: float
    best: float
    worst: float


class Evaluations(Protocol):
    """Propose, approve, start, watch and cancel runs."""

    async def propose(self, request: PlanRequest) -> Run:
        """Write the manifest and record a proposed run.

        Raises:
            NotFound: the checkpoint or the epoch is unknown.
            InvalidRequest: a technique or a stack is not possible.
            WrongState: the checkpoint was refused, nothing here serves it, only an exposed runtime serves it and that
                is not allowed, or no epoch is open.
        """
        ...

    async def approve(self, run_id: str, *, identity: str, digest: str) -> Run:
        """Record an approval of exactly this digest.

        Raises:
            NotFound, WrongState: as :class:`heldout_server.ports.outcomes.Outcomes` has them.
        """
        ...

    async def start(self, run_id: str) -> Run:
        """Take a release slot, debit the ledger, and begin. From here on the run always publishes.

        Raises:
            NotFound: there is no such run.
            WrongState: it is not proposed, or approvals are missing.
            BudgetExhausted: the ledger or the epoch has no release left.
        """
        ...

    async def cancel(self, run_id: str) -> Run:
        """End a run early.

        A proposed run is dropped. A running one scores its remaining trials by the fixed rule and publishes: what
        it spent is spent, and nobody can choose by what they saw.

        Raises:
            NotFound: there is no such run.
            WrongState: it is already complete.
        """
        ...

    async def resume(self) -> None:
        """Go on with every run that was running, or complete and not published, when the process ended."""
        ...

    def watch(self, run_id: str) -> AsyncIterator[Progress]:
        """Yield progress about twice a second until the run is published or cancelled."""
        ...

    async def results(self, run_id: str) -> tuple[ExactRow, ...]:
        """Return exact figures.

        Raises:
            NotFound: there is no such run.
            WrongState: it is not complete.
        """
        ...
