"""What the log is told of a run, before it happens."""

from __future__ import annotations

from heldout_server.domain import Preflight, Run, RunState
from heldout_server.ports.audit import Record


def run_event(
    run: Run, state: RunState, *, release_number: int | None = None, publishes_s: int | None = None
) -> Record:
    """Return the event of a run's move into a state.

    It stands in the log when the run starts, at its slot, and when somebody cancels a proposal: never at a moment that
    a checkpoint chooses, where a slot is planned.

    Args:
        run: as it is before the move.
        state: where it goes.
        release_number: of its release, if it is taken with this move; else the one that the run has.
        publishes_s: its slot, likewise.
    """
    return Record(
        kind="event",
        name="run",
        details={
            "run_id": run.run_id,
            "state": state.value,
            "manifest_digest": run.digest,
            "release_number": run.release_number if release_number is None else release_number,
            "publishes_s": run.publishes_s if publishes_s is None else publishes_s,
            "approvals": run.approvals,
        },
    )


def approval_event(run: Run, *, identity: str, action: str) -> Record:
    """Return the event of somebody's approving a manifest.

    Args:
        run: its run.
        identity: who approves.
        action: ``given``; ``standing``, for later checkpoints as well; or ``by_standing``, by what was given before.
    """
    return Record(
        kind="event",
        name="approval",
        details={
            "action": action,
            "run_id": run.run_id,
            "manifest_digest": run.digest,
            "template": run.template,
            "identity": identity,
        },
    )


def revocation_event(template: str, *, identity: str) -> Record:
    """Return the event of somebody's taking standing approvals back."""
    return Record(
        kind="event", name="approval", details={"action": "revoked", "template": template, "identity": identity}
    )


def burn_event(run: Run) -> Record:
    """Return the event of a run's start that sends its prompts to a server which can log them."""
    return Record(
        kind="event",
        name="burn",
        details={
            "run_id": run.run_id,
            "epoch_id": run.manifest.epoch_id,
            "runtime": run.manifest.runtime,
            "prompts": run.manifest.burnt_prompts,
        },
    )


def preflight_event(checkpoint: str, report: Preflight, *, run_id: str = "") -> Record:
    """Return the event of what came of a few harmless questions.

    Args:
        checkpoint: its name.
        report: what came of them.
        run_id: the run that was to be started; empty if somebody asked for the questions alone.
    """
    return Record(
        kind="event",
        name="preflight",
        details={
            "run_id": run_id,
            "checkpoint": checkpoint,
            "asked": report.asked,
            "answered": report.answered,
            "findings": tuple(finding.value for finding in report.findings),
        },
    )
