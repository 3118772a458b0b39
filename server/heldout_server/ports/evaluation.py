"""Runs from proposal to complete outcomes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol

from heldout_server.domain import Preflight, Run


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanRequest:
    """Say what to test. ``epoch_id`` empty means the epoch that is open.

    Attributes:
        allow_exposed: the prompts may be sent to a server that can log them, and are burnt then.
        anchor: restate a checkpoint that was released about an earlier epoch, or by an earlier judge.
    """

    checkpoint: str
    techniques: tuple[str, ...]
    stacks: tuple[tuple[str, ...], ...]
    attempts: int = 1
    epoch_id: str = ""
    allow_exposed: bool = False
    anchor: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedTime:
    """Say what time a run that has not started would be given: by its plan, the config and the runs before it alone.

    Attributes:
        publishes_s: Unix seconds of its slot, if it started now; 0 if it publishes on completion.
        run_s: seconds that are kept for it.
        width: trials at the same time.
        units: each of which may cost some trials more, alone.
        deadline_s: of one trial.
        start_s: that the runtime may take to come up.
    """

    publishes_s: int
    run_s: float
    width: int
    units: int
    deadline_s: float
    start_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Say exactly how far a run is: an outcome of the checkpoint, so for bank testers alone.

    Attributes:
        paused: reason code of why nothing is tried just now, such as an endpoint that is away; empty if it goes on.
        faults: type and place of exceptions that nobody had foreseen.
    """

    run: Run
    finished_trials: int
    trials_per_s: float
    paused: str = ""
    faults: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ExactRow:
    """Hold the exact figures of one row, for bank testers alone.

    Attributes:
        table: ``technique``, ``stack``, ``first_breach``, ``category``, ``non_answers`` or ``over_refusal``.
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

    async def plan_time(self, run: Run) -> PlannedTime | None:
        """Say what time a run would be given if it started now; nothing of one that started, or that nothing serves."""
        ...

    async def approve(self, run_id: str, *, identity: str, digest: str, standing: bool = False) -> Run:
        """Record an approval of exactly this digest.

        ``standing``: also for the appliance's own runs of every later checkpoint, as long as nothing else differs.

        Raises:
            NotFound, WrongState: as :class:`heldout_server.ports.outcomes.Outcomes` has them.
        """
        ...

    async def revoke(self, template: str, *, identity: str) -> None:
        """Take the standing approvals of a template back, whoever gave them, and those of runs that did not start.

        Raises:
            NotFound: there is none.
        """
        ...

    async def submit(self, checkpoint: str, plan: PlanRequest) -> Run | None:
        """Propose and start a run of a checkpoint, unless it has one that was started or dropped; idempotent.

        A run that an earlier submission proposed and did not come to start is started, if it is still what would be
        proposed now.

        Args:
            checkpoint: its name.
            plan: what to test; its own checkpoint is not looked at.

        Raises:
            NotFound, InvalidRequest, WrongState, IntegrityError, BudgetExhausted: as :meth:`propose` and
                :meth:`start` have them.
        """
        ...

    async def preflight(self, checkpoint: str) -> Preflight:
        """Ask a checkpoint a few harmless questions, as a start does; it costs nothing.

        Raises:
            NotFound: there is no such checkpoint.
            WrongState: it was refused, or nothing serves it.
            IntegrityError: it is not what was staged.
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

        A proposed run is dropped. A running one tries and scores nothing more, and its release holds no figures: a
        mixture of real verdicts and of those that cancelling would give could be steered by when it is cancelled.
        What it spent is spent.

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
        """Return exact figures; of a run that was cancelled, over what was tried.

        Raises:
            NotFound: there is no such run.
            WrongState: it is not complete.
        """
        ...
