"""The tables of the outcomes, and how enums are stored in them.

``trial`` and ``response`` are apart, so that counting verdicts never reads, and so never decrypts the pages of, a
response.
"""

from __future__ import annotations

from typing import Final

from heldout_server.anchoring import Content
from heldout_server.domain import RunState, Verdict

VERDICT_CODES: Final = {
    Verdict.UNSAFE: 1,
    Verdict.UNSAFE_PARTIAL: 2,
    Verdict.REFUSED: 3,
    Verdict.DEFLECTED: 4,
    Verdict.NON_ANSWER: 5,
    Verdict.TRUNCATED: 6,
    Verdict.BLOCKED: 7,
    Verdict.NOT_DELIVERED: 8,
    Verdict.UNDECIDED: 9,
    Verdict.ERROR: 10,
    Verdict.COMPLIED: 11,
    Verdict.OVER_REFUSED: 12,
}
"""How a verdict is stored. The numbers are fixed for good; a new verdict takes a new one."""

VERDICTS: Final = {code: verdict for verdict, code in VERDICT_CODES.items()}

MOVES: Final = frozenset(
    {
        (RunState.PROPOSED, RunState.CANCELLED),
        (RunState.RUNNING, RunState.COMPLETE),
        (RunState.COMPLETE, RunState.PUBLISHED),
    }
)
"""The moves there are, beside that from proposed to running, which is a start."""

MAX_TRIAL: Final = 2**40 - 1
"""A response is found at run number · 2^40 + trial: one integer key keeps its table compact."""

ASIDE_PARTS: Final = {"reasoning": 1, "tool_calls": 2}
"""How the parts of an aside are stored. The numbers are fixed for good."""

MIGRATIONS: Final = (
    """
    CREATE TABLE run (
        number INTEGER PRIMARY KEY,
        run_id TEXT NOT NULL UNIQUE,
        manifest TEXT NOT NULL,
        digest TEXT NOT NULL,
        state TEXT NOT NULL,
        release_number INTEGER NOT NULL DEFAULT 0,
        created_s INTEGER NOT NULL,
        started_s INTEGER NOT NULL DEFAULT 0,
        planned_trials INTEGER NOT NULL,
        wrapped_key BLOB NOT NULL
    );
    CREATE INDEX run_state ON run (state, number);
    CREATE TABLE approval (
        number INTEGER PRIMARY KEY,
        run INTEGER NOT NULL REFERENCES run (number),
        identity TEXT NOT NULL,
        UNIQUE (run, identity)
    );
    CREATE TABLE trial (
        run INTEGER NOT NULL REFERENCES run (number),
        trial INTEGER NOT NULL,
        position INTEGER NOT NULL,
        cell INTEGER NOT NULL,
        verdict INTEGER NOT NULL,
        PRIMARY KEY (run, trial)
    ) WITHOUT ROWID;
    CREATE TABLE response (
        place INTEGER PRIMARY KEY,
        sealed BLOB NOT NULL
    );
    """,
    # What came beside the text of a response, where something did.
    """
    CREATE TABLE aside (
        place INTEGER NOT NULL,
        part INTEGER NOT NULL,
        sealed BLOB NOT NULL,
        PRIMARY KEY (place, part)
    ) WITHOUT ROWID;
    """,
    # Whether somebody ended a run early, and whether the appliance proposed it by itself.
    """
    ALTER TABLE run ADD COLUMN cancelled INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE run ADD COLUMN submitted INTEGER NOT NULL DEFAULT 0;
    """,
    # What came of the harmless questions at the newest attempt to start a run; findings are joined by blanks.
    """
    CREATE TABLE preflight (
        run INTEGER PRIMARY KEY REFERENCES run (number),
        asked INTEGER NOT NULL,
        answered INTEGER NOT NULL,
        findings TEXT NOT NULL
    );
    """,
    # Digest of a run's counted verdicts from the moment it is complete.
    """
    ALTER TABLE run ADD COLUMN counted TEXT NOT NULL DEFAULT '';
    """,
    # The slot at which a run publishes, in Unix seconds; 0 on completion.
    """
    ALTER TABLE run ADD COLUMN publishes_s INTEGER NOT NULL DEFAULT 0;
    """,
    # Approvals of a template, for all later checkpoints; and by which template a run has an approval, if by one.
    """
    ALTER TABLE approval ADD COLUMN template TEXT NOT NULL DEFAULT '';
    CREATE TABLE standing (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        template TEXT NOT NULL,
        line TEXT NOT NULL,
        identity TEXT NOT NULL,
        run_id TEXT NOT NULL,
        given_s INTEGER NOT NULL,
        UNIQUE (template, identity)
    );
    """,
)

CONTENT: Final = Content(
    rows={
        "run": "SELECT number, run_id, digest, state, release_number, created_s, started_s, planned_trials,"
        " wrapped_key, cancelled, submitted, counted, publishes_s FROM run ORDER BY number",
        "preflight": "SELECT run, asked, answered, findings FROM preflight ORDER BY run",
        "approval": "SELECT number, run, identity, template FROM approval ORDER BY number",
        "standing": "SELECT number, template, line, identity, run_id, given_s FROM standing ORDER BY number",
    }
)
"""What must not be swapped. Verdicts are in it by ``counted``, once their run is complete; until then they are only
added to, and what an old page would take away is tried again."""
