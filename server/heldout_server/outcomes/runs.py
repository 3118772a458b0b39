"""Runs in the database: read, listed, approved and moved. Runs on the database's thread."""

from __future__ import annotations

import hashlib
from typing import Final

from heldout_server.database import Connection
from heldout_server.domain import Preflight, PreflightFinding, Run, RunState
from heldout_server.errors import IntegrityError, InvalidRequest, NotFound, WrongState
from heldout_server.outcomes.counts import VerdictCounts, read_counts
from heldout_server.outcomes.manifest import decode, template_digest

_COLUMNS: Final = (
    "SELECT number, run_id, manifest, digest, state, release_number, created_s, started_s, planned_trials,"
    " cancelled, submitted, publishes_s FROM run"
)


def read_run(connection: Connection, run_id: str) -> Run:
    """Return a run.

    Raises:
        NotFound: there is no such run.
        IntegrityError: its manifest is not what was stored.
    """
    row = connection.execute(f"{_COLUMNS} WHERE run_id = ?", (run_id,)).fetchone()
    if row is None:
        raise NotFound("there is no such run")
    return _run(connection, row)


def list_runs(connection: Connection, *, after: str, limit: int, state: RunState | None) -> tuple[Run, ...]:
    """Return up to ``limit`` runs in the order of their creation, those past run ``after``.

    Raises:
        InvalidRequest: ``after`` names no run.
    """
    start = 0
    if after:
        row = connection.execute("SELECT number FROM run WHERE run_id = ?", (after,)).fetchone()
        if row is None:
            raise InvalidRequest("the page starts after a run that is not there", reason="PAGE_TOKEN")
        start = row[0]
    if state is None:
        rows = connection.execute(f"{_COLUMNS} WHERE number > ? ORDER BY number LIMIT ?", (start, limit))
    else:
        rows = connection.execute(
            f"{_COLUMNS} WHERE number > ? AND state = ? ORDER BY number LIMIT ?", (start, state.value, limit)
        )
    return tuple(_run(connection, row) for row in rows.fetchall())


def approve_run(connection: Connection, run_id: str, *, identity: str, digest: str, template: str = "") -> Run:
    """Record an approval of exactly this digest. Approving twice is approving once.

    Raises:
        NotFound: there is no such run.
        WrongState: the run is not proposed, or its digest is another.
    """
    run = read_run(connection, run_id)
    _verify_state(run, RunState.PROPOSED)
    if digest != run.digest:
        raise WrongState(f"{run_id} has another digest", reason="DIGEST_DIFFERS")
    connection.execute(
        "INSERT INTO approval (run, identity, template) SELECT number, ?, ? FROM run WHERE run_id = ?"
        # What somebody says of the run itself outlives what was said of a template.
        " ON CONFLICT (run, identity) DO UPDATE SET template = min(template, excluded.template)",
        (identity, template, run_id),
    )
    return read_run(connection, run_id)


def start_run(connection: Connection, run_id: str, *, release_number: int, started_s: int, publishes_s: int) -> Run:
    """Move a proposed run to running.

    Raises:
        NotFound: there is no such run.
        WrongState: it is not proposed.
    """
    _verify_state(read_run(connection, run_id), RunState.PROPOSED)
    connection.execute(
        "UPDATE run SET state = ?, release_number = ?, started_s = ?, publishes_s = ? WHERE run_id = ?",
        (RunState.RUNNING.value, release_number, started_s, publishes_s, run_id),
    )
    return read_run(connection, run_id)


def latest_slot(connection: Connection) -> int:
    """Return the latest slot that any run was given, in Unix seconds; 0 if none was."""
    latest: int = connection.execute("SELECT coalesce(max(publishes_s), 0) FROM run").fetchone()[0]
    return latest


