"""Runs, sealed responses and verdicts."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from heldout_server.domain import NOTHING, Manifest, Outcome, Preflight, Run, RunState, SecretText, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Aside:
    """Hold what came beside the text of a response; each part may be empty.

    Attributes:
        reasoning: what the model wrote for itself.
        tool_calls: the calls of tools that it asked for, as JSON.
    """

    reasoning: SecretText = NOTHING
    tool_calls: SecretText = NOTHING


@dataclass(frozen=True, slots=True)
class JudgedTrial:
    """Hold one finished trial on its way to the store; ``response`` and ``aside`` are sealed there."""

    outcome: Outcome
    response: SecretText
    aside: Aside = Aside()


@dataclass(frozen=True, slots=True, kw_only=True)
class StandingApproval:
    """Say who approved everything that a manifest says but its checkpoint, for all that come after it.

    Attributes:
        template: hex SHA-256 of the manifest without its checkpoint.
        line: the model line that it is about.
        run_id: the run at which it was given.
        given_s: Unix seconds.
    """

    template: str
    line: str
    identity: str
    run_id: str
    given_s: int


class VerdictCount(NamedTuple):
    """Count the trials of one prompt in one cell that got one verdict. A tuple, since a run may have a million."""

    position: int
    cell: int
    verdict: Verdict
    trials: int


class Outcomes(Protocol):
    """Keep runs and what came of their trials. One row a trial, unique by trial."""

    async def create(self, manifest: Manifest, *, planned_trials: int, submitted: bool = False) -> Run:
        """Record a proposed run and return it; ``submitted`` marks those that the appliance proposes by itself."""
        ...

    async def get(self, run_id: str) -> Run:
        """Return a run.

        Raises:
            NotFound: there is no such run.
        """
        ...

    async def list(self, *, after: str, limit: int, state: RunState | None = None) -> tuple[Run, ...]:
        """Return up to ``limit`` runs in the order of their creation, those past run ``after`` (all for '')."""
        ...

    async def approve(self, run_id: str, *, identity: str, digest: str, template: str = "") -> Run:
        """Record that an identity approves this digest, by a standing approval if ``template`` names one.

        Raises:
            NotFound: there is no such run.
            WrongState: the run is not proposed, or its digest is another.
        """
        ...

    async def put_standing(self, approval: StandingApproval) -> None:
        """Record a standing approval; once, however often it is said."""
        ...

    async def standing(self) -> tuple[StandingApproval, ...]:
        """Return all standing approvals, oldest first."""
        ...

    async def drop_standing(self, template: str) -> None:
        """Take the standing approvals of a template back, and what runs have by them that did not start.

        Raises:
            NotFound: there is none.
        """
        ...

    async def start(self, run_id: str, *, release_number: int, publishes_s: int = 0) -> Run:
        """Move a proposed run to running; ``publishes_s`` is its slot, or 0 if it publishes on completion.

        Raises:
            WrongState: it is not proposed.
        """
        ...

    async def latest_slot(self) -> int:
        """Return the latest slot that any run was given, in Unix seconds; 0 if none was."""
        ...

    async def move(self, run_id: str, *, expected: RunState, state: RunState) -> Run:
        """Move a run from one state to another.

        Raises:
            WrongState: it is not in ``expected``.
        """
        ...

    async def cancel(self, run_id: str) -> Run:
        """Mark a running run as cancelled, for good. It stays running; marking it twice is marking it once.

        Raises:
            NotFound: there is no such run.
            WrongState: it is not running.
        """
        ...

    async def note_preflight(self, run_id: str, report: Preflight) -> None:
        """Keep what came of the harmless questions before a start, in the place of an earlier attempt's.

        Raises:
            NotFound: there is no such run.
        """
        ...

    async def preflight(self, run_id: str) -> Preflight | None:
        """Return what came of the harmless questions at the newest attempt to start a run; None if none were asked.

        Raises:
            NotFound: there is no such run.
        """
        ...

    async def record(self, run_id: str, trials: Sequence[JudgedTrial]) -> None:
        """Seal the responses and store the verdicts, all durable on return. A trial already there is left as it is.

        Raises:
            NotFound: there is no such run.
            WrongState: the run is not running: what a complete run holds does not change.
        """
        ...

    async def finished(self, run_id: str) -> frozenset[int]:
        """Return the numbers of the trials that have a verdict."""
        ...

    async def counts(self, run_id: str) -> Collection[VerdictCount]:
        """Return the verdicts counted by prompt and cell, ordered by both."""
        ...

    async def response(self, run_id: str, trial: int) -> SecretText:
        """Return one response.

        Raises:
            NotFound: that trial has no verdict.
        """
        ...

    async def aside(self, run_id: str, trial: int) -> Aside:
        """Return what came beside the text of a response.

        Raises:
            NotFound: that trial has no verdict.
        """
        ...


class OutcomeCounts(Protocol):
    """Say what came of a run in enums and numbers: all that the release desk may know of its trials."""

    async def get(self, run_id: str) -> Run:
        """Return a run.

        Raises:
            NotFound: there is no such run.
        """
        ...

    async def move(self, run_id: str, *, expected: RunState, state: RunState) -> Run:
        """Move a run from one state to another.

        Raises:
            WrongState: it is not in ``expected``.
        """
        ...

    async def counts(self, run_id: str) -> Collection[VerdictCount]:
        """Return the verdicts counted by prompt and cell, ordered by both."""
        ...
