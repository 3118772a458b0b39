"""Standing approvals: of everything that a manifest says but its checkpoint. Runs on the database's thread."""

from __future__ import annotations

from heldout_server.database import Connection
from heldout_server.errors import NotFound
from heldout_server.ports.outcomes import StandingApproval


def put_standing(connection: Connection, approval: StandingApproval) -> None:
    """Record a standing approval; once, however often it is said."""
    connection.execute(
        "INSERT INTO standing (template, line, identity, run_id, given_s) VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT (template, identity) DO NOTHING",
        (approval.template, approval.line, approval.identity, approval.run_id, approval.given_s),
    )


def list_standing(connection: Connection) -> tuple[StandingApproval, ...]:
    """Return all standing approvals, oldest first."""
    rows = connection.execute("SELECT template, line, identity, run_id, given_s FROM standing ORDER BY number")
    return tuple(
        StandingApproval(template=template, line=line, identity=identity, run_id=run_id, given_s=given_s)
        for template, line, identity, run_id, given_s in rows
    )


def drop_standing(connection: Connection, template: str) -> None:
    """Take the standing approvals of a template back, and what runs have by them that did not start.

    Raises:
        NotFound: there is none.
    """
    if connection.execute("DELETE FROM standing WHERE template = ?", (template,)).rowcount == 0:
        raise NotFound("there is no such standing approval")
    connection.execute(
        "DELETE FROM approval WHERE template = ? AND run IN (SELECT number FROM run WHERE state = 'proposed')",
        (template,),
    )