def move_run(connection: Connection, run_id: str, *, expected: RunState, state: RunState) -> Run:
    """Move a run.

    Raises:
        NotFound: there is no such run.
        WrongState: it is not in ``expected``.
    """
    _verify_state(read_run(connection, run_id), expected)
    connection.execute("UPDATE run SET state = ? WHERE run_id = ?", (state.value, run_id))
    if state is RunState.COMPLETE:
        counted = count_verdicts(connection, run_id).digest()
        connection.execute("UPDATE run SET counted = ? WHERE run_id = ?", (counted, run_id))
    return read_run(connection, run_id)


def count_verdicts(connection: Connection, run_id: str) -> VerdictCounts:
    """Return a run's verdicts counted by prompt and cell, ordered by both.

    Raises:
        NotFound: there is no such run.
        IntegrityError: the run is complete, and they are not those it was completed with.
    """
    row = connection.execute("SELECT number, counted FROM run WHERE run_id = ?", (run_id,)).fetchone()
    if row is None:
        raise NotFound("there is no such run")
    number, counted = row
    counts = read_counts(connection, number)
    if counted and counted != counts.digest():
        raise IntegrityError(
            f"the verdicts of {run_id} are not those it was completed with: an old page was put back into outcomes.db",
            reason="VERDICTS_CHANGED",
        )
    return counts


def cancel_run(connection: Connection, run_id: str) -> Run:
    """Mark a running run as cancelled.

    Raises:
        NotFound: there is no such run.
        WrongState: it is not running.
    """
    _verify_state(read_run(connection, run_id), RunState.RUNNING)
    connection.execute("UPDATE run SET cancelled = 1 WHERE run_id = ?", (run_id,))
    return read_run(connection, run_id)


def cancel_running(connection: Connection) -> None:
    """Mark every running run as cancelled: a restore closed their epochs, and no figure will be published of them."""
    connection.execute("UPDATE run SET cancelled = 1 WHERE state = ?", (RunState.RUNNING.value,))


def write_preflight(connection: Connection, run_id: str, report: Preflight) -> None:
    """Keep what came of the harmless questions before a start, in the place of an earlier attempt's.

    Raises:
        NotFound: there is no such run.
    """
    read_run(connection, run_id)
    connection.execute(
        "INSERT OR REPLACE INTO preflight (run, asked, answered, findings)"
        " SELECT number, ?, ?, ? FROM run WHERE run_id = ?",
        (report.asked, report.answered, " ".join(report.findings), run_id),
    )


def read_preflight(connection: Connection, run_id: str) -> Preflight | None:
    """Return what came of the harmless questions at the newest attempt to start a run; None if none were asked.

    Raises:
        NotFound: there is no such run.
    """
    read_run(connection, run_id)
    row = connection.execute(
        "SELECT asked, answered, findings FROM preflight JOIN run ON run = number WHERE run_id = ?", (run_id,)
    ).fetchone()
    if row is None:
        return None
    asked, answered, findings = row
    return Preflight(asked=asked, answered=answered, findings=tuple(map(PreflightFinding, findings.split())))


def _verify_state(run: Run, expected: RunState) -> None:
    if run.state is not expected:
        raise WrongState(f"{run.run_id} is {run.state.value}, not {expected.value}", reason="RUN_STATE")


def _run(connection: Connection, row: tuple[int, str, str, str, str, int, int, int, int, int, int, int]) -> Run:
    number, run_id, manifest, digest, state, release_number, created_s, started_s, planned, *rest = row
    cancelled, submitted, publishes_s = rest
    if hashlib.sha256(manifest.encode()).hexdigest() != digest:
        raise IntegrityError(f"the manifest of {run_id} is not what its digest says", reason="MANIFEST_CHANGED")
    approvals = connection.execute("SELECT identity FROM approval WHERE run = ? ORDER BY number", (number,))
    decoded = decode(manifest)
    return Run(
        run_id=run_id,
        manifest=decoded,
        template=template_digest(decoded),
        digest=digest,
        state=RunState(state),
        release_number=release_number,
        approvals=tuple(identity for (identity,) in approvals),
        created_s=created_s,
        started_s=started_s,
        planned_trials=planned,
        cancelled=cancelled == 1,
        submitted=submitted == 1,
        publishes_s=publishes_s,
    )
